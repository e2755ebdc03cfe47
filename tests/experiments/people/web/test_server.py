"""The rating page's server: what it answers, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from starlette.testclient import TestClient

from experiments.people.choices import StudyChoices
from experiments.people.ratings import StudyRatings
from experiments.people.web.server import application
from experiments.web.access import LOCAL
from objectives.base import UnratedError
from objectives.testing import sample_images


@pytest.fixture
def ratings(tmp_path: Path) -> StudyRatings:
    found = StudyRatings(optuna.create_study(), tmp_path)
    for picture in sample_images(3):
        with pytest.raises(UnratedError):
            found.mean(picture, "a star")
    return found


@pytest.fixture
def client(ratings: StudyRatings) -> Iterator[TestClient]:
    with TestClient(application(ratings, 0.0, LOCAL), base_url="http://localhost") as one:
        yield one


def test_one_image_after_the_other_until_all_are_rated(client: TestClient, ratings: StudyRatings) -> None:
    turn = client.get("/next", params={"rater": "ann"}).json()
    for left in (3, 2, 1):
        assert turn["left"] == left
        assert set(turn["item"]) == {"id", "prompt"}  # nothing of the trial or its settings
        picture = client.get(f"/pictures/{turn['item']['id']}")
        assert picture.headers["content-type"] == "image/png"
        turn = client.post("/ratings", json={"rater": "ann", "item": turn["item"]["id"], "stars": left}).json()
    assert turn == {"given": 3, "left": 0}
    assert sorted(each.stars for each in ratings.ratings) == [1, 2, 3]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{",
        '{"rater": "ann"}',
        '{"rater": "ann", "item": "x", "stars": 3}',
        '{"rater": "ann", "item": "x", "stars": "3"}',
        '{"rater": "ann", "item": "x", "stars": 3, "more": 1}',
        '{"rater": 1, "item": "x", "stars": 3}',
        '{"rater": "", "item": "x", "stars": 3}',
        "[" * 3000,
    ],
)
def test_what_is_no_rating_is_answered_with_a_line(client: TestClient, ratings: StudyRatings, body: str) -> None:
    answer = client.post("/ratings", content=body)
    assert answer.status_code == 422
    assert "\n" not in answer.json()["error"]
    assert not ratings.ratings


def test_a_name_is_needed(client: TestClient) -> None:
    assert client.get("/next", params={"rater": "  "}).status_code == 422
    assert client.get("/next", params={"rater": "a" * 61}).status_code == 422
    assert client.get("/next").status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "/pictures/../study.db",
        "/pictures/%2e%2e%2fstudy.db",
        "/static/../server.py",
        "/docs",
        "/openapi.json",
        "/rated",
    ],
)
def test_nothing_else_is_there(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_page_is_guarded(client: TestClient, ratings: StudyRatings) -> None:
    given = {"rater": "ann", "item": ratings.items[0].id, "stars": 3}
    assert client.post("/ratings", json=given, headers={"origin": "http://elsewhere.example"}).status_code == 403
    assert client.get("/", headers={"host": "elsewhere.example"}).status_code == 400
    assert client.post("/ratings", content="x" * 5000).status_code == 413
    assert not ratings.ratings
    page = client.get("/")
    assert page.headers["content-security-policy"].startswith("default-src 'self'; ")
    assert "unsafe" not in page.headers["content-security-policy"]
    with TestClient(application(ratings, 0.0, None, ("ann", "secret")), base_url="http://localhost") as closed:
        assert closed.get("/").status_code == 401
        assert closed.get("/", auth=("ann", "secret")).status_code == 200


def test_choices_are_taken_and_what_is_none_is_answered_with_a_line(tmp_path: Path) -> None:
    choices = StudyChoices(optuna.create_study(), tmp_path)
    items = [choices.keep(picture, "a star") for picture in sample_images(2)]
    look = choices.ask("a star", items, "a trial", tie=False)
    given = {"rater": "ann", "look": look, "chosen": items[1]}
    with TestClient(application(choices, 0.0, LOCAL), base_url="http://localhost") as client:
        turn = client.get("/next", params={"rater": "ann"}).json()
        assert turn["look"]["id"] == look
        assert sorted(turn["look"]["options"]) == sorted(items)
        for wrong in ({"chosen": "x"}, {"chosen": 1}, {"chosen": None}, {"look": "x"}, {"rater": ""}, {"more": 1}):
            answer = client.post("/choices", json={**given, **wrong})
            assert answer.status_code == 422
            assert "\n" not in answer.json()["error"]
        assert client.post("/ratings", json={"rater": "ann", "item": items[0], "stars": 3}).status_code == 404
        assert client.post("/choices", json=given).json() == {"given": 1, "left": 0}
    assert [choice.chosen for choice in choices.choices] == [items[1]]
