"""What is the front end told: description, numbers, thumbnails, and copies that need no kernel?"""
