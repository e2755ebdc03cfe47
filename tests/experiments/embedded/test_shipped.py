"""The shipped weights, loaded as users load them, and quick versions of their gates."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from transformers import AutoModel, AutoProcessor

from experiments.embedded import shipped
from experiments.embedded.gates import model_gates as gates
from experiments.embedded.gates import steering_gates
from experiments.embedded.gates.evaluate import CARDS, FIGURES
from experiments.embedded.gates.rahf_gate import rahf_gate
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.scenes.world import SCENES
from fabric.models import SCHEDULERS, set_scheduler
from fabric.models import locate as locate_generator
from fabric.seeding import generator_for
from objectives.checkpoints import locate as locate_judge
from objectives.richhf import SCORES

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("shipped")]


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    pipe = StableDiffusionPipeline.from_pretrained(locate_generator("embedded"), local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _pictures(count: int, key: str) -> tuple[torch.Tensor, list[Image.Image]]:
    images = SCENES.render(SCENES.sample(count, generator_for("test", key)))
    arrays = (images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return images, [Image.fromarray(array) for array in arrays]


def test_all_weights_fit_in_60_megabytes() -> None:
    assert 0 < shipped.total_bytes() <= 60e6


def test_other_names_are_left_alone() -> None:
    assert locate_generator("owner/model") == "owner/model"
    assert locate_judge("owner/model", "clip") == "owner/model"
    assert locate_judge("embedded", "clip").startswith("local-dir:")


def test_layout_has_attention_at_two_resolutions(pipeline: StableDiffusionPipeline) -> None:
    sizes = set()

    def note(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        sizes.add(inputs[0].shape[1])

    hooks = [
        module.register_forward_pre_hook(note)
        for name, module in pipeline.unet.named_modules()
        if name.endswith(".attn1.to_q")
    ]
    pipeline("a red star", num_inference_steps=1)
    for hook in hooks:
        hook.remove()
    assert {256, 64} <= sizes
    assert any(name.endswith("attn2.processor") for name in pipeline.unet.attn_processors)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_common_scheduler_keeps_the_colour(pipeline: StableDiffusionPipeline, scheduler: str) -> None:
    pipe = StableDiffusionPipeline(**pipeline.components)
    set_scheduler(pipe, scheduler)
    pipe.set_progress_bar_config(disable=True)
    prompts = ["a blue square on sand", "a yellow circle at night"] * 2
    generators = [torch.Generator().manual_seed(seed) for seed in range(4)]
    images = pipe(prompts, num_inference_steps=10, guidance_scale=4.0, generator=generators, output_type="pt").images
    read = shipped.read_classifier().read(to_signed(images.float()))
    wanted = torch.tensor([[5, 2], [2, 1]] * 2)
    right = read[:, [SCENES.column["colour"], SCENES.column["background"]]] == wanted
    assert right.float().mean() >= 0.75


def test_save_pretrained_round_trip(pipeline: StableDiffusionPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path)
    again = StableDiffusionPipeline.from_pretrained(tmp_path, local_files_only=True)
    again.set_progress_bar_config(disable=True)
    first, second = (
        pipe("a red star", num_inference_steps=2, generator=torch.Generator().manual_seed(0), output_type="pt").images
        for pipe in (pipeline, again)
    )
    assert torch.equal(first, second)


def test_open_clip_reads_the_judge_and_its_preprocessing_is_the_tensor_route() -> None:
    name = locate_judge("embedded", "clip")
    model, preprocess = open_clip.create_model_from_pretrained(name)
    model.eval()
    tensors, pictures = _pictures(4, "preprocess")
    stacked = torch.stack([preprocess(picture) for picture in pictures])
    torch.testing.assert_close(stacked, to_signed(tensors), rtol=0, atol=0.5 / 127.5 + 1e-4)
    with torch.no_grad():
        theirs = model.encode_image(stacked, normalize=True)
    torch.testing.assert_close(theirs, shipped.read_clip().embed(stacked))


def test_pickscore_recipe_reads_the_preference_judge() -> None:
    folder = locate_judge("embedded", "preference")
    processor, model = AutoProcessor.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    _, pictures = _pictures(5, "recipe")
    inputs = processor(
        text=["a red star"], images=pictures, padding=True, truncation=True, max_length=77, return_tensors="pt"
    )
    with torch.no_grad():
        theirs = model(**inputs).logits_per_image[:, 0]
    ours = shipped.read_preference().score(["a red star"] * 5, inputs["pixel_values"])
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-4)


def test_codec_gate_on_fewer_scenes() -> None:
    verdict = gates.codec_gate(shipped.read_generator(), shipped.read_classifier(), 64)
    assert verdict.passed, verdict.checks


def test_clip_gate_on_fewer_scenes() -> None:
    verdict = gates.clip_gate(shipped.read_clip(), 128, 1)
    assert verdict.passed, verdict.checks


def test_preference_gate_on_fewer_prompts() -> None:
    verdict = gates.preference_gate(shipped.read_preference(), 100)
    assert verdict.passed, verdict.checks


def test_rich_feedback_is_predicted_better_than_by_judges_made_for_something_else() -> None:
    parts = shipped.read_rahf(), shipped.read_generator(), shipped.read_preference(), shipped.read_clip()
    verdict = rahf_gate(*parts, 100, 4)
    values = {check.name: check.value for check in verdict.checks}
    for score in SCORES:
        assert values[f"PLCC of {score}"] > verdict.notes[f"PLCC of {score}, preference judge"] + 0.05
        assert values[f"PLCC of {score}"] > verdict.notes[f"PLCC of {score}, CLIP judge"] + 0.05
    assert values["misaligned words, F1 over all"] > 0.5


def test_generator_gate_on_fewer_prompts() -> None:
    verdict = gates.generator_gate(shipped.read_generator(), shipped.read_classifier(), 20)
    assert verdict.passed, verdict.checks


def test_sessions_come_closer_to_hidden_targets() -> None:
    """Gate 6 on a few targets and steps, which show that the gap is closed, but not how far."""
    verdict = steering_gates.feedback_gate(shipped.read_generator(), shipped.read_clip(), 8, steps=6)
    lower_ends = [check for check in verdict.checks if check.name.startswith("its interval's lower end")]
    assert len(lower_ends) == 2
    assert all(check.passed for check in lower_ends), verdict.checks
    assert verdict.notes["similarity, last round of sessions"] > verdict.notes["similarity, first round of sessions"]


@pytest.mark.parametrize(("world", "gates"), [("scenes", [*"123456789"]), ("emoji", [*"1246", "6 before siblings"])])
def test_cards_show_every_recorded_figure(world: str, gates: list[str]) -> None:
    figures = json.loads((shipped.ROOT / FIGURES[world]).read_text())
    assert set(figures) == set(gates)
    for model, folder in shipped.FOLDERS[world].items():
        card = (shipped.ROOT / folder / "README.md").read_text()
        assert (shipped.ROOT / folder / "samples.png").exists()
        for heading in ("## Data", "## Training", "## Figures", "## Limits"):
            assert heading in card, model
        for number in CARDS[world].cards[model].gates:
            for name, (value, _, _) in figures[number]["checks"].items():
                assert f"| {name} | {value:.3f} |" in card
