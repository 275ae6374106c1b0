"""How do the recorded calls become streams and layers?"""
