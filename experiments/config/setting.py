"""What a trial tries: FABRIC's parameters, and what is sought besides."""

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
    """FABRIC's parameters, and what they say nothing of.

    Attributes:
        scheduler: name; that of the run or the command where it is None.
        loras: scales by file; those of the run or the command for files that are not named.
        library_count: how many pictures of a library count, the nearest to the prompt first; a part of one counts in
            part. (0 or more, all where it is None)
        library_weight: factor on the weight of each of them. (0 to 1, 1 where it is None)

    Raises:
        ValueError: a value is out of range.
    """

    scheduler: str | None = None
    loras: Mapping[str, float] = field(default_factory=dict)
    library_count: float | None = None
    library_weight: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.library_count is not None and self.library_count < 0:
            raise ValueError(f"library_count: {self.library_count} is out of range; allowed: 0 or more")
        if self.library_weight is not None and not 0 <= self.library_weight <= 1:
            raise ValueError(f"library_weight: {self.library_weight} is out of range; allowed: 0 to 1")

    def to_dict(self) -> dict[str, Any]:
        """All fields of FABRIC, and of the others those that are said; `from_dict` gives equal settings."""
        said = {name: value for name, value in super().to_dict().items() if value not in (None, {})}
        return {**fabric_params(self).to_dict(), **said}


def fabric_params(params: FabricParams) -> FabricParams:
    """What settings say of FABRIC alone."""
    return FabricParams(**{knob.name: getattr(params, knob.name) for knob in fields(FabricParams)})


def read_settings(values: Mapping[str, Any]) -> FabricParams:
    """Settings from field names and values: FABRIC's parameters, as a `Setting` where more is said than they have.

    Raises:
        ValueError: a name is unknown or a value out of range.
    """
    fabric = {knob.name for knob in fields(FabricParams)}
    return Setting.from_dict(values) if values.keys() - fabric else FabricParams.from_dict(values)


def model_state(params: FabricParams) -> ModelState:
    """The model's state that settings ask for."""
    if not isinstance(params, Setting):
        return ModelState()
    return ModelState(params.scheduler, tuple(params.loras.items()))
