"""How is an attention call noticed, without changing what the model computes?"""
