"""How do text, chats, images, audio and arrays become the keyword arguments of a model?"""
