from __future__ import annotations

import torch

from fabric.encoding import Conditioning, Pipeline, Text, Texts, cut_words, encode
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


def test_emphasis_moves_the_tokens_of_its_words_away_from_the_empty_prompt(pipeline: Pipeline) -> None:
    texts, size = Texts(pipeline), (64, 48)
    plain, nothing, same, more = (
        texts.get([text], size, CPU).states[0]
        for text in (
            Text("a red star"),
            Text(""),
            Text("a red star", words=frozenset({"red"})),
            Text("a red star", words=frozenset({"red"}), emphasis=1.5),
        )
    )
    assert torch.equal(same, plain)
    tokens = [len(pipeline.tokenizer(word, add_special_tokens=False).input_ids) for word in ["a", "red", "star"]]
    red = slice(1 + tokens[0], 1 + tokens[0] + tokens[1])
    expected = plain.clone()
    expected[red] += 0.5 * (plain[red] - nothing[red])
    torch.testing.assert_close(more, expected)
    assert not torch.equal(more, plain)


def test_emphasis_of_words_beyond_the_last_token_is_none() -> None:
    texts = Texts(build("sd1"))
    long = " ".join(["red"] * 80 + ["moon"])
    plain, more = (
        texts.get([Text(long, words=frozenset(words), emphasis=2.0)], (64, 64), CPU).states for words in ((), {"moon"})
    )
    assert torch.equal(plain, more)


def test_what_a_text_encoder_does_not_take_is_told() -> None:
    pipe = build("sd1")
    assert cut_words(pipe, "a red star") == ""
    assert cut_words(pipe, " ".join(["red"] * 30 + ["moon", "ring"])) == "moon ring"
