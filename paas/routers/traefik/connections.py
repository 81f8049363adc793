"""Which requests are on their way to which server: the kernel's list of Traefik's connections. Reads only.

Traefik counts a request when it has been answered, and has no number per app of those that were not yet. It runs in
the host's network, so its connections to replicas are seen from here, also those that a replica has not accepted yet.
Format: sock_diag(7), `struct tcp_info` of linux/tcp.h.
"""

from __future__ import annotations

import os
import socket
import struct
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

_SOCK_DIAG, _BY_FAMILY, _INFO = 4, 20, 2
_DUMP_REQUEST = 0x301
_ESTABLISHED, _CONNECTING = 1, 2
_DONE, _ERROR = 3, 2
_HEADER = struct.Struct("=IHHII")
_MESSAGE = 72
"""Bytes of `struct inet_diag_msg`; attributes follow."""
_SENT_AGO, _RECEIVED_AGO, _BYTES_RECEIVED = 44, 52, 128
"""Offsets in `struct tcp_info`: milliseconds since data went out and came in, and how much ever came in."""

TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection that was made from this machine. `busy`: something was asked over it and not answered yet, or it
    has been used for longer than idle ones are kept, as upgraded ones are."""

    peer: str
    busy: bool


def in_flight(servers: Collection[str], idle: float = 1.0) -> Mapping[str, int]:
    """Requests on their way to each of these `ip:port`. `idle`: after how many seconds idle connections are closed.

    Raises OSError where the kernel does not tell.
    """
    wanted = set(servers)
    families = {socket.AF_INET6 if server.startswith("[") else socket.AF_INET for server in wanted}
    found = (one for family in sorted(families) for message in _dump(family) for one in parsed(message, family, idle))
    counts = Counter(one.peer for one in found if one.busy and one.peer in wanted)
    return {server: counts[server] for server in sorted(wanted)}


def parsed(message: bytes, family: int, idle: float) -> Iterator[Connection]:
    """The connection in one answer of the kernel; none in one that is cut off."""
    if len(message) < _MESSAGE:
        return
    state = message[1]
    (port,) = struct.unpack_from("!H", message, 6)
    size = 16 if family == socket.AF_INET6 else 4
    host = socket.inet_ntop(family, message[24 : 24 + size])
    peer = f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"
    info = next((value for kind, value in _attributes(message, _MESSAGE) if kind == _INFO), b"")
    yield Connection(peer, state == _CONNECTING or _busy(info, idle * 1000))


def _busy(info: bytes, idle: float) -> bool:
    """By the order of the last data out and in; an old kernel that tells less counts every connection."""
    if len(info) < _BYTES_RECEIVED + 8:
        return True
    (sent,) = struct.unpack_from("=I", info, _SENT_AGO)
    (received,) = struct.unpack_from("=I", info, _RECEIVED_AGO)
    (total,) = struct.unpack_from("=Q", info, _BYTES_RECEIVED)
    return bool(total == 0 or sent < received or received > idle)


def _attributes(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield kind, data[at + 4 : at + length]
        at += (length + 3) & ~3


def _dump(family: int) -> Iterator[bytes]:
    """Answers about every TCP connection of this network that is established or being made."""
    states = 1 << _ESTABLISHED | 1 << _CONNECTING
    body = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 1 << (_INFO - 1), 0, states) + bytes(48)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.settimeout(TIMEOUT)
        kernel.sendto(_HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _DUMP_REQUEST, 1, 0) + body, (0, 0))
        while True:
            for kind, message in _messages(kernel.recv(1 << 18)):
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    number = -struct.unpack_from("=i", message)[0]
                    raise OSError(number, os.strerror(number))
                yield message


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        yield kind, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3
