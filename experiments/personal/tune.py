"""The loop: learns references, is told them from generated images, and looks now and then at a validation reward."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from PIL.Image import Image
from torch import Tensor

from experiments.files.atomic import atomic_write
from experiments.personal.config import PersonalConfig
from experiments.personal.losses import draw_preferred, preference_loss
from experiments.personal.material import Material
from experiments.personal.rewards import Scorers
from experiments.training.trainer import seeded
from fabric.generator import FabricGenerator, Request
from fabric.images import FeedbackImage, to_pictures
from fabric.params import FabricParams
from fabric.seeding import generator_for

_LAYERS = ["to_k", "to_q", "to_v", "to_out.0"]
_BATCH = 16  # images generated at once
_CLIP = 1.0  # norm of a gradient
_CHECKPOINT = "checkpoint.pt"
State = dict[str, Tensor]


@dataclass
class History:
    """How far a fine-tuning is.

    Attributes:
        step: of the optimiser.
        looks: validation reward by step.
        best: trained weights of the highest reward so far.
    """

    step: int = 0
    looks: dict[int, float] = field(default_factory=dict)
    best: State = field(default_factory=dict)


class Tuner:
    """Fine-tunes the U-Net of a pipeline.

    Args:
        pipeline: Stable Diffusion 1.x or 2.x, in single precision.
        config: how.
        material: what from.
        scorers: of rewards.

    Raises:
        ValueError: the pipeline is another.
    """

    def __init__(
        self, pipeline: StableDiffusionPipeline, config: PersonalConfig, material: Material, scorers: Scorers
    ) -> None:
        if not isinstance(pipeline, StableDiffusionPipeline):
            kind = type(pipeline).__name__
            raise ValueError(f"model: {config.model.name} is a {kind}; allowed: Stable Diffusion 1.x and 2.x")
        self.pipeline, self.config, self.material, self.scorers = pipeline, config, material, scorers
        self.unet: UNet2DConditionModel = pipeline.unet
        self._frozen = None if config.rank else copy.deepcopy(self.unet).requires_grad_(False)
        self.schedule = DDPMScheduler.from_config(pipeline.scheduler.config)
        if config.rank:
            self.unet.requires_grad_(False)
            rank = config.rank
            lora = LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=_LAYERS)
            with seeded(config.seed):
                self.unet.add_adapter(lora)
        self.trained = {name: value for name, value in self.unet.named_parameters() if value.requires_grad}
        self.optimizer = torch.optim.AdamW(self.trained.values(), lr=config.rate, weight_decay=0.01)
        self.history = History()

    # What is learnt from

    def prepare(self) -> None:
        """Encodes the references, generates the images that they are told from, and scores both."""
        config, pictures = self.config, [reference.picture for reference in self.material.references]
        self.references = self._latents(pictures)
        self.reference_texts = self._texts([reference.prompt for reference in self.material.references])
        prompts = [prompt for prompt in self.material.prompts for _ in range(config.negatives)]
        generated = self.generate(prompts, "negative")
        self.generated, self.generated_texts = self._latents(generated), self._texts(prompts)
        liked = tuple(pictures)
        # By likeness to the prompt of the generated image alone, as the authors' code has it.
        self.generated_rewards = self.scorers.rewards(generated, prompts, liked, 0.0)
        self.reference_rewards = torch.stack(
            [self.scorers.rewards([picture] * len(prompts), prompts, liked, 0.0) for picture in pictures]
        )

    def generate(self, prompts: list[str], what_for: str) -> list[Image]:
        """An image of each prompt, with seeds that depend on what they are for."""
        fabric, params = FabricGenerator(self.pipeline), FabricParams(strength=0, guidance_scale=self.config.scale)
        seeds = [generator_for(self.config.seed, what_for, place).initial_seed() for place in range(len(prompts))]
        found: list[Image] = []
        for start in range(0, len(prompts), _BATCH):
            rows = zip(prompts[start : start + _BATCH], seeds[start : start + _BATCH], strict=True)
            requests = [Request(prompt, seed, params) for prompt, seed in rows]
            found += to_pictures(fabric(requests, self.config.image_steps).images)
        return found

    @torch.no_grad()
    def _latents(self, pictures: list[Image]) -> Tensor:
        vae, side = self.pipeline.vae, self.unet.config.sample_size * self.pipeline.vae_scale_factor
        pixels = torch.stack([FeedbackImage(picture).pixels(side, side) for picture in pictures]).to(vae.device)
        return vae.encode(pixels).latent_dist.mean * vae.config.scaling_factor

    @torch.no_grad()
    def _texts(self, prompts: list[str]) -> Tensor:
        return self.pipeline.encode_prompt(prompts, self.unet.device, 1, do_classifier_free_guidance=False)[0]

    # Learning

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """The loss of a step's batch, and its parts."""
        generator, batch = generator_for(self.config.seed, "pairs", step), self.config.batch
        liked = torch.randint(len(self.references), (batch,), generator=generator)
        made = torch.randint(len(self.generated), (batch,), generator=generator)
        latents = torch.cat([self.references[liked], self.generated[made]])
        texts = torch.cat([self.reference_texts[liked], self.generated_texts[made]])
        count = batch if self.config.method == "dpo" else 2 * batch
        noise = torch.randn((count, *latents.shape[1:]), generator=generator)
        times = torch.randint(self.schedule.config.num_train_timesteps, (count,), generator=generator)
        if self.config.method == "dpo":  # one noise and step for both of a pair
            noise, times = noise.repeat(2, 1, 1, 1), times.repeat(2)
        noise, times = noise.to(latents.device), times.to(latents.device)
        if self.config.method == "similarity":
            half = slice(batch)
            similarity = self.errors(self.unet, latents[half], texts[half], noise[half], times[half]).mean()
            return similarity, {"similarity": float(similarity.detach())}
        own = self.errors(self.unet, latents, texts, noise, times)
        gains = self.frozen_errors(latents, texts, noise, times) - own
        preferred = torch.ones(batch, device=gains.device)
        if self.config.method == "rpo":
            rewards = self.reference_rewards[liked, made], self.generated_rewards[made]
            preferred = draw_preferred(*rewards, generator).to(gains.device, gains.dtype)
        preference = preference_loss(gains[:batch], gains[batch:], preferred, self.config.preference)
        similarity = own[:batch].mean()
        parts = {"similarity": float(similarity.detach()), "preference": float(preference.detach())}
        return (preference if self.config.method == "dpo" else similarity + preference), parts

    def errors(
        self, unet: UNet2DConditionModel, latents: Tensor, texts: Tensor, noise: Tensor, times: Tensor
    ) -> Tensor:
        """Mean squared error of what a U-Net predicts, B."""
        kind = self.schedule.config.prediction_type
        wanted = noise if kind == "epsilon" else self.schedule.get_velocity(latents, noise, times)
        predicted = unet(self.schedule.add_noise(latents, noise, times), times, texts).sample
        return F.mse_loss(predicted.float(), wanted.float(), reduction="none").mean(dim=(1, 2, 3))

    @torch.no_grad()
    def frozen_errors(self, latents: Tensor, texts: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Those of the U-Net as it was."""
        if self._frozen is not None:
            return self.errors(self._frozen, latents, texts, noise, times)
        self.unet.disable_adapters()
        try:
            return self.errors(self.unet, latents, texts, noise, times)
        finally:
            self.unet.enable_adapters()

    def validation_reward(self) -> float:
        """The mean reward of images of the validation prompts, always of the same seeds."""
        prompts = [prompt for prompt in self.material.validation for _ in range(self.config.validation_images)]
        liked = tuple(reference.picture for reference in self.material.references)
        self.unet.eval()
        images = self.generate(prompts, "validation")
        return float(self.scorers.rewards(images, prompts, liked, self.config.balance).mean())

    def fit(self, folder: Path, on_step: Callable[[int, Mapping[str, float]], None]) -> History:
        """Trains to the end, or goes on where `folder` has a checkpoint; the U-Net ends with what is to be kept.

        Args:
            folder: of the checkpoint.
            on_step: told the step and the parts of the loss, or the reward.
        """
        self._load(folder)
        while True:
            step = self.history.step
            if (step % self.config.validate_every == 0 or step == self.config.steps) and step not in self.history.looks:
                self._look(step)
                on_step(step, {"reward": self.history.looks[step]})
                self._save(folder)
            if step == self.config.steps:
                break
            self.unet.train()
            loss, parts = self.loss(step)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.trained.values(), _CLIP)
            self.optimizer.step()
            self.history.step += 1
            on_step(self.history.step, parts)
        if self.config.early_stopping:
            self._set(self.history.best)
        self.unet.eval()
        return self.history

    def _look(self, step: int) -> None:
        reward = self.validation_reward()
        if not self.history.looks or reward > max(self.history.looks.values()):
            self.history.best = {name: value.detach().cpu().clone() for name, value in self.trained.items()}
        self.history.looks[step] = reward

    @torch.no_grad()
    def _set(self, state: State) -> None:
        for name, value in self.trained.items():
            value.copy_(state[name])

    # Files

    def _save(self, folder: Path) -> None:
        state: dict[str, Any] = {
            "trained": {name: value.detach().cpu() for name, value in self.trained.items()},
            "optimizer": self.optimizer.state_dict(),
            "step": self.history.step,
            "looks": self.history.looks,
            "best": self.history.best,
        }
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / _CHECKPOINT) as unfinished:
            torch.save(state, unfinished)

    def _load(self, folder: Path) -> None:
        path = folder / _CHECKPOINT
        if not path.exists():
            return
        state = torch.load(path, map_location="cpu", weights_only=True)
        self._set(state["trained"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = History(state["step"], state["looks"], state["best"])

    def export(self, folder: Path) -> Path:
        """Writes what was trained: a LoRA file, or the whole pipeline.

        Returns:
            What `fabric-bo generate` takes as `--lora`, or as `--model`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if not self.config.rank:
            self.pipeline.save_pretrained(folder / "model")
            return folder / "model"
        self.pipeline.save_lora_weights(folder, unet_lora_layers=get_peft_model_state_dict(self.unet))
        return folder / "pytorch_lora_weights.safetensors"
