"""Answers a Runtime with base images, and makes them. Knows runtimes and the build API, nothing of apps.

`DebianStack` makes its images out of Debian packages on this machine; `OfficialStack` pulls the well-known ones from a
registry. Both give the same contract: see `paas.model.build.Base`.
"""

from paas.stacks.choice import choose
from paas.stacks.debian import DebianStack
from paas.stacks.network import build_env, ca_image
from paas.stacks.official import OfficialStack

__all__ = ["DebianStack", "OfficialStack", "build_env", "ca_image", "choose"]
