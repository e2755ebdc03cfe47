"""What a trial tries: FABRIC's parameters, and what of the model is sought besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from fabric.params import FabricParams


@dataclass(frozen=True)
class ModelState:
    """What images of one batch have in common.

    Attributes:
        scheduler: name; the run's where it is None.
        loras: scales by file, in the order of the files; the run's where a file is not named.
    """

    scheduler: str | None = None
    loras: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Setting(FabricParams):
    """FABRIC's parameters with a state of the model.

    Attributes:
        scheduler: name; that of the run or the command where it is None.
        loras: scales by file; those of the run or the command for files that are not named.
    """

    scheduler: str | None = None
    loras: Mapping[str, float] = field(default_factory=dict)

    @property
    def fabric(self) -> FabricParams:
        """FABRIC's parameters alone."""
        return FabricParams(**{knob.name: getattr(self, knob.name) for knob in fields(FabricParams)})

    def to_dict(self) -> dict[str, Any]:
        """All fields of FABRIC, and of the model those that are said; `from_dict` gives equal settings."""
        return {name: value for name, value in super().to_dict().items() if name not in _OF_MODEL or value}


_OF_MODEL = ("scheduler", "loras")


def model_state(params: FabricParams) -> ModelState:
    """The model's state that settings ask for."""
    if not isinstance(params, Setting):
        return ModelState()
    return ModelState(params.scheduler, tuple(params.loras.items()))
