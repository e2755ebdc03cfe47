"""The laws that admit a family: a test of a family subclasses `HostLaws` and says how a tiny pipeline is built."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fabric.generator import FabricGenerator, Request
from fabric.hosts import host_of
from fabric.images import FeedbackImage
from fabric.knobs import KNOBS
from fabric.params import FabricParams
from fabric.seeding import generator_for
from fabric.steering import Level, Steering, feedback
from tests.fabric.hosts.tiny import SIDE

STEPS = 2
PROMPT = "a red star"


def picture(key: int) -> FeedbackImage:
    """A smooth random picture."""
    small = np.random.default_rng(key).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return FeedbackImage(Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


A, B, C = picture(1), picture(2), picture(3)
TWIN = FeedbackImage(A.picture)
object.__setattr__(TWIN, "id", "twin")  # of another name, so that it is a reference of its own


class HostLaws:
    """Laws 1, 2, 3, 5 and 6 of the design, that idle is the stock pipeline, and which way pictures steer.

    Attributes:
        options: arguments of a call of the pipeline.
        guidance: scale of `params`.
        other_guidance: another that the family takes.
        guidance_is_told: to the model, which has no unconditional pass at any scale.
        guidance_is_named: calls of the unconditional pass are told by their name alone.
        knobs: others of `params`.
        rounding: of images in double precision, where a family computes in single precision all the same.
    """

    options: ClassVar[dict[str, Any]] = {}
    guidance: ClassVar[float] = 4.0
    other_guidance: ClassVar[float] = 2.0
    guidance_is_told: ClassVar[bool] = False
    guidance_is_named: ClassVar[bool] = False
    knobs: ClassVar[dict[str, Any]] = {}
    rounding: ClassVar[float] = 1e-6

    def build(self) -> Any:
        """A tiny pipeline with random weights, the same at each call."""
        raise NotImplementedError

    @pytest.fixture
    def pipe(self) -> Any:
        """A new pipeline."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return self.build()

    @property
    def params(self) -> FabricParams:
        """Settings that steer."""
        return FabricParams(strength=0.8, guidance_scale=self.guidance, **self.knobs)

    def call(self, pipe: Any, **changes: Any) -> Tensor:
        """An image of the pipeline itself, 1 x 3 x H x W in [-1, 1]."""
        host = host_of(pipe)
        side = SIDE // pipe.vae_scale_factor
        drawn = torch.randn(1, host.channels, side, side, generator=generator_for("latents", 3))
        options = {
            "num_inference_steps": STEPS,
            "guidance_scale": self.guidance,
            "latents": host.pack(drawn.to(host.latent_dtype)),
            "generator": [generator_for("ancestral", 3)],
            "height": SIDE,
            "width": SIDE,
            "output_type": "pt",
            **self.options,
            **changes,
        }
        images: Tensor = pipe(prompt=PROMPT, **options).images
        return images.float() * 2 - 1

    def feedback(self, pipe: Any, params: FabricParams, **given: Any) -> AbstractContextManager[Steering]:
        """The context; of a pipeline that does not say beforehand whether it guides, it is said."""
        guided = params.guidance_scale > 1 if self.guidance_is_named else None
        return feedback(pipe, params, guided=guided, **given)

    def request(self, **changes: Any) -> Request:
        """One that steers where it has pictures."""
        return Request(PROMPT, 3, **{"params": self.params, **changes})

    def one(self, fabric: FabricGenerator, **changes: Any) -> Tensor:
        """The image of one request."""
        return fabric([self.request(**changes)], STEPS, (SIDE, SIDE)).images

    def test_idle_is_the_stock_pipeline_bit_for_bit(self, pipe: Any) -> None:
        plainly = self.call(pipe)
        for params in (self.params, replace(self.params, strength=0), replace(self.params, start=0.5, end=0.5)):
            images = () if params.strength and params.start == 0 else (A,)
            with self.feedback(pipe, params, liked=images, disliked=images) as steering:
                assert torch.equal(self.call(pipe), plainly)
            assert len(steering.references.bank) == 0

    def test_the_generator_without_feedback_is_the_pipeline(self, pipe: Any) -> None:
        torch.testing.assert_close(self.one(FabricGenerator(pipe)), self.call(pipe), rtol=0, atol=1e-5)

    def test_the_pipeline_gives_what_the_generator_gives_and_is_left_as_it_was(self, pipe: Any) -> None:
        plainly, processors = self.call(pipe), dict(pipe.transformer.attn_processors)
        with self.feedback(pipe, self.params, liked=(A,), disliked=(B,)):
            steered = self.call(pipe)
            assert torch.equal(self.call(pipe), steered)  # the bank is warm now
        fabric = FabricGenerator(pipe)
        torch.testing.assert_close(self.one(fabric, liked=(A,), disliked=(B,)), steered, rtol=0, atol=1e-5)
        assert (steered - plainly).abs().max() > 1e-3
        assert torch.equal(self.call(pipe), plainly)
        self._untouched(pipe, processors)

    @staticmethod
    def _untouched(pipe: Any, processors: dict[str, Any]) -> None:
        core = pipe.transformer
        assert all(core.attn_processors[name] is processor for name, processor in processors.items())
        assert not core._forward_pre_hooks
        assert not core._forward_hooks
        assert "cache_context" not in vars(core)

    def test_law_1_weight_zero_is_absence(self, pipe: Any) -> None:
        fabric = FabricGenerator(pipe)
        plainly = self.one(fabric)
        for params in (replace(self.params, strength=0), replace(self.params, weights={A.id: 0, B.id: 0})):
            assert torch.equal(self.one(fabric, params=params, liked=(A,), disliked=(B,)), plainly)
        assert len(fabric.bank) == 0
        steered = self.one(fabric, liked=(A,), disliked=(C,))
        absent = replace(self.params, weights={B.id: 0})
        torch.testing.assert_close(
            self.one(fabric, params=absent, liked=(A, B), disliked=(C,)), steered, rtol=0, atol=1e-6
        )

    def test_law_2_an_image_depends_on_its_request_alone(self, pipe: Any) -> None:
        pipe.to(torch.float64)  # in single precision rounding differs with the size of a batch
        requests = [
            Request(PROMPT, 3, self.params, (A,), (B,)),
            Request("a blue ring", 4, replace(self.params, strength=2, guidance_scale=self.other_guidance), (A, B, C)),
            Request("", 5, replace(self.params, end=0.5), (), (C,)),
            Request(PROMPT, 6, self.params),
        ]
        untouched = copy.deepcopy(pipe)
        together = FabricGenerator(pipe)(requests, STEPS, (SIDE, SIDE)).images
        for k, request in enumerate(requests):
            cold = FabricGenerator(copy.deepcopy(untouched))
            alone = cold([request], STEPS, (SIDE, SIDE)).images
            torch.testing.assert_close(together[k : k + 1], alone, rtol=0, atol=self.rounding)
            assert torch.equal(cold([request], STEPS, (SIDE, SIDE)).images, alone)  # the bank is warm now

    def test_law_3_two_copies_of_half_weight_are_one_whole(self, pipe: Any) -> None:
        fabric = FabricGenerator(pipe.to(torch.float64))
        for signs in (("liked", "disliked"), ("disliked", "liked")):
            whole = self.one(fabric, **{signs[0]: (A,), signs[1]: (C,)})
            halves = replace(self.params, weights={A.id: 0.5, TWIN.id: 0.5})
            given = {signs[0]: (A, TWIN), signs[1]: (C,)}
            torch.testing.assert_close(self.one(fabric, params=halves, **given), whole, rtol=0, atol=self.rounding)
            assert (self.one(fabric, **given) - whole).abs().max() > 1e-4

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    @pytest.mark.parametrize("inside", [True, False], ids=["inside the reference pass", "after a step"])
    def test_law_5_an_exception_leaves_the_pipeline_as_it_was(
        self, pipe: Any, error: type[BaseException], inside: bool
    ) -> None:
        plainly, processors = self.call(pipe), dict(pipe.transformer.attn_processors)

        def fail(*args: Any, **kwargs: Any) -> None:
            raise error

        if inside:
            handle = pipe.transformer.transformer_blocks[0].register_forward_hook(fail)
            with pytest.raises(error), self.feedback(pipe, self.params, liked=(A,)):
                self.call(pipe)
            handle.remove()
        else:
            with pytest.raises(error):
                FabricGenerator(pipe)([Request(PROMPT, 3, self.params, (A,))], STEPS, (SIDE, SIDE), on_step=fail)
        self._untouched(pipe, processors)
        assert torch.equal(self.call(pipe), plainly)

    def test_law_6_one_grey_level_of_one_pixel_does_not_show(self, pipe: Any) -> None:
        fabric = FabricGenerator(pipe)
        changed = np.asarray(A.picture).copy()
        changed[10, 10, 0] ^= 1
        twin = FeedbackImage(Image.fromarray(changed))
        difference = (self.one(fabric, liked=(A,)) - self.one(fabric, liked=(twin,))).abs() * 127.5
        assert 0 < difference.mean() < 0.1

    def test_more_weight_is_more_attention_and_moves_the_image_further(self, pipe: Any) -> None:
        fabric = FabricGenerator(pipe)
        plainly = self.one(fabric)
        shares, moved = [], []
        for strength in (0.2, 1.0, 4.0):
            params = replace(self.params, strength=strength)
            request = Request(PROMPT, 3, params, (A,))
            generated = fabric([request], STEPS, (SIDE, SIDE))
            (received,) = generated.attention
            shares.append(min(received[A.id]))
            moved.append(float((generated.images - plainly).norm()))
            assert len(received[A.id]) == STEPS
        assert 0 < shares[0] < shares[1] < shares[2] < 1
        assert 0 < moved[0] < moved[1] < moved[2]

    def test_disliked_pictures_push_the_other_way_than_liked_ones(self, pipe: Any) -> None:
        """To first order in the weight, both where there is an unconditional pass and where there is none."""
        fabric = FabricGenerator(pipe.to(torch.float64))
        plainly = self.one(fabric)
        weak = replace(self.params, strength=0.05, neg_scale=1)
        towards, away = (self.one(fabric, params=weak, **{sign: (A,)}) - plainly for sign in ("liked", "disliked"))
        assert torch.cosine_similarity(towards.flatten(), away.flatten(), dim=0) < -0.5
        assert away.norm() > 0.1 * towards.norm()

    def test_without_an_unconditional_pass_attention_is_turned_away(self, pipe: Any) -> None:
        params = replace(self.params, guidance_scale=self.guidance if self.guidance_is_told else 1.0)
        plainly = self.call(pipe, guidance_scale=params.guidance_scale)
        with self.feedback(pipe, params, disliked=(B,)):
            away = self.call(pipe, guidance_scale=params.guidance_scale)
        assert (away - plainly).abs().max() > 1e-3
        generated = self.one(FabricGenerator(pipe), params=params, disliked=(B,))
        torch.testing.assert_close(generated, away, rtol=0, atol=1e-5)
        with self.feedback(pipe, replace(params, neg_scale=0), disliked=(B,)):
            assert torch.equal(self.call(pipe, guidance_scale=params.guidance_scale), plainly)

    def test_masks_of_ones_change_nothing_and_of_zeros_are_absence(self, pipe: Any) -> None:
        fabric = FabricGenerator(pipe)
        if not fabric.host.projector.keeps_tokens:
            with pytest.raises(ValueError, match=f"mask: {fabric.host.family} keeps no single tokens of a picture"):
                self.one(fabric, liked=(replace(A, mask=torch.ones(4, 4)),))
            return
        for value, expected in ((1.0, self.one(fabric, liked=(A,))), (0.0, self.one(fabric))):
            masked = self.one(fabric, liked=(replace(A, mask=torch.full((4, 4), value)),))
            torch.testing.assert_close(masked, expected, rtol=0, atol=1e-5)

    def test_one_level_for_all_steps_is_one_pass_and_the_bank_is_forecast(self, pipe: Any) -> None:
        levels: tuple[tuple[Level, int], ...] = ((0.3, 2), ("each", 2 * STEPS))
        for level, entries in levels:
            fabric = FabricGenerator(pipe, reference_level=level)
            request = self.request(liked=(A, B))
            forecast = fabric.bank_bytes([request], STEPS, (SIDE, SIDE))
            fabric([request], STEPS, (SIDE, SIDE))
            assert len(fabric.bank) == entries
            assert fabric.bank.bytes == forecast

    def test_layers_without_references_are_the_stock_pipeline_bit_for_bit(self, pipe: Any) -> None:
        plainly, count = self.call(pipe), len(host_of(pipe).layers)
        with self.feedback(pipe, self.params, liked=(A,), disliked=(B,), layers=range(0)) as steering:
            assert torch.equal(self.call(pipe), plainly)
        assert len(steering.references.bank) == 0
        images, taken = [], []
        for layers in (range(count), range(1, count), range(count - 1)):
            fabric = FabricGenerator(pipe, reference_layers=layers)
            forecast = fabric.bank_bytes([self.request(liked=(A,))], STEPS, (SIDE, SIDE))
            images.append(self.one(fabric, liked=(A,)))
            taken.append(fabric.bank.bytes)
            assert fabric.bank.bytes == forecast
            assert (images[-1] - plainly).abs().max() > 1e-4
        assert taken[0] > taken[1] > 0
        assert all((images[0] - other).abs().max() > 1e-5 for other in images[1:])
        with pytest.raises(ValueError, match=f"layers: 0:{count + 1} of {count}; allowed: 0:0 to 0:{count}"):
            FabricGenerator(pipe, reference_layers=range(count + 1))

    def test_knobs_that_the_family_does_not_have_are_refused(self, pipe: Any) -> None:
        fabric = FabricGenerator(pipe)
        for name in set(fabric.host.absent) - {"guidance_scale"}:
            value = 0.5 if name in ("outer", "masking") else 2.0
            with pytest.raises(ValueError, match=f"{name}: {value:g} given; .* has no such knob; allowed: "):
                self.one(fabric, params=FabricParams.from_dict({**self.params.to_dict(), name: value}))
        assert fabric.host.knobs.keys() == KNOBS.keys() - {*fabric.host.absent}
        if self.guidance_is_told:
            with pytest.raises(ValueError, match="guidance_scale: 12 is out of range; allowed: 1 to 10 with "):
                self.one(fabric, params=replace(self.params, guidance_scale=12))

    def test_other_sizes(self, pipe: Any) -> None:
        fabric = FabricGenerator(pipe)
        factor = fabric.host.multiple
        size = (factor * 6, factor * 4)
        for liked in ((), (A,)):
            assert fabric([Request(PROMPT, 3, self.params, liked)], 1, size).images.shape == (1, 3, *size)
        with pytest.raises(ValueError, match=f"is not possible; allowed: multiples of {factor} up to"):
            fabric([Request(PROMPT, 3, self.params)], 1, (factor * 6 + 1, factor * 4))
