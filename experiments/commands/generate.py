"""`fabric-bo generate`: images from prompts, liked and disliked pictures, and FABRIC's parameters."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from experiments.commands.help import knob_help
from experiments.files.pictures import Recipe, contact_sheet, metadata, save_png
from fabric.bank import ReferenceBank
from fabric.encoding import cut_words
from fabric.generator import FabricGenerator, Request
from fabric.images import FeedbackImage, find_pictures, read_picture, to_pictures
from fabric.knobs import KNOBS
from fabric.models import DTYPES, EMBEDDED, SCHEDULERS, load
from fabric.params import PRESETS, FabricParams, preset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("prompts", nargs="+", metavar="PROMPT", help="what to show; may be empty")
    parser.add_argument("--negative-prompt", default="", help="what not to show")
    parser.add_argument("--liked", type=Path, nargs="+", default=[], help="pictures or folders to come closer to")
    parser.add_argument("--disliked", type=Path, nargs="+", default=[], help="pictures or folders to keep away from")
    parser.add_argument("--weights", nargs="+", default=[], metavar="IMAGE=X", help=knob_help(KNOBS["weights"]))
    parser.add_argument("--preset", choices=PRESETS, help="the authors' settings; single parameters change them")
    parser.add_argument("--params", type=Path, help="a YAML file of parameters")
    for name in FabricParams.bounds():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="X", help=knob_help(KNOBS[name]))
    parser.add_argument("--seed", type=int, default=0, help="of the first image; the next have the next")
    parser.add_argument("--num-images", type=int, default=1, help="for each prompt")
    parser.add_argument("--batch", type=int, default=4, help="images at once")
    parser.add_argument("--steps", type=int, default=20, help="denoising steps")
    parser.add_argument("--size", metavar="WIDTHxHEIGHT", help="in pixels; the model's own by default")
    parser.add_argument("--model", default=EMBEDDED, help="embedded, a hub id, a folder or a .safetensors file")
    parser.add_argument("--model-config", help="folder or hub id with the configuration of a single file")
    parser.add_argument("--lora", nargs="+", default=[], metavar="FILE[:SCALE]", help="LoRAs with their scales")
    parser.add_argument("--scheduler", default="euler-a", choices=SCHEDULERS)
    parser.add_argument("--device", help="cuda, mps or cpu; the best there is by default")
    parser.add_argument("--offload", action="store_true", help="keep references in main memory, not on the device")
    parser.add_argument("--dtype", choices=DTYPES, help="half precision on a GPU, single on the CPU by default")
    parser.add_argument("--output", type=Path, default=Path("generated"), help="folder to write PNGs to")


def run(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        Exit code 0.

    Raises:
        ValueError: an option is wrong; the message is one line.
        MemoryError: a single image does not fit.
    """
    size = _size(options.size)
    for name in ("num_images", "batch", "steps"):
        if getattr(options, name) < 1:
            raise ValueError(f"{name}: {getattr(options, name)} is out of range; allowed: 1 or more")
    liked, disliked = (
        {path: _read(path) for path in find_pictures(*given)} for given in (options.liked, options.disliked)
    )
    params = _with_weights(_params(options), options.weights, {**liked, **disliked})
    recipe = Recipe(options.steps, options.scheduler, options.model, tuple(_lora(text) for text in options.lora))
    pipeline = load(
        options.model,
        scheduler=options.scheduler,
        device=options.device,
        dtype=options.dtype,
        loras=recipe.loras,
        config=options.model_config,
    )
    for prompt in options.prompts:
        if cut := cut_words(pipeline, prompt):
            print(f"warning: the prompt is too long for the text encoder; cut: {cut!r}", file=sys.stderr)
    fabric = FabricGenerator(pipeline, ReferenceBank(offload=options.offload))
    fabric.check(options.steps, size)
    requests = [
        Request(
            prompt,
            options.seed + k,
            params,
            tuple(liked.values()),
            tuple(disliked.values()),
            options.negative_prompt,
        )
        for prompt in options.prompts
        for k in range(options.num_images)
    ]
    batches = [requests[start : start + options.batch] for start in range(0, len(requests), options.batch)]
    columns = options.num_images if min(len(options.prompts), options.num_images) > 1 else None
    _generate(fabric, batches, size, recipe, options.output, columns)
    return 0


def _generate(
    fabric: FabricGenerator,
    batches: Sequence[Sequence[Request]],
    size: tuple[int, int] | None,
    recipe: Recipe,
    folder: Path,
    columns: int | None,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    first = _next_number(folder)
    pictures: list[Image.Image] = []
    with tqdm(total=len(batches) * fabric.evaluations(recipe.steps), desc="steps", leave=False) as bar:
        for batch in batches:
            generated = fabric(batch, recipe.steps, size, on_step=bar.update)
            for request, prompt, picture in zip(batch, generated.prompts, to_pictures(generated.images), strict=True):
                path = folder / f"{first + len(pictures):04d}-{request.seed}.png"
                save_png(picture, path, metadata(request, prompt, picture.size, recipe))
                pictures.append(picture)
    if len(pictures) > 1:
        # In a folder of its own, so that the pictures' folder can be given as liked, or to be scored.
        (folder / "sheets").mkdir(exist_ok=True)
        save_png(contact_sheet(pictures, columns), folder / "sheets" / f"{first:04d}.png", {})
    print(f"{len(pictures)} image(s) in {folder}, from number {first:04d}")


def _next_number(folder: Path) -> int:
    """Behind the pictures that are there, so that none is lost."""
    numbers = (path.name.partition("-")[0] for path in folder.glob("*-*.png"))
    return 1 + max((int(number) for number in numbers if number.isdecimal()), default=-1)


def _params(options: argparse.Namespace) -> FabricParams:
    if options.preset and options.params:
        raise ValueError("params: give a preset or a file of parameters, not both")
    params = FabricParams()
    if options.preset:
        params = preset(options.preset, options.steps)
    if options.params:
        try:
            text = options.params.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"params: {options.params} cannot be read ({error})") from error
        params = FabricParams.from_yaml(text)
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


def _with_weights(params: FabricParams, texts: Sequence[str], images: dict[Path, FeedbackImage]) -> FabricParams:
    """The parameters with the weights of `--weights` over those of their file.

    Weights of the file that name no given picture do nothing; one line on stderr says which.
    """
    weights = {**params.weights, **_weights(texts, images)}
    known = {image.id for image in images.values()}
    if unused := [name for name in weights if name not in known]:
        listed = ", ".join(unused)
        print(f"warning: weights: no liked or disliked picture has the id {listed}", file=sys.stderr)
    return replace(params, weights=weights)


def _weights(texts: Sequence[str], images: dict[Path, FeedbackImage]) -> dict[str, float]:
    """Weights by image id of `IMAGE=WEIGHT`, where an image is named by its path, its file name or its stem."""
    weights = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        named = {image.id for path, image in images.items() if name in (str(path), path.name, path.stem)}
        if len(named) != 1:
            known = ", ".join(path.name for path in images) or "none"
            what = "names several images" if named else "names no image"
            raise ValueError(f"weights: {text!r} {what}; liked and disliked: {known}")
        try:
            weight = float(value)
        except ValueError:
            raise ValueError(f"weights: {text!r} does not end in a number from 0 to 1") from None
        if not 0 <= weight <= 1:
            raise ValueError(f"weights: {text!r} is out of range; allowed: 0 to 1")
        weights[named.pop()] = weight
    return weights


def _lora(text: str) -> tuple[str, float]:
    """File and scale of `FILE[:SCALE]`; the scale is 1 where it is not given."""
    name, colon, scale = text.rpartition(":")
    if not colon:
        return text, 1.0
    try:
        return name, float(scale)
    except ValueError:
        return text, 1.0
