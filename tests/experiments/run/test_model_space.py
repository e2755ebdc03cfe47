"""Schedulers and LoRA scales as something that is sought."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from PIL import Image

from experiments.cli import main
from experiments.config.parts import ModelConfig, ModelSpaceConfig, RangeConfig
from experiments.config.read import check_config
from experiments.config.setting import Setting, model_state, read_settings
from experiments.run.cached_generator import CachedGenerator
from experiments.run.model_space import ModelSpace
from experiments.run.optimize import read_run
from experiments.run.protocol import Protocol
from experiments.run.space import Space
from fabric.generator import FabricGenerator, Request
from fabric.models import load, locate
from fabric.params import FabricParams, preset
from tests.experiments.run.commands import whole_run

PROTOCOL = Protocol(rounds=1, images=1, steps=4, size=(32, 32), batch=2, guidance=4)
PLAIN = PROTOCOL.plain


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A LoRA of the embedded model, of random weights."""
    folder = tmp_path_factory.mktemp("lora")
    pipe = StableDiffusionPipeline.from_pretrained(locate("embedded"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pipe.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False), "one")
    layers = get_peft_model_state_dict(pipe.unet, adapter_name="one")
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=layers, weight_name="style.safetensors")
    return str(folder / "style.safetensors")


def _bytes(generator: CachedGenerator, *settings: FabricParams) -> list[bytes]:
    return [made.image.tobytes() for made in generator([Request("a red star", 0, params) for params in settings])]


def test_every_setting_gets_its_scheduler_and_the_model_keeps_its_own() -> None:
    def alone(scheduler: str) -> bytes:
        return _bytes(CachedGenerator(FabricGenerator(load(scheduler=scheduler)), PROTOCOL), PLAIN)[0]

    generator = CachedGenerator(FabricGenerator(load(scheduler="euler-a")), PROTOCOL)
    settings = [Setting(**PLAIN.to_dict(), scheduler=name) for name in ("ddim", "dpm++2m", "ddim")]
    found = _bytes(generator, settings[0], PLAIN, *settings[1:])
    assert found == [alone("ddim"), alone("euler-a"), alone("dpm++2m"), alone("ddim")]
    assert len(set(found)) == 3
    assert _bytes(generator, PLAIN) == [found[1]]


def test_every_setting_gets_its_scale_of_a_lora(lora: str) -> None:
    def alone(scale: float) -> bytes:
        return _bytes(CachedGenerator(FabricGenerator(load(loras=[(lora, scale)])), PROTOCOL), PLAIN)[0]

    generator = CachedGenerator(FabricGenerator(load(loras=[(lora, 0.5)])), PROTOCOL, {lora: 0.5})
    scaled = [Setting(**PLAIN.to_dict(), loras={lora: scale}) for scale in (1.0, 0.0)]
    found = _bytes(generator, scaled[0], PLAIN, scaled[1])
    assert found == [alone(1.0), alone(0.5), alone(0.0)]
    assert len(set(found)) == 3


def test_what_is_sought_of_the_model_survives_and_else_is_as_it_was() -> None:
    sought = ModelSpaceConfig(scheduler=("ddim", "euler-a"), loras=RangeConfig(low=0, high=1))
    model = ModelConfig(scheduler="euler-a", loras={"a": 0.5, "b": 3.0})
    space = Space({"strength": RangeConfig(low=0, high=8)}, FabricParams(), (), [ModelSpace(sought, model)])
    assert list(space.distributions) == ["strength", "scheduler", "lora a", "lora b"]
    setting = Setting(strength=2.0, scheduler="ddim", loras={"a": 0.25, "b": 0.75})
    assert space.params(space.values(setting)) == setting
    assert space.values(preset("official", 8)) == {
        "strength": 1.0,
        "scheduler": "euler-a",
        "lora a": 0.5,
        "lora b": 1.0,
    }
    assert read_settings(setting.to_dict()) == setting
    assert type(read_settings(FabricParams().to_dict())) is FabricParams
    assert FabricParams.from_dict(Setting(strength=2.0).to_dict()) == FabricParams(strength=2.0)


@pytest.mark.slow
@pytest.mark.xdist_group("optimize")
def test_a_run_finds_scheduler_and_scale_and_generate_uses_them(
    lora: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = whole_run(
        tmp_path,
        prompts=["a red star"],
        model={"loras": {lora: 0.5}},
        model_space={"scheduler": ["euler-a", "ddim"], "loras": [0, 1]},
        held_out={"prompts": ["a blue ring"]},
        trials=8,
    )
    page = (folder / "report.html").read_text()
    assert "Searched among euler-a, ddim." in page
    assert "style: " in page
    tried = {trial.params["scheduler"] for trial in read_run(folder).study.trials}
    assert tried == {"euler-a", "ddim"}
    state = model_state(read_run(folder).recommended()[1])
    assert state.scheduler in tried
    made = ["generate", "a red star", "--params", str(folder / "best.yaml"), "--steps", "2", "--output"]
    assert main(["--quiet", *made, str(tmp_path / "images")]) == 0
    with Image.open(next((tmp_path / "images").glob("*.png"))) as picture:
        facts = json.loads(picture.text["fabric"])  # type: ignore[attr-defined]
    assert facts["scheduler"] == state.scheduler
    assert dict(facts["loras"])[lora] == pytest.approx(dict(state.loras)[lora])
    assert "scheduler" not in facts["params"]
    capsys.readouterr()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scheduler": ["ddim"]}, "model_space.scheduler: ddim; allowed: two or more, each once"),
        ({"scheduler": ["ddim", "best"]}, "model_space.scheduler: 'best' is unknown; allowed: euler-a, "),
        ({"scheduler": ["ddim", "lms"]}, "model_space.scheduler: euler-a is not among them; allowed: the model's"),
        ({"loras": [0, 1]}, "model_space.loras: given without LoRAs; allowed: with model.loras"),
        ({"loras": [0, 9]}, "model_space.loras: 0 to 9; allowed: -2 to 2"),
        ({"steps": [1, 2]}, "model_space.steps: unknown key"),
    ],
)
def test_what_cannot_be_sought_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        check_config({"prompts": ["a star"], "model_space": values})
