"""What a view runs its model for, a slice at a time: what each head is worth, and the trace of what it says."""
