"""Which query, key, scaling, mask and bias give the weights that a weighted sum was seen to use?"""
