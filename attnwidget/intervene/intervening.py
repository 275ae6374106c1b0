"""`intervening`: edit whatever calls a model inside a block."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attnwidget.edits.edits import check_edits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from attnwidget.edits.edits import Edits

__all__ = ["intervening"]


@contextmanager
def intervening(model: nn.Module, edit: Edits, tokenizer: Any = None) -> Iterator[None]:
    """Edit whatever calls ``model`` inside the block, in its thread or asyncio task: ``forward``, ``generate``, a pipeline.

    Heads are edited in all rows of a batch and in every pass. Nothing is put on the model: not even while the block runs
    has it hooks, other weights or another configuration. Gradients flow through edits of modules that attend through
    transformers' interface; of others, backpropagation through an edit raises.

    Which module is which layer is known from the last recording of the model (`attnwidget.capture`), else from its code
    as far as that is sure.

    Args:
        model: A Hugging Face model, or a module that holds one.
        edit: What is changed: `attnwidget.ablate`, `attnwidget.cut`, `attnwidget.patch`. Positions are numbers from 0.
        tokenizer: Reads the texts of a ``source``; found by the model's name when left out.

    Raises:
        TypeError: If ``edit`` is no such value, or ``model`` no module.
        ValueError: If the model has no such stream, layer or head, or if one cannot be edited: before the block, or by the
            call inside that shows it. If it is an edit of the input.
        RuntimeError: At the end of the block if the model ran and a head was not edited.

    Example:
        >>> import attnwidget as aw
        >>> model, tokenizer = pocket()
        >>> inputs = tokenizer("The cat sat on the mat because", return_tensors="pt")
        >>> with aw.intervening(model, aw.ablate(heads=[(3, 3)])):
        ...     output = model.generate(**inputs, max_new_tokens=5)
        >>> output.shape
        torch.Size([1, 13])
    """
    from attnwidget.capture.architecture.advice import check_model  # noqa: PLC0415  brings transformers
    from attnwidget.capture.edited_runs import editing, with_sources  # noqa: PLC0415

    check_model(model)
    edits = check_edits("edit", edit)
    if edits.of_tokens:
        said = " + ".join(map(repr, edits.of_tokens))
        msg = (
            f"{said} changes the input, which is the caller's inside of such a block: call attnwidget.capture(model, inputs, "
            f"tokenizer, interventions={said}), attnwidget.what_if(model, inputs, tokenizer, {said}), or change the ids."
        )
        raise ValueError(msg)
    with editing(model, with_sources(model, edits, tokenizer), edits):
        yield
