"""What is to be changed while a model runs, as plain values that know nothing of a model."""
