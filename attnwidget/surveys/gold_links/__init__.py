"""Heads against annotated links between positions: what a caller gives, counts, scores, files."""
