"""Generates images in batches, and keeps those without feedback, which are the same for many settings."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from copy import copy
from types import MappingProxyType

from cachetools import LRUCache

from experiments.config.setting import ModelState, model_state
from experiments.run.kept_images import KeptImages, Made, key_without_feedback
from experiments.run.protocol import Protocol
from experiments.run.shared_images import SharedImages
from fabric.generator import FabricGenerator, Request
from fabric.images import to_pictures
from fabric.models import set_lora_scales, set_scheduler

_CACHE_BYTES = 2**30  # of images without feedback: 85,000 of 64 x 64 pixels, 1,300 of 512 x 512


class CachedGenerator:
    """A FABRIC generator with a protocol's steps, size and batch, whose model is in the state that settings ask for.

    Args:
        fabric: the generator.
        protocol: of all tasks.
        loras: scales of its pipeline's LoRAs by file, in their order.
        kept: images of earlier processes; none are kept on disk by default.

    Attributes:
        shared: images that other processes make too; there are none by default.
        count: images generated so far; those from the cache do not count.
        seconds: what that took.
    """

    def __init__(
        self,
        fabric: FabricGenerator,
        protocol: Protocol,
        loras: Mapping[str, float] = MappingProxyType({}),
        kept: KeptImages | None = None,
    ) -> None:
        self.fabric = fabric
        self.kept = kept
        self.shared: SharedImages | None = None
        self._loras = dict(loras)
        self._scheduler = fabric.pipeline.scheduler
        self._state = ModelState()
        self.protocol = protocol
        self.count = 0
        self.seconds = 0.0
        self._cache: LRUCache[Hashable, Made] = LRUCache(_CACHE_BYTES, getsizeof=_bytes)

    def under(self, protocol: Protocol) -> CachedGenerator:
        """The same generator under another protocol of the same steps and size; what is kept is common to both.

        Raises:
            ValueError: images of the two protocols are not the same.
        """
        if (protocol.steps, protocol.size) != (self.protocol.steps, self.protocol.size):
            raise ValueError(f"protocol: {protocol}; allowed: {self.protocol.steps} steps, size {self.protocol.size}")
        other = copy(self)
        other.protocol = protocol
        return other

    def __call__(self, requests: Sequence[Request]) -> list[Made]:
        """What came of each request, generated in batches."""
        keys = [key_without_feedback(request) or place for place, request in enumerate(requests)]
        found = {key: self._cache[key] for key in keys if key in self._cache}
        new = {key: request for key, request in zip(keys, requests, strict=True) if key not in found}
        stores = [store for store in (self.shared, self.kept) if store is not None]
        found.update(zip(new, self._obtain([*new.values()], stores), strict=True))
        for key, generated in found.items():
            if not isinstance(key, int) and _bytes(generated) <= self._cache.maxsize:
                self._cache[key] = generated
        return [found[key] for key in keys]

    def warm_up(self) -> None:
        """Generates one batch and forgets it: a device's first images take longer than all later ones."""
        self.fabric(
            [Request("", seed, self.protocol.plain) for seed in range(self.protocol.batch)], 1, self.protocol.size
        )

    def forget(self) -> None:
        """Drops what was kept, as if nothing had been generated yet: images without feedback and references."""
        self._cache.clear()
        self.fabric.bank.clear()

    def _obtain(self, requests: list[Request], stores: Sequence[KeptImages | SharedImages]) -> list[Made]:
        """From the first store that has them, else generated; what a store did not have it keeps."""
        if not stores:
            return self._generate(requests)
        store, *others = stores
        found = store.get(requests)
        new = [request for request, made in zip(requests, found, strict=True) if made is None]
        obtained = self._obtain(new, others)
        store.keep(new, obtained)
        rest = iter(obtained)
        return [next(rest) if made is None else made for made in found]

    def _generate(self, requests: list[Request]) -> list[Made]:
        began, generated = time.perf_counter(), dict[int, Made]()
        by_state = defaultdict[ModelState, list[int]](list)
        for place, request in enumerate(requests):
            by_state[model_state(request.params)].append(place)
        for state, places in by_state.items():
            self._enter(state)
            generated.update(zip(places, self._in_batches([requests[place] for place in places]), strict=True))
        self.count += len(generated)
        self.seconds += time.perf_counter() - began
        return [generated[place] for place in range(len(requests))]

    def _enter(self, state: ModelState) -> None:
        """Brings the model into a state."""
        if state.scheduler != self._state.scheduler:
            self.fabric.pipeline.scheduler = self._scheduler
            if state.scheduler is not None:
                set_scheduler(self.fabric.pipeline, state.scheduler)
        if state.loras != self._state.loras:
            set_lora_scales(self.fabric.pipeline, [*{**self._loras, **dict(state.loras)}.values()])
        self._state = state

    def _in_batches(self, requests: list[Request]) -> list[Made]:
        generated = list[Made]()
        for start in range(0, len(requests), self.protocol.batch):
            batch = self.fabric(requests[start : start + self.protocol.batch], self.protocol.steps, self.protocol.size)
            shares = [{name: statistics.fmean(row) for name, row in received.items()} for received in batch.attention]
            generated += [Made(*made) for made in zip(to_pictures(batch.images), batch.prompts, shares, strict=True)]
        return generated


def _bytes(made: Made) -> int:
    return 3 * made.image.width * made.image.height
