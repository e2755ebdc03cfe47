"""How an attention layer comes to queries, keys and values, and what it keeps of a reference: what families differ in.

Notation:
    N: samples, L: tokens, C: channels, H: heads, d: width of a head; R: references.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fabric.attention import Partial, ReferenceTokens, SeenReferences, attend_own, attend_references


class Projected(NamedTuple):
    """Tokens of a call in one layer: the image's, and in joint attention the prompt's beside them.

    Attributes:
        query: N x L x H x d.
        key: likewise.
        value: likewise.
        image: which tokens are the image's; they alone see references.
        bias: added to the logits of single tokens where some are not to be seen, N x L; None for 0.
        rest: what `finish` wants besides the attention.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    image: slice = slice(None)
    bias: Tensor | None = None
    rest: Any = None


class LayerCall(NamedTuple):
    """What a layer is called with.

    Attributes:
        hidden: N x L x C hidden states.
        text: those of the prompt, where a layer has them apart.
        mask: of the attention.
        rotary: rotary embedding of the positions, cosines and sines.
        text_mask: which tokens of the prompt are to be seen, N x L; None for all.
        image_tokens: tokens of the image, where `hidden` holds the prompt's too; None where it holds the image's alone.
    """

    hidden: Tensor
    text: Tensor | None = None
    mask: Tensor | None = None
    rotary: Any = None
    text_mask: Tensor | None = None
    image_tokens: int | None = None


class Projector:
    """Self-attention by diffusers' `Attention`, as U-Nets and PixArt have it. Families with other layers subclass it.

    A projector has no state: one serves all layers and calls.

    Attributes:
        keeps_tokens: whether tokens of a reference can be told apart, so that masks count.
        replaces: processors of diffusers that it stands for where the layer's own does idle calls; none where the
            projector does them.
    """

    keeps_tokens = True
    replaces: tuple[type[Any], ...] = ()

    def plain(self, attn: Any, call: LayerCall, own: Callable[..., Any]) -> Any:
        """What the layer gives without references; `own` is its processor."""
        projected = self.project(attn, call)
        q, k, v = (x.transpose(1, 2) for x in projected[:3])
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=call.mask).transpose(1, 2)
        return self.finish(attn, out, call, projected.rest)

    def project(self, attn: Any, call: LayerCall) -> Projected:
        """Queries, keys and values of a call's own tokens."""
        query = attn.to_q(call.hidden).unflatten(-1, (attn.heads, -1))
        return Projected(query, *self._key_and_value(attn, call.hidden))

    def keep(self, attn: Any, call: LayerCall) -> Tensor:
        """What is kept of references that a call records, N x ...: hidden states N x L x C, half of keys and values."""
        return call.hidden

    def kept_bytes(self, attn: Any, tokens: int, dtype: torch.dtype) -> int:
        """What `keep` takes of a reference of so many tokens."""
        return tokens * attn.to_k.in_features * dtype.itemsize

    def attend_own(self, projected: Projected) -> Partial:
        """Attention of samples to their own tokens."""
        return attend_own(projected.query, projected.key, projected.value, projected.bias)

    def read(self, attn: Any, kept: Tensor, positions: Any, like: Tensor) -> Any:
        """What `attend` wants of references, once, however many samples see them.

        Args:
            attn: the layer.
            kept: R x ..., of `keep`.
            positions: of references, as `Host.positions` gives them.
            like: the layer's hidden states. Their dtype may be another than its weights', which diffusers casts for
                each call (`enable_layerwise_casting`).
        """
        return self._key_and_value(attn, kept.to(like.dtype))

    def attend(self, query: Tensor, read: Any, seen: SeenReferences) -> Partial:
        """Attention of queries, X G x L x H x d, to each reference that they see, X x R x G."""
        key, value = read
        tokens = ReferenceTokens(key[seen.places], value[seen.places], seen.log_weight, seen.token_bias)
        return attend_references(query, tokens)

    def finish(self, attn: Any, out: Tensor, call: LayerCall, rest: Any = None) -> Any:
        """The layer's output of the attention, N x L x H x d, and of `Projected.rest`."""
        return attn.to_out[1](attn.to_out[0](out.flatten(2)))

    def _key_and_value(self, attn: Any, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """N x L x H x d of N x L x C."""
        key, value = attn.to_k(hidden), attn.to_v(hidden)
        return key.unflatten(-1, (attn.heads, -1)), value.unflatten(-1, (attn.heads, -1))


class KeyValueProjector(Projector):
    """A projector that keeps keys and values of references, N x L x 2 x H x d, instead of hidden states.

    That is twice the memory, for which there is room where one level of noise serves all steps. To project hidden
    states at every step would cost more than half of what attention to them does.
    """

    def keep(self, attn: Any, call: LayerCall) -> Tensor:
        """See `Projector`."""
        image = call.hidden if call.image_tokens is None else call.hidden[:, -call.image_tokens :]
        return torch.stack(self._key_and_value(attn, image), dim=2)

    def kept_bytes(self, attn: Any, tokens: int, dtype: torch.dtype) -> int:
        """See `Projector`."""
        return 2 * super().kept_bytes(attn, tokens, dtype)

    def read(self, attn: Any, kept: Tensor, positions: Any, like: Tensor) -> Any:
        """See `Projector`."""
        return kept.to(like.dtype).unbind(2)


class JointProjector(KeyValueProjector):
    """Joint attention of the image's tokens and the prompt's; what order they have in it, families say.

    Queries and keys are normalised where a layer does so.
    """

    def _of_image(self, attn: Any, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of hidden states, N x L x H x d of N x L x C."""
        query = attn.to_q(hidden).unflatten(-1, (attn.heads, -1))
        return _normed(attn.norm_q, query), *self._key_and_value(attn, hidden)

    def _of_text(self, attn: Any, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same of the prompt's, which a layer has projections of their own for."""
        projections = (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj)
        query, key, value = (project(text).unflatten(-1, (attn.heads, -1)) for project in projections)
        return _normed(attn.norm_added_q, query), _normed(attn.norm_added_k, key), value

    def _of_both(self, attn: Any, out: Tensor, text: int) -> tuple[Tensor, Tensor]:
        """Outputs for image and prompt, of the attention of so many tokens of the prompt and then the image's."""
        of_text, of_image = out.flatten(2).tensor_split((text,), dim=1)
        return attn.to_out[1](attn.to_out[0](of_image)), attn.to_add_out(of_text)

    def _key_and_value(self, attn: Any, hidden: Tensor) -> tuple[Tensor, Tensor]:
        key, value = super()._key_and_value(attn, hidden)
        return _normed(attn.norm_k, key), value


def _normed(norm: Callable[[Tensor], Tensor] | None, heads: Tensor) -> Tensor:
    return heads if norm is None else norm(heads)
