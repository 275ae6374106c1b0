"""The residual stream: what each layer would predict, and what each part of it adds to a logit."""
