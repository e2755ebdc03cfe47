"""Ray by itself, without a model."""

from __future__ import annotations

import os

import pytest

from experiments.run.ray_cluster import Cluster, resources_of


def test_each_worker_has_a_gpu_or_its_share_of_the_processors() -> None:
    assert resources_of(4, {"CPU": 16, "GPU": 4}) == {"num_gpus": 1.0}
    assert resources_of(4, {"CPU": 16}) == {"num_cpus": 4.0}
    assert resources_of(3, {"CPU": 16}) == {"num_cpus": 5.0}
    assert resources_of(4, {"CPU": 2}) == {"num_cpus": 0.5}
    with pytest.raises(ValueError, match="workers: 4; allowed: up to 2, one for each GPU"):
        resources_of(4, {"CPU": 16, "GPU": 2})


@pytest.mark.slow
@pytest.mark.xdist_group("machines")
def test_workers_share_what_there_is_to_do_and_fail_as_one_process_would() -> None:
    class Multiplier:  # within, so that it goes to the workers by value
        def __init__(self, factor: int) -> None:
            self.factor = factor

        def times(self, value: int) -> tuple[int, int]:
            if value == 13:
                raise ValueError("value: 13; allowed: others")
            return os.getpid(), self.factor * value

    with Cluster(2) as cluster:
        workers = cluster.place(Multiplier, 3)
        found = list(cluster.map(workers, lambda worker, value: worker.times.remote(value), range(8)))
        assert [product for _, product in found] == [3 * value for value in range(8)]
        assert len({process for process, _ in found} - {os.getpid()}) == 2
        for fails in (
            lambda: list(cluster.map(workers, lambda worker, value: worker.times.remote(value), [1, 13])),
            lambda: cluster.result(workers[0].times.remote(13)),
        ):
            with pytest.raises(ValueError, match=r"^value: 13; allowed: others$"):
                fails()
        calls = [worker.times.remote(1) for worker in workers]
        while calls:
            calls = cluster.left(calls, 1)
