"""Measures edits of one model: nothing changed by an empty one, each head knocked out as a reference has it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from capture.coverage.runs import Output, run_again, same_bits
from capture.coverage.slices import Slices

from attnwidget import Attention, ablate, intervening
from attnwidget.capture.edited_runs import edited_by, prepare_edits
from attnwidget.capture.edits.places import recorded_places
from attnwidget.capture.taps.listeners import listeners

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnwidget.capture.edits.places import Place

__all__ = ["Edited", "measure_edits"]

Stream = str


@dataclass
class Edited:
    """What came of the edits of one model.

    Attributes:
        heads: How many heads were to be knocked out: the first and the last of every layer.
        same: How many of them came out as the reference has them, to the last bit.
        idle: How many of these change nothing of what the model returns, in the reference either.
        clean: Whether an edit of nothing changes no bit, and nothing is left behind by any.
        why: What is said against the others, by how many heads.
    """

    heads: int = 0
    same: int = 0
    idle: int = 0
    clean: bool = True
    why: Counter[str] = field(default_factory=Counter)

    def reason(self) -> str:
        """Return what is said against some of the heads, in words."""
        return "; ".join(f"{count} x {said}" for said, count in self.why.items())


def measure_edits(model: Any, inputs: dict[str, Any], attention: Attention, hooks: Any) -> Edited:
    """Knock out the first and the last head of every layer that was recorded.

    Args:
        model: The model, recorded before.
        inputs: What it is called with.
        attention: The record.
        hooks: Lists what hangs on a model.
    """

    run = partial(run_again, model, inputs)
    found = Edited()
    before = hooks(model)
    clean = run()
    places = recorded_places(model) or {}
    slices = Slices(model, run, clean, {place.path for place in places.values()})
    for (stream, number), place in places.items():
        count = _heads(attention, stream, number, place)
        for head in dict.fromkeys((0, count - 1)):
            found.heads += 1
            edit = ablate([(number, head)], stream=stream)
            edited = partial(intervening, model, edit)
            try:
                with edited():
                    got = run()
            except Exception as error:  # noqa: BLE001  it is said in the table
                found.why[_said(error, place, number)] += 1
                continue
            said = slices.verdict(got, edited, place, head, count)
            found.same += said in {"same", "idle"}
            found.idle += said == "idle"
            if said not in {"same", "idle"}:
                found.why[f"{said} ({_kind(model, place)})"] += 1
        found.clean = found.clean and hooks(model) == before and not listeners()
    for said in _empty(model, places, clean, run):
        found.clean = False
        found.why[said] += 1
    if not same_bits(run(), clean) or hooks(model) != before:
        found.clean = False
        found.why["something is left behind"] += 1
    return found


def _empty(model: Any, places: Any, clean: Output, run: Any) -> Iterator[str]:
    """Edit no head of any layer, with everything in place that edits one."""
    with intervening(model, ablate([])):
        if not same_bits(run(), clean):
            yield "an empty edit changes the output"
    editable = []
    for stream, number in places:
        try:
            editable += prepare_edits(model, ablate([(number, 0)], stream=stream)).layers
        except ValueError:
            continue
    if not editable:
        return
    editor = prepare_edits(model, _all_of(editable))
    for layer in editor.layers:
        layer.heads.clear()
    try:
        with edited_by(editor, model):
            got = run()
    except Exception as error:  # noqa: BLE001
        yield f"an edit of no head raises {type(error).__name__}: {error}"[:200]
        return
    if not same_bits(got, clean):
        yield "an edit of no head changes the output"


def _all_of(layers: list[Any]) -> Any:
    edits = ablate([])
    for layer in layers:
        edits += ablate([(layer.layer, 0)], stream=layer.stream)
    return edits


def _heads(attention: Attention, stream: Stream, number: int, place: Place) -> int:
    if stream in attention.streams:
        for layer in attention[stream]:
            if layer.layer == number:
                return layer.num_heads
    return place.num_heads or 1


def _kind(model: Any, place: Place) -> str:
    return type(model.get_submodule(place.path)).__name__


def _said(error: Exception, place: Place, number: int) -> str:
    """Return what an error says, without the number of its layer, so that layers are counted together."""
    text = str(error).splitlines()[0] if str(error) else ""
    text = text.replace(place.path, "it").replace(f"layer {number} ", "a layer ")
    return f"{type(error).__name__}: {text}"[:260]
