"""Feedback on anybody's pipeline: a forward hook on the model shows every call its references.

Within `attached`, the self-attention layers of the model have FABRIC's processors, and each call of the model first
asks whoever opened the innermost context of its thread who attends to what. Contexts nest, several generators may
share a pipeline, and calls of different threads take turns. Afterwards the pipeline is as it was, after errors too.
"""

from __future__ import annotations

import inspect
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeAlias

from torch import Tensor, nn

from fabric.hosts.base import Call, Host
from fabric.processor import FabricAttnProcessor, RecordingDone

Processors: TypeAlias = Mapping[str, FabricAttnProcessor]


class Steer(Protocol):
    """Says who attends to what in calls of a model."""

    def before(self, processors: Processors, call: Call) -> None:
        """Sets what the processors show in a call.

        Args:
            processors: by the names of their layers.
            call: that begins.
        """

    def after(self, processors: Processors) -> None:
        """Reads what came of the call."""


class _Thread(threading.local):
    """What a thread has opened, whether it is inside a call, and what the pipeline calls the call."""

    def __init__(self) -> None:
        self.opened: list[Steer] = []
        self.inside = False
        self.call: str | None = None


class _Attachment:
    """Processors and hooks of one model, as long as somebody needs them."""

    def __init__(self, host: Host) -> None:
        self.core = host.core
        self.projector = host.projector
        self.modules = {name: host.module_of(layer) for name, layer in host.layers.items()}
        self.processors = {name: FabricAttnProcessor(host.projector) for name in host.layers}
        self.parameters = [*inspect.signature(type(host.core).forward).parameters][1:]
        self.calls = threading.RLock()  # taken for the time of one call
        self.users = 0
        self.thread = _Thread()
        self._replaced: dict[str, Any] = {}
        self._handles: list[Any] = []

    def attach(self, model: nn.Module) -> None:
        self._handles = [
            model.register_forward_pre_hook(self._enter, with_kwargs=True),
            model.register_forward_hook(self._leave, always_call=True),
        ]
        if hasattr(self.core, "cache_context"):
            vars(self.core)["cache_context"] = self._named

    def detach(self) -> None:
        for handle in self._handles:
            handle.remove()
        vars(self.core).pop("cache_context", None)
        for name, processor in self._replaced.items():
            if self.modules[name].processor is self.processors[name]:  # else somebody set another since
                self.modules[name].processor = processor
        self._replaced = {}

    def end_call(self) -> None:
        """Ordinary attention again, and the turn of the next thread."""
        if self.thread.inside:
            for processor in self.processors.values():
                processor.clear()
            self.thread.inside = False
            self.calls.release()

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        thread = self.thread
        if not thread.opened or thread.inside:  # nobody of this thread steers, or the call records references
            return
        self.calls.acquire()
        thread.inside = True
        self._replace()
        arguments = {**dict(zip(self.parameters, args, strict=False)), **kwargs}
        thread.opened[-1].before(self.processors, Call(arguments, thread.call))

    def _leave(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if not self.thread.inside or any(processor.records for processor in self.processors.values()):
            return
        if output is not None:
            self.thread.opened[-1].after(self.processors)
        self.end_call()

    @contextmanager
    def _named(self, name: str, **facts: Any) -> Iterator[None]:
        """Stands for the model's `cache_context`, in which pipelines say whether a call is "cond" or "uncond"."""
        before, self.thread.call = self.thread.call, name
        try:
            with type(self.core).cache_context(self.core, name, **facts):
                yield
        finally:
            self.thread.call = before

    def _replace(self) -> None:
        """Gives the layers our processors, also where somebody exchanged them since, as loading an IP-Adapter does.

        Raises:
            ValueError: those that are there cannot be combined with ours.
        """
        for name, module in self.modules.items():
            processor, theirs = self.processors[name], module.processor
            if theirs is not processor:
                if self.projector.replaces and not isinstance(theirs, self.projector.replaces):
                    allowed = ", ".join(kind.__name__ for kind in self.projector.replaces)
                    raise ValueError(
                        f"pipeline: {type(theirs).__name__} cannot be combined with feedback; allowed: {allowed}"
                    )
                self._replaced[name] = processor.own = theirs
                module.processor = processor


def record(
    processors: Processors, call: Callable[[], object], names: Sequence[str], *, break_off: bool
) -> dict[str, Tensor]:
    """Runs a call of the model within another one and keeps what layers keep of it.

    Args:
        processors: by the names of their layers.
        call: of the model.
        names: layers that matter, in the order in which the call comes to them.
        break_off: whether the call may end at the last of them; what follows would be computed for nothing.

    Returns:
        What `Projector.keep` keeps, B x ... by layer.
    """
    for name in names:
        processors[name].records = True
    processors[names[-1]].ends = break_off
    try:
        with suppress(RecordingDone):
            call()
        return {name: state for name in names if (state := processors[name].recorded) is not None}
    finally:
        for processor in processors.values():
            processor.clear()


_attachments: weakref.WeakKeyDictionary[nn.Module, _Attachment] = weakref.WeakKeyDictionary()
_attaching = threading.Lock()


@contextmanager
def attached(host: Host, steer: Steer) -> Iterator[None]:
    """Within, calls of the host's model from this thread are steered.

    Args:
        host: of a pipeline.
        steer: says for each call who attends to what.
    """
    with _attaching:
        attachment = _attachments.get(host.core) or _attachments.setdefault(host.core, _Attachment(host))
        if attachment.users == 0:
            attachment.attach(host.model)
        attachment.users += 1
    attachment.thread.opened.append(steer)
    try:
        yield
    finally:
        attachment.end_call()  # where not even an exception's hooks were called
        attachment.thread.opened.remove(steer)
        with _attaching:
            attachment.users -= 1
            if attachment.users == 0:
                with attachment.calls:
                    attachment.detach()
