import threading
import time

from experiments.studio.web.worker import OnStep, Worker


def test_one_job_at_a_time_with_its_progress() -> None:
    worker, go, at_step = Worker(), threading.Event(), threading.Event()

    def job(on_step: OnStep) -> None:
        on_step(3, 8)
        at_step.set()
        go.wait(10)

    assert worker.start("round 1", job)
    assert at_step.wait(10)
    assert (worker.progress.job, worker.progress.done, worker.progress.steps) == ("round 1", 3, 8)
    assert not worker.start("round 2", job)
    go.set()
    worker.wait(10)
    assert worker.progress.job == ""
    assert worker.progress.seconds > 0


def test_a_failure_is_said_and_the_worker_lives_on() -> None:
    worker, ran = Worker(), threading.Event()

    def fails(on_step: OnStep) -> None:
        raise MemoryError("a single image\ndoes not fit")

    assert worker.start("round 1", fails)
    worker.wait(10)
    assert worker.progress.error == "a single image does not fit"
    assert worker.start("round 1", lambda on_step: ran.set())
    worker.wait(10)
    assert ran.is_set()
    assert worker.progress.error == ""


def test_what_is_no_longer_wanted_is_not_started() -> None:
    worker = Worker()
    assert not worker.start("round 1", lambda on_step: None, wanted=lambda: False)
    assert worker.progress.job == ""


def test_a_job_ends_at_the_step_after_it_was_cancelled() -> None:
    worker, at_step, go, steps = Worker(), threading.Event(), threading.Event(), list[int]()

    def job(on_step: OnStep) -> None:
        for step in range(1, 9):
            on_step(step, 8)
            steps.append(step)
            at_step.set()
            assert go.wait(10)

    assert not worker.cancel()
    assert worker.start("round 1", job)
    assert at_step.wait(10)
    assert worker.cancel()
    assert worker.progress.stopping
    go.set()
    worker.wait(10)
    assert steps == [1]
    assert (worker.progress.job, worker.progress.error, worker.progress.stopping) == ("", "", False)
    assert worker.start("round 2", lambda on_step: on_step(1, 1))  # which nobody has cancelled
    worker.wait(10)
    assert worker.progress.seconds > 0


def test_the_time_left_is_that_of_the_steps_left() -> None:
    worker, left = Worker(), list[float | None]()

    def job(on_step: OnStep) -> None:
        for step in range(1, 5):
            time.sleep(0.05)
            on_step(step, 4)
            left.append(worker.progress.left)

    worker.start("round 1", job)
    worker.wait(10)
    assert left[0] is None
    assert left[3] == 0
    assert left[1] is not None
    assert left[2] is not None
    assert left[1] >= 2 * 0.05
    assert 0.05 <= left[2] < left[1] + 0.05
