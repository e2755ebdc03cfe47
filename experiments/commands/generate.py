"""`fabric-bo generate`: images from prompts, liked and disliked pictures, and FABRIC's parameters."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from experiments.bench.options import check_ranges
from experiments.commands.result import CommandResult
from experiments.config.setting import Setting, fabric_params, model_state
from experiments.embedded.vocabulary import unknown_words
from experiments.files.pictures import Recipe, contact_sheet, metadata, save_numbered
from experiments.run.library import for_task, read_library, with_library
from experiments.run.memory import MemoryForecast, outlined_generator
from experiments.run.progress import Progress
from experiments.run.protocol import Task
from fabric.bank import ReferenceBank
from fabric.generator import FabricGenerator, Request
from fabric.hosts.base import Host
from fabric.images import FeedbackImage, find_pictures, read_picture, to_pictures
from fabric.knobs import KNOBS
from fabric.models import OWN_SCHEDULER, checked_device, default_scheduler, evaluations, load
from fabric.outline import Outline
from fabric.params import BY_PICTURE, FabricParams, preset
from objectives.shared import SharedModels

_NEAREST = 4  # pictures of a library


def run(options: argparse.Namespace, progress: Progress) -> CommandResult:
    """Runs the command.

    Returns:
        The files that were written.

    Raises:
        ValueError: an option is wrong; the message is one line.
        MemoryError: a single image does not fit.
    """
    size = _size(options.size)
    check_ranges(options, dict.fromkeys(("num_images", "batch", "steps"), (1, None)))
    liked, disliked = (
        {path: _read(path) for path in find_pictures(*given)} for given in (options.liked, options.disliked)
    )
    params, unused = _by_picture(_params(options), options, {**liked, **disliked})
    for name, images in unused.items():
        progress.warn(f"warning: {name}: no liked or disliked picture has the id {', '.join(images)}")
    scheduler, loras = _scheduler(options, params), _loras(options, params)
    tasks = [Task(prompt, (), (*liked.values(),), (*disliked.values(),)) for prompt in options.prompts]
    if options.library:
        progress.doing("looking for the nearest pictures of the library")
        tasks = _with_library(tasks, options, params)
    if options.dry_run:
        return _dry_run(options, params, tasks, scheduler)
    progress.doing("loading the model")
    pipeline = load(
        options.model,
        scheduler=scheduler,
        device=options.device,
        dtype=options.dtype,
        loras=loras,
        config=options.model_config,
    )
    if strange := unknown_words(options.model, options.prompts):
        progress.warn(f"warning: {strange}")
    bank, layers = ReferenceBank(offload=options.offload), _layers(options)
    fabric = FabricGenerator(pipeline, bank, reference_level=options.level, reference_layers=layers)
    for prompt in options.prompts:
        if cut := fabric.host.cut_words(prompt):
            progress.warn(f"warning: the prompt is too long for the text encoder; cut: {cut!r}")
    params = _of_family(params, options, fabric.host)
    recipe = Recipe(options.steps, scheduler or default_scheduler(pipeline), options.model, loras)
    requests = _requests(options, params, tasks)
    fabric.check(options.steps, size, requests)
    batches = [requests[start : start + options.batch] for start in range(0, len(requests), options.batch)]
    columns = options.num_images if min(len(options.prompts), options.num_images) > 1 else None
    return _generate(fabric, batches, size, recipe, options.output, columns, progress)


def _requests(options: argparse.Namespace, params: FabricParams, tasks: Sequence[Task]) -> list[Request]:
    return [
        Request(
            task.prompt,
            options.seed + k,
            fabric_params(for_task(params, task)),
            (*task.liked, *task.library),
            task.disliked,
            options.negative_prompt,
        )
        for task in tasks
        for k in range(options.num_images)
    ]


def _dry_run(
    options: argparse.Namespace, params: FabricParams, tasks: Sequence[Task], scheduler: str | None
) -> CommandResult:
    """What would be generated, as the model's configurations tell it; its weights are not read, nothing is written."""
    outline = Outline(options.model, options.device, options.dtype, options.model_config)
    fabric = outlined_generator(outline, scheduler, options.level, _layers(options))
    params = _of_family(params, options, outline.host)
    requests = _requests(options, params, tasks)
    width, height = size = (_size(options.size) or fabric.native_size)[::-1]
    fabric.check(options.steps, (height, width), requests)
    pictures = {image.id for request in requests for image in (*request.liked, *request.disliked)}
    memory = MemoryForecast.of(outline, fabric, len(pictures), options.steps, (height, width), outer=params.outer > 0)
    of_steps = f"{options.steps} steps of {scheduler or outline.scheduler}"
    lines = [
        f"model       {options.model} ({outline.host.family}), {of_steps}",
        f"images      {len(requests)} of {width}x{height}",
        f"memory      {memory}",
        f"knobs       {', '.join(outline.host.knobs)}",
    ]
    facts = {"images": len(requests), "size": size, "references": memory.pictures, "bank_bytes": memory.bank}
    return CommandResult("\n".join(lines), {**facts, "weight_bytes": memory.weights})


def _generate(
    fabric: FabricGenerator,
    batches: Sequence[Sequence[Request]],
    size: tuple[int, int] | None,
    recipe: Recipe,
    folder: Path,
    columns: int | None,
    progress: Progress,
) -> CommandResult:
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    pictures: list[Image.Image] = []
    shown = _ImageProgress(progress, sum(map(len, batches)), fabric.evaluations(recipe.steps))
    for batch in batches:
        shown.batch(len(batch))
        generated = fabric(batch, recipe.steps, size, on_step=shown.step)
        for request, prompt, picture in zip(batch, generated.prompts, to_pictures(generated.images), strict=True):
            texts = metadata(request, prompt, picture.size, recipe)
            files.append(save_numbered(picture, folder, _next_number(folder), f"-{request.seed}", texts))
            pictures.append(picture)
    sheet = None
    if len(pictures) > 1:
        # In a folder of its own, so that the pictures' folder can be given as liked, or to be scored.
        sheets = folder / "sheets"
        sheets.mkdir(exist_ok=True)
        sheet = save_numbered(contact_sheet(pictures, columns), sheets, _number(files[0]), "", {})
    return _result(files, sheet)


def _result(files: Sequence[Path], sheet: Path | None) -> CommandResult:
    if sheet is None:
        text = str(files[0])
    else:
        text = f"{files[0]} to {files[-1].name}, {len(files)} images; all of them in {sheet}"
    return CommandResult(text, {"files": [str(file) for file in files], "sheet": None if sheet is None else str(sheet)})


class _ImageProgress:
    """How far the generation of images is.

    Args:
        progress: shows it.
        images: to generate.
        steps: of each of them.
    """

    def __init__(self, progress: Progress, images: int, steps: int) -> None:
        self._progress = progress
        self._images, self._steps = images, steps
        self._done = self._at_once = self._step = 0
        progress.begin(images)

    def batch(self, count: int) -> None:
        """So many images begin at once, all earlier ones being done."""
        self._done, self._at_once, self._step = self._done + self._at_once, count, 0

    def step(self) -> None:
        """A step of the images under way is done."""
        self._step += 1
        last = self._done + self._at_once
        which = f"image {last}" if self._at_once == 1 else f"images {self._done + 1}-{last}"
        share = min(1.0, self._step / self._steps)  # a batch that did not fit is begun again
        self._progress.at(
            self._done + self._at_once * share,
            f"{which}/{self._images}",
            f"step {min(self._step, self._steps)}/{self._steps}",
        )


def _next_number(folder: Path) -> int:
    """Behind the pictures that are there, and behind the sheets, which stay where pictures were moved away."""
    return 1 + max(map(_number, [*folder.glob("*-*.png"), *folder.glob("sheets/*.png")]), default=-1)


def _number(path: Path) -> int:
    """What a file's name begins with, up to a dash; -1 where that is no number."""
    number = path.stem.partition("-")[0]
    return int(number) if number.isdecimal() else -1


def _with_library(tasks: Sequence[Task], options: argparse.Namespace, given: FabricParams) -> list[Task]:
    """Tasks with the pictures of the library that are nearest to their prompts, as many as the settings say."""
    count = given.library_count if isinstance(given, Setting) else None
    most = _NEAREST if count is None else math.ceil(count)
    device = str(checked_device(options.device))
    pictures, embedder = read_library(options.library, options.model, device, SharedModels())
    return list(with_library(tasks, pictures, embedder, most))


def _of_family(params: FabricParams, options: argparse.Namespace, host: Host) -> FabricParams:
    """The parameters with the family's usual guidance where none is given.

    Raises:
        ValueError: an option is a knob that the family does not have.
    """
    for name in host.absent:
        if getattr(options, name) is not None:
            raise ValueError(f"{name}: given; {host.family} has no such knob; allowed: none")
    if options.guidance_scale is None and options.params is None:
        params = replace(params, guidance_scale=host.guidance)
    return params


def _layers(options: argparse.Namespace) -> range | None:
    return None if options.layers is None else range(*options.layers)


def _scheduler(options: argparse.Namespace, given: FabricParams) -> str | None:
    """The option's, else that of the settings' file; None for the default of the model."""
    return options.scheduler or model_state(given).scheduler


def _loras(options: argparse.Namespace, given: FabricParams) -> tuple[tuple[str, float], ...]:
    """Those of the settings' file with their scales, and the options', which win."""
    return tuple({**dict(model_state(given).loras), **dict(options.lora)}.items())


def _params(options: argparse.Namespace) -> FabricParams:
    if options.preset and options.params:
        raise ValueError("params: give a preset or a file of parameters, not both")
    params = FabricParams()
    if options.preset:
        params = preset(options.preset, evaluations(_scheduler(options, params) or OWN_SCHEDULER, options.steps))
    if options.params:
        try:
            text = options.params.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"params: {options.params} cannot be read ({error})") from error
        params = Setting.from_yaml(text)
    given = {name: getattr(options, name) for name in FabricParams.bounds()}
    return replace(params, **{name: value for name, value in given.items() if value is not None})


def _size(text: str | None) -> tuple[int, int] | None:
    """Height and width of `WIDTHxHEIGHT`."""
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise ValueError(f"size: {text!r} is not WIDTHxHEIGHT in pixels, as in 512x768")
    return int(height), int(width)


def _read(path: Path) -> FeedbackImage:
    return FeedbackImage(read_picture(path))


def _by_picture(
    params: FabricParams, options: argparse.Namespace, images: dict[Path, FeedbackImage]
) -> tuple[FabricParams, dict[str, list[str]]]:
    """The parameters with `--weights` and `--timing` over those of their file, and what of them names no given picture.

    The latter does nothing.
    """
    known = {image.id for image in images.values()}
    unused = {}
    for name in BY_PICTURE:
        values: Any = {**getattr(params, name), **_of_pictures(name, getattr(options, name), images)}
        params = replace(params, **{name: values})
        unused[name] = [image for image in values if image not in known]
    return params, {name: ids for name, ids in unused.items() if ids}


def _of_pictures(knob: str, texts: Sequence[str], images: dict[Path, FeedbackImage]) -> dict[str, float]:
    """Values by image id of `IMAGE=VALUE`, where an image is named by its path, its file name or its stem."""
    low, high, values = KNOBS[knob].low, KNOBS[knob].high, {}
    for text in texts:
        name, _, value = text.rpartition("=")
        named = {image.id for path, image in images.items() if name in (str(path), path.name, path.stem)}
        if len(named) != 1:
            known = ", ".join(path.name for path in images) or "none"
            what = "names several images" if named else "names no image"
            raise ValueError(f"{knob}: {text!r} {what}; liked and disliked: {known}")
        try:
            number = float(value)
        except ValueError:
            raise ValueError(f"{knob}: {text!r} does not end in a number from {low:g} to {high:g}") from None
        if not low <= number <= high:
            raise ValueError(f"{knob}: {text!r} is out of range; allowed: {low:g} to {high:g}")
        values[named.pop()] = number
    return values
