from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

from experiments.studio.options import StudioOptions
from experiments.studio.session import StudioSession
from experiments.studio.web.api import PageApi
from experiments.studio.web.server import application
from experiments.studio.web.uploads import MAX_BYTES
from experiments.studio.web.worker import Worker
from experiments.web import access
from experiments.web.access import LOCAL
from fabric.generator import FabricGenerator
from tests.experiments.studio.web.test_uploads import encoded


@pytest.fixture
def api(fabric: FabricGenerator, tmp_path: Path) -> PageApi:
    return PageApi(StudioSession.open(StudioOptions(folder=tmp_path / "s", steps=2, images=2), fabric), Worker())


@pytest.fixture
def client(api: PageApi) -> Iterator[TestClient]:
    with TestClient(application(api, LOCAL), base_url="http://localhost") as one:
        yield one


def files(folder: Path) -> set[Path]:
    changing = ("study.db", "changes")
    return {path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(changing)}


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        "/file=/etc/passwd",
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static//etc/passwd",
        "/static/../../../../etc/passwd",
        "/pictures/..%2f..%2fstudy.db",
        "/pictures/study.db",
        "/pictures/%2fetc%2fpasswd",
        "/details/..%2fstudy.db",
        "/previews/..%2fstudy.db",
        "/maps/..%2f..%2fstudy.db/artifact",
        "/docs",
        "/openapi.json",
    ],
)
def test_no_path_of_the_disk_is_read(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (403, 404), answer.text[:200]
    assert "root:" not in answer.text
    assert "SQLite" not in answer.text


def test_an_upload_names_no_file(client: TestClient, api: PageApi, tmp_path: Path) -> None:
    query = {"rater": "ann", "id": "0" * 16, "sign": "liked", "name": "../../../evil.png"}
    before = files(tmp_path)
    answer = client.post("/uploads", params=query, content=encoded(Image.new("RGB", (8, 8), "red"))).json()
    assert files(tmp_path) - before == {tmp_path / "s" / "artifacts" / f"{answer['image']}.png"}
    assert api.session.state.uploads == {answer["image"]: "evil.png"}


def test_a_body_is_no_larger_than_an_upload_may_be(client: TestClient, api: PageApi) -> None:
    query = {"rater": "ann", "id": "0" * 16, "sign": "liked"}
    assert client.post("/uploads", params=query, content=bytes(MAX_BYTES + 1)).status_code == 413
    endless = (bytes(2**20) for _ in range(12))  # chunked: no length is told
    assert client.post("/uploads", params=query, content=endless).status_code == 411
    assert api.session.state.uploads == {}


def test_only_own_names_and_origins(client: TestClient) -> None:
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    query = {"rater": "ann", "id": "0" * 16, "sign": "liked"}
    sent = client.post("/uploads", params=query, content=b"", headers={"origin": "http://evil.example"})
    assert sent.status_code == 403


def test_the_page_runs_its_own_files_and_nothing_else(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    (inline,) = re.findall(r"<script[^>]*>([^<]+)</script>", page.text)
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'self' 'sha256-{digest}';")
    assert "unsafe" not in policy
    assert json.loads(inline)["imports"].keys() == {"preact", "preact/hooks", "htm"}
    for path in json.loads(inline)["imports"].values():
        assert client.get(path.removeprefix(".")).status_code == 200


def test_the_password_is_asked_for_everywhere(api: PageApi) -> None:
    with TestClient(application(api, None, ("ann", "wörd:2")), base_url="http://studio.example") as client:
        for path in ("/", "/about", "/session?rater=ann", "/best.yaml", "/static/app.js", "/pictures/0123456789abcdef"):
            assert client.get(path).status_code == 401
            assert client.get(path, auth=("ann", "wrong")).status_code == 401
        assert client.get("/best.yaml", auth=("ann", "wörd:2".encode())).status_code == 200


def test_who_guesses_has_to_wait(
    api: PageApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(access, "_REST", 1)
    with TestClient(application(api, None, ("ann", "right")), base_url="http://studio.example") as client:
        assert client.get("/about").status_code == 401  # a browser asks without a password first
        for _ in range(10):
            assert client.get("/about", auth=("ann", "wrong")).status_code == 401
        assert client.get("/about", auth=("ann", "right")).status_code == 429
        assert caplog.text.count("wrong password") == 10
        time.sleep(1.2)
        assert client.get("/about", auth=("ann", "right")).status_code == 200


ACT = {"id": "0" * 16, "rater": "ann", "kind": "rating", "image": "0" * 16, "value": 3}
ROUTES = ("/acts", "/rounds", "/predictions", "/blind/verdicts")


def refused(answer: Any) -> bool:
    """Whether something was refused in one line."""
    said = answer.json()["error"]
    return answer.status_code == 422 and bool(said) and "\n" not in said


@pytest.mark.parametrize(
    "change",
    [
        {"value": 6},
        {"value": "3"},
        {"image": "../x"},
        {"image": {}},
        {"id": "x"},
        {"rater": " "},
        {"kind": 3},
        {"note": "x" * 30_000},
        {},  # an image that there is not
    ],
)
def test_wrong_acts_are_refused_in_one_line(client: TestClient, api: PageApi, change: dict[str, object]) -> None:
    assert refused(client.post("/acts", json={**ACT, **change}))
    assert api.session.state.ratings == {}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "body", [b"", b"[" * 5_000, b"[1]", b"null", b'{"id": NaN}', b'{"rater": "\\ud800"}', b"\xff", b"{}", b" " * 20_001]
)
def test_what_is_no_object_of_json_is_refused_in_one_line(client: TestClient, route: str, body: bytes) -> None:
    assert refused(client.post(route, content=body))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    "id",
    "rater",
    "kind",
    "image",
    "value",
    "sign",
    "options",
    "chosen",
    "record",
    "knob",
    "rich",
    "images",
    "pair",
)
KINDS = ("rating", "choice", "withdrawal", "mark", "upload", "prompt", "favourite", "freeze", "more like", "rich")


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    route=st.sampled_from(ROUTES), kind=st.sampled_from(KINDS), changes=st.dictionaries(st.sampled_from(FIELDS), VALUES)
)
def test_nothing_that_is_sent_is_an_error_of_the_server(
    client: TestClient, route: str, kind: str, changes: dict[str, object]
) -> None:
    answer = client.post(route, json={**ACT, "kind": kind, **changes})
    assert answer.status_code == 200 or refused(answer)


def test_a_look_without_a_name_is_refused(client: TestClient) -> None:
    assert refused(client.get("/session"))
    assert refused(client.get("/session", params={"rater": " "}))
