"""What the platform does, one file per noun: the order of the work. `door.py` is the one way in."""
