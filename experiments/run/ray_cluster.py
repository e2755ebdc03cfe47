"""Ray: processes on this machine, or on a cluster (`RAY_ADDRESS`), each with a GPU of its own where there are any."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, TypeVar

from objectives.base import ObjectiveError

_Item = TypeVar("_Item")
_EXTRA = "pip install 'fabric-bo[ray]'"


class Cluster:
    """Machines that work together; to be used in a `with` block.

    Args:
        workers: processes that are placed on them.

    Attributes:
        workers: likewise.
        machines: that there are.

    Raises:
        ValueError: Ray is not installed.
    """

    def __init__(self, workers: int) -> None:
        try:
            import ray
            import ray.util
        except ImportError:
            raise ValueError(f"workers: {workers} need Ray, which is not here: {_EXTRA}") from None
        self._ray: Any = ray  # parts of it are typed too loosely
        self.workers = workers
        self.machines = 1

    def __enter__(self) -> Cluster:
        self._ray.init(
            include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False
        )
        self.machines = len(self._ray.nodes())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ray.shutdown()

    def place(self, worker: type, *arguments: object) -> list[Any]:
        """Workers of a class, one a process; Ray starts those again that die, and what they were at.

        Args:
            worker: the class.
            arguments: of it.

        Raises:
            ValueError: there are fewer GPUs than workers.
        """
        resources = resources_of(self.workers, self._ray.cluster_resources())
        actor = self._ray.remote(max_restarts=-1, max_task_retries=-1, **resources)(worker)
        return [actor.remote(*arguments) for _ in range(self.workers)]

    def result(self, call: Any) -> Any:
        """What came of a worker's call.

        Raises:
            ValueError, ObjectiveError: as in the worker.
        """
        with self._as_in_worker():
            return self._ray.get(call)

    @contextlib.contextmanager
    def _as_in_worker(self) -> Iterator[None]:
        """Within, errors are those of the worker."""
        try:
            yield
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ValueError | ObjectiveError):
                raise error.cause from None
            raise

    def map(self, workers: Sequence[Any], call: Callable[[Any, _Item], Any], items: Iterable[_Item]) -> Iterator[Any]:
        """What came of each item, in their order; each worker has the next one when it is done.

        Args:
            workers: that `place` gave.
            call: asks a worker for an item, as in `lambda worker, item: worker.play.remote(item)`.
            items: any number.

        Raises:
            ValueError, ObjectiveError: as in the worker.
        """
        pool = self._ray.util.ActorPool(workers)
        for item in items:
            pool.submit(call, item)
        while pool.has_next():
            with self._as_in_worker():
                found = pool.get_next()
            yield found

    def left(self, calls: Sequence[Any], seconds: float) -> list[Any]:
        """Calls that are still under way after a while, or once one of them is done.

        Raises:
            ValueError, ObjectiveError: as in the worker of one that is done.
        """
        done, under_way = self._ray.wait(list(calls), timeout=seconds)
        for call in done:
            self.result(call)
        return list(under_way)


def resources_of(workers: int, cluster: dict[str, float]) -> dict[str, float]:
    """What each worker takes up.

    Raises:
        ValueError: there are fewer GPUs than workers.
    """
    gpus, processors = int(cluster.get("GPU", 0)), int(cluster.get("CPU", os.cpu_count() or 1))
    if 0 < gpus < workers:
        raise ValueError(f"workers: {workers}; allowed: up to {gpus}, one for each GPU")
    # Ray takes whole processors, or parts of one.
    return {"num_gpus": 1.0} if gpus else {"num_cpus": float(processors // workers) or processors / workers}
