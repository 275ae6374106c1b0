"""Change what a model computes and see what comes of it: run under an edit, one effect, the effect of every head."""
