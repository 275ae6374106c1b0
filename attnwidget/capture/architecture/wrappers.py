"""Unwrap compiled, parallel and sentence-transformer models."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["called_module", "max_tokens", "own_tokenizer", "unwrapped", "without_wrappers"]


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside of what compiles, copies or pools it."""
    runner = _sentence_encoder(model)
    return without_wrappers(model if runner is None else runner.auto_model)


def called_module(model: nn.Module) -> nn.Module:
    """Return the module on whose calls the inputs of the model are read.

    That is the model inside, but for sentence encoders the module around it: they call its ``forward`` itself, which runs no hooks.
    """
    runner: nn.Module | None = _sentence_encoder(model)
    return without_wrappers(model) if runner is None else runner


def own_tokenizer(model: nn.Module) -> Any:
    """Return the tokenizer that a sentence encoder brings along, or ``None``."""
    return getattr(_sentence_encoder(model), "tokenizer", None)


def max_tokens(model: nn.Module) -> int | None:
    """Return how many tokens a sentence encoder reads before it cuts its text off, or ``None`` if it does not."""
    most = getattr(_sentence_encoder(model), "max_seq_length", None)
    return most if isinstance(most, int) else None


def without_wrappers(model: nn.Module) -> nn.Module:
    """Take off compilers and copiers."""
    inner: Any = model
    while inner is not None:
        model = inner
        copied = isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel))
        # torch.compile gives no other way to ask what it was given.
        inner = model.module if copied else model._modules.get("_orig_mod")  # noqa: SLF001
    return model


def _sentence_encoder(model: nn.Module) -> Any:
    """Return the part of a sentence encoder that runs a pretrained model: the first of a sequence."""
    model = without_wrappers(model)
    first = model[0] if isinstance(model, nn.Sequential) and len(model) else model
    return first if isinstance(getattr(first, "auto_model", None), nn.Module) else None
