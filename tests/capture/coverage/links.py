"""Measures links of one model: one in the last head of every layer cut, against −∞ among the scores of an eager copy."""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from capture.coverage.runs import Output, run_again
from capture.coverage.softmaxes import Spot, spots, watched

from attnwidget import Attention, Layer, cut, intervening
from attnwidget.capture.edits.places import recorded_places
from attnwidget.capture.edits.resolve import NotEditableError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attnwidget.capture.edits.places import Place

__all__ = ["Links", "measure_links"]

Link = tuple[int, int]  # a query and a key

_CLOSE = 1e-5
_SHARE = 0.1  # of the effect of a link, by which that of the reference may differ at most
_FILL = 1e30  # numbers beyond stand for infinity
_LARGE = 0.9  # a weight beyond leaves too little to the others for a comparison
_PLAIN = 1e-3  # an effect beyond is large enough to be compared
_ROUNDING = 1e-6  # of the largest number of the output
_NOTHING = "changes nothing, unlike the reference"
_QUERIES = 6  # whose links are tried, where one changes too little of the output
_MOST = 24  # places among the scores that are tried for one link


@dataclass
class Links:
    """What came of the links of one model.

    Attributes:
        links: How many were to be cut: one of every layer that has a query with two keys or more.
        same: How many of them came out as the reference has them: the output to 1e-5 beyond what the implementations
            differ by, and what the link changes of it to a tenth; or change nothing, there either.
        idle: How many of these change nothing.
        why: What is said against the others, by how many links.
    """

    links: int = 0
    same: int = 0
    idle: int = 0
    why: Counter[str] = field(default_factory=Counter)


def measure_links(model: Any, inputs: dict[str, Any], attention: Attention) -> Links:
    """Cut one link in the last head of every layer that was recorded.

    Args:
        model: The model, recorded before.
        inputs: What it is called with.
        attention: The record.
    """
    found = Links()
    reference = _Reference(model, inputs)
    for (stream, number), place in (recorded_places(model) or {}).items():
        layer = _layer(attention, stream, number)
        links = [] if layer is None else _links(layer)
        if layer is None or not links:
            continue
        found.links += 1
        try:
            runs = ((link, _without(model, inputs, stream, layer, link)) for link in links)
            link, got = reference.strongest(runs)
        except Exception as error:  # noqa: BLE001  it is said in the table
            found.why[_said(error, place)] += 1
            continue
        said = reference.verdict(got, place, layer.num_heads, link)
        found.same += said in {"same", "idle"}
        found.idle += said == "idle"
        if said not in {"same", "idle"}:
            found.why[said] += 1
    return found


def _without(model: Any, inputs: dict[str, Any], stream: str, layer: Layer, link: Link) -> Output:
    query, key = link
    edit = cut(query=query, key=key, heads=(layer.layer, layer.num_heads - 1), stream=stream)
    with intervening(model, edit):
        return run_again(model, inputs, weights=False)


@dataclass
class _Reference:
    """An eager copy of a model, and what both put out without a change, that of the copy while its softmaxes are watched."""

    model: Any
    inputs: dict[str, Any]
    eager: Any = field(init=False)
    clean: Output = field(init=False)
    plain: Output = field(init=False)
    _known: dict[type, Spot] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.clean = run_again(self.model, self.inputs, weights=False)
        self.eager = copy.deepcopy(self.model)
        try:
            self.eager.set_attn_implementation("eager")
            self.plain = run_again(self.eager, self.inputs, weights=False)
        except Exception:  # noqa: BLE001  some models have no such implementation
            self.plain = []
        if not _alike(self.clean, self.plain):
            # What eager attention returns for rows without any key is another thing in some models. In their own
            # implementation, whose fused function is written out where softmaxes are watched, it is not.
            self.eager = copy.deepcopy(self.model)

    def strongest(self, runs: Iterable[tuple[Link, Output]]) -> tuple[Link, Output]:
        """Return the link that changes most of the output, or the first that changes enough, and that output."""
        best: tuple[float, Link, Output] | None = None
        for link, got in runs:
            effect = max(map(_largest, _changes(got, self.clean)), default=0.0)
            if best is None or effect > best[0]:
                best = effect, link, got
            if effect > _PLAIN:
                break
        assert best is not None
        return best[1:]

    def verdict(self, got: Output, place: Place, heads: int, link: Link) -> str:
        """Compare the output under an edit with that of the reference.

        Returns:
            "same", "idle" (nothing changes, in the reference either), or what is to be said against it.
        """
        with watched(self.eager, place.path) as softmaxes:
            self.plain = run_again(self.eager, self.inputs, weights=False)
        known = self._known.get(self._kind(place))
        candidates = list(spots(softmaxes, heads, link))
        candidates.sort(key=lambda spot: spot != known)
        for spot in candidates[:_MOST]:
            expected = self._without(place, spot, heads, link)
            if self._close(got, expected) and self._same_effect(got, expected):
                self._known[self._kind(place)] = spot
                return "same"
            if spot == candidates[0] and not self._changes(got, self.clean):
                return _NOTHING if self._changes(expected, self.plain) else "idle"
        if not candidates:
            return "no softmax was found to compare with"
        return "other than each of the references tried"

    def _changes(self, got: Output, clean: Output) -> bool:
        """Tell whether a link changes the output by more than rounding."""
        size = max(
            1.0, max(map(_largest, _changes(clean, [0 * each for each in clean])), default=1)
        )
        return max(map(_largest, _changes(got, clean)), default=0.0) > _ROUNDING * size

    def _same_effect(self, got: Output, expected: Output) -> bool:
        """Tell whether a link changes the same as in the reference: what the implementations differ by is in neither."""
        own, others = _changes(got, self.clean), _changes(expected, self.plain)
        if len(own) != len(others) or any(
            a.shape != b.shape for a, b in zip(own, others, strict=True)
        ):
            return False
        effect = max(map(_largest, others), default=0.0)
        apart = max((_largest(a - b) for a, b in zip(own, others, strict=True)), default=0.0)
        return effect > 0 and apart <= _SHARE * effect

    def _without(self, place: Place, spot: Spot, heads: int, link: Link) -> Output:
        def change(number: int, scores: torch.Tensor) -> torch.Tensor:
            return spot.hide(scores, heads - 1, heads, link) if number == spot.number else scores

        with watched(self.eager, place.path, change):
            return run_again(self.eager, self.inputs, weights=False)

    def _close(self, one: Output, other: Output) -> bool:
        """Tell whether two outputs are as close as the implementations are, but for rounding."""
        several = zip(one, other, self.clean, self.plain, strict=True)
        return all(_apart(*each) for each in several)

    def _kind(self, place: Place) -> type:
        return type(self.model.get_submodule(place.path))


def _apart(
    one: torch.Tensor, other: torch.Tensor, clean: torch.Tensor, plain: torch.Tensor
) -> bool:
    if one.shape != other.shape or clean.shape != plain.shape:
        return False
    if not one.is_floating_point():  # what is chosen by the numbers, such as the best of some
        return torch.equal(one, other) or not torch.equal(clean, plain)
    one, other, clean, plain = (each.double() for each in (one, other, clean, plain))
    filled = (one.abs() > _FILL) | (other.abs() > _FILL)
    if not torch.equal(one[filled], other[filled]):
        return False
    size = other.masked_fill(filled, 0.0).abs()
    differ = (clean - plain).masked_fill(clean.abs() > _FILL, 0.0).abs()
    far = _CLOSE * max(1.0, float(size.max() if size.numel() else 0.0))
    far += float(differ.max() if differ.numel() else 0.0)
    apart = (one - other).masked_fill(filled, 0.0).abs()
    return bool((apart <= far).all())


def _changes(changed: Output, clean: Output) -> Output:
    """Return by how much the numbers of an output changed; those that stand for infinity left out."""
    return [
        (one.double() - other.double()).masked_fill(
            (one.abs() > _FILL) | (other.abs() > _FILL), 0.0
        )
        for one, other in zip(changed, clean, strict=True)
        if one.is_floating_point() and one.shape == other.shape
    ]


def _largest(tensor: torch.Tensor) -> float:
    return float(tensor.abs().max()) if tensor.numel() else 0.0


def _alike(one: Output, other: Output) -> bool:
    if [each.shape for each in one] != [each.shape for each in other]:
        return False
    return max(map(_largest, _changes(one, other)), default=0.0) <= _PLAIN


def _layer(attention: Attention, stream: str, number: int) -> Layer | None:
    if stream not in attention.streams:
        return None
    return next((layer for layer in attention[stream] if layer.layer == number), None)


def _links(layer: Layer) -> list[Link]:
    """Return links of some queries of the last head: the key of the largest weight that leaves something to other keys."""
    weights = np.nan_to_num(layer.weights(layer.num_heads - 1))
    shared = np.where((weights > 0) & (weights <= _LARGE), weights, 0)
    shared[(weights > 0).sum(axis=1) < 2] = 0
    rows = shared.max(axis=1).nonzero()[0]
    if not len(rows):
        return []
    # Some models return but their first position, or their last.
    first = [int(shared.max(axis=1).argmax()), int(rows[0]), int(rows[-1])]
    spread = rows[np.linspace(0, len(rows) - 1, _QUERIES).astype(int)].tolist()
    chosen = list(dict.fromkeys([*first, *spread]))[:_QUERIES]
    return [(query, int(shared[query].argmax())) for query in chosen]


def _said(error: Exception, place: Place) -> str:
    """Return why a link was refused, in words that do not depend on the layer."""
    text = (str(error).splitlines() or [""])[0].replace(place.path, "it")
    refused = re.match(
        r"(?:no head of layer .* can be edited: )?it (.*?)(?:: cut cannot .*)?\.?$", text
    )
    if isinstance(error, NotEditableError) and refused:
        return f"{refused[1]}: refused"
    return f"{type(error).__name__}: {text}"[:260]
