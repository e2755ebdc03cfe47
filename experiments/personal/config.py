"""What decides a fine-tuning, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from experiments.config.parts import ModelConfig, Part, Positive, ScenesConfig, Share
from experiments.config.schema import guidance_of

Method = Literal["rpo", "dpo", "similarity"]


class ReferenceConfig(Part):
    """Pictures that are liked.

    Attributes:
        picture: a file, or a folder of files.
        prompt: what they show; what each PNG says it was made with by default.
    """

    picture: Path
    prompt: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        """A path alone is a short form."""
        return {"picture": given} if isinstance(given, str | Path) else given


class PersonalConfig(Part):
    """A whole fine-tuning.

    Attributes:
        model: Stable Diffusion 1.x or 2.x.
        references: pictures that are liked.
        prompts: that images are generated of, to be told from the references.
        validation: other prompts, whose images decide when to stop.
        scenes: instead of these three, somebody's board in the world of an embedded model.
        method: rpo (Miao et al. 2024); dpo, with one noise and step for both of a pair; or similarity, which learns the
            references and nothing else.
        rank: of the LoRA; 0 for the whole U-Net, as in the paper.
        steps: of the optimiser.
        batch: pairs of a step.
        lr: learning rate; 1e-4 for a LoRA, 5e-6 for the whole U-Net by default.
        beta: how much a preference counts; 1 as the paper's, 2500 for dpo by default.
        negatives: images that are generated of each prompt.
        balance: how much likeness to the references counts in the validation reward, beside likeness to the prompt.
        validate_every: steps between looks at the validation reward.
        validation_images: of each validation prompt.
        early_stopping: whether what was best on validation is kept, else what was last.
        image_steps: denoising steps of generated images.
        guidance: of generated images; that of the model by default.
        seed: of everything random.
        output: folder of what is trained.
    """

    model: ModelConfig = ModelConfig()
    references: tuple[ReferenceConfig, ...] = ()
    prompts: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    scenes: ScenesConfig | None = None
    method: Method = "rpo"
    rank: Annotated[int, Field(ge=0, le=256, strict=True)] = 8
    steps: Positive = 400
    batch: Positive = 1
    lr: Annotated[float, Field(gt=0)] | None = None
    beta: Annotated[float, Field(gt=0)] | None = None
    negatives: Positive = 4
    balance: Share = 0.5
    validate_every: Positive = 40
    validation_images: Positive = 4
    early_stopping: bool = True
    image_steps: Positive = 20
    guidance: Annotated[float, Field(ge=1, le=20)] | None = None
    seed: int = 0
    output: Path = Path("personal")

    @model_validator(mode="after")
    def _whole(self) -> PersonalConfig:
        given = bool(self.references), bool(self.prompts), bool(self.validation)
        if self.scenes is not None:
            if any(given):
                raise ValueError("scenes: given with references or prompts; allowed: one of both")
            if self.scenes.board is None:
                raise ValueError("scenes: without a board; allowed: with one, whose liked pictures are the references")
        elif not all(given):
            missing = ("references", "prompts", "validation")[given.index(False)]
            raise ValueError(f"{missing}: none; allowed: one or more, or scenes with a board")
        if both := set(self.prompts) & set(self.validation):
            raise ValueError(f"validation: {sorted(both)[0]!r} is among the prompts; allowed: others")
        return self

    @property
    def rate(self) -> float:
        """Learning rate."""
        return self.lr or (1e-4 if self.rank else 5e-6)

    @property
    def preference(self) -> float:
        """How much a preference counts."""
        return self.beta or (2500.0 if self.method == "dpo" else 1.0)

    @property
    def scale(self) -> float:
        """Guidance of generated images."""
        return self.guidance or guidance_of(self.model.name)
