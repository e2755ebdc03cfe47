"""What the page asks of the server and sends to it. One for all tabs and people."""

from __future__ import annotations

import threading
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from cachetools import LRUCache
from PIL import Image

from experiments.embedded.vocabulary import unknown_words
from experiments.studio.blind import NO_DIFFERENCE, BlindComparison
from experiments.studio.history.acts import rater_of, record_of
from experiments.studio.history.lines import FIRST
from experiments.studio.history.records import Prompt
from experiments.studio.history.state import State
from experiments.studio.predictions import Predictions
from experiments.studio.session import StudioSession
from experiments.studio.web.examples import examples
from experiments.studio.web.uploads import read_upload
from experiments.studio.web.views import details, insight_view, progress_view, snapshot
from experiments.studio.web.worker import OnStep, Worker

_AHEAD = 2  # pairs of a blind comparison
_NAME = 80  # characters of an upload's name
_PREDICTED = 64  # images asked about at once
_RATERS = 32  # whose sight of the session is kept

Values: TypeAlias = dict[str, Any]


class PageApi:
    """Between the page and a session. Every method takes and gives what JSON holds.

    Of what is wrong with it every method raises a `ValueError` of one line, which the page shows.

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
        self._knobs = {name: knob for name, knob in session.fabric.host.knobs.items() if not knob.by_picture}
        self._seen: State | None = None
        self._snapshots: LRUCache[str, Values] = LRUCache(_RATERS)
        self._insight: tuple[State, Values] | None = None
        self._looking, self._thinking, self._decoding = threading.Lock(), threading.Lock(), threading.Lock()

    def about(self) -> Values:
        """What does not change while the studio runs: its name, what the knobs do, prompts to begin with."""
        return {
            "study": self.session.options.study,
            "knobs": {name: f"{knob.meaning} {knob.effect}" for name, knob in self._knobs.items()},
            "examples": examples(self.session.options.model),
            "blind": self.blind is not None,
            "predictor": self.predicted is not None,
            "making": self._making(),
        }

    def _making(self) -> Values:
        """How images are made where nobody says otherwise, and what their height and width are multiples of."""
        options, fabric = self.session.options, self.session.fabric
        size = options.size or fabric.native_size
        return {"images": options.images, "steps": options.steps, "size": size, "multiple": fabric.host.multiple}

    def look(self, values: Values) -> Values | None:
        """What there is to see: progress, and the session; None where the page has both already.

        Args:
            values: `rater`, and what the page has: `version` of the session, `changed` of the progress.
        """
        seen: Values | None = self._snapshot(rater_of(values))
        progress = self.worker.progress
        if seen is not None and seen["version"] == values.get("version"):
            if str(progress.changed) == values.get("changed"):
                return None
            seen = None
        previews = self.session.previews.count if progress.job and progress.done else 0
        return {"progress": progress_view(progress, previews), "session": seen}

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

    def details(self, image: str) -> Values:
        """How an image was made."""
        return details(self.session.state, image, self._knobs)

    def preview(self, place: int) -> Image.Image:
        """What an image of the round that is being made will look like."""
        pictures = self.session.previews.pictures()
        if not 0 <= place < len(pictures):
            raise ValueError("preview: none; allowed: images that are being made")
        return pictures[place]

    def insight(self) -> Values:
        """What the agent has learnt; worked out anew only when something was done since."""
        with self._thinking:
            state = self.session.state
            if self._insight is None or self._insight[0] is not state:
                self._insight = state, insight_view(self.session.insight(), self._knobs)
            return self._insight[1]

    def predictions(self, values: Values) -> Values:
        """What people would probably say of `images`; null without a predictor."""
        images = values.get("images")
        if not isinstance(images, list) or len(images) > _PREDICTED or not all(isinstance(i, str) for i in images):
            raise ValueError(f"images: {type(images).__name__}; allowed: a list of up to {_PREDICTED} ids")
        return {"predictions": None if self.predicted is None else self.predicted.view(images)}

    def act(self, values: Values) -> Values:
        """Takes one act; sent again, it changes nothing."""
        self.session.append(record_of(values))
        return {}

    def generate(self, values: Values) -> Values:
        """Starts the next round; the prompt is recorded where it was changed.

        Args:
            values: a prompt's record; as `rounds` how many rounds of all lines the page knew, so that a click sent
                twice starts one; and as `line` which one it showed.

        Returns:
            Whether a round was started, and as `warning` which words of a new prompt the model does not know.
        """
        known = values.get("rounds"), values.get("line", FIRST)
        prompt = record_of({name: value for name, value in values.items() if name not in ("rounds", "line")})
        if not isinstance(prompt, Prompt) or not prompt.prompt.strip():
            raise ValueError("prompt: empty; write what you want to see")
        before = self.session.state.prompt

        def wanted() -> bool:
            state = self.session.state
            if known != (len(state.made), state.line):
                return False
            if (state.prompt, state.negative_prompt) != (prompt.prompt, prompt.negative_prompt):
                self.session.append(prompt)
            return True

        strange = unknown_words(self.session.options.model, [prompt.prompt]) if prompt.prompt != before else None
        return {"started": self.worker.start("next round", self.session.generate, wanted), "warning": strange}

    def cancel(self) -> Values:
        """Stops what is being made; nothing of it is kept."""
        return {"stopped": self.worker.cancel()}

    def pair(self, values: Values) -> Values:
        """The next pair to judge, less which side is which, while the one after is being made."""
        blind, rater = self._blind(), rater_of(values)

        def wanted() -> bool:
            return len(blind.waiting(rater)) < _AHEAD and not blind.makes_no_difference

        def make(on_step: OnStep) -> None:
            while wanted():
                blind.make(on_step)

        waiting = blind.waiting(rater)
        stopped = blind.makes_no_difference
        if wanted():
            self.worker.start("blind pair", make, wanted)
        answer: Values = {
            "pair": None,
            "done": sum(verdict.rater == rater for verdict in blind.verdicts()),
            "stopped": NO_DIFFERENCE if stopped else "",
        }
        if waiting:
            answer["pair"] = {name: getattr(waiting[0], name) for name in ("number", "prompt", "left", "right")}
        return answer

    def judge(self, values: Values) -> Values:
        """Takes a verdict: `pair`, its number, and `side`."""
        self._blind().judge(values.get("pair", -1), values.get("side"), rater_of(values))
        return {}

    def result(self) -> Values:
        """What the comparison has found so far."""
        result = self._blind().result()
        counts = {"decided": result.wins + result.losses, "ties": result.ties, "equal": result.equal}
        low, high = result.interval
        return {"arms": list(result.arms), **counts, "share": result.share, "low": low, "high": high}

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
        name = PurePosixPath(str(values.get("name", "")).replace("\\", "/")).name[:_NAME]
        fields = {**values, "kind": "upload", "name": name, "image": ""}
        record_of(fields)  # who and how, before anything is kept
        with self._decoding:  # a picture takes many times the memory of its file
            picture = read_upload(data)
        image = self.session.pictures.add(picture)
        self.session.append(record_of({**fields, "image": image}))
        return {"image": image}
