"""Which modules of a model are attention, and which stream and layer is each?"""
