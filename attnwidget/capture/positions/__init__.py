"""What is each position of an axis: a token, an image patch, an audio frame?"""
