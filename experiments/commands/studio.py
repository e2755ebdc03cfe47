"""`fabric-bo studio`: steer a prompt by looking, in the browser."""

from __future__ import annotations

import argparse
import os
import socket
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from experiments.commands.choices import SCHEDULERS
from experiments.commands.result import CommandResult
from experiments.run.progress import Progress
from experiments.run.study import default_storage, read_study
from experiments.studio.blind import BlindComparison, arms_of, results
from experiments.studio.options import StudioOptions
from experiments.studio.predictions import Predictions
from experiments.studio.session import StudioSession
from experiments.studio.web.access import LOCAL
from fabric.models import checked_device
from objectives.checkpoints import embedded_rahf, locate
from objectives.rahf.predictor import RahfPredictor

_NONE = "none"


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Runs the command until it is stopped.

    Returns:
        What blind comparisons have found, where that was asked for.

    Raises:
        ValueError: an option is wrong, the model cannot be had, or the port is taken; the message is one line.
    """
    if options.results:
        return _results(options)
    auth = _auth(options.auth or os.environ.get("FABRIC_BO_AUTH"))
    local = options.host in LOCAL
    if not local and auth is None:
        about = f"everybody who reaches {options.host} can use the studio; FABRIC_BO_AUTH or --auth asks for a password"
        progress.warn(f"warning: {about}")
    listening = _listen(options.host, options.port)
    progress.doing("loading the model")
    session = StudioSession.open(_session(options))
    blind = BlindComparison(session, *arms_of(options.blind[0], options.blind[1], session)) if options.blind else None
    predicted = _predictions(options.rahf, session)
    progress.doing("starting the server")
    app = _application(session, blind, predicted, auth, LOCAL if local else None)
    progress.close()
    _serve(app, listening, options.folder)
    return CommandResult("")


def _results(options: argparse.Namespace) -> CommandResult:
    study, _ = read_study(options.folder, options.study)
    found = results(study)
    return CommandResult("\n".join(map(str, found)) or "no blind comparison was made")


def _session(options: argparse.Namespace) -> StudioOptions:
    return StudioOptions(
        folder=options.folder,
        model=options.model,
        scheduler=options.scheduler or SCHEDULERS[0],
        device=options.device,
        dtype=options.dtype,
        loras=tuple(options.lora),
        model_config=options.model_config,
        offload=options.offload,
        storage=options.storage or default_storage(options.folder),
        study=options.study,
        images=options.images,
        steps=options.steps,
        size=None if options.size is None else (options.size, options.size),
        guidance=options.guidance,
        seed=options.seed,
    )


def _predictions(checkpoint: str | None, session: StudioSession) -> Predictions | None:
    """What a predictor says of the session's images; that of the embedded model needs no asking."""
    checkpoint = checkpoint or embedded_rahf(session.options.model) or _NONE
    if checkpoint == _NONE:
        return None
    predictor = RahfPredictor(locate(checkpoint, "rahf"), str(checked_device(session.options.device)))
    predictor.prepare()
    return Predictions(predictor, session)


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


def _application(
    session: StudioSession,
    blind: BlindComparison | None,
    predicted: Predictions | None,
    auth: tuple[str, str] | None,
    hosts: tuple[str, ...] | None,
) -> ASGIApp:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    # Gradio takes seconds to import, which those who ask for results need not wait for.
    from experiments.studio.web.api import PageApi
    from experiments.studio.web.server import application
    from experiments.studio.web.worker import Worker

    return application(PageApi(session, Worker(), blind, predicted), hosts, auth)


def _serve(app: ASGIApp, listening: socket.socket, folder: Path) -> None:
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"studio: http://{shown}:{port} (Ctrl-C stops it; everything is kept in {folder})", flush=True)
    colours = False if "NO_COLOR" in os.environ else None  # None: where stdout is a terminal
    config = uvicorn.Config(
        app, log_level="warning", use_colors=colours, server_header=False, timeout_graceful_shutdown=3
    )
    uvicorn.Server(config).run(sockets=[listening])
