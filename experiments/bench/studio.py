"""`fabric-bo bench studio`: the time from a click to the next batch, and how much of it is the optimiser's."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from experiments.bench.kept import add_results_option, keep_results
from experiments.studio.history.records import Choice, Mark, Prompt
from experiments.studio.options import StudioOptions
from experiments.studio.session import StudioSession
from fabric.bank import ReferenceBank
from fabric.generator import FabricGenerator
from fabric.models import EMBEDDED, load
from fabric.seeding import generator_for

_RATER = "bench"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--model", default=EMBEDDED, help="embedded, a hub id, a folder or a .safetensors file")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--images", type=int, default=4, help="of a round")
    parser.add_argument("--steps", type=int, default=12, help="denoising steps")
    parser.add_argument("--seed", type=int, default=0, help="of images and clicks")
    add_results_option(parser)


def run(options: argparse.Namespace) -> int:
    """Prints the seconds of each round, and medians of those with feedback.

    Returns:
        Exit code 0.

    Raises:
        ValueError: an option is out of range, or the model cannot be had.
    """
    if options.rounds < 3:
        raise ValueError(f"rounds: {options.rounds} is out of range; allowed: 3 or more")
    fabric = FabricGenerator(load(options.model), ReferenceBank())
    with tempfile.TemporaryDirectory() as folder:
        session = StudioSession.open(
            StudioOptions(
                folder=Path(folder),
                model=options.model,
                images=options.images,
                steps=options.steps,
                seed=options.seed,
            ),
            fabric,
        )
        session.append(Prompt(rater=_RATER, prompt="a red star at night"))
        rows = [_round(session, number, options.seed) for number in range(options.rounds)]
    print(f"{'round':>6}{'references':>12}{'click to batch':>16}{'optimiser':>12}")
    for number, (references, whole, proposing) in enumerate(rows, start=1):
        print(f"{number:>6}{references:>12}{whole:>14.2f} s{proposing:>10.2f} s")
    found = _summary(rows)
    medians = f"{found['median']:>14.2f} s{found['optimiser']:>10.2f} s"
    print(f"{'median':>6}{'':>12}{medians}   (rounds with feedback; longest {found['longest']:.2f} s)")
    keep_results("studio", add_arguments, options, {"images": options.images, "steps": options.steps, **found})
    return 0


def _summary(rows: list[tuple[int, float, float]]) -> dict[str, float]:
    """Seconds from a click to the batch over the rounds with feedback, and the most references of a round."""
    references, wholes, proposals = zip(*rows[1:], strict=True)
    return {
        "references": max(references),
        "median": statistics.median(wholes),
        "optimiser": statistics.median(proposals),
        "longest": max(wholes),
    }


def _round(session: StudioSession, number: int, seed: int) -> tuple[int, float, float]:
    """References, seconds until the round is stored, and how many of them the agent takes; then clicks at random."""
    state = session.state
    began = time.perf_counter()
    session.agent.propose(session.state)
    proposed = time.perf_counter()
    session.generate()  # which proposes the same again
    whole = time.perf_counter() - proposed
    images = [image.id for image in session.state.rounds[-1]]
    first = int(generator_for("bench studio", seed, number).initial_seed()) % len(images)
    session.append(Mark(rater=_RATER, image=images[first], sign="liked"))
    session.append(Mark(rater=_RATER, image=images[first - 1], sign="disliked"))
    session.append(Choice(rater=_RATER, options=tuple(images), chosen=images[first]))
    return len(state.liked) + len(state.disliked), whole, proposed - began
