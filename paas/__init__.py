"""Deploy an app folder to your own machines: buildpacks, Docker, Traefik, PostgreSQL, one command."""

__version__ = "0.1.0"
