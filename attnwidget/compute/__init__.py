"""Attention maths in torch on `LayerTensors`: scores, weights, pooling, tiles; a block at a time."""
