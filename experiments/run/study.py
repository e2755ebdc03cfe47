"""The study of a run: survives kills, several processes and changed minds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.samplers import BaseSampler
from optuna.study import Study
from pydantic import ValidationError

from experiments.config.schema import RunConfig
from experiments.files.atomic import atomic_write
from experiments.run.storage import ENVIRONMENT, RunStorage, storage_url, without_password
from experiments.run.store import Store, open_storage
from experiments.run.versions import versions
from fabric.knobs import KNOBS, Knob

NAME = "fabric-bo"
CONFIG = "fabric-bo:config"
"""User attribute of a study: the whole configuration that it was made with."""

VERSIONS = "fabric-bo:versions"
"""User attribute of a study: the software and hardware that it was begun with."""

PICTURES = "fabric-bo:pictures"
"""User attribute of a study: its prompts with the ids of their pictures; see `check_pictures`."""

_KNOBS = "fabric-bo:knobs"  # user attribute of a study; see `keep_knobs`

CONFIG_FILE = "config.yaml"
# On what a trial is; what one changes after running out of memory is among it.
_WITHOUT_EFFECT = (
    "trials",
    "replicate",
    "at_once",
    "workers",
    "stop",
    "people",
    "output",
    "storage",
    "study",
    "artifacts",
    "held_out",
)
_WITHOUT_EFFECT_WITHIN = {"protocol": ("batch",), "model": ("device", "offload")}


def run_name(config: Mapping[str, Any], folder: Path) -> str:
    """Name of a run's study in its storage: as configured, else that of its folder where runs share the storage."""
    own_file = config.get("storage") is None
    return config.get("study") or (NAME if own_file else folder.resolve().name)


def open_study(
    folder: Path,
    config: dict[str, Any],
    objectives: int = 1,
    sampler: BaseSampler | None = None,
    name: str = NAME,
) -> Store:
    """The study of a run, new or as it was left.

    Args:
        folder: of the run.
        config: of the run, plain values; kept in the study, but for the storage's password.
        objectives: number of values of a trial, all to be maximised.
        sampler: proposes settings.
        name: of the study in its storage.

    Raises:
        ValueError: the study was made with another configuration, the message shows the difference; or the folder
            holds something else.
    """
    check_folder(folder, config)
    storage = _opened(folder, storage_url(folder, config.get("storage")))
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=["maximize"] * objectives,
        sampler=sampler,
        load_if_exists=True,
    )
    config = _to_keep(config)
    known = study.user_attrs.get(CONFIG)
    if known is not None and (difference := _difference(_decisive(_as_now(known)), _decisive(config))):
        raise ValueError(f"config: {folder} holds a run of another configuration: {difference}")
    if known is None:
        study.set_user_attr(VERSIONS, versions(config["model"]["device"]))
    if known != config:
        study.set_user_attr(CONFIG, config)
        write_config(folder, config)
    store = Store(study, storage)
    store.reap()
    return store


def _opened(folder: Path, url: str) -> RunStorage:
    """The storage of a run, whose folder is there from now on; not if the storage cannot be opened.

    Raises:
        ValueError: it cannot.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return open_storage(url)
    except ValueError:
        if is_new:
            folder.rmdir()
        raise


def join_study(url: str, name: str) -> Store:
    """The study of a run that was begun elsewhere.

    Args:
        url: of its storage.
        name: of it.

    Raises:
        ValueError: the storage cannot be opened, or holds no such run; the message is one line.
    """
    storage = open_storage(url)
    try:
        store = Store(optuna.load_study(study_name=name, storage=storage), storage)
    except KeyError:
        known = [one for one in optuna.get_all_study_names(storage) if one != name]
        allowed = ", ".join(known) or "none, as no run was begun there"
        raise ValueError(f"name: {name!r} is not in {without_password(url)}; allowed: {allowed}") from None
    config = store.study.user_attrs.get(CONFIG)
    if config is None or is_session(config):
        raise ValueError(f"name: {name!r} is no run; allowed: one that fabric-bo optimize began")
    store.reap()
    return store


def adopt(folder: Path, url: str) -> None:
    """Makes a folder that of a run which was begun elsewhere, so that it can be looked at, and its images rated.

    Args:
        folder: named after the run.
        url: of the run's storage.

    Raises:
        ValueError: the storage cannot be opened, or holds no such run; the message is one line.
    """
    name = folder.resolve().name
    config = join_study(url, name).study.user_attrs[CONFIG]
    write_config(folder, {**config, "storage": url, "study": name, "output": str(folder)})


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Makes a folder that of a run: whatever takes the run's folder takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / CONFIG_FILE) as path:
        path.write_text(yaml.safe_dump(_to_keep(config), sort_keys=False, allow_unicode=True), encoding="utf-8")


def _to_keep(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration as it is written down: plain values of JSON, and no password."""
    kept: dict[str, Any] = json.loads(json.dumps(config))
    if kept.get("storage") is not None:
        kept["storage"] = without_password(kept["storage"])
    return kept


def default_storage(folder: Path) -> str | None:
    """The storage where none is given: that of what the folder holds, else that of the environment, if there is one."""
    if (folder / CONFIG_FILE).exists():
        return stored_config(folder).get("storage")
    return os.environ.get(ENVIRONMENT) or None


def is_session(config: Mapping[str, Any]) -> bool:
    """Whether a study's configuration is one of the studio; a run's has objectives."""
    return "objective" not in config


def check_folder(folder: Path, config: Mapping[str, Any]) -> None:
    """Checks that a folder does not hold what a configuration is not one of; either would hide the other.

    Raises:
        ValueError: a run is to go into the folder of a session of the studio, or a session into that of a run.
    """
    if (folder / CONFIG_FILE).exists() and is_session(stored_config(folder)) != is_session(config):
        known, new = ("a run", "a session") if is_session(config) else ("a session of the studio", "a run")
        raise ValueError(f"folder: {folder} holds {known}; allowed: another folder for {new}")


def check_pictures(study: Study, tasks: Sequence[Mapping[str, Any]]) -> None:
    """Checks that a study's prompts have the pictures that it was begun with, and keeps them if it begins now.

    Args:
        study: of a run.
        tasks: see `experiments.run.tasks.pictures_of`.

    Raises:
        ValueError: a picture is another one; the message names its place.
    """
    known = study.user_attrs.get(PICTURES)
    if known is None:  # new, or of a version that did not keep them
        study.set_user_attr(PICTURES, list(tasks))
        return
    for place, (before, now) in enumerate(zip(known, tasks, strict=True)):
        for kind in ("targets", "liked", "disliked", "library"):
            if before.get(kind, []) != now[kind]:
                raise ValueError(
                    f"prompts.{place}.{kind}: other pictures than the run began with; allowed: the same, or another run"
                )


def keep_knobs(study: Study, knobs: Callable[[], Mapping[str, Knob]]) -> None:
    """Writes down what knobs the family of a study's model has, so that reports know them without the model.

    Args:
        study: of a run or a session.
        knobs: gives them, by name; asked only where they are not written down yet.
    """
    if _KNOBS not in study.user_attrs:
        study.set_user_attr(_KNOBS, [asdict(knob) for knob in knobs().values()])


def knobs_of(study: Study) -> dict[str, Knob]:
    """The knobs that the family of a study's model has, by name; all in studies that do not say."""
    kept = study.user_attrs.get(_KNOBS)
    return dict(KNOBS) if kept is None else {each["name"]: Knob(**each) for each in kept}


def _decisive(config: dict[str, Any]) -> dict[str, Any]:
    """What of a configuration must not change between trials."""
    decisive = {name: value for name, value in config.items() if name not in _WITHOUT_EFFECT}
    for part, names in _WITHOUT_EFFECT_WITHIN.items():
        if isinstance(decisive.get(part), dict):
            decisive[part] = {name: value for name, value in decisive[part].items() if name not in names}
    return decisive


def _as_now(config: dict[str, Any]) -> dict[str, Any]:
    """A run's configuration as this version writes it, with what older ones did not have; a session's as it is."""
    try:
        return RunConfig.model_validate(config).model_dump(mode="json")
    except ValidationError:
        return config


def _difference(old: dict[str, Any], new: dict[str, Any], place: str = "") -> str:
    """Fields that differ, as `place: old -> new`."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        before, after, here = old.get(name), new.get(name), f"{place}{name}"
        if isinstance(before, dict) and isinstance(after, dict):
            found.append(_difference(before, after, f"{here}."))
        elif before != after:
            found.append(f"{here}: {before} -> {after}")
    return ", ".join(line for line in found if line)


def stored_config(folder: Path) -> dict[str, Any]:
    """The configuration that lies in the folder of a run, or of a session of the studio.

    Raises:
        ValueError: there is none.
    """
    try:
        config = yaml.safe_load((folder / CONFIG_FILE).read_text())
    except FileNotFoundError:
        raise ValueError(f"run: {folder} is no output of a run (there is no {CONFIG_FILE} in it)") from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(f"run: {folder} is no output of a run ({' '.join(str(error).split())})") from error
    if not isinstance(config, dict):
        raise ValueError(f"run: {folder} is no output of a run ({CONFIG_FILE} holds no mapping)")
    return config


def read_study(folder: Path, name: str | None = None) -> tuple[Study, dict[str, Any]]:
    """The study of a folder and its configuration, to be looked at.

    Args:
        folder: of a run, or of a session of the studio.
        name: of the study in its storage; that of the folder's run by default.

    Raises:
        ValueError: there is none.
    """
    stored = stored_config(folder)
    if name is None:  # runs had no name of their own once
        name = run_name(stored, folder) if "study" in stored else NAME
    storage = open_storage(storage_url(folder, stored.get("storage")))
    try:
        study = optuna.load_study(study_name=name, storage=storage)
        return study, {"study": name, **study.user_attrs[CONFIG]}
    except KeyError:
        raise ValueError(f"run: {folder} was never begun; allowed: an output of fabric-bo optimize") from None
