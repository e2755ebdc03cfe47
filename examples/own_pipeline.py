"""Feedback on a diffusers pipeline of one's own.

python examples/own_pipeline.py
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from PIL import Image

from fabric import FabricGenerator, FabricParams, FeedbackImage, Request, feedback, locate, to_pictures

PROMPT = "a red star at night"


def main(output: Path, steps: int = 12) -> list[Image.Image]:
    """Draws a picture, likes it, and has others drawn that come closer to it.

    Args:
        output: folder for the pictures.
        steps: of denoising.

    Returns:
        The liked picture, one of an image-to-image pipeline, and three of a batch.
    """
    pipe = StableDiffusionPipeline.from_pretrained(locate("embedded"), local_files_only=True)  # any of yours
    pipe.set_progress_bar_config(disable=True)
    liked = pipe(PROMPT, num_inference_steps=steps, generator=torch.Generator().manual_seed(0)).images[0]
    references = (FeedbackImage(liked),)

    # Any call of any of its tasks is steered within the context, and the pipeline is as before after it.
    painter = StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    painter.set_progress_bar_config(disable=True)
    with feedback(painter, FabricParams(strength=1.5, end=1.0), liked=references):
        grey = Image.new("RGB", liked.size, "grey")
        painted = painter(PROMPT, image=grey, strength=0.9, num_inference_steps=steps).images[0]

    # Many images, each with a seed and settings of its own, go through one batch.
    generator = FabricGenerator(pipe)
    requests = [Request(PROMPT, seed, FabricParams(strength=float(seed)), references) for seed in range(3)]
    generated = generator(requests, steps=steps)
    pictures = [liked, painted, *to_pictures(generated.images)]

    for number, picture in enumerate(pictures):
        picture.save(output / f"{number}.png")
    for request, received in zip(requests, generated.attention, strict=True):
        share = max((max(steps) for steps in received.values()), default=0.0)
        print(f"strength {request.params.strength:g}: the liked picture has up to {share:.0%} of the attention")
    return pictures


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        main(Path(folder))
