"""A session of the studio: one Optuna study that holds what was shown and done, and pictures by their content."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from filelock import FileLock
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import create_trial

from experiments.files.pictures import Recipe, metadata
from experiments.run.study import check_folder, keep_knobs, open_study
from experiments.studio.agent.agent import Agent, Insight
from experiments.studio.agent.insight import best_settings, insight_of
from experiments.studio.history.lines import check_line
from experiments.studio.history.log import SessionLog
from experiments.studio.history.records import Branch, Freeze, Making, Prompt, Record, Resume, Variations, Withdrawal
from experiments.studio.history.shown import ShownImage
from experiments.studio.history.state import State
from experiments.studio.options import RoundOptions, StudioOptions
from experiments.studio.orders import Order, orders_of
from experiments.studio.pictures import PictureStore
from experiments.studio.preview import Previews
from fabric.bank import ReferenceBank
from fabric.generator import FabricGenerator, Generated, Request
from fabric.hosts.base import Host
from fabric.images import to_pictures
from fabric.models import load
from fabric.params import FabricParams

_LOCK = "generating.lock"


class StudioSession:
    """One session. Any number of threads and processes may append; one at a time generates.

    Args:
        options: it was begun with.
        study: that holds it.
        fabric: the generator.
        agent: proposes; by default one with the options' seed, for the knobs of the model's family.
    """

    def __init__(
        self, options: StudioOptions, study: Study, fabric: FabricGenerator, agent: Agent | None = None
    ) -> None:
        self.options = options
        self.study = study
        self.fabric = fabric
        self.agent = agent or Agent(options.images, options.plain_guidance, options.seed, fabric.host.knobs)
        self.pictures = PictureStore(options.folder)
        self.previews = Previews(fabric)
        self._log = SessionLog(study, options.folder)
        self.generating = FileLock(options.folder / _LOCK)  # one round at a time, in whatever thread or process

    @classmethod
    def open(
        cls, options: StudioOptions, fabric: FabricGenerator | None = None, agent: Agent | None = None
    ) -> StudioSession:
        """A session, new or as it was left.

        Args:
            options: of it.
            fabric: a generator that is loaded already; by default the options' model is loaded.
            agent: proposes; by default one with the options' seed.

        Raises:
            ValueError: the model or the storage cannot be had, the study is of other options or another folder, or the
                folder holds a run.
        """
        check_folder(options.folder, options.to_dict())  # before a model is loaded
        if fabric is None:
            pipeline = load(
                options.model,
                scheduler=options.scheduler,
                device=options.device,
                dtype=options.dtype,
                loras=options.loras,
                config=options.model_config,
            )
            bank = ReferenceBank(offload=options.offload)
            layers = None if options.layers is None else range(*options.layers)
            fabric = FabricGenerator(pipeline, bank, reference_level=options.level, reference_layers=layers)
        fabric.check(options.steps, options.size)
        store = open_study(options.folder, options.to_dict(), name=options.study)
        host = fabric.host
        keep_knobs(store.study, lambda: host.knobs)
        session = cls(options, store.study, fabric, agent)
        session._check_pictures()
        return session

    def _check_pictures(self) -> None:
        """Sessions that share a storage need names of their own."""
        shown = self.state.images
        if shown and not any(map(self.pictures.has, shown)):
            study, folder = self.options.study, self.options.folder
            raise ValueError(f"study: {study!r} is that of another folder than {folder}; allowed: a name of its own")

    @property
    def state(self) -> State:
        """Everything that was shown and done, up to this moment; the same object until something more was."""
        return self._log.state

    def append(self, record: Record) -> None:
        """Adds what somebody did; when this returns it is in the study. The same record again changes nothing.

        Raises:
            ValueError: what it speaks of is not there, or the model cannot do it.
        """
        self._check(record)
        self._log.append(record)

    def _check(self, record: Record) -> None:
        """What a record speaks of must be there, and the model must have it."""
        if isinstance(record, Branch | Resume):
            check_line(self.state.lines, record)
        if isinstance(record, Making):
            made = self.options.of_round(record)
            self.fabric.check(made.steps, made.size)
        if isinstance(record, Variations) and record.image not in self.state.images:
            raise ValueError(f"image: {record.image[:64]!r} was not shown; allowed: images of the rounds")
        if isinstance(record, Freeze) and record.value is not None:
            _check_knob(record.knob, record.value, self.fabric.host)
        if isinstance(record, Prompt):
            self.fabric.host.check_negative(record.negative_prompt)
        named = getattr(record, "options", ()) or (getattr(record, "image", None),)
        for image in named:
            if image is not None:
                self.pictures.path(image)

    def undo(self, rater: str) -> None:
        """Takes back the latest thing that a rater did and that still stands; nothing if there is none."""
        if (latest := self.state.undoable.get(rater)) is not None:
            self.append(Withdrawal(rater=rater, record=latest.id))

    def generate(self, on_step: Callable[[int, int], None] = lambda done, steps: None) -> int:
        """Proposes, generates and stores the next round; acts during it count for the round after.

        Args:
            on_step: called with the denoising steps done and all there are.

        Returns:
            The number of the round, 0 for the first.

        Raises:
            ValueError: there is no prompt yet.
            MemoryError: a single image does not fit.
        """
        with self.generating:
            state = self.state
            made = self.options.of_round(state.making)
            masked = self.fabric.host.projector.keeps_tokens
            orders = orders_of(state, self.options, self.agent, self.pictures.read, masked=masked)
            requests = [order.request for order in orders]
            generated = self.make(requests, made, on_step)
            pictures = to_pictures(generated.images)
            recipe = Recipe(made.steps, self.options.scheduler, self.options.model, self.options.loras)
            for place, order in enumerate(orders):
                picture, prompt = pictures[place], generated.prompts[place]
                image = self.pictures.add(picture, metadata(order.request, prompt, picture.size, recipe))
                shares = {name: statistics.fmean(steps) for name, steps in generated.attention[place].items()}
                self._tell(_shown(state, order, image, place, len(orders), shares), state)
            return len(state.rounds)

    def make(self, requests: Sequence[Request], made: RoundOptions, on_step: Callable[[int, int], None]) -> Generated:
        """Images with the session's model, one call at a time; `on_step` as in `generate`."""
        total, done = self.fabric.evaluations(made.steps), 0

        def step() -> None:
            nonlocal done
            done += 1
            self.previews.keep()
            on_step(min(done, total), total)

        with self.generating, self.previews.watching(requests):
            generated = self.fabric(requests, made.steps, made.size, step)
            self.previews.learn(generated.images)
        return generated

    def _tell(self, shown: ShownImage, state: State) -> None:
        """Adds an image as a trial, whole or not at all."""
        distributions: dict[str, BaseDistribution] = {**self.agent.space(state).distributions}
        attributes = shown.to_attributes()
        self._log.add(create_trial(params=shown.values, distributions=distributions, value=0.0, user_attrs=attributes))

    def insight(self) -> Insight:
        """What the agent has learnt so far."""
        return insight_of(self.agent, self.state)

    def best(self) -> FabricParams:
        """The settings to go on with elsewhere; the agent's first ones before anything was learnt."""
        state = self.state
        return best_settings(self.agent, state, self.agent.model(state))


def _check_knob(name: str, value: float, host: Host) -> None:
    """Raises `ValueError` where the model's family does not have a knob, or not with such a value."""
    knob = host.knobs.get(name)
    if knob is None:
        raise ValueError(f"{name}: {host.family} has no such knob; allowed: {', '.join(host.knobs)}")
    if not knob.low <= value <= knob.high:
        raise ValueError(f"{name}: {value:g} is out of range; allowed: {knob.low:g} to {knob.high:g}")


def _shown(
    state: State, order: Order, image: str, place: int, count: int, attention: Mapping[str, float]
) -> ShownImage:
    proposal, request, number = order.proposal, order.request, len(state.rounds)
    return ShownImage(
        id=image,
        trial=-1,  # the study gives it its number
        values=proposal.values,
        round=number,
        place=place,
        seed=request.seed,
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        params=proposal.params,
        liked=tuple(image.id for image in request.liked),
        disliked=tuple(image.id for image in request.disliked),
        wish=None if state.wish is None else state.wish.id,
        attention=attention,
        count=count,
        line=state.line,
        seen_from=None if request.round == number else request.round,
    )
