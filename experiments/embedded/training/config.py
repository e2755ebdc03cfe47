"""Sizes and schedules of the embedded model: the shipped one, and one of a minute for tests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from experiments.embedded.training.phases import NOISE, STABLE_DIFFUSION_NOISE, Phase
from experiments.embedded.world.emoji.world import emoji_world
from experiments.embedded.world.folder import folder_world
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.world import World
from experiments.training.trainer import Schedule
from fabric.models import EMBEDDED, locate


@dataclass(frozen=True)
class Sizes:
    """Widths and depths of the networks; see the builders in each stage's module.

    Attributes:
        vae: channels of the codec at 64, 32 and 16 pixels.
        unet: channels of the U-Net at 16, 8 and 4 latent pixels.
        text: width of the generator's text encoder.
        clip: base width of the CLIP judge's residual network.
        preference: width of the preference judge's vision transformer.
        classifier: base width of the classifier.
    """

    vae: tuple[int, ...] = (32, 32, 64)
    unet: tuple[int, ...] = (64, 128, 128)
    text: int = 96
    clip: int = 16
    preference: int = 128
    classifier: int = 24


# From noise to velocity, as Stable Diffusion 2 was trained.
SHAPES = Phase("unet_shapes", Schedule(steps=4300, batch=32, lr=7e-4), STABLE_DIFFUSION_NOISE)
LAYOUT = Phase(
    "unet_layout",
    Schedule(steps=5000, batch=32, lr=6e-4),
    NOISE,
    snr_floor=0.4,
    siblings=0.25,
    hidden=("position",),
    sibling_power=2.2,  # noisier than the rest: layout is decided there
)


@dataclass(frozen=True)
class Config:
    """All that decides a training.

    Attributes:
        workdir: where checkpoints, logs and the scene pool are kept.
        output: root that shipped weights are written under; the repository by default.
        seed: enters the key of every random draw.
        world: what the models show.
        pool: scenes rendered once for codec, classifier and U-Net.
        rich_pool: pictures with faults, drawn once for the predictor of rich feedback.
        phases: of the U-Net.
        first_codec: folder of a codec of the same sizes to start from; random weights by default.
        first_generator: folder of a shipped generator of the same sizes to go on from, with the phases that its
            `training.json` does not name; random weights and all phases by default.
    """

    workdir: Path = Path("runs/embedded")
    output: Path = Path()
    seed: int = 0
    world: World = SCENES
    pool: int = 40_000
    rich_pool: int = 24_000
    sizes: Sizes = field(default_factory=Sizes)
    codec: Schedule = Schedule(steps=2800, batch=16, lr=1.5e-3)
    classifier: Schedule = Schedule(steps=2200, batch=64, lr=2e-3, ema=0.99)
    clip: Schedule = Schedule(steps=2050, batch=48, lr=1.5e-3, ema=0.99)
    preference: Schedule = Schedule(steps=6000, batch=64, lr=1e-3, ema=0.99)
    rahf: Schedule = Schedule(steps=3200, batch=64, lr=1e-3, ema=0.995)
    phases: tuple[Phase, ...] = (SHAPES, LAYOUT)
    first_codec: Path | None = None
    first_generator: Path | None = None


# Without siblings: what feedback does in a model that was never shown how one picture tells about another.
EMOJI = Phase("unet_emoji", Schedule(steps=7_500, batch=32, lr=7e-4), NOISE, snr_floor=0.4)
# The first phase finds things and backdrops. What tells one hand from another is finer than that.
HANDS = Phase("unet_hands", Schedule(steps=7_500, batch=32, lr=6e-4), NOISE, snr_floor=0.4, power=0.75)
# Here one picture tells about another thing: by whose hand, on what, how large. Half of the batch goes on learning
# prompts, above all the names of hands. Before it, liked pictures brought their backdrop and cost the thing of the
# prompt; after it they do not cost it. The hand they bring in neither.
SIBLINGS = Phase(
    "unet_siblings",
    Schedule(steps=3_200, batch=40, lr=5e-4),
    NOISE,
    snr_floor=0.4,
    power=0.75,
    said={"concept": 1.0, "hand": 0.8, "backdrop": 0.5, "edge": 0.15, "size": 0.15},
    siblings=0.25,
    shared=("hand", "backdrop", "edge", "size"),
    hidden=("hand", "backdrop"),
)


def emoji(output: Path, workdir: Path) -> Config:
    """The training of the emoji model; its pictures are brought first, where they are not there yet.

    Args:
        output: root that the models are written under.
        workdir: where pictures, checkpoints, logs and the scene pool are kept.

    Returns:
        The configuration.
    """
    return Config(
        workdir=workdir,
        output=output,
        world=emoji_world(workdir / "sets"),
        codec=Schedule(steps=2400, batch=16, lr=1e-3),
        phases=(EMOJI, HANDS, SIBLINGS),
        first_codec=Path(locate(EMBEDDED)) / "vae",
    )


_FOLDER_BATCH = EMOJI.length.batch  # a pool has no more pictures than are drawn


def folder(pictures: Path, output: Path, workdir: Path, steps: int) -> Config:
    """The training of a generator and a CLIP judge on a folder of pictures with captions.

    Args:
        pictures: the folder; see `folder_world`.
        output: folder that the models are written into.
        workdir: where checkpoints, logs and the picture pool are kept.
        steps: of the generator; the codec takes a quarter of them, the judge a fifth.

    Returns:
        The configuration.

    Raises:
        ValueError: the folder is not as it should be.
    """
    world = folder_world(pictures)
    return Config(
        workdir=workdir,
        output=output,
        world=world,
        pool=min(40_000, max(2_000, 20 * world.counts[0]), _FOLDER_BATCH * steps),
        codec=Schedule(steps=max(1, steps // 4), batch=16, lr=1e-3),
        clip=Schedule(steps=max(1, steps // 5), batch=48, lr=1.5e-3, ema=0.99),
        phases=(replace(EMOJI, name="unet_folder", length=replace(EMOJI.length, steps=steps)),),
        first_codec=Path(locate(EMBEDDED)) / "vae",
    )


def smoke(output: Path) -> Config:
    """A training of about a minute, to see that everything works; its models are good for nothing.

    Args:
        output: root that the models are written under.

    Returns:
        The configuration.
    """
    few = Schedule(steps=2, batch=4, lr=1e-3)
    return Config(
        workdir=Path("runs/smoke"),
        output=output,
        pool=64,
        rich_pool=64,
        sizes=Sizes(vae=(16, 16, 16), unet=(32, 32), text=32, clip=8, preference=32, classifier=8),
        codec=few,
        classifier=few,
        clip=few,
        preference=few,
        rahf=few,
        phases=(replace(SHAPES, length=few), replace(LAYOUT, length=few)),
    )
