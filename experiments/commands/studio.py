"""`fabric-bo studio`: steer a prompt by looking, in the browser."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

from experiments.run.study import read_study
from experiments.studio.blind import BlindComparison, arms_of, results
from experiments.studio.session import StudioOptions, StudioSession
from experiments.studio.web.gate import LOCAL
from fabric.models import DTYPES, EMBEDDED, SCHEDULERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--model", default=EMBEDDED, help="embedded, a hub id, a folder or a .safetensors file")
    parser.add_argument(
        "--folder", type=Path, default=Path("studio"), help="of study and pictures; goes on with what is there"
    )
    parser.add_argument("--study", default="studio", help="name of the session; a folder may hold several")
    parser.add_argument("--storage", help="URL of a database; SQLite in the folder by default")
    parser.add_argument("--images", type=int, default=4, help="of a batch")
    parser.add_argument("--steps", type=int, default=12, help="denoising steps")
    parser.add_argument("--size", type=int, help="height and width in pixels; the model's own by default")
    parser.add_argument("--scheduler", default="euler-a", choices=SCHEDULERS)
    parser.add_argument("--device", help="cuda, mps or cpu; the best there is by default")
    parser.add_argument("--dtype", choices=DTYPES, help="half precision on a GPU, single on the CPU by default")
    parser.add_argument("--seed", type=int, default=0, help="of everything")
    about = "judge two settings blindly: each a YAML file, a preset, or tuned, the best of this session"
    parser.add_argument("--blind", nargs=2, metavar="SETTINGS", help=about)
    parser.add_argument("--results", action="store_true", help="say what blind comparisons have found, and end")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 opens the page to the network")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="asked of everybody")


def run(options: argparse.Namespace) -> int:
    """Runs the command until it is stopped.

    Returns:
        Exit code 0.

    Raises:
        ValueError: an option is wrong, the model cannot be had, or the port is taken; the message is one line.
    """
    if options.results:
        return _tell(options)
    auth = _auth(options.auth)
    local = options.host in LOCAL
    if not local and auth is None:
        print(
            f"warning: everybody who reaches {options.host} can use the studio; --auth asks for a password",
            file=sys.stderr,
        )
    listening = _listen(options.host, options.port)
    session = StudioSession.open(_session(options))
    blind = BlindComparison(session, *arms_of(options.blind[0], options.blind[1], session)) if options.blind else None
    _serve(session, blind, listening, auth, LOCAL if local else None)
    return 0


def _tell(options: argparse.Namespace) -> int:
    study, _ = read_study(options.folder, options.study)
    found = results(study)
    print("\n".join(map(str, found)) or "no blind comparison was made")
    return 0


def _session(options: argparse.Namespace) -> StudioOptions:
    return StudioOptions(
        folder=options.folder,
        model=options.model,
        scheduler=options.scheduler,
        device=options.device,
        dtype=options.dtype,
        storage=options.storage,
        study=options.study,
        images=options.images,
        steps=options.steps,
        size=None if options.size is None else (options.size, options.size),
        seed=options.seed,
    )


def _auth(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise ValueError("auth: not USER:PASSWORD; allowed: both, neither empty")
    return user, password


def _listen(host: str, port: int) -> socket.socket:
    """A socket, before anything is loaded: that the port is taken is said at once."""
    if not 0 <= port <= 65535:
        raise ValueError(f"port: {port} is out of range; allowed: 0 to 65535, 0 for any that is free")
    try:
        kind = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=kind)
    except OSError as error:
        raise ValueError(f"host, port: cannot listen on {host}:{port} ({error.strerror or error})") from error


def _serve(
    session: StudioSession,
    blind: BlindComparison | None,
    listening: socket.socket,
    auth: tuple[str, str] | None,
    hosts: tuple[str, ...] | None,
) -> None:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    # Gradio takes seconds to import, which the other commands need not wait for.
    import uvicorn

    from experiments.studio.web.desk import Desk
    from experiments.studio.web.server import application
    from experiments.studio.web.worker import Worker

    app = application(Desk(session, Worker(), blind), hosts, auth)
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(
        f"studio: http://{shown}:{port} (Ctrl-C stops it; everything is kept in {session.options.folder})", flush=True
    )
    config = uvicorn.Config(app, log_level="warning", server_header=False, timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[listening])
