from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
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
    return {path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("study.db")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/file=studio/study.db",
        "/file=/etc/passwd",
        "/gradio_api/proxy=https://huggingface.co/x",
        "/gradio_api/deep_link",
        "/gradio_api/vibe-code/",
        "/studio/static/../server.py",
        "/studio/static/%2e%2e/server.py",
        "/studio/static//etc/passwd",
        "/studio/pictures/..%2f..%2fstudy.db",
        "/studio/pictures/study.db",
        "/studio/pictures/%2fetc%2fpasswd",
        "/static/../../../../etc/passwd",
        "/assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/docs",
        "/openapi.json",
    ],
)
def test_no_path_of_the_disk_is_read(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (403, 404), answer.text[:200]
    assert "root:" not in answer.text
    assert "SQLite" not in answer.text


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/upload",
        "/gradio_api/run/predict",
        "/upload",
        "/gradio_api/queue/join",
        "/gradio_api/process_recording",
    ],
)
def test_gradios_own_ways_to_write_are_shut(client: TestClient, path: str) -> None:
    sent = client.post(path, files={"files": ("../../evil.png", b"evil")})
    assert sent.status_code == 404


def test_an_upload_names_no_file(client: TestClient, api: PageApi, tmp_path: Path) -> None:
    query = {"rater": "ann", "id": "0" * 16, "sign": "liked", "name": "../../../evil.png"}
    before = files(tmp_path)
    answer = client.post("/studio/upload", params=query, content=encoded(Image.new("RGB", (8, 8), "red"))).json()
    assert files(tmp_path) - before == {tmp_path / "s" / "artifacts" / f"{answer['image']}.png"}
    assert api.session.state.uploads == {answer["image"]: "evil.png"}


def test_a_body_is_no_larger_than_an_upload_may_be(client: TestClient, api: PageApi) -> None:
    query = {"rater": "ann", "id": "0" * 16, "sign": "liked"}
    assert client.post("/studio/upload", params=query, content=bytes(MAX_BYTES + 1)).status_code == 413
    endless = (bytes(2**20) for _ in range(12))  # chunked: no length is told
    assert client.post("/studio/upload", params=query, content=endless).status_code == 411
    assert api.session.state.uploads == {}


def test_only_own_names_and_origins(client: TestClient) -> None:
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    query = {"rater": "ann", "id": "0" * 16, "sign": "liked"}
    sent = client.post("/studio/upload", params=query, content=b"", headers={"origin": "http://evil.example"})
    assert sent.status_code == 403


def test_the_name_of_a_session_is_text_on_the_page(fabric: FabricGenerator, tmp_path: Path) -> None:
    options = StudioOptions(folder=tmp_path / "s", steps=2, study="<img src=x onerror=alert(1)>")
    with TestClient(application(PageApi(StudioSession.open(options, fabric), Worker()), LOCAL)) as client:
        config = client.get("/config", headers={"host": "localhost"}).text
    assert "&lt;img src=x" in config
    assert "<img src=x" not in config


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    config = client.get("/config").json()
    assert config["analytics_enabled"] is False


def test_the_password_is_asked_for_everywhere(api: PageApi) -> None:
    with TestClient(application(api, None, ("ann", "wörd:2")), base_url="http://studio.example") as client:
        for path in ("/", "/config", "/studio/best.yaml", "/studio/static/main.js", "/gradio_api/component_server"):
            assert client.get(path).status_code == 401
            assert client.get(path, auth=("ann", "wrong")).status_code == 401
        assert client.get("/studio/best.yaml", auth=("ann", "wörd:2".encode())).status_code == 200


def test_who_guesses_has_to_wait(
    api: PageApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(access, "_REST", 1)
    with TestClient(application(api, None, ("ann", "right")), base_url="http://studio.example") as client:
        assert client.get("/config").status_code == 401  # a browser asks without a password first
        for _ in range(10):
            assert client.get("/config", auth=("ann", "wrong")).status_code == 401
        assert client.get("/config", auth=("ann", "right")).status_code == 429
        assert caplog.text.count("wrong password") == 10
        time.sleep(1.2)
        assert client.get("/config", auth=("ann", "right")).status_code == 200


def test_wrong_acts_are_answered_in_one_line(api: PageApi) -> None:
    act = {"id": "0" * 16, "rater": "ann", "kind": "rating", "image": "0" * 16, "value": 3}
    changes: list[dict[str, object]] = [
        {"value": 6},
        {"value": "3"},
        {"image": "../x"},
        {"image": {}},
        {"id": "x"},
        {"rater": " "},
        {"kind": 3},
        {},  # an image that there is not
    ]
    for change in changes:
        said = api.act({**act, **change})
        assert said["error"], json.dumps(change)
        assert "\n" not in said["error"]
    assert api.session.state.ratings == {}
