"""What travels between the kernel and the front end: see ``schema.json`` and ``README.md``."""
