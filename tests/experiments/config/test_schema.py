from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from experiments.config.parts import RangeConfig
from experiments.config.read import check_config, read_config

PROMPTS = {"prompts": ["a red star"]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "prompts, scenes: neither given; allowed: one or more prompts, or scenes"),
        ({"prompts": []}, "prompts, scenes: neither given"),
        ({**PROMPTS, "scenes": {}}, "prompts, scenes: both given"),
        ({**PROMPTS, "trails": 3}, "trails: unknown key"),
        ({"prompts": [{"promt": "x"}]}, "prompts.0.prompt: "),
        ({**PROMPTS, "trials": 0}, "trials: 0: Input should be greater than or equal to 1"),
        ({**PROMPTS, "trials": True}, "trials: True: "),
        ({**PROMPTS, "protocol": {"rounds": "three"}}, "protocol.rounds: 'three': "),
        (
            {**PROMPTS, "protocol": {"value": "first"}},
            "protocol.value: 'first' is unknown; allowed: 'last'",
        ),
        ({**PROMPTS, "space": {"strength": [0, 9]}}, "space.strength: 0 to 9; allowed: 0 to 8"),
        ({**PROMPTS, "space": {"strength": [2, 1]}}, "space.strength: from 2 to 1; allowed: low < high"),
        ({**PROMPTS, "space": {"strength": [0, 8, "log"]}}, "space.strength: from 0 by the logarithm"),
        ({**PROMPTS, "space": {"strength": [0]}}, "space.strength: "),
        ({**PROMPTS, "space": {"force": [0, 1]}}, "space.force: unknown parameter; allowed: strength, "),
        ({**PROMPTS, "space": {}}, "space: no parameters"),
        (
            {**PROMPTS, "fixed": {"strength": 1}, "space": {"strength": [0, 1]}},
            "fixed.strength: is sought in space as well",
        ),
        ({**PROMPTS, "fixed": {"prompt_dropout": 2}}, "prompt_dropout: 2.0 is out of range; allowed: 0 to 1"),
        ({"scenes": {"count": 3, "x": 1}}, "scenes.x: unknown key"),
        ({**PROMPTS, "sampler": "best"}, "sampler: 'best' is unknown; allowed: gp, tpe, "),
        ({**PROMPTS, "objective": []}, "objective: none; allowed: one or more, each once"),
        ({**PROMPTS, "objective": ["hps", "hps"]}, "objective: hps, hps; allowed: one or more, each once"),
        ({**PROMPTS, "objective": "sum"}, "objective.0: sum: no parts; allowed: parts with sum, min, chebyshev, "),
        ({**PROMPTS, "objective": {"name": "hps", "parts": ["hps"]}}, "objective.0: hps: parts given; allowed: "),
        ({**PROMPTS, "objective": {"name": "hps", "weights": [1]}}, "objective.0: hps: weights given; allowed: with"),
        ({**PROMPTS, "space": {"weights": [0, 1]}}, "space.weights: no feedback images are given"),
        ({**PROMPTS, "space": {"weights": [0, 2]}}, "space.weights: 0 to 2; allowed: 0 to 1"),
        ({**PROMPTS, "held_out": {"seed": 0}}, "held_out.seed: 0 is the run's; allowed: another"),
        ({**PROMPTS, "held_out": {"scenes": {}, **PROMPTS}}, "held_out.prompts, held_out.scenes: both given"),
        ({"prompts": ["a", "b", "a"]}, "prompts: 'a' is there 2 times; allowed: each prompt once"),
        ({**PROMPTS, "held_out": {"prompts": ["a", "a"]}}, "held_out.prompts: 'a' is there 2 times"),
        (
            {**PROMPTS, "held_out": {"objectives": [{"name": "clip-target", "scale": [-1, 3]}]}},
            "held_out.objectives.0: another clip-target is scored too; allowed: one objective of a name",
        ),
        (
            {**PROMPTS, "fixed": {"start": 0.5}, "space": {"end": [0.2, 1]}},
            "space.end: from 0.2; allowed: from the start, 0.5",
        ),
        (
            {**PROMPTS, "fixed": {"end": 0.5}, "space": {"start": [0, 1]}},
            "space.start: up to 1; allowed: up to the end, 0.5",
        ),
        ({**PROMPTS, "stop": {"chance": 2}}, "stop.chance: 2: Input should be less than or equal to 1"),
        ({**PROMPTS, "protocol": {"guidance": 0}}, "protocol.guidance: 0: "),
        ({**PROMPTS, "model": {"scheduler": "best"}}, "model.scheduler: 'best' is unknown; allowed: euler-a, "),
    ],
)
def test_what_is_wrong_is_named_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        check_config(values)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_short_forms() -> None:
    config = check_config({**PROMPTS, "space": {"strength": [0.1, 8, "log"], "end": {"low": 0.5, "high": 1}}})
    assert config.prompts[0].prompt == "a red star"
    assert [each.name for each in config.objective] == ["clip-target"]
    assert check_config({**PROMPTS, "objective": "hps"}).objective[0].name == "hps"
    assert check_config({**PROMPTS, "objective": ["hps", {"name": "diversity"}]}).objective[1].name == "diversity"
    assert (config.guidance, check_config({**PROMPTS, "model": {"name": "x/y"}}).guidance) == (4, 7)
    assert config.space == {
        "strength": RangeConfig(low=0.1, high=8, log=True),
        "end": RangeConfig(low=0.5, high=1),
    }


def test_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("prompts: [a red star]\ntrials: 3\n")
    assert read_config(path).trials == 3
    for text in ("prompts: [", "- a list", "\x00", 3000 * "[", "day: 2026-99-99"):
        path.write_text(text)
        with pytest.raises(ValueError, match="config: "):
            read_config(path)
    with pytest.raises(ValueError, match=r"nowhere.yaml cannot be read"):
        read_config(tmp_path / "nowhere.yaml")


def test_what_is_fixed_is_not_sought_by_default() -> None:
    everything = check_config(PROMPTS).space
    assert {"strength", "start", "end", "prompt_dropout", "guidance_scale"} <= everything.keys()
    some = check_config({**PROMPTS, "fixed": {"strength": 1, "start": 0.25}}).space
    assert some.keys() == everything.keys() - {"strength", "start"}
    assert (some["end"].low, some["end"].high) == (0.25, 1)
