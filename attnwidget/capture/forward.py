"""Run or surround one recording: install the recorder, run, restore the model, build the record."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import nn

from attnwidget.capture.architecture.wrappers import (
    called_module,
    unwrapped,
)
from attnwidget.capture.distributed.tensor_parallel import shared_recording
from attnwidget.capture.finish import finish_recording
from attnwidget.capture.recorder.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnwidget.capture.hints import Hints
    from attnwidget.record.record import Record


__all__ = ["Outcome", "check_model", "check_tokenizer", "record_forward"]


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
        **options: ``batch``, ``store`` and ``limits`` of `Recorder`.

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
