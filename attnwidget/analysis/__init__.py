"""Which head is it: scores, search by example, words, measures, comparison. Nothing here imports transformers."""
