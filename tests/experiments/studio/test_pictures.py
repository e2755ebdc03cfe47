from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from experiments.files.pictures import read_facts
from experiments.studio import pictures as pictures_module
from experiments.studio.pictures import PictureStore
from fabric.images import FeedbackImage, read_picture

TEXTS = {"fabric": '{"prompt": "a star"}'}


def test_a_picture_is_known_by_its_content(tmp_path: Path) -> None:
    store, picture = PictureStore(tmp_path), Image.new("RGB", (8, 6), "teal")
    image = store.add(picture)
    assert image == store.add(picture.copy()) == FeedbackImage(picture).id
    assert store.has(image)
    assert store.read(image).tobytes() == picture.tobytes()
    assert PictureStore(tmp_path).read(image).tobytes() == picture.tobytes()
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == [f"{image}.png"]


def test_a_picture_that_says_how_it_was_made_keeps_that(tmp_path: Path) -> None:
    store, picture = PictureStore(tmp_path), Image.new("RGB", (8, 6), "teal")
    image = store.add(picture)
    assert read_facts(store.path(image)) is None
    store.add(picture, TEXTS)
    store.add(picture)
    assert read_facts(store.path(image)) == {"prompt": "a star"}


@pytest.mark.parametrize(("memory", "reads"), [(4 * 100, 2), (3 * 100, 4), (0, 4)])
def test_memory_is_counted_in_bytes(tmp_path: Path, memory: int, reads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    store = PictureStore(tmp_path, memory)
    images = [store.add(Image.new("RGB", (10, 5), colour)) for colour in ("red", "teal")]  # 200 bytes each
    found = []

    def counted(path: Path) -> Image.Image:
        found.append(path)
        return read_picture(path)

    monkeypatch.setattr(pictures_module, "read_picture", counted)
    for image in images * 2:
        assert store.read(image).size == (10, 5)
    assert len(found) == reads


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    assert not store.has("0123456789abcdef")
    for ask in (store.path, store.read):
        with pytest.raises(ValueError, match="image: '0123456789abcdef' is unknown"):
            ask("0123456789abcdef")
        with pytest.raises(ValueError, match="is no name of an image; allowed: 16 hexadecimal digits"):
            ask("../../etc/passwd")
