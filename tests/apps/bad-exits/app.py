import sys

print("cannot go on")
sys.exit(3)
