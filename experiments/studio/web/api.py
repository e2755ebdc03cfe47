"""What the page asks of the server and sends to it. One for all tabs and people."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from cachetools import LRUCache

from experiments.embedded.vocabulary import unknown_words
from experiments.studio.blind import NO_DIFFERENCE, BlindComparison
from experiments.studio.history.acts import rater_of, record_of
from experiments.studio.history.records import Prompt
from experiments.studio.history.state import State
from experiments.studio.predictions import Predictions
from experiments.studio.session import StudioSession
from experiments.studio.web.uploads import read_upload
from experiments.studio.web.views import insight_view, progress_view, snapshot
from experiments.studio.web.worker import Worker

_AHEAD = 2  # pairs of a blind comparison
_NAME = 80  # characters of an upload's name
_PREDICTED = 64  # images asked about at once
_RATERS = 32  # whose sight of the session is kept

Values: TypeAlias = dict[str, Any]


class PageApi:
    """Between the page and a session. Every method takes and gives what JSON holds.

    Args:
        session: that is shown.
        worker: generates.
        blind: a blind comparison, if there is one to be made.
        predicted: what a predictor of rich feedback says of images, if there is one.
    """

    def __init__(
        self,
        session: StudioSession,
        worker: Worker,
        blind: BlindComparison | None = None,
        predicted: Predictions | None = None,
    ) -> None:
        self.session = session
        self.predicted = predicted
        self.worker = worker
        self.blind = blind
        self._seen: State | None = None
        self._snapshots: LRUCache[str, Values] = LRUCache(_RATERS)
        self._insight: tuple[State, Values] | None = None
        self._looking, self._thinking, self._decoding = threading.Lock(), threading.Lock(), threading.Lock()

    def poll(self, values: Values) -> Values:
        """What there is to see: progress, and the session if its version is not the one that the page has."""

        def see() -> Values:
            progress = progress_view(self.worker.progress)
            seen = self._snapshot(rater_of(values))
            return {"progress": progress, "session": None if seen["version"] == values.get("version") else seen}

        return _answer(values, see)

    def _snapshot(self, rater: str) -> Values:
        """The session as a rater sees it; worked out anew only when something was done since."""
        with self._looking:
            state = self.session.state
            if self._seen is not state:
                self._seen = state
                self._snapshots.clear()
            if rater not in self._snapshots:
                self._snapshots[rater] = snapshot(state, rater)
            return self._snapshots[rater]

    def insight(self, values: Values) -> Values:
        """What the agent has learnt; worked out anew only when something was done since."""

        def learn() -> Values:
            with self._thinking:
                state = self.session.state
                if self._insight is None or self._insight[0] is not state:
                    self._insight = state, insight_view(self.session.insight())
                return self._insight[1]

        return _answer(values, learn)

    def predictions(self, values: Values) -> Values:
        """What people would probably say of `images`; null without a predictor."""

        def predict() -> Values:
            images = values.get("images")
            if not isinstance(images, list) or len(images) > _PREDICTED or not all(isinstance(i, str) for i in images):
                raise ValueError(f"images: {type(images).__name__}; allowed: a list of up to {_PREDICTED} ids")
            return {"predictions": None if self.predicted is None else self.predicted.view(images)}

        return _answer(values, predict)

    def act(self, values: Values) -> Values:
        """Takes one act; sent again, it changes nothing."""

        def take() -> Values:
            self.session.append(record_of(values))
            return {}

        return _answer(values, take)

    def generate(self, values: Values) -> Values:
        """Starts the next round; the prompt is recorded where it was changed.

        Args:
            values: a prompt's record, and as `rounds` how many rounds the page knew: a click sent twice starts one.

        Returns:
            Whether a round was started, and as `warning` which words of a new prompt the model does not know.
        """

        def start() -> Values:
            known = values.get("rounds")
            prompt = record_of({name: value for name, value in values.items() if name != "rounds"})
            if not isinstance(prompt, Prompt) or not prompt.prompt.strip():
                raise ValueError("prompt: empty; write what you want to see")

            before = self.session.state.prompt

            def wanted() -> bool:
                state = self.session.state
                if known != len(state.rounds):
                    return False
                if (state.prompt, state.negative_prompt) != (prompt.prompt, prompt.negative_prompt):
                    self.session.append(prompt)
                return True

            strange = unknown_words(self.session.options.model, [prompt.prompt]) if prompt.prompt != before else None
            return {"started": self.worker.start("next round", self.session.generate, wanted), "warning": strange}

        return _answer(values, start)

    def pair(self, values: Values) -> Values:
        """The next pair to judge, less which side is which, while the one after is being made."""

        def find() -> Values:
            blind, rater = self._blind(), rater_of(values)
            waiting = blind.waiting(rater)
            stopped = blind.makes_no_difference
            if len(waiting) < _AHEAD and not stopped:
                self.worker.start("blind pair", blind.make, lambda: len(blind.waiting(rater)) < _AHEAD)
            answer: Values = {
                "pair": None,
                "done": sum(verdict.rater == rater for verdict in blind.verdicts()),
                "stopped": NO_DIFFERENCE if stopped else "",
            }
            if waiting:
                answer["pair"] = {name: getattr(waiting[0], name) for name in ("number", "prompt", "left", "right")}
            return answer

        return _answer(values, find)

    def judge(self, values: Values) -> Values:
        """Takes a verdict: `pair`, its number, and `side`."""

        def take() -> Values:
            self._blind().judge(values.get("pair", -1), values.get("side"), rater_of(values))
            return {}

        return _answer(values, take)

    def result(self, values: Values) -> Values:
        """What the comparison has found so far."""

        def tell() -> Values:
            result = self._blind().result()
            return {"text": str(result), "share": result.share, "low": result.interval[0], "high": result.interval[1]}

        return _answer(values, tell)

    def _blind(self) -> BlindComparison:
        if self.blind is None:
            raise ValueError(
                "blind: the studio was started without a comparison; to make one: fabric-bo studio --blind A B"
            )
        return self.blind

    def upload(self, data: bytes, values: Values) -> Values:
        """Keeps a picture of somebody's own as liked or disliked.

        Args:
            data: the file.
            values: `id`, `rater`, `sign`, and `name`, which is shown and names no file.
        """

        def keep() -> Values:
            name = PurePosixPath(str(values.get("name", "")).replace("\\", "/")).name[:_NAME]
            fields = {**values, "kind": "upload", "name": name, "image": ""}
            record_of(fields)  # who and how, before anything is kept
            with self._decoding:  # a picture takes many times the memory of its file
                picture = read_upload(data)
            image = self.session.pictures.add(picture)
            self.session.append(record_of({**fields, "image": image}))
            return {"image": image}

        return _answer(values, keep)


def _answer(values: object, ask: Callable[[], Values]) -> Values:
    """What is answered to values of the page, or as `error` why not: something is wrong with what was sent."""
    try:
        if not isinstance(values, dict):
            raise ValueError(f"values: {type(values).__name__}; allowed: a mapping of names to values")
        return ask()
    except ValueError as error:
        return {"error": str(error)}
