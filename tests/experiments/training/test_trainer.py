import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from experiments.training.trainer import Schedule, Trainer, seeded, training_device
from fabric.seeding import generator_for

SCHEDULE = Schedule(steps=12, batch=16, lr=0.05, warmup=3, ema=0.7)
SECONDS = "experiments.training.trainer.time"


class Clock:
    """Every look at it takes a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    one = Clock()
    monkeypatch.setattr(SECONDS, SimpleNamespace(monotonic=one.monotonic))
    return one


def build(seed: int = 0) -> nn.Sequential:
    with seeded(seed):
        return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))


def loss_of(model: nn.Module) -> Callable[[int], tuple[Tensor, dict[str, float]]]:
    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = generator_for("test", step)
        x = torch.randn(SCHEDULE.batch, 5, generator=generator)
        target = torch.stack([x.sum(1), x[:, 0] * x[:, 1]], dim=1)
        value = (model(x).float() - target).square().mean()
        return value, {"at": float(step)}

    return loss


def failing_at(
    bad: int, loss: Callable[[int], tuple[Tensor, dict[str, float]]]
) -> Callable[[int], tuple[Tensor, dict[str, float]]]:
    def failing(step: int) -> tuple[Tensor, dict[str, float]]:
        if step == bad:
            raise KeyboardInterrupt
        return loss(step)

    return failing


def refuse(step: int) -> tuple[Tensor, dict[str, float]]:
    raise AssertionError(f"asked for step {step}")


def assert_same(first: nn.Module, second: nn.Module) -> None:
    expected = second.state_dict()
    assert first.state_dict().keys() == expected.keys()
    for name, value in first.state_dict().items():
        assert torch.equal(value, expected[name]), name


# The checkpoint is as new as can be, two steps old, and not there yet.
@pytest.mark.parametrize(("between", "resumes_at"), [(0.0, 7), (8.0, 5), (1e9, 0)])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(tmp_path: Path, between: float, resumes_at: int) -> None:
    whole = build()
    seconds = Trainer(whole, SCHEDULE, tmp_path / "whole").fit(loss_of(whole))

    broken, folder = build(), tmp_path / "broken"
    first = Trainer(broken, SCHEDULE, folder, seconds_between_saves=between)
    with pytest.raises(KeyboardInterrupt):
        first.fit(failing_at(7, loss_of(broken)))
    resumed = build()
    second = Trainer(resumed, SCHEDULE, folder, seconds_between_saves=between)
    assert second.step == resumes_at
    resumed_seconds = second.fit(loss_of(resumed))

    assert_same(resumed, whole)
    assert resumed_seconds == seconds == SCHEDULE.steps
    assert not list(folder.glob("*.tmp"))


def test_a_checkpoint_replaces_weights_of_another_start(tmp_path: Path) -> None:
    whole = build()
    Trainer(whole, SCHEDULE, tmp_path / "whole").fit(loss_of(whole))
    broken = build()
    with pytest.raises(KeyboardInterrupt):
        Trainer(broken, SCHEDULE, tmp_path / "x", 0.0).fit(failing_at(1, loss_of(broken)))
    other = build(seed=1)
    Trainer(other, SCHEDULE, tmp_path / "x").fit(loss_of(other))
    assert_same(other, whole)


def test_a_finished_run_is_read_and_not_trained_again(tmp_path: Path) -> None:
    model = build()
    seconds = Trainer(model, SCHEDULE, tmp_path).fit(loss_of(model))
    again = build(seed=1)
    assert Trainer(again, SCHEDULE, tmp_path).fit(refuse) == seconds
    assert_same(again, model)


def test_the_model_ends_with_the_averaged_weights_and_statistics(tmp_path: Path) -> None:
    model = build()
    trainer = Trainer(model, SCHEDULE, tmp_path)
    history: list[dict[str, Tensor]] = []

    def remember(*_: object) -> None:
        history.append({name: value.clone() for name, value in model.state_dict().items()})

    trainer.optimizer.register_step_post_hook(remember)
    trainer.fit(loss_of(model))
    assert len(history) == SCHEDULE.steps
    decay = SCHEDULE.ema
    for name, value in model.state_dict().items():
        if not value.is_floating_point():
            continue
        # The first step's weights start the average; each later one enters with share 1 - decay.
        shares = [decay**11] + [(1 - decay) * decay ** (11 - k) for k in range(1, 12)]
        states = [state[name] for state in history]
        mean = sum(share * state.double() for share, state in zip(shares, states, strict=True))
        assert isinstance(mean, Tensor)
        torch.testing.assert_close(value.double(), mean, rtol=1e-5, atol=1e-6)
        assert not torch.allclose(value, history[-1][name], rtol=1e-3)


def test_learning_rate_warms_up_and_falls_along_a_cosine(tmp_path: Path) -> None:
    schedule = Schedule(steps=40, batch=1, lr=0.01, warmup=4)
    model = build()
    trainer = Trainer(model, schedule, tmp_path)
    rates = []

    def remember(optimizer: torch.optim.Optimizer, *_: object) -> None:
        rates.append(optimizer.param_groups[0]["lr"])

    trainer.optimizer.register_step_pre_hook(remember)
    trainer.fit(loss_of(model))
    assert rates[:4] == pytest.approx([0.0025, 0.005, 0.0075, 0.01])
    middle = 4 + (40 - 4) // 2  # half-way down the cosine, from lr to a fiftieth of it
    assert rates[middle] == pytest.approx((0.01 + 0.01 / 50) / 2)
    for step in range(4, 40):
        cosine = (1 + math.cos(math.pi * (step - 4) / 36)) / 2
        assert rates[step] == pytest.approx(0.0002 + 0.0098 * cosine)
    assert rates[-1] < 0.025 * 0.01


def test_training_lowers_the_loss_and_leaves_the_model_in_eval_mode(tmp_path: Path) -> None:
    model = build()
    first = float(loss_of(model)(0)[0].detach())
    schedule = Schedule(steps=150, batch=16, lr=0.03, warmup=3, ema=0.9)
    modes = []

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        modes.append(model.training)
        return loss_of(model)(step)

    Trainer(model, schedule, tmp_path).fit(loss)
    assert all(modes)
    assert not model.training
    assert float(loss_of(model)(0)[0].detach()) < 0.4 * first


def test_large_gradients_are_clipped(tmp_path: Path) -> None:
    model = build()
    trainer = Trainer(model, SCHEDULE, tmp_path)
    norms = []

    def remember(*_: object) -> None:
        gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        norms.append(float(torch.cat(gradients).norm()))

    trainer.optimizer.register_step_pre_hook(remember)

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        value, figures = loss_of(model)(step)
        return value * (1e4 if step % 2 else 1e-4), figures

    trainer.fit(loss)
    assert norms[1::2] == pytest.approx([1.0] * 6, rel=1e-3)
    assert max(norms[::2]) < 0.1


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path: Path, bad: float) -> None:
    model = build()
    trainer = Trainer(model, SCHEDULE, tmp_path, seconds_between_saves=0.0)
    weights: list[Tensor] = []

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        value, figures = loss_of(model)(step)
        if step == 5:
            weights.extend(parameter.detach().clone() for parameter in model.parameters())
            value = value * bad
        return value, figures

    with pytest.raises(FloatingPointError, match="step 5"):
        trainer.fit(loss)
    for before, after in zip(weights, model.parameters(), strict=True):
        assert torch.equal(before, after)
    # What is on disk is sound: a run without the fault goes on from there.
    healed = build()
    after_fault = Trainer(healed, SCHEDULE, tmp_path)
    assert after_fault.step == 5
    after_fault.fit(loss_of(healed))
    assert all(torch.isfinite(parameter).all() for parameter in healed.parameters())


def test_the_log_has_a_line_every_so_often_and_at_the_end(tmp_path: Path) -> None:
    model = build()
    Trainer(model, SCHEDULE, tmp_path).fit(loss_of(model), log_every=5)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["seconds"] for line in lines] == [5, 10, 12]
    assert [line["step"] for line in lines] == [5, 10, 12]
    # The figures are those of the step that was just taken.
    assert [line["at"] for line in lines] == [4, 9, 11]
    assert all(line["loss"] > 0 for line in lines)


def test_seeded_builds_alike_and_leaves_the_global_generator_where_it_was() -> None:
    before = torch.get_rng_state()
    first, again, other = build(5), build(5), build(6)
    assert_same(first, again)
    assert not torch.equal(first.state_dict()["0.weight"], other.state_dict()["0.weight"])
    assert torch.equal(before, torch.get_rng_state())

    def fail() -> None:
        with seeded(1):
            torch.rand(3)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert torch.equal(before, torch.get_rng_state())


def test_pick_device_has_an_accelerator_only_where_there_is_one() -> None:
    assert (training_device().type == "cuda") == torch.cuda.is_available()
