"""Weighted sums over the keys by torch's fused attention kernel, in memory that grows with the positions alone."""
