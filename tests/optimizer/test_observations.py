from __future__ import annotations

from typing import Literal

import optuna
import pytest
import torch
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from optimizer.attributes import LOST, SCORES, STANDARD_ERROR
from optimizer.blocks import effects
from optimizer.encoding import Encoding
from optimizer.observations import observe, with_failures

SPACE = {"x": FloatDistribution(0.0, 1.0)}
SCORED = [{"a": [1.0, 5.0], "b": [3.0, 4.0]}, {"a": [2.0, 1.0], "b": [3.5, 0.0]}, {"a": [0.0, 3.0], "b": [2.0, 2.5]}]


def _study(directions: list[Literal["maximize", "minimize"]], trials: list[optuna.trial.FrozenTrial]) -> optuna.Study:
    study = optuna.create_study(directions=directions)
    study.add_trials(trials)
    return study


def _trial(values: list[float], **attrs: object) -> optuna.trial.FrozenTrial:
    return create_trial(params={"x": 0.25}, distributions=dict(SPACE), values=values, user_attrs=attrs)


def test_scores_of_several_objectives_are_paired_one_by_one() -> None:
    trials = [_trial([0.0, 0.0], **{SCORES: scores}) for scores in SCORED]
    study = _study(["maximize", "minimize"], trials)
    seen = observe(study, study.trials, Encoding(SPACE))
    for k, sign in enumerate((1, -1)):
        values, variances = effects([{name: pair[k] for name, pair in scores.items()} for scores in SCORED])
        assert seen.Y[:, k].tolist() == pytest.approx((sign * values).tolist())
        assert seen.Yvar is not None
        assert seen.Yvar[:, k].tolist() == pytest.approx(variances.tolist())


def test_a_pruned_trial_counts_by_what_it_saw() -> None:
    whole = [_trial([0.0], **{SCORES: {name: pair[0] for name, pair in scores.items()}}) for scores in SCORED]
    pruned = create_trial(
        state=TrialState.PRUNED, params={"x": 1.0}, distributions=dict(SPACE), user_attrs={SCORES: {"a": 2.0}}
    )
    study = _study(["maximize"], [*whole, pruned])
    seen = observe(study, study.trials, Encoding(SPACE))
    assert seen.numbers == [0, 1, 2, 3]
    assert seen.Yvar is not None
    assert float(seen.Yvar[3]) == pytest.approx(2 * float(seen.Yvar[0]))


def test_standard_errors_are_heeded_where_no_scores_are_stated() -> None:
    trials = [_trial([1.0], **{STANDARD_ERROR: 0.5}), _trial([2.0])]
    study = _study(["maximize"], trials)
    seen = observe(study, study.trials, Encoding(SPACE))
    assert torch.equal(seen.Y[:, 0], torch.tensor([1.0, 2.0]).double())
    assert seen.Yvar is not None
    assert seen.Yvar[:, 0].tolist() == [0.25, 0.25]  # the unknown one is as uncertain as the others


def test_what_is_out_of_range_or_not_finite_says_nothing() -> None:
    outside = create_trial(params={"x": 2.0}, distributions={"x": FloatDistribution(0.0, 3.0)}, value=1.0)
    study = _study(["maximize"], [_trial([float("inf")]), outside, _trial([1.0])])
    assert observe(study, study.trials, Encoding(SPACE)).numbers == [2]


def test_one_trial_without_scores_costs_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    tables = [{name: pair[0] for name, pair in scores.items()} for scores in SCORED]
    study = _study(["maximize"], [*(_trial([0.0], **{SCORES: table}) for table in tables), _trial([7.0])])
    seen = observe(study, study.trials, Encoding(SPACE))
    values, variances = effects(tables)
    assert seen.Y[:, 0].tolist() == pytest.approx([*values, 7.0])
    assert seen.Yvar is not None
    assert seen.Yvar[:, 0].tolist() == pytest.approx([*variances, variances[0]])
    assert "trials 3 state no scores by block" in caplog.text


def test_scores_that_no_trial_has_whole_can_be_compared() -> None:
    study = _study(["maximize"], [_trial([0.0], **{SCORES: scores}) for scores in ({"a": 1, "b": 4}, {"b": 5, "c": 9})])
    seen = observe(study, study.trials, Encoding(SPACE))
    assert float(seen.Y[1, 0] - seen.Y[0, 0]) == pytest.approx(1)


def test_a_pruned_trial_whose_scores_are_no_numbers_says_nothing() -> None:
    nothing = create_trial(
        state=TrialState.PRUNED, params={"x": 1.0}, distributions=dict(SPACE), user_attrs={SCORES: {"a": float("nan")}}
    )
    study = _study(["maximize"], [_trial([1.0], **{SCORES: {"a": 1.0, "b": 2.0}}), nothing])
    assert observe(study, study.trials, Encoding(SPACE)).numbers == [0]


def test_a_setting_that_failed_is_as_bad_as_the_worst_unless_it_was_lost() -> None:
    failed, lost = (
        create_trial(state=TrialState.FAIL, params={"x": x}, distributions=dict(SPACE), user_attrs=attributes)
        for x, attributes in ((0.75, {}), (1.0, {LOST: True}))
    )
    trials = [_trial([2.0], **{STANDARD_ERROR: 0.5}), _trial([-1.0], **{STANDARD_ERROR: 0.1}), failed, lost]
    study = _study(["maximize"], trials)
    seen = observe(study, study.trials, Encoding(SPACE))
    assert seen.numbers == [0, 1]
    known = with_failures(seen, study.trials, Encoding(SPACE))
    assert known.numbers == [0, 1, 2]
    assert known.X[:, 0].tolist() == [0.25, 0.25, 0.75]
    assert known.Y[:, 0].tolist() == [2.0, -1.0, -1.0]
    assert known.Yvar is not None
    assert known.Yvar[:, 0].tolist() == pytest.approx([0.25, 0.01, 0.01])
    assert with_failures(seen, study.trials[:2], Encoding(SPACE)) is seen
