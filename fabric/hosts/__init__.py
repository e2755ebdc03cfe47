"""Families of models, a short file each; see CONTRIBUTING.md for how to add one."""

from __future__ import annotations

from diffusers import DiffusionPipeline

from fabric.hosts.base import Host, core_of
from fabric.hosts.flux import FluxHost
from fabric.hosts.flux2 import Flux2Host
from fabric.hosts.pixart import PixArtHost
from fabric.hosts.qwen import QwenImageHost
from fabric.hosts.sana import SanaHost
from fabric.hosts.sd3 import SD3Host
from fabric.hosts.unet import UNetHost

FAMILIES: tuple[type[Host], ...] = (UNetHost, PixArtHost, SD3Host, FluxHost, Flux2Host, QwenImageHost, SanaHost)


def host_of(pipeline: DiffusionPipeline) -> Host:
    """A pipeline as FABRIC sees it.

    Raises:
        ValueError: it is of no known family, or has layers that references cannot be shown to.
    """
    for family in FAMILIES:
        if isinstance(core_of(pipeline, family.part), family.kind) and hasattr(pipeline, "encode_prompt"):
            return family(pipeline)
    core = core_of(pipeline, "transformer")
    what = type(pipeline).__name__ + ("" if core is None else f" with {type(core).__name__}")
    known = "; ".join(family.family for family in FAMILIES)
    raise ValueError(f"pipeline: {what} is of no known family; allowed: {known}")
