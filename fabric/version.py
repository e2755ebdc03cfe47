"""What a model computes depends on: a value that changes when its weights, adapters or dtype do."""

from __future__ import annotations

from torch import nn


def model_version(module: nn.Module) -> tuple[object, ...]:
    """Equal as long as a module computes the same: for keys of caches.

    Edits of weights in place count up the versions of their tensors; adapters of peft have names, scales and a merged
    state of their own.
    """
    parameters = list(module.parameters())
    scales = []
    if getattr(module, "peft_config", None):
        for layer in module.modules():
            if isinstance(scaling := getattr(layer, "scaling", None), dict):
                active = tuple(getattr(layer, "active_adapters", ()))
                scales.append((tuple(scaling.items()), active, bool(getattr(layer, "merged", False))))
    edits = sum(parameter._version for parameter in parameters)
    return id(module), parameters[0].dtype, len(parameters), edits, hash(tuple(scales))
