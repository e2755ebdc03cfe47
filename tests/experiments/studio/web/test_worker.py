import threading

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
