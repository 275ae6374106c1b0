"""How do processes that share a model by tensor parallelism make one record?"""
