from __future__ import annotations

import torch

from fabric.encoding import Conditioning, Pipeline, cut_words, encode
from tests.fabric.pipelines import build

CPU = torch.device("cpu")


def test_rows_are_what_the_pipeline_itself_encodes(pipeline: Pipeline) -> None:
    texts = [("a red star", False), ("", True), ("a moon", True)]
    rows = Conditioning.cat([encode(pipeline, text, (64, 48), CPU, negative=negative) for text, negative in texts])
    theirs = pipeline.encode_prompt(
        "a red star",
        device=pipeline.device,
        num_images_per_prompt=1,
        do_classifier_free_guidance=True,
        negative_prompt="a moon",
    )
    torch.testing.assert_close(rows.states[0], theirs[0][0])
    torch.testing.assert_close(rows.states[2], theirs[1][0])
    if rows.pooled is not None:
        torch.testing.assert_close(rows.pooled[0], theirs[2][0])
        assert rows.states[1].abs().max() == 0  # SDXL's empty prompt is zeros
        assert rows.sizes is not None
        assert rows.sizes.tolist() == [[64, 48, 0, 0, 64, 48]] * 3
    assert (rows.added() is None) == (rows.pooled is None)


def test_what_a_text_encoder_does_not_take_is_told() -> None:
    pipe = build("sd1")
    assert cut_words(pipe, "a red star") == ""
    assert cut_words(pipe, " ".join(["red"] * 30 + ["moon", "ring"])) == "moon ring"
