"""Head scores over many inputs: run, add up, tables, files."""
