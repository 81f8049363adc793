"""Makes images. Knows the Engine's build API and nothing of apps."""

from paas.images.builder import DockerBuilder

__all__ = ["DockerBuilder"]
