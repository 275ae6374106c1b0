"""What the heads of a record do: scores, labels, search by example, rollout. Nothing here imports transformers."""
