"""Run a model under an edit: its sources read, its heads found by a run without it, the model as before afterwards."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from attnwidget.capture.architecture.advice import check_model
from attnwidget.capture.architecture.uncompiled import running_uncompiled
from attnwidget.capture.architecture.wrappers import unwrapped
from attnwidget.capture.edits.editor import Editor
from attnwidget.capture.edits.lengths import check_given_lengths, check_recorded_lengths
from attnwidget.capture.edits.places import known_places, recorded_places
from attnwidget.capture.edits.refusals import why_not_recomputed
from attnwidget.capture.edits.resolve import (
    names_known,
    positions_known,
    resolve,
    with_positions,
)
from attnwidget.capture.forward import run_recorded
from attnwidget.edits.ablation import Ablation
from attnwidget.edits.edits import Edits
from attnwidget.edits.head_outputs import MeanOutputs, named_layers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from attnwidget.capture.forward import Ran

__all__ = [
    "check_places",
    "edited_by",
    "editing",
    "prepare_edits",
    "run_again",
    "run_edited",
    "with_sources",
]


@contextmanager
def editing(model: nn.Module, edits: Edits, said: Edits | None = None) -> Iterator[Editor]:
    """Edit whatever calls ``model`` inside the block.

    Args:
        model: The model.
        edits: The edit, its sources read.
        said: The edit as the caller said it, which records name.

    Yields:
        What edits it.

    Raises:
        ValueError: If the model has no such heads, or they cannot be edited.
        RuntimeError: At the end of the block if the model ran and a head was not edited.
    """
    editor = prepare_edits(model, edits, said)
    with edited_by(editor, model):
        yield editor


@contextmanager
def editing_again(model: nn.Module, edits: Edits | None, ran: Ran) -> Iterator[None]:
    """Edit whatever calls ``model`` inside the block as a run of it was edited.

    Args:
        model: The model.
        edits: The edit of that run, as the caller said it; nothing where there was none.
        ran: The run.

    Raises:
        ValueError, RuntimeError: As `editing`.
    """
    if not edits:
        yield
        return
    with editing(model, with_positions(with_sources(model, edits, ran.tokenizer), ran.record)):
        yield


@contextmanager
def edited_by(editor: Editor, model: nn.Module) -> Iterator[None]:
    """Have an editor edit whatever calls ``model`` inside the block."""
    with running_uncompiled(model):
        editor.start()
        try:
            yield
        finally:
            editor.stop()
    editor.check_applied()


def prepare_edits(model: nn.Module, edits: Edits, said: Edits | None = None) -> Editor:
    """Find the heads that an edit means in a model, and return what edits them; nothing is installed yet."""
    check_model(model)
    inner = unwrapped(model)
    if not edits:
        return Editor(inner, edits, [])
    why = why_not_recomputed(inner)
    if why is not None:
        msg = f"{type(inner).__name__} cannot be edited: it {why}"
        raise ValueError(msg)
    places, sure = known_places(inner)
    layers = resolve(edits, inner, places, sure=sure)
    return Editor(inner, edits if said is None else said, layers)


def with_sources(model: nn.Module, edits: Edits, tokenizer: Any) -> Edits:
    """Return what an edit does inside a model, its texts run through it: in their place stand the outputs of its heads.

    Args:
        model: The model, unedited.
        edits: The edit.
        tokenizer: Its tokenizer.
    """
    return Edits(
        tuple(
            _with_source(model, part, tokenizer) if isinstance(part, Ablation) else part
            for part in edits.parts_inside
        )
    )


def _with_source(model: nn.Module, part: Ablation, tokenizer: Any) -> Ablation:
    if not isinstance(part.source, tuple):
        return part
    means = MeanOutputs(part.heads)
    for text in part.source:
        record = run_recorded(model, text, tokenizer).record
        means.add(named_layers(record, part.heads, part.stream))
    return replace(part, source=means.finish())


def run_edited(
    model: nn.Module, edits: Edits, tokenizer: Any, inputs: Any, options: dict[str, Any]
) -> Ran:
    """Run the model once under an edit and record its attention.

    Args:
        model: The model.
        edits: The edit.
        tokenizer: Its tokenizer.
        inputs: What it is given; `attnwidget.capture` describes it.
        options: The other options of `run_recorded`.

    Raises:
        ValueError: If the model has no such heads, or they cannot be edited.
        RuntimeError: If a head was not edited, or is another than the run before it said.
    """
    options = {
        **options,
        "token_edits": edits.of_tokens,
        "check": partial(check_given_lengths, edits),
    }
    if not edits.inside:
        return run_recorded(model, inputs, tokenizer, **options)
    inner = unwrapped(model)
    read = with_sources(model, edits, tokenizer)
    before = recorded_places(inner)
    if before is None or not names_known(read, before) or not positions_known(read):
        # Which module is which layer, and where a token stands, shows when the model runs on these inputs.
        clean = run_recorded(model, inputs, tokenizer, edited=False, **options)
        return run_again(clean, model, with_positions(read, clean.record), edits)
    editor = prepare_edits(model, read, edits.inside)
    ran = run_recorded(model, inputs, tokenizer, around=lambda: edited_by(editor, model), **options)
    check_places(editor)
    return ran


def run_again(clean: Ran, model: nn.Module, edits: Edits, said: Edits) -> Ran:
    """Run and record the model once more, under an edit whose sources are read, with its tokens edited."""
    check_recorded_lengths(edits, clean.record)
    editor = prepare_edits(model, edits, said.inside)
    with edited_by(editor, model):
        ran = clean.again(True)  # noqa: FBT003  edited
    check_places(editor)
    return ran


def check_places(editor: Editor) -> None:
    """Raise `RuntimeError` unless the recording just made found the edited layers where they were edited."""
    after = recorded_places(editor.model) or {}
    for layer in editor.layers:
        found = after.get((layer.stream, layer.layer))
        if found != layer.place:
            where = "nowhere" if found is None else found.path
            msg = (
                f"layer {layer.layer} of stream {layer.stream!r} is computed in {where}, and was in {layer.place.path} when the "
                "model was recorded before: run the same call again."
            )
            raise RuntimeError(msg)
