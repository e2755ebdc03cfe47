from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fabric.generator import FabricGenerator
from fabric.models import load
from fabric.outline import Outline
from tests.fabric.hosts.families import FAMILIES, save
from tests.fabric.hosts.laws import STEPS, A, B, HostLaws
from tests.fabric.pipelines import build
from tests.fabric.single_file import save_single_file


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_forecast_without_weights_is_what_is_taken(family: str, dtype: str, tmp_path: Path) -> None:
    save(family, tmp_path)
    kept = FabricGenerator(load(str(tmp_path), device="cpu", dtype=dtype))
    requests = [HostLaws().request(params=FAMILIES[family]().params, liked=(A, B))]
    kept(requests, STEPS, (32, 32))
    modules = [part for part in kept.pipeline.components.values() if isinstance(part, torch.nn.Module)]
    for weights in tmp_path.rglob("*.safetensors"):
        weights.unlink()
    outline = Outline(str(tmp_path), "cpu", dtype)
    assert outline.host.knobs == kept.host.knobs
    assert outline.host.native_size == kept.native_size
    assert FabricGenerator(outline.host.pipeline).bank_bytes(requests, STEPS, (32, 32)) == kept.bank.bytes
    tensors = [tensor for part in modules for tensor in (*part.parameters(), *part.buffers())]
    assert outline.weight_bytes == sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def test_of_a_single_file_the_configuration_is_read(tmp_path: Path) -> None:
    pipe = build("sd1")
    pipe.save_pretrained(tmp_path / "folder")
    save_single_file(pipe, tmp_path / "model.safetensors")
    outline = Outline(str(tmp_path / "model.safetensors"), "cpu", config=str(tmp_path / "folder"))
    assert outline.scheduler == "euler-a"
    assert outline.host.native_size == FabricGenerator(pipe).native_size
    with pytest.raises(ValueError, match=r"model: .*model.safetensors cannot be read \(.*stable-diffusion-v1-5"):
        Outline(str(tmp_path / "model.safetensors"), "cpu")  # whose configuration is on the hub
