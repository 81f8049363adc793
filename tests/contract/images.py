"""A tiny image for tests that need containers but no runtime: one static busybox with all its commands."""

from __future__ import annotations

import fcntl
import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import docker
import docker.errors

REF = "paas-test/busybox:1"


def busybox(address: str) -> str:
    """The image's id. It is imported once per Engine and then kept; parallel test processes wait for each other."""
    api = docker.APIClient(base_url=address, version="auto")
    try:
        with (Path(tempfile.gettempdir()) / "paas-test-busybox.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                return str(api.inspect_image(REF)["Id"])
            except docker.errors.ImageNotFound:
                name, _, tag = REF.partition(":")
                api.import_image_from_data(
                    _root(_program()), repository=name, tag=tag, changes=["LABEL paas.test=1", "ENV PATH=/bin"]
                )
            return str(api.inspect_image(REF)["Id"])
    finally:
        api.close()


def _program() -> Path:
    """Debian's busybox-static, installed when it is missing."""
    if not shutil.which("busybox"):
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", "busybox-static"], check=True)
    return Path(str(shutil.which("busybox")))


def _root(program: Path) -> bytes:
    commands = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, mode in {"bin": 0o755, "tmp": 0o1777, "www": 0o755, "data": 0o777}.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
        archive.add(program, "bin/busybox")
        for name in commands:
            if name != "busybox":
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
        page = tarfile.TarInfo("www/index.html")
        page.size = 3
        archive.addfile(page, io.BytesIO(b"ok\n"))
    return out.getvalue()
