"""Metrics of rich feedback against scipy, scikit-learn's definitions written out, and cases that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy, pearsonr, spearmanr, zscore

from objectives.richhf import heatmap
from objectives.richhf_metrics import Maps, map_metrics, score_metrics, word_metrics


def _maps(seed: int = 0, count: int = 6) -> tuple[Maps, Maps]:
    """Predicted maps and true ones of a few discs, the last of which is empty."""
    random = np.random.default_rng(seed)
    true = np.stack([heatmap(random.random((2, 2)).tolist(), (16, 12), 0.2) for _ in range(count)])
    true[-1] = 0
    return np.clip(0.5 * true + 0.5 * random.random(true.shape), 0, 1), true


def test_scores_are_correlated_as_scipy_does() -> None:
    random = np.random.default_rng(1)
    true = random.random(30)
    predicted = true + 0.3 * random.normal(size=30)
    found = score_metrics(predicted.tolist(), true.tolist())
    assert found.plcc == pytest.approx(np.corrcoef(predicted, true)[0, 1])
    assert found.srcc == pytest.approx(pearsonr(predicted.argsort().argsort(), true.argsort().argsort()).statistic)
    assert found.srcc == pytest.approx(spearmanr(predicted, true).statistic)


def test_maps_are_compared_as_the_definitions_say() -> None:
    predicted, true = _maps()
    found = map_metrics(predicted, true)
    assert found.mse == pytest.approx(np.mean((predicted - true) ** 2))
    assert found.mse_empty == pytest.approx(np.mean(predicted[-1] ** 2))
    pairs = list(zip(predicted[:-1], true[:-1], strict=True))
    assert found.cc == pytest.approx(np.mean([np.corrcoef(p.ravel(), t.ravel())[0, 1] for p, t in pairs]))
    assert found.kld == pytest.approx(np.mean([entropy(t.ravel(), p.ravel()) for p, t in pairs]), abs=1e-4)
    overlap = [1 - 0.5 * np.abs(p / p.sum() - t / t.sum()).sum() for p, t in pairs]
    assert found.sim == pytest.approx(np.mean(overlap))
    assert found.nss == pytest.approx(np.mean([zscore(p, axis=None)[t > 0].mean() for p, t in pairs]))
    assert found.auc == pytest.approx(np.mean([_judd(p, t) for p, t in pairs]), abs=5e-3)


def _judd(predicted: Maps, true: Maps) -> float:
    """Thresholds at the predictions of marked pixels, highest first (Judd et al. 2009)."""
    inside = np.sort(predicted[true > 0])[::-1]
    above = np.array([(predicted >= value).sum() for value in inside])
    hits = np.arange(1, len(inside) + 1) / len(inside)
    alarms = (above - np.arange(1, len(inside) + 1)) / (predicted.size - len(inside))
    return float(np.trapezoid([0, *hits, 1], [0, *alarms, 1]))


def test_a_perfect_prediction_and_one_that_knows_nothing() -> None:
    _, true = _maps()
    perfect = map_metrics(true, true)
    assert (perfect.mse, perfect.mse_empty, perfect.auc) == (0, 0, 1)
    assert perfect.cc == pytest.approx(1)
    assert perfect.sim == pytest.approx(1)
    assert perfect.kld == pytest.approx(0, abs=1e-5)
    nothing = map_metrics(np.full_like(true, 0.3), true)
    assert (nothing.cc, nothing.nss, nothing.auc) == (0, 0, 0.5)
    assert map_metrics(np.zeros_like(true), true).sim == pytest.approx(np.mean(true[:-1] > 0))


def test_words_are_counted_over_all_and_by_picture() -> None:
    true = [[True, False, False], [False, False], [True, True]]
    predicted = [[True, True, False], [False, False], [True, False]]
    found = word_metrics(predicted, true)
    assert (found.precision, found.recall) == (2 / 3, 2 / 3)
    assert found.f1 == pytest.approx(2 / 3)
    assert found.f1_by_picture == pytest.approx((2 / 3 + 1 + 2 / 3) / 3)
    silent = word_metrics([[False] * 3, [False] * 2, [False] * 2], true)
    assert (silent.precision, silent.recall, silent.f1) == (1, 0, 0)


def test_what_does_not_fit_is_named() -> None:
    predicted, true = _maps()
    with pytest.raises(ValueError, match=r"scores: 1 and 1; allowed: equally many, two or more"):
        score_metrics([1.0], [1.0])
    with pytest.raises(ValueError, match=r"maps: \(6, 16, 12\) and \(6, 16\); allowed: two of one shape"):
        map_metrics(predicted, true[:, :, 0])
    with pytest.raises(ValueError, match="maps: nothing is marked"):
        map_metrics(predicted, np.zeros_like(true))
    with pytest.raises(ValueError, match="words: prompt 1 has 2 and 1"):
        word_metrics([[True], [True, False]], [[True], [True]])
