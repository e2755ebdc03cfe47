from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import AuraFlowTransformer2DModel

from fabric.generator import FabricGenerator, Request
from fabric.hosts import FAMILIES as HOSTS
from fabric.hosts import host_of
from fabric.model_files import SUPPORTED
from fabric.models import load, set_scheduler
from fabric.outline import Outline
from fabric.params import FabricParams
from tests.fabric.hosts.families import FAMILIES, save
from tests.fabric.hosts.laws import A, B
from tests.fabric.hosts.tiny import SIDE


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_folder_generates_the_same(family: str, tmp_path: Path) -> None:
    pipe, loaded = save(family, tmp_path), load(str(tmp_path), device="cpu")
    assert type(loaded) is type(pipe)
    assert type(loaded).__name__ in SUPPORTED
    assert host_of(loaded).family == family
    request = Request("a red star", 1, FabricParams(guidance_scale=3), (A,), (B,))
    images = [FabricGenerator(each)([request], 2, (SIDE, SIDE)).images for each in (loaded, pipe)]
    torch.testing.assert_close(*images, rtol=0, atol=1e-4)


def test_every_family_is_admitted() -> None:
    assert {host.family for host in HOSTS if host.part == "transformer"} == {*FAMILIES}


def test_models_of_flow_matching_keep_their_scheduler(tmp_path: Path) -> None:
    pipe = save("Sana", tmp_path)
    message = "scheduler: 'euler-a' is not for Sana, which flow matching trained; allowed: own"
    for refused in (lambda: set_scheduler(pipe, "euler-a"), lambda: load(str(tmp_path), scheduler="euler-a")):
        with pytest.raises(ValueError, match=message):
            refused()
    set_scheduler(pipe, "own")
    assert load(str(tmp_path), scheduler="own").scheduler.config.use_flow_sigmas


def test_other_schedulers_of_pixart(tmp_path: Path) -> None:
    save("PixArt-alpha and -Sigma", tmp_path)
    fabric = FabricGenerator(load(str(tmp_path), scheduler="euler-a"))
    request = Request("a red star", 1, FabricParams(guidance_scale=3), (A,))
    assert torch.isfinite(fabric([request], 2, (SIDE, SIDE)).images).all()


def test_missing_weights_of_a_transformer_are_named(tmp_path: Path) -> None:
    pipe = save("FLUX.1", tmp_path)
    del pipe.text_encoder_2.encoder.final_layer_norm.weight
    pipe.text_encoder_2.save_pretrained(tmp_path / "text_encoder_2")
    with pytest.raises(ValueError, match=r"lacks weights of its text_encoder_2: encoder.final_layer_norm.weight"):
        load(str(tmp_path))


def test_an_unknown_family_is_told_which_there_are(tmp_path: Path) -> None:
    pipe = save("Sana", tmp_path)
    pipe.transformer = AuraFlowTransformer2DModel(
        num_mmdit_layers=1, num_single_dit_layers=1, attention_head_dim=4, num_attention_heads=2
    )
    families = r".*Stable Diffusion 1\.x, .*; PixArt.*; Stable Diffusion 3.x; FLUX\.1; FLUX\.2 klein; Qwen-Image; Sana"
    with pytest.raises(ValueError, match=f"with AuraFlowTransformer2DModel is of no known family; allowed: {families}"):
        host_of(pipe)
    index = json.loads((tmp_path / "model_index.json").read_text())
    (tmp_path / "model_index.json").write_text(json.dumps({**index, "_class_name": "AuraFlowPipeline"}))
    with pytest.raises(ValueError, match=r"is of architecture AuraFlowPipeline; supported: Stable.*, SanaPipeline"):
        load(str(tmp_path))


def test_a_transformer_in_a_file_of_its_own_with_the_rest_of_its_model(tmp_path: Path) -> None:
    pipe, file = save("FLUX.1", tmp_path / "whole"), tmp_path / "transformer.safetensors"
    (tmp_path / "whole" / "transformer" / "diffusion_pytorch_model.safetensors").rename(file)
    loaded = load(str(file), config=str(tmp_path / "whole"), device="cpu")
    request = Request("a red star", 1, FabricParams(guidance_scale=3), (A,))
    images = [FabricGenerator(each)([request], 2, (SIDE, SIDE)).images for each in (loaded, pipe)]
    torch.testing.assert_close(*images, rtol=0, atol=1e-4)
    assert Outline(str(file), "cpu", config=str(tmp_path / "whole")).host.family == "FLUX.1"
    with pytest.raises(ValueError, match=r"holds no whole Stable Diffusion .*; allowed: with a configuration"):
        load(str(file))
    save("PixArt-alpha and -Sigma", tmp_path / "pixart")
    with pytest.raises(ValueError, match="PixArtAlphaPipeline is not read from a transformer's file"):
        load(str(file), config=str(tmp_path / "pixart"))
