"""Where a run's pictures lie: in its folder, or in an object store that every machine reaches."""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from optuna.artifacts import Backoff, FileSystemArtifactStore, upload_artifact
from optuna.artifacts._protocol import ArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.trial import Trial
from PIL import Image

from experiments.config.places import OBJECT_STORES
from experiments.config.schema import RunConfig
from experiments.files.atomic import atomic_write
from experiments.files.pictures import save_png

FOLDER = "artifacts"
"""Folder of a run that holds its pictures, or those that were fetched from an object store."""

_NAME = re.compile(r"[\w.-]+")


class Artifacts:
    """A run's pictures by name.

    Args:
        folder: of files; those of an object store are fetched into it.
        place: `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or another folder; `folder` itself by default.

    Raises:
        ValueError: what reaches the place is not installed.
    """

    def __init__(self, folder: Path, place: str | None = None) -> None:
        is_remote = place is not None and "://" in place
        self.folder = folder if place is None or is_remote else Path(place)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remote = Backoff(_object_store(str(place))) if is_remote else None
        self._store: ArtifactStore = self._remote or FileSystemArtifactStore(self.folder)

    def path(self, name: str) -> Path:
        """File of an artifact, fetched first where it is not here.

        Raises:
            ValueError: that is no name.
            FileNotFoundError: there is no such artifact.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"artifact: {name[:60]!r}; allowed: letters, digits, '_', '.' and '-'")
        path = self.folder / name
        if path.exists():
            return path
        try:
            with self._store.open_reader(name) as body:
                content = body.read()
        except ArtifactNotFound:
            raise FileNotFoundError(f"artifact: {name} is in no place that this run keeps pictures in") from None
        with atomic_write(path) as unfinished:
            unfinished.write_bytes(content)
        return path

    def keep(self, name: str, picture: Image.Image) -> None:
        """Keeps a picture under a name of one's own; the same name means the same picture."""
        path = self.folder / name
        if path.exists():
            return
        save_png(picture, path, {})
        if self._remote is not None:
            self._remote.write(name, io.BytesIO(path.read_bytes()))

    def upload(self, trial: Trial, pictures: dict[str, Image.Image]) -> None:
        """Keeps pictures of a trial, which knows them by their file names."""
        with tempfile.TemporaryDirectory() as folder:
            for name, picture in pictures.items():
                path = Path(folder) / name
                save_png(picture, path, {})
                upload_artifact(artifact_store=self._store, file_path=str(path), study_or_trial=trial)


def artifacts_of(config: RunConfig) -> Artifacts:
    """Those of a run.

    Raises:
        ValueError: what reaches them is not installed.
    """
    return Artifacts(config.output / FOLDER, config.artifacts)


class _Prefixed:
    """An artifact store of Optuna whose names begin with a prefix, so that runs can share a bucket."""

    def __init__(self, store: ArtifactStore, prefix: str) -> None:
        self.store = store
        self.prefix = prefix

    def open_reader(self, artifact_id: str) -> BinaryIO:
        return self.store.open_reader(self.prefix + artifact_id)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        self.store.write(self.prefix + artifact_id, content_body)

    def remove(self, artifact_id: str) -> None:
        self.store.remove(self.prefix + artifact_id)


def _object_store(place: str) -> _Prefixed:
    """The store of Optuna for a place; credentials are from the environment, as boto3 and Google's client read them."""
    parts = urlsplit(place)
    prefix = f"{parts.path.strip('/')}/" if parts.path.strip("/") else ""
    try:
        if parts.scheme == "s3":
            from optuna.artifacts import Boto3ArtifactStore

            return _Prefixed(Boto3ArtifactStore(parts.netloc), prefix)
        from optuna.artifacts import GCSArtifactStore

        return _Prefixed(GCSArtifactStore(parts.netloc), prefix)
    except ImportError:
        extra = OBJECT_STORES[parts.scheme]
        raise ValueError(f"artifacts: {place} needs a package that is not here: pip install '{extra}'") from None
