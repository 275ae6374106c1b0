"""What may be selected: the checks of the widget's traits, and what stays selected in another stream or layer."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import traitlets

from attnwidget.describe import num_steps
from attnwidget.traits import (
    STATE,
    SelectionError,
    check_heads,
    check_layer,
    check_pairs,
    check_pins,
    check_step,
    fitting_pins,
    nearest,
)

if TYPE_CHECKING:
    from attnwidget.attention import Attention, Stream

__all__ = ["FORMS", "Selecting"]

FORMS = ("lines", "matrix", "image", "text")


class Selecting(traitlets.HasTraits):  # type: ignore[misc,unused-ignore]  # traitlets' own base, untyped in old versions
    """The half of the widget that knows what of the record can be selected; the traits are the widget's own."""

    if TYPE_CHECKING:
        _attention: Attention
        stream: str
        layer: int
        heads: list[int]
        query: int | list[int] | None
        key: int | list[int] | None
        compare: list[list[int]]

        def hold_sync(self) -> Any:
            """Send what changes in one message, as ipywidgets does."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a trait, and refuse what is nearly one: Python would take ``view.queries = 3`` without a word.

        Raises:
            AttributeError: If the name is nearly that of a trait.
        """
        if not name.startswith("_") and not hasattr(type(self), name):
            near = get_close_matches(re.sub("ies$", "y", name), STATE, n=1, cutoff=0.8)
            if near:
                message = f"The view has no {name!r}: set view.{near[0]} = {value!r}."
                raise AttributeError(message)
        super().__setattr__(name, value)

    def _named(self, name: str) -> Stream:
        streams = self._attention.streams
        if name not in streams:
            message = f"stream must be one of {', '.join(map(repr, streams))}, got {name!r}."
            raise SelectionError(message)
        return streams[name]

    @traitlets.validate("stream")
    def _check_stream(self, proposal: traitlets.Bunch) -> str:
        return self._named(proposal.value).name

    @traitlets.validate("layer")
    def _check_layer(self, proposal: traitlets.Bunch) -> int:
        return check_layer(self._named(self.stream), proposal.value)

    @traitlets.validate("heads")
    def _check_heads(self, proposal: traitlets.Bunch) -> list[int]:
        stream = self._named(self.stream)
        return check_heads(stream[check_layer(stream, self.layer)], proposal.value)

    @traitlets.validate("query", "key")
    def _check_pins(self, proposal: traitlets.Bunch) -> int | list[int] | None:
        name: str = proposal.trait.name
        stream = self._named(self.stream)
        positions = stream.query_positions if name == "query" else stream.key_positions
        return check_pins(name, len(positions), proposal.value)

    @traitlets.validate("keys")
    def _check_keys(self, proposal: traitlets.Bunch) -> list[str]:
        # ipywidgets' list of the traits that travel: with pins in it nothing would travel any more, without a word.
        names: list[str] = proposal.value
        if all(isinstance(name, str) for name in names):
            return names
        message = f"keys are ipywidgets' names of synced traits, got {names}: pin key positions with key={names}."
        raise SelectionError(message)

    @traitlets.validate("step")
    def _check_step(self, proposal: traitlets.Bunch) -> int | None:
        return check_step(num_steps(self._attention), proposal.value)

    @traitlets.validate("form")
    def _check_form(self, proposal: traitlets.Bunch) -> str:
        form: str = proposal.value
        streams = self._attention.streams.values()
        missing = {
            "image": ("no picture and no sound", any(stream.lies_in_media for stream in streams)),
            "text": ("no text", any(stream.has_text for stream in streams)),
        }
        if form in missing and not missing[form][1]:
            others = [repr(name) for name in FORMS if missing.get(name, ("", True))[1]]
            accepted = f"{', '.join(others[:-1])} or {others[-1]}"
            message = (
                f"form must be {accepted}, got {form!r}: {missing[form][0]} is in this record."
            )
            raise SelectionError(message)
        return form

    @traitlets.validate("compare")
    def _check_compare(self, proposal: traitlets.Bunch) -> list[list[int]]:
        return check_pairs(self._named(self.stream), proposal.value)

    @traitlets.observe("stream", "layer")
    def _keep_what_fits(self, _change: traitlets.Bunch) -> None:
        """Bring the rest of the selection into what the new stream or layer has."""
        if not self.trait_has_value("layer"):
            return
        stream = self._named(self.stream)
        with self.hold_sync():
            numbers = [layer.layer for layer in stream]
            if self.layer not in numbers:
                self.layer = nearest(self._attention, self.stream, self.layer)
            count = stream[self.layer].num_heads
            heads = [head for head in self.heads if head < count]
            if heads != self.heads:
                self.heads = heads or [0]
            query = fitting_pins(self.query, len(stream.query_positions))
            if query != self.query:
                self.query = query
            key = fitting_pins(self.key, len(stream.key_positions))
            if key != self.key:
                self.key = key
            pairs = [[a, b] for a, b in self.compare if a in numbers and b < stream[a].num_heads]
            if pairs != self.compare:
                self.compare = pairs
