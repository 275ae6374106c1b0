"""Which images and audio went into a model, and which positions lie where in them?"""
