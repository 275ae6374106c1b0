"""The call that opens a view at a selection, as Python text; `js/src/state/python-call.ts` writes the same without a kernel."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import integer
from attnwidget.protocol.constants import EFFECT, GRADIENT_MEASURES, RANKING
from attnwidget.serve.opening import selected_of
from attnwidget.serve.selection import resolve_selection
from attnwidget.serve.selection_parts import STATE

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from attnwidget.edits.edits import Edits
    from attnwidget.serve.source import Source

__all__ = [
    "PLACE",
    "call_of_model",
    "call_of_source",
    "literal",
    "named_options",
    "opening",
    "view_call",
    "with_edits",
    "with_link",
    "without_link",
]

# Where one looks. A view that is told a part of it opens on that; one that is told none may choose all of it.
PLACE = ("stream", "layer", "heads", "query", "key")
_SCORES = ("score", "other_score")
# A text that is longer is called ``inputs``: what is copied stays a line that one reads.
_LONGEST_TEXT = 2_000
_LINK = ("query", "key")


def opening(source: Source, call: str | None = None, *, chosen: bool) -> dict[str, Any]:
    """Return what a page needs to write the call itself (see ``PythonCall`` in the schema).

    Args:
        source: What is shown.
        call: How the view was made, without a closing bracket; ``aw.view`` of the source when left out.
        chosen: Whether the view may have opened where one opens that is told nothing. If not, that is not looked for, which
            reads all weights, and the call names the layer.
    """
    first = next(iter(source.streams.values()))
    layer = next(iter(first)).layer
    placed = resolve_selection(source, {"stream": first.name, "layer": layer})
    told = {"call": call or call_of_source(source, {}), "placed": placed}
    if not chosen:
        return told
    opened = resolve_selection(source, selected_of(source.choose({})))
    different = {name: value for name, value in placed.items() if value != opened[name]}
    return {**told, "opened": opened, "placed": different}


def without_link(told: dict[str, Any]) -> dict[str, Any]:
    """Return what `opening` says, for calls that do not name the link that the view opened on by itself.

    Where a model can be run, a query that is named is where it is measured.
    """
    placed = {name: value for name, value in told["placed"].items() if name not in _LINK}
    return {**told, "placed": placed} if "opened" in told else told


def with_link(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `opening` says, for calls that name the query and key on show, whoever chose them."""
    return {**told, "placed": {**told["placed"], **dict.fromkeys(_LINK)}}


def view_call(
    told: Mapping[str, Any],
    state: Mapping[str, Any],
    traced: Mapping[str, Any] | None = None,
    *,
    unnamed: Container[str] = (),
) -> str:
    """Return the call that opens a view at a selection.

    Args:
        told: What `opening` returned.
        state: The whole selection.
        traced: The trace that is known; see ``TraceOfView`` in the schema.
        unnamed: Parts of the selection that nobody chose, which a view that is told a layer is not told.
    """
    given = _given_options(told, state, unnamed)
    return f"{told['call']}{_listed(given)}){_note(state, traced)}"


def _given_options(
    told: Mapping[str, Any], state: Mapping[str, Any], unnamed: Container[str]
) -> dict[str, Any]:
    """Return the parts of a selection that are not what a view opens with."""
    opened = told.get("opened", {})
    # Of words and by gradients another link is chosen, of a rollout none.
    stays = (
        bool(opened)
        and state["measure"] not in {"rollout", *GRADIENT_MEASURES}
        and all(state[name] == opened[name] for name in (*PLACE, "positions"))
    )
    base = opened if stays else {**opened, **told["placed"]}
    # The kernel knows a pattern of the caller's own by a number, which another view does not have.
    unknown = (RANKING, state["ranking"]) if _has_own_pattern(state) else ()
    return {
        name: state[name]
        for name in STATE
        # With a layer the view opens there and chooses nothing itself.
        if (state[name] != base[name] or (name == "layer" and not stays))
        # … and of query and key what is None is as it would be.
        and (stays or name not in _LINK or (state[name] is not None and name not in unnamed))
        and state[name] not in unknown
        # A view that is made knows no effects yet.
        and not (name in _SCORES and state[name] == EFFECT)
        # Nor is a threshold in their units one of a view without them.
        and not (name == "threshold" and state["score"] == EFFECT)
    }


def call_of_model(inputs: Any, tokenizer: Any, options: Mapping[str, Any]) -> str:
    """Return how a view of a model was made, without what is selected and without a closing bracket.

    Args:
        inputs: What went in; written down where it is text, a pair of texts or a chat.
        tokenizer: The tokenizer, if one was given.
        options: What was given besides for recording.
    """
    written = _text_of(inputs)
    parts = ["model", "inputs" if written is None else written]
    if tokenizer is not None:
        parts.append("tokenizer=tokenizer")
    parts += named_options(options)
    return f"aw.view({', '.join(parts)}"


def with_edits(call: str | None, edits: Edits, metric: Any, recorded: Any = None) -> str | None:
    """Return a call without its closing bracket with the edits that the view is under, and what they are measured by.

    Edits of which the outputs of other inputs are a part stand by a name.

    Args:
        call: The call; None for none.
        edits: The edits.
        metric: What was asked for; None for the likeliest choice.
        recorded: What the call has the gradients of, in whose place the metric stands.
    """
    if call is None or not edits:
        return call
    written = " + ".join(f"aw.{part!r}" for part in edits.parts)
    # A record and many texts are named in angle brackets.
    short = not any(mark in written for mark in ("=<", "(<")) and len(written) <= _LONGEST_TEXT
    measured = "" if metric is None else f", metric={metric!r}"
    if measured and recorded is not None:
        call = call.replace(f", {named_options({'metric': recorded})[0]}", "", 1)
    return f"{call}, interventions={written if short else 'interventions'}{measured}"


def call_of_source(source: Source, options: Mapping[str, Any]) -> str:
    """Return how a view of a result was made with options that are no part of a selection, without a closing bracket."""
    return f"aw.view({', '.join([source.python_name, *named_options(options)])}"


def named_options(options: Mapping[str, Any]) -> list[str]:
    """Return options as a call has them; what is no short literal stands by its name."""
    return [
        f"{name}={literal(value) if _is_plain(value) else name}" for name, value in options.items()
    ]


def literal(value: Any) -> str:
    """Return a value of a selection as Python reads it.

    Strings stand as JSON has them, which Python reads as well; a number without an exponent, as the page writes it.
    """
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        # Half a surrogate pair is no UTF-8: it stands by its number, in JSON and in Python.
        text = json.dumps(value, ensure_ascii=False)
        return "".join(
            f"\\u{ord(char):04x}" if "\ud800" <= char <= "\udfff" else char for char in text
        )
    if isinstance(value, float):
        return _decimal(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple):
        inside = ", ".join(map(literal, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return repr(value)


def _decimal(value: float) -> str:
    """Return the shortest digits that give the number again, without an exponent."""
    if not math.isfinite(value):
        return f"float('{value}')"
    from decimal import Decimal  # noqa: PLC0415 - for this alone

    text = format(Decimal(repr(float(value))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _listed(options: Mapping[str, Any]) -> str:
    return "".join(
        f", {name}={literal([tuple(pair) for pair in value] if name == 'compare' else value)}"
        for name, value in options.items()
    )


def _has_own_pattern(state: Mapping[str, Any]) -> bool:
    ranking = state["ranking"]
    return isinstance(ranking, dict) and "pattern" in ranking


def _note(state: Mapping[str, Any], traced: Mapping[str, Any] | None) -> str:
    """Return what no option says: links of the caller's own, which only a function of theirs knows, effects, and a trace."""
    notes = []
    if _has_own_pattern(state):
        name = literal(state["ranking"]["pattern"])
        notes.append(f"view.rank(pattern=pattern, name={name})")
    if EFFECT in [state[name] for name in _SCORES]:
        notes.append("view.find_effects()")
    if state["form"] == "trace" and traced is not None:
        notes.append(traced["call"])
    return f"  # then {', '.join(notes)}" if notes else ""


def _text_of(inputs: Any) -> str | None:
    """Return what went in as Python reads it, if it is words and no longer than a line may be."""
    several = isinstance(inputs, (tuple, list)) and bool(inputs)
    words = isinstance(inputs, str) or (several and all(map(_is_words, inputs)))
    text = literal(inputs) if words else ""
    return text if words and len(text) <= _LONGEST_TEXT else None


def _is_words(one: Any) -> bool:
    """Tell whether this is a text, or a message of a chat that is text alone."""
    said = one.items() if isinstance(one, dict) else [("content", one)]
    return all(isinstance(name, str) and isinstance(value, str) for name, value in said)


def _is_plain(value: Any) -> bool:
    """Tell whether a value is written down in a few characters."""
    if value is None or isinstance(value, (bool, str)):
        return len(str(value)) <= _LONGEST_TEXT
    if isinstance(value, (list, tuple)):
        return len(value) <= 100 and all(map(_is_plain, value))
    return isinstance(value, float) or (type(value) is int and integer(value) is not None)
