"""Where a service listens: the address is checked, bound and shown."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

from japagen.config.error import UserError
from japagen.service.key import VARIABLE

BACKLOG = 2048  # connections that wait to be accepted


def bound(host: str, port: int, guarded: bool) -> socket.socket:
    """Return a socket with an address of this machine; it does not listen yet.

    `guarded`: whether every address is allowed (there is a key, or the user wants none). Otherwise
    UserError for an address that other machines reach. UserError also if it cannot be bound.
    """
    family, place = resolved(host, port)
    if not guarded and not ipaddress.ip_address(place[0].split("%")[0]).is_loopback:
        raise UserError(
            f"--host {host} lets other machines send requests, and there is no API key. "
            f"Type export {VARIABLE}=$(openssl rand -hex 32) first, or --host 127.0.0.1 for this "
            "machine only, or --no-key to serve without a key"
        )
    made = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":  # on Windows this would let two services share a port
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(place)
    except OSError as error:
        made.close()
        raise UserError(failure(error, host, port)) from error
    return made


def resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Return the first address of a host."""
    try:
        # An empty host would be every address of the machine.
        found = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"--host {host!r} is no address of this machine. Type --host 127.0.0.1, "
            "or --host 0.0.0.0 for all addresses"
        ) from error
    family, _, _, _, place = found[0]
    return family, place  # type: ignore[return-value]  # of IPv6 with two more numbers


def listen(made: socket.socket) -> None:
    """Accept connections; UserError if another process took the port in the meantime."""
    host, port = made.getsockname()[:2]
    try:
        made.listen(BACKLOG)
    except OSError as error:
        raise UserError(failure(error, host, port)) from error


def failure(error: OSError, host: str, port: int) -> str:
    """Return why an address cannot be used, and what to type."""
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else 8000
        return f"port {port} of {host} is in use. Stop that process, or type --port {other}"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights. Type --port 8000"
    return f"--host {host} --port {port} cannot be used: {error.strerror}. Type --host 127.0.0.1"


def url(made: socket.socket) -> str:
    """Return where this machine reaches the service."""
    host, port = made.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
