from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from fabric.generator import FabricGenerator, Request
from fabric.models import SCHEDULERS, load, locate
from tests.fabric.pipelines import LAYOUTS, build
from tests.fabric.single_file import save_single_file


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_saved_folder_generates_the_same(layout: str, tmp_path: Path) -> None:
    pipe = build(layout)
    pipe.save_pretrained(tmp_path)
    loaded = load(str(tmp_path))
    assert type(loaded) is type(pipe)
    request = [Request("a red star", 1)]
    torch.testing.assert_close(
        FabricGenerator(loaded)(request, 2).images, FabricGenerator(pipe)(request, 2).images, rtol=0, atol=1e-4
    )


def test_the_embedded_model_is_the_default() -> None:
    pipe = load(scheduler="ddim", dtype="bfloat16", device="cpu")
    assert pipe.unet.dtype == torch.bfloat16
    assert type(pipe.scheduler) is SCHEDULERS["ddim"][0]
    assert Path(locate("embedded"), "model_index.json").exists()
    assert locate("owner/model") == "owner/model"


def test_a_single_file_generates_the_same(tmp_path: Path) -> None:
    pipe = build("sd1")
    pipe.save_pretrained(tmp_path / "folder")
    save_single_file(pipe, tmp_path / "model.safetensors")
    for weights in (tmp_path / "folder").rglob("*.safetensors"):
        weights.unlink()  # the configuration alone is left
    loaded = load(str(tmp_path / "model.safetensors"), config=str(tmp_path / "folder"))
    request = Request("a red star at night", 1)
    assert torch.equal(FabricGenerator(loaded)([request], 2).images, FabricGenerator(pipe)([request], 2).images)


def test_models_for_other_tasks_are_refused(tmp_path: Path) -> None:
    pipe = build("sd1")
    pipe.unet = UNet2DConditionModel.from_config(pipe.unet.config, in_channels=9)
    pipe.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"takes 9 channels, 4 are from text to image .* supported: text to image"):
        load(str(tmp_path))


def test_a_broken_folder_is_named(tmp_path: Path) -> None:
    build("sd1").save_pretrained(tmp_path)
    weights = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"model: .* cannot be read"):
        load(str(tmp_path))
    weights.unlink()
    with pytest.raises(ValueError, match=r"model: .* cannot be read"):
        load(str(tmp_path))


def test_loras_act_by_their_scale(tmp_path: Path) -> None:
    pipe = build("sd1")
    pipe.save_pretrained(tmp_path / "model")
    pipe.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False), "one")
    from peft.utils import get_peft_model_state_dict

    layers = get_peft_model_state_dict(pipe.unet, adapter_name="one")
    path = tmp_path / "lora.safetensors"
    save_file({f"unet.{name}": tensor.contiguous() * 20 for name, tensor in layers.items()}, path)

    def image(*loras: tuple[str, float]) -> torch.Tensor:
        fabric = FabricGenerator(load(str(tmp_path / "model"), loras=loras))
        return fabric([Request("a red star", 1)], 2).images

    plain, half, full = image(), image((str(path), 0.5)), image((str(path), 1.0))
    torch.testing.assert_close(image((str(path), 0.0)), plain)
    assert (half - plain).abs().max() > 1e-3
    assert (full - half).abs().max() > 1e-3
    with pytest.raises(ValueError, match=r"lora: .*nowhere.safetensors does not exist"):
        image((str(tmp_path / "nowhere.safetensors"), 1.0))


def test_bad_models_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    (tmp_path / "junk.safetensors").write_text("junk")
    save_file({"lora_unet_x": torch.zeros(1)}, tmp_path / "part.safetensors")
    for name, message in (
        (tmp_path / "empty", r"holds no model \(no model_index.json\)"),
        (tmp_path / "other", r"architecture FluxPipeline; supported: StableDiffusionPipeline, StableDiffusionXL"),
        (tmp_path / "junk.safetensors", "is no safetensors file"),
        (tmp_path / "part.safetensors", "architecture unknown"),
        (tmp_path / "none.safetensors", "does not exist"),
        (tmp_path / "old.ckpt", "may run code"),
        (tmp_path / "nowhere", "is no folder"),
    ):
        with pytest.raises(ValueError, match=message):
            load(str(name))
    with pytest.raises(ValueError, match=r"dtype: 'int8' is unknown"):
        load(dtype="int8")
    with pytest.raises(ValueError, match=r"device: 'tpu' cannot be used here"):
        load(device="tpu")
    with pytest.raises(ValueError, match=r"scheduler: 'best' is unknown"):
        load(scheduler="best")


@pytest.mark.parametrize("part", ["text_encoder", "unet", "vae"])
def test_weights_are_those_of_the_files(part: str) -> None:
    """Transformers fills what it does not find with random numbers, and only warns of it."""
    loaded = getattr(load("embedded", device="cpu"), part).state_dict()
    (path,) = (Path(locate("embedded")) / part).glob("*.safetensors")
    kept = load_file(path)
    assert len(kept) > 50
    for name, values in kept.items():
        found = loaded[name] if name in loaded else loaded[f"text_model.{name}"]
        assert torch.equal(found, values), name
