"""Feedback on anybody's pipeline: a forward hook on the U-Net shows every call its references.

Within `attached`, the self-attention layers of the U-Net have FABRIC's processors, and each call of the U-Net first
asks whoever opened the innermost context of its thread who attends to what. Contexts nest, several generators may
share a pipeline, and calls of different threads take turns. Afterwards the pipeline is as it was, after errors too.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeAlias

from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from fabric.host import UNetHost
from fabric.processor import FabricAttnProcessor, RecordingDone

Processors: TypeAlias = Mapping[str, FabricAttnProcessor]


class Steer(Protocol):
    """Says who attends to what in calls of a U-Net."""

    def before(self, processors: Processors, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Sets `groups` of the processors for a call.

        Args:
            processors: by the names of their layers.
            args: of the call.
            kwargs: of the call.
        """

    def after(self, processors: Processors) -> None:
        """Reads what came of the call."""


class _Thread(threading.local):
    """What a thread has opened, and whether it is inside a call."""

    def __init__(self) -> None:
        self.opened: list[Steer] = []
        self.inside = False


class _Attachment:
    """Processors and hooks of one U-Net, as long as somebody needs them."""

    def __init__(self, host: UNetHost) -> None:
        layers = {f"{name}.processor": m for name, m in host.core.named_modules() if isinstance(m, Attention)}
        self.modules = {name: layers[name] for name in host.layers}
        self.processors = {name: FabricAttnProcessor() for name in host.layers}
        self.calls = threading.RLock()  # taken for the time of one call
        self.users = 0
        self.thread = _Thread()
        self._replaced: dict[str, Any] = {}
        self._handles: list[Any] = []

    def attach(self, unet: nn.Module) -> None:
        self._handles = [
            unet.register_forward_pre_hook(self._enter, with_kwargs=True),
            unet.register_forward_hook(self._leave, always_call=True),
        ]

    def detach(self) -> None:
        for handle in self._handles:
            handle.remove()
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
        thread.opened[-1].before(self.processors, args, kwargs)

    def _leave(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if not self.thread.inside or any(processor.records for processor in self.processors.values()):
            return
        if output is not None:
            self.thread.opened[-1].after(self.processors)
        self.end_call()

    def _replace(self) -> None:
        """Gives the layers our processors, also where somebody exchanged them since, as loading an IP-Adapter does."""
        for name, module in self.modules.items():
            if module.processor is not self.processors[name]:
                self._replaced[name] = module.processor
                module.processor = self.processors[name]


def record(
    processors: Processors, call: Callable[[], object], names: Sequence[str], *, break_off: bool
) -> dict[str, Tensor]:
    """Runs a call of the U-Net within another one and keeps what it gives its self-attention.

    Args:
        processors: by the names of their layers.
        call: of the U-Net.
        names: layers that matter, in the order in which the call comes to them.
        break_off: whether the call may end at the last of them; what follows would be computed for nothing.

    Returns:
        Hidden states in front of self-attention, B x L x C by layer.
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
def attached(host: UNetHost, steer: Steer) -> Iterator[None]:
    """Within, calls of the host's U-Net from this thread are steered.

    Args:
        host: of a pipeline.
        steer: says for each call who attends to what.
    """
    with _attaching:
        attachment = _attachments.get(host.core) or _attachments.setdefault(host.core, _Attachment(host))
        if attachment.users == 0:
            attachment.attach(host.unet)
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
