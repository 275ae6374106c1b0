"""Run or surround one recording: install the recorder, run, restore the model, build the record."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from attnwidget.capture.architecture.stream_names import is_of_transformers
from attnwidget.capture.architecture.wrappers import (
    called_module,
    max_tokens,
    own_tokenizer,
    running_uncompiled,
    unwrapped,
)
from attnwidget.capture.distributed.tensor_parallel import shared_recording
from attnwidget.capture.finish import finish_recording
from attnwidget.capture.inputs.length_limit import check_length, length_error
from attnwidget.capture.inputs.options import check_options
from attnwidget.capture.inputs.own_models import call_error, check_call
from attnwidget.capture.inputs.prepare import prepare
from attnwidget.capture.positions.given_labels import read_labels
from attnwidget.capture.recorder.limits import Limits
from attnwidget.capture.recorder.recorder import Recorder
from attnwidget.capture.store import make_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attnwidget.capture.hints import Hints
    from attnwidget.record.record import Record


__all__ = ["Outcome", "check_model", "check_tokenizer", "record_forward", "run_forward"]


class Outcome:
    """What a recording came to: its record once the block has ended, or why there is none.

    Attributes:
        record: The finished record.
        state: Why there is none yet, in words that end a sentence.
    """

    __slots__ = ("record", "state")

    def __init__(self) -> None:
        """Start before the end of the block."""
        self.record: Record | None = None
        self.state = "the block has not ended yet; ask after it"


@contextmanager
def record_forward(
    model: nn.Module, tokenizer: Any, hints: Hints, **options: Any
) -> Iterator[Outcome]:
    """Record what calls ``model`` inside the block, and restore the model at its end.

    Args:
        model: The model.
        tokenizer: Labels the tokens.
        hints: What is known of the tokens beyond their ids.
        **options: ``batch``, ``store``, ``limits`` and ``which`` of `Recorder`.

    Yields:
        What comes of it; its record is there when the block has ended.
    """
    outcome = Outcome()
    recorder = Recorder(called_module(model), **options)
    with shared_recording(recorder.model, recorder.store) as whole:
        recorder.start()
        try:
            yield outcome
        except BaseException as error:
            outcome.state = f"the block raised {type(error).__name__}"
            raise
        finally:
            recorder.stop()
        outcome.state = "the model's attention could not be recorded"
        outcome.record = whole(finish_recording(recorder, unwrapped(model), tokenizer, hints))


def run_forward(
    model: nn.Module,
    inputs: Any,
    tokenizer: Any = None,
    *,
    target: Any = None,
    tokens: Any = None,
    batch: int | None = None,
    streams: str | Sequence[str] | None = None,
    layers: Any = None,
    positions: Any = None,
    store: Any = "auto",
    device: torch.device | str | None = None,
    **forward_kwargs: Any,
) -> Record:
    """Run the model once and record its attention; `attnwidget.capture` describes arguments and errors.

    Args:
        model: The model.
        inputs: Text, tensors, pictures …
        tokenizer: Its tokenizer or processor.
        target: Text or token ids for the decoder.
        tokens: Labels for the positions, in place of the tokenizer's.
        batch: Row to record.
        streams: Names of the streams to record.
        layers: Layers to record.
        positions: Query positions to record.
        store: Where vectors are kept.
        device: A device in place of ``store``.
        **forward_kwargs: Passed on to the model.
    """
    check_model(model)
    check_tokenizer(tokenizer)
    tokenizer, most = tokenizer or own_tokenizer(model), max_tokens(model)
    inner = unwrapped(model)
    check_options(inner, forward_kwargs)
    limits = Limits.of(streams, layers, positions, single=True)
    labels = read_labels(tokens, batch)
    place = make_store(store, device)
    prepared = prepare(inner, inputs, tokenizer, target=target, batch=batch)
    check_length(model, prepared.inputs, most)
    arguments = {**prepared.inputs, **forward_kwargs}
    if not is_of_transformers(type(inner)):
        check_call(inner, prepared.args, arguments)
    with (
        running_uncompiled(model),
        record_forward(
            inner,
            prepared.tokenizer,
            replace(prepared.hints, labels=labels),
            batch=prepared.batch,
            store=place,
            limits=limits,
        ) as outcome,
        torch.no_grad(),
    ):
        try:
            inner(*prepared.args, **arguments)
        except torch.cuda.OutOfMemoryError:
            raise
        except (IndexError, RuntimeError, TypeError) as error:
            # Of too many positions: a table was looked up, or sliced and added.
            over = length_error(inner, prepared.inputs)
            if over is None and prepared.guessed and not isinstance(error, IndexError):
                over = call_error(inner, prepared.args, arguments, error)
            if over is None:
                raise
            raise over from error
    return cast("Record", outcome.record)


def check_model(model: Any) -> None:
    """Refuse what is no torch module, a pipeline for example."""
    if isinstance(model, nn.Module):
        return
    inner = getattr(model, "model", None)
    fix = (
        "pass its .model"
        if isinstance(inner, nn.Module)
        else "pass a torch.nn.Module, such as AutoModel's result"
    )
    msg = f"model must be a torch module, got {type(model).__name__}; {fix}."
    raise TypeError(msg)


def check_tokenizer(tokenizer: Any) -> None:
    """Refuse the name of a tokenizer."""
    if isinstance(tokenizer, str):
        msg = f"tokenizer must be a tokenizer, got a name; pass AutoTokenizer.from_pretrained({tokenizer!r})."
        raise TypeError(msg)
