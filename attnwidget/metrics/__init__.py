"""What is measured of a model's output: the probability of a token, label or answer, a difference, or a number of one's own."""
