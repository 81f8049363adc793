"""Deciding, and nothing else: wanted + observed → plan. Pure; `execute.py` does what is decided here."""
