"""What we want, and history. `sql.py` keeps it on disk, `memory.py` in memory; one contract suite runs against both.

Stores and reads, one transaction a method. Never decides, never touches the Engine or the router.
"""
