"""Code on its way to a build: found, filtered, packed, unpacked, identified. Knows files and git, nothing of apps.

`open_local` is the person's side (a folder, a commit, an archive), `unpack`, `clone` and `pushed` the server's. All of
them agree on the content id: the same files have the same id, wherever they lie.
"""

from paas.sources.clone import clone, is_git_url, redacted
from paas.sources.local import LocalSource, open_local
from paas.sources.pushed import pushed
from paas.sources.tree import content_id
from paas.sources.unpack import unpack

__all__ = ["LocalSource", "clone", "content_id", "is_git_url", "open_local", "pushed", "redacted", "unpack"]
