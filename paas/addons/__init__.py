"""Loads `templates/addons/NAME`: the container an addon runs, the config var it binds, its commands.

Pure but for reading those files: says what is to be run, never runs it. To add an addon, add a folder.
"""
