"""One training loop for every model: resumable at any step, seeded by step, logged, averaged.

A `loss(step)` draws its batch from a generator that is keyed by the step, so a run that was stopped and
resumed sees exactly the batches of one that was not.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

Loss = Callable[[int], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        steps: optimiser steps.
        batch: examples per step.
        lr: peak learning rate of AdamW; linear warm-up, then a cosine down to a fiftieth.
        warmup: steps of warm-up.
        ema: decay of the moving average of the weights, which is what is shipped.
    """

    steps: int
    batch: int
    lr: float
    warmup: int = 200
    ema: float = 0.998


def _lr_factor(step: int, schedule: Schedule) -> float:
    warmup = min(schedule.warmup, schedule.steps // 10 + 1)
    progress = max(0, step - warmup) / max(1, schedule.steps - warmup)
    cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return min(1.0, (step + 1) / warmup) * cosine


def training_device() -> torch.device:
    """CUDA where there is one, else the CPU; training has not been tried on others."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def half_precision(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Computes in bfloat16 where the device does so by itself, in float32 elsewhere.

    A processor without bfloat16 imitates it, which takes some twenty times as long.
    """
    if device.type == "cpu":
        has = torch.cpu.get_capabilities()
        native = any(has.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    else:
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, torch.bfloat16, enabled=native)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Builds networks from a seed (libraries initialise from the global generator) and puts that generator back."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


class Trainer:
    """Trains a module in steps, with checkpoints in `folder`.

    Args:
        model: what is trained; ends up holding the averaged weights.
        schedule: how long and how fast.
        folder: where `checkpoint.pt` and `log.jsonl` are kept; created.
        seconds_between_saves: at most this much work is lost when the process is killed.
    """

    def __init__(
        self,
        model: nn.Module,
        schedule: Schedule,
        folder: Path,
        seconds_between_saves: float = 60.0,
    ) -> None:
        self.model = model.to(memory_format=torch.channels_last)  # convolutions are faster so
        self.schedule = schedule
        self.folder = folder
        self.seconds_between_saves = seconds_between_saves
        self.seconds = 0.0
        self.step = 0
        self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(schedule.ema), use_buffers=True)
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=schedule.lr, betas=(0.9, 0.99), weight_decay=0.01, fused=True
        )
        folder.mkdir(parents=True, exist_ok=True)
        self._load()

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def _load(self) -> None:
        if not self._checkpoint.exists():
            return
        state = torch.load(self._checkpoint, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        unfinished = self._checkpoint.with_suffix(".tmp")
        torch.save(state, unfinished)
        unfinished.replace(self._checkpoint)  # never a torn checkpoint

    def _log(self, figures: dict[str, float]) -> None:
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps({**figures, "step": self.step, "seconds": self.seconds}) + "\n")

    def _advance(self, loss: Loss) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.lr * _lr_factor(self.step, self.schedule)
        device = next(self.model.parameters()).device
        with half_precision(device):
            value, figures = loss(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        value.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        if not torch.isfinite(norm):
            raise FloatingPointError(f"gradient norm is {norm} at step {self.step}")
        self.optimizer.step()
        self.average.update_parameters(self.model)
        self.step += 1
        return {"loss": float(value.detach()), **figures}

    def fit(self, loss: Loss, *, log_every: int = 50) -> float:
        """Trains to the end of the schedule and loads the averaged weights into the model.

        Args:
            loss: maps a step to the loss of its batch and further figures to log.
            log_every: steps between lines in the log.

        Returns:
            Seconds of training, earlier runs counted in.

        Raises:
            FloatingPointError: a gradient is not finite.
        """
        self.model.train()
        name, saved = self.folder.name, time.monotonic()
        bar = tqdm(total=self.schedule.steps, initial=self.step, desc=name, mininterval=2)
        while self.step < self.schedule.steps:
            began = time.monotonic()
            figures = self._advance(loss)
            now = time.monotonic()
            self.seconds += now - began
            bar.update()
            if self.step % log_every == 0 or self.step == self.schedule.steps:
                bar.set_postfix({key: f"{value:.4g}" for key, value in figures.items()})
                self._log(figures)
            if now - saved > self.seconds_between_saves or self.step == self.schedule.steps:
                self._save()
                saved = time.monotonic()
        bar.close()
        self.model.load_state_dict(self.average.module.state_dict())
        self.model.eval()
        return self.seconds
