"""Gate 8: how well rich feedback is predicted, against what the renderer knows, and on images of the generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from experiments.embedded.gates.broken import KINDS, SOUND, images_of, prompts_of
from experiments.embedded.gates.result import Check, GateResult
from experiments.embedded.models.regeneration import Regeneration
from experiments.embedded.models.rich_labels import RichTruth, draw_truth, ratings_of
from experiments.embedded.shipped import Judge, Preference
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.world import SIDE
from fabric.generator import FabricGenerator
from fabric.images import to_pictures
from fabric.seeding import generator_for
from objectives.rahf.predictor import MISALIGNED, RahfPredictor, RichPrediction
from objectives.richhf import SCORES, aggregate, tokens
from objectives.richhf_metrics import map_metrics, score_metrics, separation, word_metrics

_EXACT = {"plausibility": 0.85, "alignment": 0.88, "aesthetics": 0.82, "overall": 0.85}
_RATED = {"plausibility": 0.78, "alignment": 0.78, "aesthetics": 0.75, "overall": 0.78}
_CHUNK = 100


def rahf_gate(
    predictor: RahfPredictor,
    pipeline: StableDiffusionPipeline,
    preference: Preference,
    clip: Judge,
    count: int = 2000,
    generated: int = 96,
) -> GateResult:
    """Gate 8: scores, maps and words against the truth and against judges that were made for something else.

    Args:
        predictor: of rich feedback.
        pipeline: the generator.
        preference: the preference judge.
        clip: the CLIP judge.
        count: held-out pictures.
        generated: images of each kind.
    """
    truths = _truths(count, pipeline)
    verdict = GateResult("Rich feedback")
    found = [each for truth in truths for each in predictor(to_pictures(to_signed(truth.pictures)), truth.prompts)]
    _check_scores(verdict, truths, found, preference, clip)
    _check_maps(verdict, truths, found, clip)
    _check_words(verdict, truths, found, clip)
    _check_transfer(verdict, predictor, pipeline, generated)
    return verdict


def _truths(count: int, pipeline: StableDiffusionPipeline) -> list[RichTruth]:
    damage = Regeneration(pipeline)
    sizes = [min(_CHUNK, count - start) for start in range(0, count, _CHUNK)]
    return [draw_truth(size, generator_for("gate", "rahf", k), damage) for k, size in enumerate(sizes)]


def _check_scores(
    verdict: GateResult,
    truths: Sequence[RichTruth],
    found: Sequence[RichPrediction],
    preference: Preference,
    clip: Judge,
) -> None:
    """Correlations with the truth and with three simulated raters; those of judges as notes."""
    true = torch.cat([truth.scores for truth in truths]).numpy()
    raters = np.random.default_rng(0)
    rated = np.array(
        [
            aggregate(ratings_of(truth, row, raters), (SIDE, SIDE)).scores
            for truth in truths
            for row in range(len(truth.prompts))
        ]
    )
    judges = {
        "preference judge": torch.cat([preference.score(t.prompts, to_signed(t.pictures)) for t in truths]).numpy(),
        "CLIP judge": torch.cat([_cosine(clip, t.prompts, to_signed(t.pictures)) for t in truths]).numpy(),
    }
    for place, name in enumerate(SCORES):
        predicted = [each.scores[name] for each in found]
        ours = score_metrics(predicted, true[:, place].tolist())
        verdict.checks.append(Check(f"PLCC of {name}", ours.plcc, _EXACT[name]))
        theirs = score_metrics(predicted, rated[:, place].tolist())
        verdict.checks.append(Check(f"PLCC of {name}, against three raters", theirs.plcc, _RATED[name]))
        verdict.notes[f"SRCC of {name}"] = ours.srcc
        ceiling = score_metrics(rated[:, place].tolist(), true[:, place].tolist())
        verdict.notes[f"PLCC of {name}, of three raters with the truth"] = ceiling.plcc
        for judge, scores in judges.items():
            its = score_metrics(scores.tolist(), true[:, place].tolist()).plcc
            verdict.notes[f"PLCC of {name}, {judge}"] = its


def _cosine(clip: Judge, prompts: list[str], images: Tensor) -> Tensor:
    return (clip.embed(images) * clip.embed_text(prompts)).sum(dim=1)


def _check_maps(verdict: GateResult, truths: Sequence[RichTruth], found: Sequence[RichPrediction], clip: Judge) -> None:
    artifacts = map_metrics(
        np.stack([each.artifact_map for each in found]), torch.cat([truth.artifacts for truth in truths]).numpy()
    )
    true = torch.cat([truth.misalignment for truth in truths]).numpy()
    misalignment = map_metrics(np.stack([each.misalignment_map for each in found]), true)
    verdict.checks += [
        Check("artifact map, CC", artifacts.cc, 0.60),
        Check("artifact map, AUC-Judd", artifacts.auc, 0.93),
        Check("artifact map, MSE where nothing is wrong", artifacts.mse_empty, 0.002, at_most=True),
        Check("misalignment map, CC", misalignment.cc, 0.50),
    ]
    verdict.notes |= {f"artifact map, {name}": value for name, value in asdict(artifacts).items()}
    verdict.notes |= {f"misalignment map, {name}": value for name, value in asdict(misalignment).items()}
    gradients = np.concatenate([_gradient_maps(clip, truth.prompts, to_signed(truth.pictures)) for truth in truths])
    verdict.notes["misalignment map, CC of the CLIP judge's gradient"] = map_metrics(gradients, true).cc


def _gradient_maps(clip: Judge, prompts: list[str], images: Tensor) -> NDArray[np.float64]:
    """How much each pixel matters for the similarity to the prompt, smoothed: the paper's baseline, B x S x S."""
    images = images.clone().requires_grad_()
    image = clip.model.encode_image(images, normalize=True)
    (gradient,) = torch.autograd.grad((image * clip.embed_text(prompts)).sum(), images)
    return np.stack([gaussian_filter(row, 2.0) for row in gradient.abs().sum(dim=1).double().numpy()])


def _check_words(
    verdict: GateResult, truths: Sequence[RichTruth], found: Sequence[RichPrediction], clip: Judge
) -> None:
    true = [words for truth in truths for words in truth.misaligned]
    ours = word_metrics([[p > MISALIGNED for p in each.misaligned] for each in found], true)
    verdict.checks.append(Check("misaligned words, F1 over all", ours.f1, 0.85))
    verdict.notes |= {f"misaligned words, {name}": value for name, value in asdict(ours).items()}
    rises = [rise for truth in truths for rise in _rises(clip, truth)]
    bounds = np.quantile([rise for row in rises for rise in row], np.linspace(0.5, 0.99, 50))
    best = max(word_metrics([[rise > bound for rise in row] for row in rises], true).f1 for bound in bounds)
    verdict.notes["misaligned words, F1 of dropping them one by one with the CLIP judge, at its best"] = best


def _rises(clip: Judge, truth: RichTruth) -> list[list[float]]:
    """By how much the similarity of a picture to its prompt rises without each word."""
    images = clip.embed(to_signed(truth.pictures))
    rises = []
    for row, prompt in enumerate(truth.prompts):
        words = tokens(prompt)
        without = [" ".join(words[:place] + words[place + 1 :]) for place in range(len(words))]
        texts = clip.embed_text([prompt, *without])
        whole, *others = (texts @ images[row]).tolist()
        rises.append([other - whole for other in others])
    return rises


def _check_transfer(
    verdict: GateResult, predictor: RahfPredictor, pipeline: StableDiffusionPipeline, count: int
) -> None:
    """Sound images of the generator are told from broken ones of the same prompts and seeds."""
    fabric, prompts = FabricGenerator(pipeline), prompts_of(count)

    def plausibility(kind: str) -> list[float]:
        found = predictor(to_pictures(images_of(fabric, kind, count)), prompts)
        return [each.scores["plausibility"] for each in found]

    ours, everything = plausibility(SOUND), list[float]()
    for kind in KINDS:
        if kind != SOUND:
            theirs = plausibility(kind)
            verdict.notes[f"AUC of plausibility against {kind}"] = separation(ours, theirs)
            everything += theirs
    verdict.checks.append(Check("AUC of plausibility against broken images", separation(ours, everything), 0.80))
