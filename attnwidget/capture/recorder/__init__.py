"""What is installed on a model for a recording, and which of its calls are kept?"""
