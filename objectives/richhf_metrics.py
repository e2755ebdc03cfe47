"""How well rich feedback is predicted: scores, heatmaps and words (Liang et al. 2024, arXiv 2312.10240, section 5).

Definitions of heatmap metrics are those of saliency benchmarks (Bylinskii et al. 2019, arXiv 1604.03605).

Notation:
    N: pictures, H, W: height and width of heatmaps, n: pictures of which something is marked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import pearsonr, rankdata, spearmanr

from objectives.richhf import Heatmap

Maps = NDArray[np.float64]
_SMALL = 1e-8


@dataclass(frozen=True)
class ScoreMetrics:
    """Of N scores.

    Attributes:
        plcc: Pearson's correlation, -1 to 1.
        srcc: Spearman's rank correlation, -1 to 1.
    """

    plcc: float
    srcc: float


@dataclass(frozen=True)
class MapMetrics:
    """Of N heatmaps; all but the errors are means over the n pictures of which something is marked.

    Attributes:
        mse: mean squared error, over all pictures.
        mse_empty: over those of which nothing is marked; NaN where there are none.
        cc: Pearson's correlation over pixels, -1 to 1; 0 for a prediction that is the same everywhere.
        kld: Kullback-Leibler divergence of the two as distributions over pixels, 0 or more; lower is better.
        sim: sum of the lesser of the two as distributions, 0 to 1.
        nss: mean of the standardised prediction over marked pixels.
        auc: probability that a marked pixel has a higher prediction than one that is not (AUC-Judd), 0 to 1.
    """

    mse: float
    mse_empty: float
    cc: float
    kld: float
    sim: float
    nss: float
    auc: float


@dataclass(frozen=True)
class WordMetrics:
    """Of misaligned words.

    Attributes:
        precision: share of the words called misaligned that are, over all words.
        recall: share of the misaligned words that are called so, over all words.
        f1: harmonic mean of the two.
        f1_by_picture: mean over pictures of the same, as the paper has it; 1 where no word is misaligned or called so.
    """

    precision: float
    recall: float
    f1: float
    f1_by_picture: float


def score_metrics(predicted: Sequence[float], true: Sequence[float]) -> ScoreMetrics:
    """Correlations of scores.

    Args:
        predicted: N, at least two.
        true: N.

    Raises:
        ValueError: the numbers of scores differ, or there are fewer than two.
    """
    if len(predicted) != len(true) or len(true) < 2:
        raise ValueError(f"scores: {len(predicted)} and {len(true)}; allowed: equally many, two or more")
    return ScoreMetrics(float(pearsonr(predicted, true).statistic), float(spearmanr(predicted, true).statistic))


def map_metrics(predicted: Maps, true: Maps) -> MapMetrics:
    """Compares heatmaps.

    Args:
        predicted: N x H x W, 0 or more.
        true: N x H x W, 0 or more; something is marked where it is above 0.

    Raises:
        ValueError: the shapes differ, or nothing is marked in any picture.
    """
    if predicted.shape != true.shape or true.ndim != 3:
        raise ValueError(f"maps: {predicted.shape} and {true.shape}; allowed: two of one shape, N x H x W")
    errors = ((predicted - true) ** 2).mean(axis=(1, 2))
    marked = true.reshape(len(true), -1).max(axis=1) > 0
    if not marked.any():
        raise ValueError("maps: nothing is marked in any; allowed: one or more with a mark")
    pairs = [(predicted[k], true[k]) for k in np.flatnonzero(marked)]
    return MapMetrics(
        mse=float(errors.mean()),
        mse_empty=float(errors[~marked].mean()) if not marked.all() else float("nan"),
        cc=_mean(_correlation, pairs),
        kld=_mean(_divergence, pairs),
        sim=_mean(_similarity, pairs),
        nss=_mean(_standardised, pairs),
        auc=_mean(_area, pairs),
    )


def word_metrics(predicted: Sequence[Sequence[bool]], true: Sequence[Sequence[bool]]) -> WordMetrics:
    """Compares which words of N prompts are called misaligned with which are.

    Args:
        predicted: for each prompt one value for each of its words.
        true: likewise.

    Raises:
        ValueError: a prompt has another number of words in the two.
    """
    for place, (ours, theirs) in enumerate(zip(predicted, true, strict=True)):
        if len(ours) != len(theirs):
            raise ValueError(f"words: prompt {place} has {len(ours)} and {len(theirs)}; allowed: equally many")
    counts = np.array([_counts(ours, theirs) for ours, theirs in zip(predicted, true, strict=True)]).reshape(-1, 3)
    hits, called, wrong = counts.sum(axis=0).tolist()
    return WordMetrics(
        precision=hits / called if called else 1.0,
        recall=hits / wrong if wrong else 1.0,
        f1=_f1(hits, called, wrong),
        f1_by_picture=float(np.mean([_f1(*row) for row in counts.tolist()])) if len(counts) else 1.0,
    )


def separation(higher: ArrayLike, lower: ArrayLike) -> float:
    """Probability that one of the first is above one of the second; ties count half (Mann and Whitney 1947).

    Args:
        higher: n numbers, one or more.
        lower: m numbers, likewise.
    """
    first, second = np.ravel(higher), np.ravel(lower)
    ranks = rankdata(np.concatenate([first, second]))[: len(first)]
    return float((ranks.sum() - len(first) * (len(first) + 1) / 2) / (len(first) * len(second)))


def _mean(metric: Callable[[Heatmap, Heatmap], float], pairs: Sequence[tuple[Heatmap, Heatmap]]) -> float:
    return float(np.mean([metric(predicted, true) for predicted, true in pairs]))


def _correlation(predicted: Heatmap, true: Heatmap) -> float:
    varied = np.ptp(predicted) > 0 and np.ptp(true) > 0
    return float(pearsonr(predicted.ravel(), true.ravel()).statistic) if varied else 0.0


def _distribution(heatmap: Heatmap) -> NDArray[np.float64]:
    """Sums to 1; a map of zeros is the same everywhere."""
    total = heatmap.sum()
    return heatmap.ravel() / total if total > 0 else np.full(heatmap.size, 1 / heatmap.size)


def _divergence(predicted: Heatmap, true: Heatmap) -> float:
    p, q = _distribution(true), _distribution(predicted)
    return float((p * np.log(_SMALL + p / (q + _SMALL))).sum())


def _similarity(predicted: Heatmap, true: Heatmap) -> float:
    return float(np.minimum(_distribution(predicted), _distribution(true)).sum())


def _standardised(predicted: Heatmap, true: Heatmap) -> float:
    if np.ptp(predicted) == 0:
        return 0.0
    return float((predicted[true > 0].mean() - predicted.mean()) / predicted.std())


def _area(predicted: Heatmap, true: Heatmap) -> float:
    """Ties count half; benchmarks break them at random."""
    marked = true > 0
    return 0.5 if marked.all() else separation(predicted[marked], predicted[~marked])


def _counts(predicted: Sequence[bool], true: Sequence[bool]) -> tuple[int, int, int]:
    """Words that are rightly called misaligned, that are called so, and that are."""
    hits = sum(ours and theirs for ours, theirs in zip(predicted, true, strict=True))
    return hits, sum(map(bool, predicted)), sum(map(bool, true))


def _f1(hits: int, called: int, wrong: int) -> float:
    return 2 * hits / (called + wrong) if called + wrong else 1.0
