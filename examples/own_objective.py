"""An objective of one's own: a function, and a class that says more about itself.

python examples/own_objective.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from PIL.ImageStat import Stat

from experiments.config.read import check_config
from experiments.run.optimize import Run, optimize
from experiments.run.plan import Plan
from objectives import Context, Objective


def warmth(images: Sequence[Image.Image], prompts: Sequence[str]) -> list[float]:
    """How much more red than blue there is, -1 to 1. A function of images and prompts is all that is needed."""
    means = [Stat(image.convert("RGB")).mean for image in images]
    return [(red - blue) / 255 for red, _, blue in means]


class Warmer(Objective):
    """How much warmer an image is than that of the same prompt and seed without feedback."""

    name = "warmer"
    bounds = (-2.0, 2.0)
    needs = frozenset({"baseline"})  # or "prompt", "target"; it is checked before anything is generated

    def __call__(self, images: Sequence[Image.Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`."""
        plain = [context.baseline for context in contexts if context.baseline is not None]
        pairs = zip(warmth(images, []), warmth(plain, []), strict=True)
        return [ours - theirs for ours, theirs in pairs]


def main(output: Path, trials: int = 6, steps: int = 6) -> Run:
    """Finds settings that make pictures warm, where a warm picture is liked.

    Args:
        output: folder of the run.
        trials: settings to try.
        steps: of denoising.
    """
    output.mkdir(parents=True, exist_ok=True)
    warm = output / "warm.png"
    Image.new("RGB", (64, 64), (240, 130, 30)).save(warm)
    config = {
        "prompts": [{"prompt": prompt, "liked": [str(warm)]} for prompt in ("a star at night", "a ring at dusk")],
        "objective": f"{__file__}:warmth",  # `package.module:Warmer` for an installed one
        "protocol": {"rounds": 1, "images": 2, "steps": steps},
        "space": {"strength": [0.1, 4, "log"], "end": [0.3, 1], "bottleneck": [0, 2]},
        "trials": trials,
        "output": str(output),
    }
    run = optimize(Plan.of(check_config(config)))
    best, params = run.recommended()
    print(f"warmer than without feedback by {best.mean:+.3f} [{best.low:+.3f}, {best.high:+.3f}] with")
    print(params.to_yaml())
    return run


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        main(Path(folder))
