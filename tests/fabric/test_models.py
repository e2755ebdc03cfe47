from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from fabric.encoding import Pipeline
from fabric.generator import FabricGenerator, Request
from fabric.models import SCHEDULERS, load, locate
from tests.fabric.pipelines import LAYOUTS, build
from tests.fabric.single_file import save_single_file


def _channels_last(pipe: Pipeline) -> None:
    """As `load` lays models out on the CPU: sums are rounded otherwise there."""
    for part in (pipe.unet, pipe.vae):
        part.to(memory_format=torch.channels_last)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_saved_folder_generates_the_same(layout: str, tmp_path: Path) -> None:
    pipe = build(layout)
    pipe.save_pretrained(tmp_path)
    loaded = load(str(tmp_path))
    assert type(loaded) is type(pipe)
    _channels_last(pipe)
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
    _channels_last(pipe)
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "lost"),
    [
        ("unet", ["mid_block.resnets.0.conv1.weight"]),
        ("vae", ["decoder.conv_in.bias"]),
        ("text_encoder", ["encoder.layers.0.mlp.fc1.weight"]),
        ("text_encoder", [f"encoder.layers.0.layer_norm{k}.{what}" for k in (1, 2) for what in ("bias", "weight")]),
    ],
)
def test_missing_weights_are_named_and_not_made_up(part: str, lost: list[str], tmp_path: Path) -> None:
    shutil.copytree(locate("embedded"), tmp_path / "model")
    (file,) = (tmp_path / "model" / part).glob("*.safetensors")
    weights = load_file(file)
    for name in lost:
        del weights[name if name in weights else f"text_model.{name}"]
    save_file(weights, file, metadata={"format": "pt"})
    shown = ", ".join(lost[:3]) + (" and 1 more" if len(lost) == 4 else "")
    with pytest.raises(ValueError, match=rf"^model: {tmp_path}/model lacks weights of its {part}: {shown}$"):
        load(str(tmp_path / "model"), device="cpu")


def test_weights_of_another_shape_are_named(tmp_path: Path) -> None:
    shutil.copytree(locate("embedded"), tmp_path / "model")
    (file,) = (tmp_path / "model" / "text_encoder").glob("*.safetensors")
    weights = load_file(file)
    weights["embeddings.token_embedding.weight"] = weights["embeddings.token_embedding.weight"][1:]
    save_file(weights, file, metadata={"format": "pt"})
    said = r"lacks weights of its text_encoder: embeddings.token_embedding.weight \(of another shape\)$"
    with pytest.raises(ValueError, match=said):
        load(str(tmp_path / "model"), device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("model.diffusion_model.out.2.bias", "lacks weights of its unet or vae$"),
        ("first_stage_model.decoder.conv_in.bias", "lacks weights of its unet or vae$"),
        (
            "cond_stage_model.transformer.text_model.encoder.layers.0.layer_norm1.bias",
            "lacks weights of its text_encoder: encoder.layers.0.layer_norm1.bias$",
        ),
        ("first_stage_model.", r"cannot be read \(.*missing in the checkpoint"),
    ],
)
def test_missing_weights_of_a_single_file_are_said(lost: str, said: str, tmp_path: Path) -> None:
    pipe = build("sd1")
    pipe.save_pretrained(tmp_path / "folder")
    file = tmp_path / "model.safetensors"
    save_single_file(pipe, file)
    save_file({name: tensor for name, tensor in load_file(file).items() if not name.startswith(lost)}, file)
    with pytest.raises(ValueError, match=rf"^model: {file} {said}"):
        load(str(file), config=str(tmp_path / "folder"), device="cpu")


def test_shards_are_read_and_missed(tmp_path: Path) -> None:
    pipe = build("sdxl")
    pipe.save_pretrained(tmp_path, max_shard_size="100KB")
    assert len(list((tmp_path / "text_encoder_2").glob("*.safetensors"))) > 1
    request = [Request("a red star", 1)]
    loaded = FabricGenerator(load(str(tmp_path), device="cpu"))
    torch.testing.assert_close(loaded(request, 2).images, FabricGenerator(pipe)(request, 2).images, rtol=0, atol=1e-4)
    for part in ("text_encoder_2", "unet"):
        last = max((tmp_path / part).glob("*.safetensors"))
        whole = last.read_bytes()
        weights = load_file(last)
        name, _ = weights.popitem()
        save_file(weights, last, metadata={"format": "pt"})
        with pytest.raises(ValueError, match=rf"lacks weights of its {part}: {name}$"):
            load(str(tmp_path), device="cpu")
        last.write_bytes(whole)


def test_a_model_of_the_hub_is_read_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "models--owner--tiny"
    shutil.copytree(locate("embedded"), kept / "snapshots" / "0")
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("0")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    request = [Request("a red star", 1)]
    loaded = FabricGenerator(load("owner/tiny", device="cpu"))
    assert torch.equal(loaded(request, 2).images, FabricGenerator(load(device="cpu"))(request, 2).images)
    (kept / "snapshots" / "0" / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"^model: owner/tiny cannot be read"):
        load("owner/tiny", device="cpu")


@pytest.mark.slow
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
    (tmp_path / "other" / "model_index.json").write_text(json.dumps({"_class_name": "AuraFlowPipeline"}))
    (tmp_path / "junk.safetensors").write_text("junk")
    save_file({"lora_unet_x": torch.zeros(1)}, tmp_path / "part.safetensors")
    for name, message in (
        (tmp_path / "empty", r"holds no model \(no model_index.json\)"),
        (tmp_path / "other", r"architecture AuraFlowPipeline; supported: StableDiffusionPipeline, StableDiffusionXL"),
        (tmp_path / "junk.safetensors", "is no safetensors file"),
        (
            tmp_path / "part.safetensors",
            "holds no whole Stable Diffusion 1.x, 2.x or XL .*; allowed: with",
        ),
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
