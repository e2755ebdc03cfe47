"""Runs, comparisons and sessions with transformers: saved folders of tiny models with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from optuna.trial import TrialState

from experiments.cli import main
from experiments.config.family import with_family
from experiments.run.study import knobs_of, read_study
from experiments.run.trials import PARAMS
from experiments.studio.history.records import Freeze, Prompt
from experiments.studio.options import StudioOptions
from experiments.studio.session import StudioSession
from experiments.studio.web.api import PageApi
from experiments.studio.web.worker import Worker
from fabric.knobs import KNOBS
from tests.experiments.run.tiny import TINY
from tests.fabric.hosts.families import FAMILIES, save

_TINY = {name: TINY[name] for name in ("scenes", "protocol", "replicate")}
_TINY |= {"objective": {"name": "clip-target", "checkpoint": "embedded"}}
_GUIDANCE = dict(zip(FAMILIES, (3.5, 4.0, 4.5, 4.0, 4.5, 7.0), strict=True))
_SOUGHT = {"strength", "neg_scale", "start", "end", "recency", "crowding", "prompt_dropout", "guidance_scale"}


def _config(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        **_TINY,
        "model": {"name": str(folder / "model"), "device": "cpu"},
        "output": str(folder / "run"),
        **changes,
    }


@pytest.mark.slow
@pytest.mark.parametrize("family", ["FLUX.1", "Sana"])
def test_a_run_its_comparison_and_its_report(family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(family, tmp_path / "model")
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(_config(tmp_path, trials=2)))
    assert main(["optimize", str(path), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "2 steps of own" in told
    assert "bottleneck" not in told
    assert "memory     weights 0.000" in told
    assert main(["optimize", str(path)]) == 0
    study, values = read_study(tmp_path / "run")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert {trial.user_attrs[PARAMS]["guidance_scale"] for trial in study.trials} == {_GUIDANCE[family]}
    assert values["space"].keys() == _SOUGHT
    assert "bottleneck" not in knobs_of(study)
    assert main(["compare", str(tmp_path / "run")]) == 0
    assert json.loads((tmp_path / "run" / "comparison.json").read_text())["arms"]
    assert main(["report", str(tmp_path / "run")]) == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "neg_scale" in page
    assert "bottleneck" not in page


@pytest.mark.slow
@pytest.mark.parametrize("family", ["FLUX.1", "Sana"])
def test_a_session_of_the_studio(family: str, tmp_path: Path) -> None:
    save(family, tmp_path / "model")
    guidance = _GUIDANCE[family]
    options = StudioOptions(
        folder=tmp_path / "session",
        model=str(tmp_path / "model"),
        scheduler="own",
        device="cpu",
        steps=2,
        images=2,
        size=(32, 32),
        guidance=guidance,
    )
    session = StudioSession.open(options)
    assert "bottleneck" not in PageApi(session, Worker()).about()["knobs"]
    assert "bottleneck" not in session.agent.sought
    assert session.agent.sought["guidance_scale"].high <= 2 * guidance
    session.append(Prompt(rater="ann", prompt="a red star"))
    session.generate()
    with pytest.raises(ValueError, match=f"bottleneck: {family} has no such knob; allowed: strength, "):
        session.append(Freeze(rater="ann", knob="bottleneck", value=1))
    shown = session.state.rounds[0]
    assert {each.params.guidance_scale for each in shown} == {guidance}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_not_said_is_as_usual_in_the_family(family: str, tmp_path: Path) -> None:
    save(family, tmp_path / "model")
    config = with_family(_config(tmp_path))
    assert config.space.keys() == _SOUGHT
    assert (config.model.scheduler, config.guidance) == ("own", _GUIDANCE[family])
    said = {"protocol": {**TINY["protocol"], "guidance": 2.5}, "space": {"strength": [0.1, 2]}}  # type: ignore[dict-item]
    config = with_family(_config(tmp_path, **said))
    assert [*config.space] == ["strength"]
    assert config.guidance == 2.5


@pytest.mark.parametrize(
    ("family", "said", "message"),
    [
        ("FLUX.1", {"space": {"bottleneck": [0, 2]}}, "space.bottleneck: FLUX.1 has no such knob; allowed: strength, "),
        ("Sana", {"fixed": {"outer": 1}}, "fixed.outer: Sana has no such knob; allowed: strength, "),
        ("FLUX.1", {"space": {"guidance_scale": [1, 20]}}, "guidance_scale: 1 to 20; allowed: 1 to 10 with FLUX.1"),
        ("FLUX.1", {"fixed": {"guidance_scale": 12}}, "fixed: guidance_scale: 12 is out of range; allowed: 1 to 10 wi"),
        ("Sana", {"known": {"mine": {"bottleneck": 0.5}}}, "known.mine: bottleneck: 0.5 given; Sana has no such knob"),
        ("Sana", {"model_space": {"scheduler": ["own", "ddim"]}}, "model_space.scheduler: "),
        ("FLUX.1", {"scenes": None, "prompts": [{"prompt": "a", "negative_prompt": "b"}]}, "prompts.0: negative pr"),
    ],
)
def test_what_a_family_does_not_have_is_refused(
    family: str, said: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(family, tmp_path / "model")
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(_config(tmp_path, **said)))
    assert main(["optimize", str(path)]) == 2
    err = capsys.readouterr().err.strip()
    assert message in err
    assert "\n" not in err
    assert not (tmp_path / "run").exists()


def test_schnell_has_no_guidance(tmp_path: Path) -> None:
    from tests.fabric.hosts.test_flux import build

    build(guidance_embeds=False).save_pretrained(tmp_path / "model")
    config = with_family(_config(tmp_path))
    assert config.space.keys() == _SOUGHT - {"guidance_scale"}
    assert config.guidance == 1


def test_u_nets_are_as_they_were(tmp_path: Path) -> None:
    from tests.fabric.pipelines import build

    build("sd1").save_pretrained(tmp_path / "model")
    config = with_family(_config(tmp_path))
    assert config.protocol.guidance is None
    assert config.model.scheduler == "euler-a"
    assert config.space.keys() == {*_SOUGHT, "bottleneck"} <= KNOBS.keys()
