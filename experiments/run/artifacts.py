"""Where a run's pictures lie: in its folder, or in an object store that every machine reaches."""

from __future__ import annotations

import io
import re
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO
from urllib.parse import urlsplit

from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.artifacts._protocol import ArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.trial import Trial
from PIL import Image
from tenacity import retry_if_exception

from experiments.config.places import OBJECT_STORES
from experiments.config.schema import RunConfig
from experiments.files.atomic import atomic_write
from experiments.files.pictures import save_png
from experiments.run.patient_storage import patiently

FOLDER = "artifacts"
"""Folder of a run that holds its pictures, or those that were fetched from an object store."""

_SERVER_ERROR = 500  # of HTTP, and above
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
        self._remote = _object_store(str(place)) if is_remote else None
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

    def keep(self, name: str, picture: Image.Image, facts: Mapping[str, str] = MappingProxyType({})) -> None:
        """Keeps a picture under a name of one's own; the same name means the same picture.

        Args:
            name: letters, digits, `_`, `.` and `-`.
            picture: to keep.
            facts: that its file says of it.
        """
        path = self.folder / name
        if path.exists():
            return
        with atomic_write(path) as unfinished:
            save_png(picture, unfinished, facts)
            if self._remote is not None:  # first, so that what is here is there too
                self._remote.write(name, io.BytesIO(unfinished.read_bytes()))

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


class _ObjectStore:
    """An artifact store of Optuna, every call of which is tried again while it is away.

    Args:
        prefix: that names begin with, so that runs can share a bucket.
        store: it.
        is_away: whether an error says that it did not answer.
    """

    def __init__(self, prefix: str, store: ArtifactStore, is_away: Callable[[BaseException], bool]) -> None:
        self.store = store
        self.prefix = prefix
        self._patiently = patiently(retry_if_exception(is_away), threading.Event(), "artifacts")

    def open_reader(self, artifact_id: str) -> BinaryIO:
        def read() -> BinaryIO:
            with self.store.open_reader(self.prefix + artifact_id) as body:
                return io.BytesIO(body.read())

        return self._patiently(read)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        def write() -> None:
            content_body.seek(0)
            self.store.write(self.prefix + artifact_id, content_body)

        self._patiently(write)

    def remove(self, artifact_id: str) -> None:
        self._patiently(self.store.remove, self.prefix + artifact_id)


def _object_store(place: str) -> _ObjectStore:
    """The store of Optuna for a place; credentials are from the environment, as boto3 and Google's client read them."""
    parts = urlsplit(place)
    prefix = f"{parts.path.strip('/')}/" if parts.path.strip("/") else ""
    try:
        if parts.scheme == "s3":
            return _ObjectStore(prefix, *_amazon(parts.netloc))
        return _ObjectStore(prefix, *_google(parts.netloc))
    except ImportError:
        extra = OBJECT_STORES[parts.scheme]
        raise ValueError(f"artifacts: {place} needs a package that is not here: pip install '{extra}'") from None


def _amazon(bucket: str) -> tuple[ArtifactStore, Callable[[BaseException], bool]]:
    """A bucket of S3, and whether an error says that it did not answer."""
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError
    from optuna.artifacts import Boto3ArtifactStore

    def is_away(error: BaseException) -> bool:
        if isinstance(error, ClientError):
            return int(error.response["ResponseMetadata"]["HTTPStatusCode"]) >= _SERVER_ERROR
        return isinstance(error, ConnectionError | HTTPClientError)

    return Boto3ArtifactStore(bucket), is_away


def _google(bucket: str) -> tuple[ArtifactStore, Callable[[BaseException], bool]]:
    """A bucket of Google's, and whether an error says that it did not answer."""
    from google.api_core.exceptions import ServerError
    from optuna.artifacts import GCSArtifactStore

    return GCSArtifactStore(bucket), lambda error: isinstance(error, ServerError | OSError)
