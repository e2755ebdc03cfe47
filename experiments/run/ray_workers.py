"""Many workers of one run, placed and started again by Ray: on one machine, or on a cluster (`RAY_ADDRESS`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.config.read import check_config
from experiments.config.schema import RunConfig
from experiments.run.artifacts import FOLDER
from experiments.run.optimize import Run, begin, join
from experiments.run.overview import overview_of
from experiments.run.plan import Plan
from experiments.run.progress import Progress, in_words
from experiments.run.ray_cluster import Cluster
from experiments.run.storage import storage_url
from experiments.run.store import Store
from experiments.run.study import CONFIG_FILE, join_study

_LOOK = 2.0  # seconds between two looks at how far the run is


def optimize_with_workers(plan: Plan, progress: Progress) -> Run:
    """Runs `config.workers` workers until the run is over; one that dies is started again, its trial is lost.

    Each has a GPU of its own where there are any, else its share of the processors.

    Args:
        plan: of a configuration.
        progress: shows how far all of them are.

    Raises:
        ValueError: Ray is not installed, has too few GPUs, or something in the configuration is not to be had.
        ObjectiveError: an objective failed three times in a row.
        KeyboardInterrupt: the trials under way are lost, everything else is kept.
    """
    config, cluster = plan.config, Cluster(plan.config.workers)
    progress.doing("loading the objective")
    plan.check()
    store = begin(plan) if (config.output / CONFIG_FILE).exists() else None
    progress.doing("starting the workers")
    with cluster:
        _check_cluster(config, cluster.machines)
        workers = cluster.place(_Worker)
        if store is None:
            # Nothing is written before the model is known to be there, and it is there or not where the workers are.
            cluster.result(workers[0].check.remote(config.model_dump(mode="json")))
            store = begin(plan)
        working = [
            worker.work.remote(_values(config, store.study.study_name, place)) for place, worker in enumerate(workers)
        ]
        while working:
            working = cluster.left(working, _LOOK)
            _show(store, progress)
    return Run(plan, store.study)


class _Worker:
    """What Ray places on a GPU or on processors."""

    def check(self, values: dict[str, Any]) -> None:
        """Reads the model of a run that does not exist yet.

        Raises:
            ValueError: it is not to be had, or cannot do what the protocol asks for.
        """
        Plan(check_config(values), ()).generator()

    def work(self, values: dict[str, Any]) -> None:
        """Takes part in a run until it is over."""
        with Progress(quiet=True) as progress:
            join(join_study(values["storage"], values["study"]), check_config(values), progress)


def _values(config: RunConfig, name: str, place: int) -> dict[str, Any]:
    """A worker's configuration: storage and pictures are the run's, the rest of its folder is its own."""
    output = config.output.resolve()
    artifacts = config.artifacts or str(output / FOLDER)
    return {
        **config.model_dump(mode="json"),
        "storage": storage_url(output, config.storage),
        "study": name,
        "artifacts": artifacts if "://" in artifacts else str(Path(artifacts).resolve()),
        "output": str(output / "workers" / str(place)),
        "workers": 1,
    }


def _check_cluster(config: RunConfig, machines: int) -> None:
    """Checks that all machines of a cluster reach the study and the pictures.

    Raises:
        ValueError: they do not.
    """
    if machines > 1 and (config.storage is None or config.artifacts is None):
        raise ValueError(
            f"storage, artifacts: in the run's folder, which {machines} machines do not share; allowed: a database "
            "server, and a shared folder or an object store"
        )


def _show(store: Store, progress: Progress) -> None:
    run = overview_of(store)
    left = "" if run.minutes_left is None else f"{in_words(60 * run.minutes_left)} left"
    best = "" if run.best is None else f"best {run.best:+.3g}"
    progress.at(run.finished, f"trial {run.finished}/{run.trials}", f"{run.workers} workers", best, left)
