from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import yaml

from experiments.commands.run_arguments import add_optimize
from experiments.config.flags import config_of
from experiments.config.parts import RangeConfig
from experiments.config.schema import RunConfig


def _config(*words: str) -> RunConfig:
    parser = argparse.ArgumentParser()
    add_optimize(parser)
    return config_of(parser.parse_args(words))


def test_flags_alone_are_a_configuration() -> None:
    config = _config(
        *("--prompt", "a red star", "a moon", "--target", "star.png", "--liked", "a.png", "b.png"),
        *("--objective", "clip-target", "diversity", "--space", "strength=0.1:8:log", "neg_scale=0:2"),
        *(
            "--fix",
            "guidance_scale=5",
            "--trials",
            "7",
            "--steps",
            "9",
            "--minutes",
            "2.5",
            "--set",
            "protocol.batch=3",
        ),
    )
    assert [task.prompt for task in config.prompts] == ["a red star", "a moon"]
    assert config.prompts[1].targets == (Path("star.png"),)
    assert config.prompts[1].liked == (Path("a.png"), Path("b.png"))
    assert [each.name for each in config.objective] == ["clip-target", "diversity"]
    assert config.space["strength"] == RangeConfig(low=0.1, high=8, log=True)
    assert config.fixed == {"guidance_scale": 5}
    assert (config.trials, config.protocol.steps, config.protocol.batch, config.stop.minutes) == (7, 9, 3, 2.5)


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({"scenes": {"count": 3, "seed": 5}, "trials": 9, "seed": 2}))
    config = _config(str(path), "--trials", "4", "--scenes", "2", "--sampler", "tpe", "--set", "model.scheduler=ddim")
    assert config.scenes is not None
    assert (config.scenes.count, config.scenes.seed) == (2, 5)
    assert (config.trials, config.seed, config.sampler, config.model.scheduler) == (4, 2, "tpe", "ddim")
    assert _config(str(path), "--prompt", "x").scenes is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "prompts, scenes: neither given"),
        (("--target", "a.png"), "target, liked, disliked: belong to --prompt"),
        (("--prompt", "x", "--space", "strength"), "space: 'strength' is not NAME=LOW:HIGH"),
        (("--prompt", "x", "--space", "strength=1:2:lin"), "space: 'strength=1:2:lin' is not NAME=LOW:HIGH"),
        (("--prompt", "x", "--space", "strength=a:b"), "space: 'strength=a:b' is not NAME=LOW:HIGH"),
        (("--prompt", "x", "--fix", "strength"), "fix: 'strength' is not NAME=VALUE"),
        (("--prompt", "x", "--set", "protocol.stepz=3"), "protocol.stepz: unknown key"),
        (("--prompt", "x", "--set", "trials.x=3"), "trials"),
        (("--prompt", "x", "--steps", "0"), "protocol.steps: 0: "),
        (("nowhere.yaml",), "config: nowhere.yaml cannot be read"),
    ],
)
def test_what_is_wrong_is_named(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=r"^" + message.replace(".", r"\.")):
        _config(*words)
