"""Change what heads put out while a model runs: where each head is, what is put there, and the taps that do it."""
