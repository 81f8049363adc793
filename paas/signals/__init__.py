"""Keeps what was measured, in a file of its own: it never waits for the store, and the store never for it."""
