"""Where a model's output comes from: gradients, parts of the residual stream, directions of queries and keys, traces."""
