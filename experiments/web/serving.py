"""Serves a page: the socket, the password and the server of every command that opens one."""

from __future__ import annotations

import argparse
import os
import socket

import uvicorn
from starlette.types import ASGIApp

from experiments.run.progress import Progress
from experiments.web.access import LOCAL

FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
"""Headers of a picture whose name is its content."""


def hosts_of(host: str) -> tuple[str, ...] | None:
    """Names that a page is called by; any where it is open to the network. See `AccessControl`."""
    return LOCAL if host in LOCAL else None


def password_of(options: argparse.Namespace, progress: Progress) -> tuple[str, str] | None:
    """User and password that a page asks for, from `--auth` or the environment; warns where there should be some.

    Raises:
        ValueError: not USER:PASSWORD.
    """
    text = options.auth or os.environ.get("FABRIC_BO_AUTH")
    if text is None:
        if options.host not in LOCAL:
            everybody = f"everybody who reaches {options.host} can use the page"
            progress.warn(f"warning: {everybody}; FABRIC_BO_AUTH or --auth asks for a password")
        return None
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise ValueError("auth: not USER:PASSWORD; allowed: both, neither empty")
    return user, password


def listen(host: str, port: int) -> socket.socket:
    """A socket, before anything is loaded: that the port is taken is said at once.

    Raises:
        ValueError: one cannot listen there.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"port: {port} is out of range; allowed: 0 to 65535, 0 for any that is free")
    try:
        kind = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=kind)
    except OSError as error:
        raise ValueError(f"host, port: cannot listen on {host}:{port} ({error.strerror or error})") from error


def serve(app: ASGIApp, listening: socket.socket, name: str, about: str) -> None:
    """Serves an application until it is stopped.

    Args:
        app: the application.
        listening: its socket.
        name: of the page, for the line that says where it is.
        about: what happens when it is stopped.
    """
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"{name}: http://{shown}:{port} (Ctrl-C stops it; {about})", flush=True)
    colours = False if "NO_COLOR" in os.environ else None  # None: where stdout is a terminal
    config = uvicorn.Config(
        app, log_level="warning", use_colors=colours, server_header=False, timeout_graceful_shutdown=3
    )
    uvicorn.Server(config).run(sockets=[listening])
