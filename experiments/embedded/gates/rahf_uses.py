"""Gate 9: what predictions of rich feedback are good for, each use against doing without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from experiments.embedded.gates.masks import masked_answers
from experiments.embedded.gates.result import Check, GateResult
from experiments.embedded.gates.steering import GUIDANCE, SESSION_STEPS
from experiments.embedded.gates.words import emphasised_answers
from experiments.embedded.models.classifier import AttributeClassifier
from experiments.embedded.models.codec import reconstructions
from experiments.embedded.shipped import Judge
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.scenes.faults import with_faults
from experiments.embedded.world.scenes.world import SCENES
from experiments.intervals import mean_interval
from experiments.rich_feedback.repair import Repair, Repairer, RepairSettings
from fabric.generator import FabricGenerator
from fabric.images import to_pictures
from fabric.params import FabricParams
from fabric.seeding import generator_for
from objectives.rahf.predictor import Predictor, RahfPredictor, RichPrediction, missed_words
from objectives.richhf import Heatmap

_PARAMS = FabricParams(strength=0, guidance_scale=GUIDANCE)
Values = NDArray[np.float64]


def uses_gate(
    predictor: RahfPredictor,
    pipeline: StableDiffusionPipeline,
    clip: Judge,
    classifier: AttributeClassifier,
    count: int = 96,
    steps: int = SESSION_STEPS,
) -> GateResult:
    """Gate 9: repaired pictures against faulty ones, masked feedback against whole one, emphasis against none.

    Args:
        predictor: of rich feedback.
        pipeline: the generator.
        clip: the CLIP judge.
        classifier: of attributes, which nothing is optimised on.
        count: of pictures to repair, of targets of the masks' test, and of prompts of the words'.
        steps: denoising steps.
    """
    verdict = GateResult("Uses of rich feedback")
    _check_repairs(verdict, predictor, pipeline, count, steps)
    _note_masks(verdict, pipeline, clip, count, steps)
    _note_words(verdict, predictor, pipeline, classifier, count, steps)
    return verdict


@dataclass(frozen=True)
class _Faults:
    """Pictures with faults: as they are, as they should be, and where the fault is, B x S x S."""

    given: list[Image.Image]
    clean: Values
    maps: Values
    prompts: list[str]


def _draw(count: int) -> _Faults:
    generator = generator_for("gate", "repair")
    scenes = SCENES.sample(4 * count, generator)
    faulty = with_faults(scenes, generator)
    rows = torch.nonzero(faulty.maps.mean(dim=(1, 2)) > 0.01)[:count, 0]  # what is not seen needs no repair
    clean = 255 * SCENES.render(scenes[rows]).permute(0, 2, 3, 1).double().numpy()
    given = to_pictures(to_signed(faulty.pictures[rows]))
    return _Faults(given, clean, faulty.maps[rows].double().numpy(), SCENES.captions(scenes[rows], SCENES.full_prompt))


def _check_repairs(
    verdict: GateResult, predictor: RahfPredictor, pipeline: StableDiffusionPipeline, count: int, steps: int
) -> None:
    faults = _draw(count)
    found = _repaired(faults, pipeline, predictor, RepairSettings(steps=steps))
    once = _repaired(faults, pipeline, predictor, RepairSettings(steps=steps, fillings=1))
    exact = _repaired(faults, pipeline, _Exact(predictor, faults), RepairSettings(steps=steps))
    codec = pipeline.vae
    passed = reconstructions(
        codec, to_signed(torch.from_numpy(_pixels(faults.given) / 255).float().permute(0, 3, 1, 2))
    )
    of_codec = np.abs(255 * (passed / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).double().numpy() - _pixels(faults.given))
    verdict.checks += [
        Check("repair, share of the faults' squared error that it removes", _removed(faults, found), 0.5),
        Check("repair, grey levels outside the mask", _outside(faults, found), 1.0, at_most=True),
    ]
    verdict.notes |= {
        "repair, share removed by one filling instead of the best of four": _removed(faults, once),
        "repair, share removed where the exact map says what to fill": _removed(faults, exact),
        "repair, share of the picture that is filled": float(np.mean([each.marked for each in found])),
        "repair, grey levels that the codec alone changes": float(of_codec.mean()),
    }


class _Exact:
    """A predictor whose artifact maps are the truth."""

    def __init__(self, predictor: RahfPredictor, faults: _Faults) -> None:
        self.predictor = predictor
        self.maps: dict[bytes, Heatmap] = {
            picture.tobytes(): marked for picture, marked in zip(faults.given, faults.maps, strict=True)
        }

    def __call__(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> list[RichPrediction]:
        said = self.predictor(images, prompts)
        return [
            replace(each, artifact_map=self.maps.get(image.tobytes(), each.artifact_map))
            for image, each in zip(images, said, strict=True)
        ]


def _repaired(
    faults: _Faults, pipeline: StableDiffusionPipeline, predictor: Predictor, settings: RepairSettings
) -> list[Repair]:
    repairer = Repairer(pipeline, predictor, settings)
    return [
        repairer(picture, prompt, _PARAMS, seed)
        for seed, (picture, prompt) in enumerate(zip(faults.given, faults.prompts, strict=True))
    ]


def _pixels(pictures: list[Image.Image]) -> Values:
    return np.stack([np.asarray(picture, dtype=np.float64) for picture in pictures])


def _removed(faults: _Faults, found: list[Repair]) -> float:
    """Share of the squared error inside the faults that is gone, over all pictures together."""
    before, after = (
        (faults.maps[..., None] * (_pixels(pictures) - faults.clean) ** 2).sum()
        for pictures in (faults.given, [each.picture for each in found])
    )
    return float(1 - after / before)


def _outside(faults: _Faults, found: list[Repair]) -> float:
    """Mean change of what was not to be filled."""
    outside = np.stack([np.asarray(each.mask) == 0 for each in found])
    change = np.abs(_pixels([each.picture for each in found]) - _pixels(faults.given)).mean(axis=-1)
    return float(change[outside].mean())


_PAIRS = {
    "liked picture with a fault, its mask instead of all of it": ("liked, its fault masked", "liked, with its fault"),
    "disliked picture with a fault, its mask instead of all of it": (
        "liked clean, disliked for its fault",
        "liked clean, disliked with a fault",
    ),
}


def _note_masks(verdict: GateResult, pipeline: StableDiffusionPipeline, clip: Judge, count: int, steps: int) -> None:
    """With exact maps: by how much images come closer to the target where masks count."""
    found = masked_answers(FabricGenerator(pipeline), clip.similarity, count, outer=0.0, steps=steps)
    for name, (masked, whole) in _PAIRS.items():
        _note(verdict, name, found[masked][0] - found[whole][0])


def _note_words(
    verdict: GateResult,
    predictor: RahfPredictor,
    pipeline: StableDiffusionPipeline,
    classifier: AttributeClassifier,
    count: int,
    steps: int,
) -> None:
    """By how much more of the prompt is shown where words that were missed are emphasised, and what that costs."""

    def missed(images: Sequence[Image.Image], prompts: Sequence[str]) -> list[frozenset[str]]:
        said = predictor(images, prompts)
        return [missed_words(prompt, [each]) for prompt, each in zip(prompts, said, strict=True)]

    found = emphasised_answers(FabricGenerator(pipeline), classifier, missed, count, steps)
    alike = found.pop("all words alike")
    for name, answers in found.items():
        _note(verdict, f"{name} emphasised, share of the prompt that is shown", answers.stated - alike.stated)
        _note(verdict, f"{name} emphasised, share of the liked picture that is", answers.taken - alike.taken)


def _note(verdict: GateResult, name: str, differences: Tensor) -> None:
    """The mean of paired differences, with its 95 % interval."""
    mean, low, high = mean_interval(differences.double().numpy())
    verdict.notes |= {name: mean, f"{name}: from": low, f"{name}: to": high}
