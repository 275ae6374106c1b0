"""In which contexts heads fire: the places with the most weight, deciles of scores, and counts of linked tokens."""
