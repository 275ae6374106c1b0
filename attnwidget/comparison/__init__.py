"""Two records on common axes: alignment, divergence of heads, `Comparison`."""
