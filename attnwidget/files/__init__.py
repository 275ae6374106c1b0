"""Files that are written in one step, and tensors in them that are read with their digests checked."""
