"""Webhooks as values, both ways: signatures, what a git host says in its own shape, what follows from it. Pure."""
