"""`written_ids`: what an encoder-decoder model writes of its own, for its decoder to read."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.inputs.length_limit import short_error
from attnwidget.capture.taps.generate import listening_to_generate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from attnwidget.capture.taps.generate import GenerateOptions

__all__ = ["written_ids"]

_NEW_TOKENS = 32


def written_ids(model: Any, inputs: dict[str, Any], rows: int) -> Tensor | None:
    """Let a model that reads text or sounds write its own answer.

    Args:
        model: An encoder-decoder model.
        inputs: Its inputs but for the decoder's.
        rows: Rows of its batch.

    Returns:
        Token ids ``[row, position]``, those included that it starts with, or ``None`` where it writes none.
    """
    if not model.can_generate():
        return None
    if "input_ids" in inputs:
        try:
            ids = _greedy(model, inputs)
        except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
            msg = (
                f"{type(model).__name__} cannot write the answer that its decoder would read ({error}): give it one, "
                "capture(model, inputs, tokenizer, target='some text')."
            )
            raise ValueError(msg) from error
        return None if ids.is_floating_point() else ids  # a model that sings returns sounds
    try:
        ids = _greedy(model, inputs)
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        return None  # its `generate` wants to be told more, or is one for other things than tokens
    except RuntimeError as error:
        short = short_error(model, inputs, error)
        if short is None:
            raise
        raise short from error
    # A model that speaks returns sounds.
    return ids if ids.shape[:-1] == (rows,) and not ids.is_floating_point() else None


def _greedy(model: Any, inputs: dict[str, Any]) -> Tensor:
    # Whisper refuses more tokens than its decoder has positions, its up to four start tokens included.
    most = getattr(model.config, "max_target_positions", None) or _NEW_TOKENS + 4
    count = min(_NEW_TOKENS, max(1, most - 4))
    options = {"max_new_tokens": count, "do_sample": False, "num_beams": 1}
    returned = _Returned()
    with torch.no_grad(), listening_to_generate(returned, model):
        try:
            ids: Any = model.generate(**inputs, **options)
        except IndexError:
            # Transformers sizes T5's cache by the encoder: too few layers for a deeper decoder.
            ids = model.generate(**inputs, **options, use_cache=False)
    # Whisper's own `generate` cuts off what the decoder was started with.
    found = ids if returned.ids is None else returned.ids
    if not isinstance(found, torch.Tensor):
        msg = f"generate of {type(model).__name__} returned {type(found).__name__}, not ids."
        raise TypeError(msg)
    return found


class _Returned:
    """Keeps the ids that the `generate` of all models returned to a model's own."""

    def __init__(self) -> None:
        self.ids: Any = None

    @contextmanager
    def on_generate(
        self, module: nn.Module, options: GenerateOptions, *, inner: bool
    ) -> Iterator[Callable[[Any], None]]:
        """Take the result of a generation."""
        del module, options

        def tell(result: Any) -> None:
            if inner:
                self.ids = getattr(result, "sequences", result)

        yield tell

    def on_cache_reordered(self, cache: Any, rows: Tensor) -> None:
        """Nothing to note."""
