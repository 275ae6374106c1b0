"""Which forward passes, rows and calls make up the sequence that ``generate`` returns?"""
