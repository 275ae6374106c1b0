"""What of a model's output comes from which part of it: direct logit attribution and the logit lens."""
