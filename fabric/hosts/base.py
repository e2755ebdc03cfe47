"""What differs between families of models, and nothing else: a pipeline as FABRIC sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
from diffusers import DiffusionPipeline, SchedulerMixin
from torch import Tensor, nn

from fabric.codec import decoded, scaled_latents, upcast
from fabric.encoding import Text
from fabric.images import FeedbackImage
from fabric.knobs import KNOBS, Knob
from fabric.noise_level import FlowMatching, NoiseLevels, VariancePreserving
from fabric.params import FabricParams
from fabric.plan import Role
from fabric.processor import Layer
from fabric.projector import Projector
from fabric.version import model_version

_MOST_TOLD = 10.0  # models that are told their guidance were distilled with less
_TOLD = "Guidance that the model is told of, and imitates without an unconditional pass."
_OF_TOLD = "More follows the prompt more closely; too much of it spoils colours and shapes."


class Call(NamedTuple):
    """A call of the model by a pipeline.

    Attributes:
        arguments: by the names of the model's parameters.
        name: that the pipeline gives it by `cache_context`, "cond" or "uncond"; None where it gives none.
    """

    arguments: Mapping[str, Any]
    name: str | None = None


class Host(ABC):
    """A pipeline of one family; subclasses say what differs.

    Args:
        pipeline: left as it is; processors are exchanged only within `fabric.hook.attached`.

    Raises:
        ValueError: it is of another family, or has layers that references cannot be shown to.

    Attributes:
        family: name in messages.
        part: of the pipeline that denoises.
        kind: its class.
        sample: name of the argument that the latents are.
        projector: of its layers.
        flow: whether it was trained by flow matching; else it preserves variance.
        absent: knobs that the family does not have.
        guidance: usual strength of the guidance.
        classifier_free: whether guidance is by an unconditional pass; else the model is told its strength, or has none.
        level: noise of references as a fraction of the training timesteps, where each step's own would be too large a
            bank; None for each step's.
        says_guidance: whether its pipelines say before a call whether an unconditional one is to come.
        guided: where they do not, whether one is; whoever calls them says so.
        layers: in which references can be seen, by the names of their processors, in the order of a call.
    """

    family: ClassVar[str]
    part: ClassVar[str] = "transformer"
    kind: ClassVar[type[Any]]
    sample: ClassVar[str] = "hidden_states"
    projector: ClassVar[Projector] = Projector()
    flow: ClassVar[bool] = False
    level: ClassVar[float | None] = None
    absent: tuple[str, ...] = ()
    guidance: float = KNOBS["guidance_scale"].default
    classifier_free: bool = True
    says_guidance: ClassVar[bool] = True
    guided: bool = False

    def __init__(self, pipeline: DiffusionPipeline) -> None:
        self.pipeline = pipeline
        self.core = core_of(pipeline, self.part)
        self.layers = self.find_layers()

    @property
    def knobs(self) -> dict[str, Knob]:
        """Knobs that the family has, by name, with its ranges, defaults and explanations; see `absent`."""
        guidance = replace(KNOBS["guidance_scale"], default=self.guidance)
        if not self.classifier_free:
            guidance = replace(guidance, high=_MOST_TOLD, meaning=_TOLD, effect=_OF_TOLD)
        return {name: knob for name, knob in {**KNOBS, guidance.name: guidance}.items() if name not in self.absent}

    # What families say

    @abstractmethod
    def find_layers(self) -> dict[str, Layer]:
        """See `layers`."""

    @abstractmethod
    def tokens(self, layer: Layer, size: tuple[int, int]) -> int:
        """Tokens of the image in a layer, for images of a height and width in pixels."""

    @abstractmethod
    def told(self, texts: Sequence[Text], size: tuple[int, int], device: torch.device) -> dict[str, Any]:
        """What the model is told of prompts, a row each, as arguments of `arguments`.

        Args:
            texts: them.
            size: height and width of the images in pixels.
            device: that the models run on.
        """

    @abstractmethod
    def arguments(
        self,
        sample: Tensor,
        timestep: Tensor,
        told: Mapping[str, Any],
        guidance: Sequence[float],
        size: tuple[int, int],
    ) -> dict[str, Any]:
        """Arguments of the model.

        Args:
            sample: N latents.
            timestep: as the scheduler counts.
            told: of `told`, N rows.
            guidance: N scales, for models that are told them.
            size: height and width of the images in pixels.
        """

    @abstractmethod
    def reference_arguments(
        self, noisy: Tensor, clean: Tensor, timestep: float, size: tuple[int, int], call: Call
    ) -> dict[str, Any]:
        """Arguments of the pass that records references: those of the call that they are for, with the empty prompt.

        Args:
            noisy: N noised references.
            clean: their latents.
            timestep: that the model is told.
            size: height and width of the images in pixels.
            call: that they are for.
        """

    @abstractmethod
    def roles(self, call: Call) -> tuple[Role, ...]:
        """What the samples of a call are for."""

    @property
    @abstractmethod
    def native_size(self) -> tuple[int, int]:
        """Height and width that the model was trained on, in pixels."""

    def predict(self, arguments: Mapping[str, Any]) -> Tensor:
        """What the model predicts of noise or velocity."""
        return self.model(**arguments, return_dict=False)[0]

    def guide(self, unconditional: Tensor, conditional: Tensor, scale: Tensor) -> Tensor:
        """Classifier-free guidance of answers as the pipeline has it; `scale` has an axis for each of theirs."""
        return unconditional + scale * (conditional - unconditional)

    def timestep(self, call: Call) -> float:
        """Timestep of a call as the scheduler counts."""
        return float(torch.as_tensor(call.arguments["timestep"]).flatten()[0])

    def grid(self, call: Call) -> tuple[int, int]:
        """Height and width of a call's latents, as the codec makes them."""
        height, width = call.arguments[self.sample].shape[-2:]
        return height, width

    def image_tokens(self, call: Call) -> int | None:
        """See `LayerCall`."""
        return None

    def positions(self, call: Call) -> Any:
        """Positions of references, where a layer's keys are told them; the same for all references of an image.

        References that differed in position would not be worth two halves of one (law 3).
        """
        return None

    def pack(self, latents: Tensor) -> Tensor:
        """Latents B x c x h x w as the model takes them."""
        return latents

    def unpack(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        """The reverse of `pack` for images of a height and width in pixels."""
        return latents

    def start(self, scheduler: Any, steps: int, size: tuple[int, int], device: torch.device) -> None:
        """Sets a scheduler's timesteps."""
        scheduler.set_timesteps(steps, device=device)

    @property
    def multiple(self) -> int:
        """What height and width in pixels are multiples of."""
        return self.pipeline.vae_scale_factor

    @property
    def channels(self) -> int:
        """Of the latents."""
        return self.core.config.in_channels

    @property
    def latent_dtype(self) -> torch.dtype:
        """In which latents are denoised."""
        return self.core.dtype

    def encode(self, pixels: Tensor) -> Tensor:
        """What the codec's encoder finds, its mean."""
        return self.pipeline.vae.encode(pixels).latent_dist.mean

    def decode_few(self, latents: Tensor) -> Tensor:
        """What the codec makes of its latents."""
        return self.pipeline.vae.decode(latents).sample

    @property
    def codec_channels(self) -> int:
        """Of the latents that the codec makes."""
        return self.pipeline.vae.config.latent_channels

    # The same for all

    @property
    def model(self) -> nn.Module:
        """What the pipeline calls."""
        return getattr(self.pipeline, self.part)

    @property
    def device(self) -> torch.device:
        """Where the models run, wherever they lie between; milliseconds to find out."""
        return torch.device(self.pipeline._execution_device)

    @property
    def may_break_off(self) -> bool:
        """Whether a call of the model may end in its middle: it is not compiled, and nothing waits for parts of it."""
        parts = (part for part in self.core.modules() if part is not self.core)
        return self.model is self.core and not any(
            "forward" in vars(part) or part._forward_hooks or part._compiled_call_impl for part in parts
        )

    @property
    def version(self) -> tuple[object, ...]:
        """What references depend on besides the picture: weights, adapters and their scales, dtypes."""
        return (model_version(self.core), model_version(self.pipeline.vae), *encoder_versions(self.pipeline))

    def noise_levels(self, scheduler: SchedulerMixin) -> NoiseLevels:
        """How much noise the model expects.

        Raises:
            ValueError: that is not known of the scheduler.
        """
        return FlowMatching.of(scheduler) if self.flow else VariancePreserving.of(scheduler)

    def latents(self, image: FeedbackImage, size: tuple[int, int], device: torch.device) -> Tensor:
        """A picture's latents, the mean of what the codec's encoder finds, as the model takes them; 1 x ...."""
        vae = self.pipeline.vae
        with upcast(vae) as dtype:
            found = self.encode(image.pixels(*size)[None].to(device, dtype))
        return self.pack(scaled_latents(vae.config, found).to(self.core.dtype))

    def decode(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        """Images of latents as the model has them, float32 on the CPU."""
        return self.images(self.unpack(latents, size))

    def images(self, latents: Tensor) -> Tensor:
        """Images of latents as the codec makes them, float32 on the CPU; few large ones at once, to save memory."""
        return decoded(self.pipeline.vae, latents, self.decode_few)

    @property
    def usual_layers(self) -> range:
        """In which references are seen where nothing is said, by their places in `layers`."""
        return range(len(self.layers))

    def seen(self, layers: range, *, outer: bool) -> list[Layer]:
        """Layers in which references are seen.

        Args:
            layers: places in `layers`.
            outer: with the outermost layers.
        """
        chosen = [*self.layers.values()][layers.start : layers.stop]
        return [layer for layer in chosen if outer or not layer.outermost]

    def kept_bytes(self, size: tuple[int, int], layers: range, *, outer: bool) -> int:
        """What one reference at one level of noise takes in the bank.

        Args:
            size: height and width of the images in pixels.
            layers: see `seen`, as the next.
            outer: with the outermost layers.
        """
        return sum(
            self.projector.kept_bytes(self.module_of(layer), self.tokens(layer, size), self.core.dtype)
            for layer in self.seen(layers, outer=outer)
        )

    def module_of(self, layer: Layer) -> Any:
        """The attention module whose processor a layer is."""
        return self.core.get_submodule(layer.name.removesuffix(".processor"))

    def scaled(self, scheduler: Any, latents: Tensor, timestep: Tensor) -> Tensor:
        """Latents of a scheduler as the model takes them."""
        return latents if self.flow else scheduler.scale_model_input(latents, timestep)

    def scaled_noise(self, scheduler: Any, drawn: Tensor) -> Tensor:
        """Normal noise as latents to start from."""
        return drawn if self.flow else drawn * scheduler.init_noise_sigma

    def cut_words(self, prompt: str) -> str:
        """What of a prompt is beyond the tokens that the text encoder takes, as far as that is known."""
        return ""

    def check_negative(self, prompt: str) -> None:
        """Raises `ValueError` where there is a prompt for an unconditional pass and no such pass."""
        if prompt and not self.classifier_free:
            raise ValueError(f"negative prompt: {prompt!r}; {self.family} has no unconditional pass; allowed: none")

    def check(self, params: FabricParams, images: Iterable[FeedbackImage] = ()) -> None:
        """Refuses what the family does not have.

        Raises:
            ValueError: a knob that it does not have is neither at its default nor 1, which as a factor is none; another
                is out of the family's range; or an image has a mask, and tokens cannot be told apart.
        """
        for name in self.absent:
            value, default = getattr(params, name), KNOBS[name].default
            if value not in (default, 1):
                raise ValueError(f"{name}: {value:g} given; {self.family} has no such knob; allowed: {default:g}")
        for name, knob in self.knobs.items():
            if not knob.by_picture and not knob.low <= (value := getattr(params, name)) <= knob.high:
                of_family = f"{knob.low:g} to {knob.high:g} with {self.family}"
                raise ValueError(f"{name}: {value:g} is out of range; allowed: {of_family}")
        if not self.projector.keeps_tokens and any(image.mask is not None for image in images):
            raise ValueError(f"mask: {self.family} keeps no single tokens of a picture; allowed: none")


def core_of(pipeline: object, part: str) -> Any:
    """A part of a pipeline, or what was compiled where it is compiled; None where there is none."""
    found = getattr(pipeline, part, None)
    return getattr(found, "_orig_mod", found)


def encoder_versions(pipeline: DiffusionPipeline) -> tuple[object, ...]:
    """What encoded prompts depend on besides the text."""
    encoders = (getattr(pipeline, name, None) for name in ("text_encoder", "text_encoder_2", "text_encoder_3"))
    return tuple(model_version(encoder) for encoder in encoders if encoder is not None)


def halves(batch: int, guided: bool) -> tuple[Role, ...]:
    """Roles of a batch whose unconditional samples come first, where there are any."""
    if not guided:
        return (Role.SINGLE,) * batch
    return (Role.UNCONDITIONAL,) * (batch // 2) + (Role.CONDITIONAL,) * (batch - batch // 2)
