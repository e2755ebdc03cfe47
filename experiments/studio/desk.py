"""The page's counterpart: answers what it asks, takes what it sends. One for all tabs and people."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from experiments.studio.acts import rater_of, record_of
from experiments.studio.records import Prompt
from experiments.studio.session import StudioSession
from experiments.studio.state import State
from experiments.studio.uploads import read_upload
from experiments.studio.views import insight_view, progress_view, snapshot
from experiments.studio.worker import Worker

_NAME = 80  # characters of an upload's name


class Desk:
    """Between the page and a session. Every method takes and gives what JSON holds.

    Args:
        session: that is shown.
        worker: generates.
    """

    def __init__(self, session: StudioSession, worker: Worker) -> None:
        self.session = session
        self.worker = worker
        self._learnt: tuple[State, dict[str, Any]] | None = None
        self._learning = threading.Lock()

    def look(self, values: dict[str, Any]) -> dict[str, Any]:
        """What there is to see: progress, and the session if its version is not the one that the page has."""
        return _answer(lambda: self._look(values))

    def _look(self, values: dict[str, Any]) -> dict[str, Any]:
        progress = progress_view(self.worker.progress)
        seen = snapshot(self.session.state, rater_of(values))
        return {"progress": progress, "session": None if seen["version"] == values.get("version") else seen}

    def learnt(self, values: dict[str, Any]) -> dict[str, Any]:
        """What the agent has learnt; worked out anew only when something was done since."""

        def learn() -> dict[str, Any]:
            with self._learning:
                state = self.session.state
                if self._learnt is None or self._learnt[0] != state:
                    self._learnt = state, insight_view(self.session.insight())
                return self._learnt[1]

        return _answer(learn)

    def act(self, values: dict[str, Any]) -> dict[str, Any]:
        """Takes one act; sent again, it changes nothing."""

        def take() -> dict[str, Any]:
            self.session.append(record_of(values))
            return {}

        return _answer(take)

    def advance(self, values: dict[str, Any]) -> dict[str, Any]:
        """Starts the next round; the prompt is recorded where it was changed.

        Args:
            values: a prompt's record, and as `rounds` how many rounds the page knew: a click sent twice starts one.
        """

        def start() -> dict[str, Any]:
            known = values.get("rounds")
            prompt = record_of({name: value for name, value in values.items() if name != "rounds"})
            if not isinstance(prompt, Prompt) or not prompt.prompt.strip():
                raise ValueError("prompt: empty; say what you want to see")

            def wanted() -> bool:
                state = self.session.state
                if known != len(state.rounds):
                    return False
                if (state.prompt, state.negative_prompt) != (prompt.prompt, prompt.negative_prompt):
                    self.session.append(prompt)
                return True

            return {"started": self.worker.start("next batch", self.session.generate, wanted)}

        return _answer(start)

    def upload(self, data: bytes, values: dict[str, Any]) -> dict[str, Any]:
        """Keeps a picture of somebody's own as liked or disliked.

        Args:
            data: the file.
            values: `id`, `rater`, `sign`, and `name`, which is shown and names no file.
        """

        def keep() -> dict[str, Any]:
            name = PurePosixPath(str(values.get("name", "")).replace("\\", "/")).name[:_NAME]
            record = record_of({**values, "kind": "upload", "name": name, "image": ""})
            image = self.session.add_picture(read_upload(data))
            self.session.append(replace(record, image=image))
            return {"image": image}

        return _answer(keep)


def _answer(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What is answered, or as `error` why not: something is wrong with what was sent."""
    try:
        return ask()
    except ValueError as error:
        return {"error": str(error)}
