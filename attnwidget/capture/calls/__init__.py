"""What is kept of one attention call, and of all calls of one module?"""
