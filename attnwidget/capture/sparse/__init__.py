"""How does attention over few keys per query (BigBird, Longformer, Reformer …) become a query × key matrix?"""
