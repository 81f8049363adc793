"""Source → build plan → Dockerfile. Pure: reads an app's files through `files.Files`, touches nothing else.

`detect.inspect` is the way in; buildpacks are the folders of `buildpacks/` (see `buildpacks.py`).
"""
