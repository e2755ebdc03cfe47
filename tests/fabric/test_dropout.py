from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fabric.dropout import drop_words

WORDS = st.lists(st.text("abc", min_size=1, max_size=3), max_size=8).map(" ".join)


@given(WORDS, st.floats(0, 1), st.integers(0, 99))
def test_what_stays_is_in_order_and_the_same_every_time(prompt: str, probability: float, seed: int) -> None:
    kept = drop_words(prompt, probability, seed)
    rest = iter(prompt.split())
    assert all(word in rest for word in kept.split())
    assert kept == drop_words(prompt, probability, seed)
    assert drop_words(prompt, 0, seed) == prompt
    assert drop_words(prompt, 1, seed) == ""


@given(WORDS, st.floats(0, 1), st.integers(0, 99))
def test_words_that_are_kept_stay_and_change_nothing_else(prompt: str, probability: float, seed: int) -> None:
    kept = set(prompt.split()[::2])
    with_them, without = (drop_words(prompt, probability, seed, words).split() for words in (kept, ()))
    assert [word for word in with_them if word not in kept] == [word for word in without if word not in kept]
    assert [word for word in with_them if word in kept] == [word for word in prompt.split() if word in kept]


@given(WORDS, st.integers(0, 99))
def test_a_higher_probability_drops_more_of_the_same(prompt: str, seed: int) -> None:
    more, less = drop_words(prompt, 0.7, seed).split(), drop_words(prompt, 0.3, seed).split()
    rest = iter(less)
    assert all(word in rest for word in more)


def test_words_go_as_often_as_asked() -> None:
    prompt = " ".join(f"w{k}" for k in range(50))
    kept = sum(len(drop_words(prompt, 0.3, seed).split()) for seed in range(100))
    assert abs(kept / 5000 - 0.7) < 0.03  # four and a half standard errors
