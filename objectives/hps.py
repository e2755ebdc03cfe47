"""Human Preference Score v2.1."""

from __future__ import annotations

from objectives.clip import PromptSimilarity
from objectives.embedders import OpenClipEmbedder

WEIGHTS = "xswu/HPSv2/HPS_v2.1_compressed.pt"


class HumanPreferenceScore(PromptSimilarity):
    """Cosine of prompt and image by a CLIP ViT-H/14 fine-tuned on choices (Wu et al. 2023, arXiv 2306.09341).

    Source: github.com/tgxs002/HPSv2.
    Model: `HPS_v2.1_compressed.pt` of `xswu/HPSv2`, read by open_clip. Pictures keep their aspect: the longest side
        becomes 224 pixels, the rest is zero, as in the authors' evaluation.
    Scale: -1 to 1; 0.2 to 0.32 is usual (published times 100). Versions 2 and 2.1 are not comparable.
    Licence: Apache-2.0.
    Gamed by: saturated, detailed, poster-like pictures; as other CLIPs it misses counts and bindings.

    Args:
        weights: a file, or OWNER/NAME/FILE on the hub.
        architecture: open_clip's name of the model.
        device: of the model.
    """

    def __init__(self, weights: str = WEIGHTS, architecture: str = "ViT-H-14", device: str = "cpu") -> None:
        super().__init__("hps", OpenClipEmbedder(f"{architecture}/{weights}", device, resize_mode="longest"))
