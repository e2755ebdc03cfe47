"""`fabric-bo studio`: steer a prompt by looking, in the browser."""

from __future__ import annotations

import argparse

from experiments.commands.result import CommandResult
from experiments.config.errors import checked
from experiments.config.family import usual
from experiments.config.parts import ModelConfig
from experiments.run.progress import Progress
from experiments.run.study import default_storage, read_study
from experiments.studio.blind import BlindComparison, arms_of, check_arms, results
from experiments.studio.options import StudioOptions
from experiments.studio.predictions import Predictions
from experiments.studio.session import StudioSession
from experiments.studio.web.api import PageApi
from experiments.studio.web.server import application
from experiments.studio.web.worker import Worker
from experiments.web.serving import hosts_of, listen, password_of, serve
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
    auth = password_of(options, progress)
    listening = listen(options.host, options.port)
    check_arms(*(options.blind or ()))
    progress.doing("loading the model")
    predictor = _predictor(options)
    session = StudioSession.open(_session(options))
    blind = BlindComparison(session, *arms_of(options.blind[0], options.blind[1], session)) if options.blind else None
    predicted = None if predictor is None else Predictions(predictor, session)
    progress.doing("starting the server")
    app = application(PageApi(session, Worker(), blind, predicted), hosts_of(options.host), auth)
    progress.close()
    serve(app, listening, "studio", f"everything is kept in {options.folder}")
    return CommandResult("")


def _results(options: argparse.Namespace) -> CommandResult:
    study, _ = read_study(options.folder, options.study)
    found = results(study)
    return CommandResult("\n".join(map(str, found)) or "no blind comparison was made")


def _session(options: argparse.Namespace) -> StudioOptions:
    given = {name: getattr(options, name) for name in ("device", "dtype", "level", "layers", "offload")}
    model = checked(ModelConfig, {"name": options.model, "config": options.model_config, **given})
    scheduler, guidance = usual(model)
    return StudioOptions(
        folder=options.folder,
        model=options.model,
        scheduler=options.scheduler or scheduler,
        device=options.device,
        dtype=options.dtype,
        loras=tuple(options.lora),
        model_config=options.model_config,
        level=model.level,
        layers=model.layers,
        offload=options.offload,
        storage=options.storage or default_storage(options.folder),
        study=options.study,
        images=options.images,
        steps=options.steps,
        size=None if options.size is None else (options.size, options.size),
        guidance=guidance if options.guidance is None else options.guidance,
        seed=options.seed,
    )


def _predictor(options: argparse.Namespace) -> RahfPredictor | None:
    """What says where images look faulty; that of the embedded model needs no asking."""
    checkpoint = options.rahf or embedded_rahf(options.model) or _NONE
    if checkpoint == _NONE:
        return None
    predictor = RahfPredictor(locate(checkpoint, "rahf"), str(checked_device(options.device)))
    predictor.prepare()
    return predictor
