from __future__ import annotations

from pathlib import Path

import pytest

from tests.objectives import models


@pytest.fixture(scope="session")
def open_clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save_open_clip(tmp_path_factory.mktemp("models") / "open_clip")


@pytest.fixture(scope="session")
def clip_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save_clip_model(tmp_path_factory.mktemp("models") / "clip")


@pytest.fixture(scope="session")
def dino_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save_dino(tmp_path_factory.mktemp("models") / "dino")


@pytest.fixture(scope="session")
def rahf_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save_rahf(tmp_path_factory.mktemp("models") / "rahf")
