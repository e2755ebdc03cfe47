"""`fabric-bo bench machines`: one run on many machines, simulated on this one.

Workers are processes that run what `fabric-bo optimize` runs, on a real database server that is begun for it, and with
`--proxy` through a real proxy. Only their GPUs are simulated; see `experiments.bench.simulated_worker` for how their
time is counted where the clock of the GPUs runs faster than the world's.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import re
import socket
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import RDBStorage

from experiments.bench.kept import add_results_option, keep_results
from experiments.bench.options import check_ranges
from experiments.bench.postgres import Postgres, postgres
from experiments.bench.simulated_gpu import OBJECTIVE, HiddenOptimum
from experiments.bench.simulated_worker import ASK, GENERATE, LEARN, OTHER, RESULT, TELL, WAIT, simulate
from experiments.run.optimize import Run, read_run
from experiments.run.stopping import finished
from experiments.run.store import open_storage

SECONDS = 3.0  # that an image takes
LOSSES = (ASK, TELL, LEARN, WAIT, OTHER)
"""What a worker's time goes to besides its GPU."""

_PROMPTS = 8
_PROTOCOL = {"rounds": 3, "images": 4, "batch": 4, "size": [8, 8], "prune": 0}
_SPACE = {
    "strength": [0.05, 8, "log"],
    "floor": [0, 1],
    "start": [0, 1],
    "end": [0, 1],
    "neg_scale": [0, 2],
    "bottleneck": [0, 2],
    "crowding": [0, 1],
    "guidance_scale": [1.5, 12],
}
_PRELOADED = ["experiments.bench.simulated_worker", "experiments.run.grpc_storage"]
_LOOK = 0.5  # seconds between two looks at the connections
_LONGEST = 3600.0  # seconds that a run may take
_ERROR = re.compile(r"\b(?:ERROR|FATAL|PANIC): .*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--trials", type=int, default=500, help="of each run")
    parser.add_argument(
        "--speed",
        type=float,
        default=4.0,
        help="of the GPUs' clock with the most workers; the fewer they are the faster, so that all ask as often",
    )
    parser.add_argument(
        "--proxy", action="store_true", help="workers reach the database through fabric-bo serve-storage"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the place of the optimum")
    add_results_option(parser)


def run(options: argparse.Namespace) -> int:
    """Prints for each number of workers what a run comes to.

    Returns:
        Exit code 0.

    Raises:
        ValueError: an option is out of range, or the database cannot be begun here.
    """
    check_ranges(options, {"workers": (1, None), "trials": (10, None), "seed": (0, None)})
    if options.speed <= 0:
        raise ValueError(f"speed: {options.speed} is out of range; allowed: more than 0")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = []
    with postgres() as server, contextlib.ExitStack() as stack:
        _make_tables(server)
        url = stack.enter_context(_proxy(server)) if options.proxy else server.url
        for workers in sorted(set(options.workers)):
            speed = options.speed * max(options.workers) / workers
            rows.append(_simulated(server, url, workers, speed, options))
            _print(rows)
    keep_results("machines", add_arguments, options, {"trials": options.trials, "rows": rows})
    return 0


def _make_tables(server: Postgres) -> None:
    """Makes the tables of a server, and keeps no connection to it.

    Raises:
        ValueError: the driver is not installed.
    """
    storage = open_storage(server.url)
    assert isinstance(storage, RDBStorage), "a server is no proxy"
    storage.engine.dispose()


@contextlib.contextmanager
def _proxy(server: Postgres) -> Iterator[str]:
    """URL of a proxy of a server, in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    context = multiprocessing.get_context("forkserver")
    ready = context.Event()
    process = context.Process(target=_serve, args=(server.url, port, ready), daemon=True)
    process.start()
    try:
        if not ready.wait(60):
            raise ValueError("proxy: it does not begin")
        yield f"grpc://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.join()


def _serve(url: str, port: int, ready: Event) -> None:
    from experiments.run.grpc_storage import serve  # an extra

    serve(open_storage(url), "127.0.0.1", port, ready.set)


def _simulated(server: Postgres, url: str, workers: int, speed: float, options: argparse.Namespace) -> dict[str, Any]:
    """A run by so many workers, and what it came to."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        values = {
            "prompts": [{"prompt": f"prompt {k}"} for k in range(_PROMPTS)],
            "objective": OBJECTIVE,
            "protocol": _PROTOCOL,
            "space": _SPACE,
            "trials": options.trials,
            "seed": options.seed,
            "storage": url,
            "study": f"{workers} workers",
            "artifacts": str(folder / "artifacts"),
        }
        watch = _work(server, values, folder, workers, speed, options.seed)
        found = [json.loads((folder / f"{k}" / RESULT).read_text(encoding="utf-8")) for k in range(workers)]
        done = read_run(folder / "0")
        row = {
            "workers": workers,
            "speed": speed,
            **_pace(found, options.trials),
            **_times(found),
            "connections": watch.connections,
            "transactions": watch.transactions / options.trials,
            "errors": watch.errors,
            "lost": len([trial for trial in done.study.trials if trial not in finished(done.study)]),
            "gap": _gap(done, options.seed),
            "megabytes": float(np.median([each["bytes"] for each in found])) / 1e6,
        }
        return {**row, "load": row["transactions"] * row["pace"] / 3600}


def _work(server: Postgres, values: dict[str, Any], folder: Path, workers: int, speed: float, seed: int) -> _Watch:
    """Workers side by side until the run is over, and what the server had to do with it.

    Raises:
        RuntimeError: one of them failed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    start = context.Barrier(workers + 1)
    processes = [
        context.Process(
            target=simulate, args=({**values, "output": str(folder / f"{k}")}, SECONDS, speed, seed, start), daemon=True
        )
        for k in range(workers)
    ]
    try:
        for process in processes:
            process.start()
        start.wait(_LONGEST)  # all have read what they need, and are connected
        with _Watch(server) as watch:
            for process in processes:
                process.join(_LONGEST)
    finally:
        for process in processes:
            process.kill()
    if failed := [process.exitcode for process in processes if process.exitcode != 0]:
        raise RuntimeError(f"{len(failed)} of {workers} workers failed (exit codes {sorted(set(failed), key=str)})")
    return watch


class _Watch:
    """Looks at a server while a run uses it; to be used in a `with` block.

    Attributes:
        connections: of the workers, at most.
        transactions: of all.
        errors: that the server noted.
    """

    def __init__(self, server: Postgres) -> None:
        import psycopg  # an extra, and there as soon as there are tables

        self._server = server
        self._connection = psycopg.connect(host=str(server.folder), user="postgres", dbname="postgres", autocommit=True)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.connections = 0

    def __enter__(self) -> _Watch:
        self.transactions, self.errors = -self._done(), -self._noted()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self.transactions += self._done()
        self.errors += self._noted()
        self._connection.close()

    def _look(self) -> None:
        while not self._over.wait(_LOOK):
            self.connections = max(self.connections, self._count())

    def _count(self) -> int:
        return self._number(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    def _noted(self) -> int:
        return len(_ERROR.findall(self._server.log))

    def _done(self) -> int:
        return self._number("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'postgres'")

    def _number(self, query: str) -> int:
        row = self._connection.execute(query.encode()).fetchone()
        assert row is not None, "counts have a row"
        return int(row[0])


def _pace(found: list[dict[str, Any]], trials: int) -> dict[str, Any]:
    """Trials an hour, and those if no GPU was ever idle; and what the workers' time goes to, as shares."""
    spent = {name: [each[name] for each in found] for name in (GENERATE, *LOSSES)}
    longest = float(np.sum(list(spent.values()), axis=0).max())
    generating, whole = float(np.sum(spent[GENERATE])), len(found) * longest
    return {
        "pace": 3600 * trials / longest,
        "ideal": 3600 * trials * len(found) / generating,
        "lost_to": {name: float(np.sum(spent[name])) / whole for name in LOSSES},
    }


def _times(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Median and 95 % of seconds that asking and telling take, and what the median ask computes."""
    columns = {name: np.array([row for each in found for row in each["times"][name]]) for name in (ASK, TELL)}
    return {
        **{name: np.quantile(table[:, 0], [0.5, 0.95]).tolist() for name, table in columns.items()},
        "proposal": float(np.median(columns[ASK][:, 1])),
    }


def _gap(done: Run, seed: int) -> float:
    """How much of the way from usual settings to the best is left of the setting that a run recommends."""
    _, params = done.recommended()
    return HiddenOptimum(done.plan, seed).gap(params)


def _print(rows: list[dict[str, Any]]) -> None:
    """Prints the last row, and before the first the head."""
    if len(rows) == 1:
        print(f"an image takes {SECONDS:.0f} s; times are those of such GPUs, each with a processor beside it")
        print(
            f"{'workers':>7}{'trials/h':>10}{'ideal':>8}{'':>6}{'ask s (95 %)':>16}{'computed':>10}"
            f"{'tell s (95 %)':>16}{'connections':>13}{'per trial':>11}{'per s':>7}{'errors':>8}{'gap left':>10}"
        )
    row = rows[-1]
    ask, tell = ("{:.2f} ({:.2f})".format(*row[name]) for name in (ASK, TELL))
    print(
        f"{row['workers']:>7}{row['pace']:>10.1f}{row['ideal']:>8.1f}{row['pace'] / row['ideal']:>6.0%}{ask:>16}"
        f"{row['proposal']:>10.2f}{tell:>16}{row['connections']:>13}{row['transactions']:>11.0f}{row['load']:>7.1f}"
        f"{row['errors']:>8}{row['gap']:>10.3f}"
    )
    lost = ", ".join(f"{name} {share:.1%}" for name, share in row["lost_to"].items())
    print(f"{'':>7}  time besides generating: {lost}; {row['megabytes']:.0f} MB a worker here", flush=True)
