"""`Attribution`: what a metric is attributed to, as arrays and tables, and how far exact effects agree."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from attnwidget.analysis.tables import table
from attnwidget.attribution.agreement import Agreement, AgreementRow
from attnwidget.attribution.methods import METHODS
from attnwidget.compute.checks import check_choice, check_count, check_name, options
from attnwidget.compute.indexing import head_axis, position_axis
from attnwidget.compute.measures import link_gradients
from attnwidget.compute.softmax import exact
from attnwidget.compute.weights import weight_block
from attnwidget.intervene.effects import effects
from attnwidget.record.position_lookup import replace_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from attnwidget.attention import Attention
    from attnwidget.attribution.methods import Kind, Method
    from attnwidget.attribution.residual_stream.direct_result import DirectAttribution
    from attnwidget.attribution.runs import Call
    from attnwidget.compute.indexing import Axis, Heads
    from attnwidget.record.layer import Layer
    from attnwidget.record.position_lookup import Place
    from attnwidget.record.stream import Stream

    Array = NDArray[np.float64]
    _Row = tuple[str, int | None, int, str, float]  # stream, layer or None, number, label, value

__all__ = ["Attribution", "LayerAttribution", "StreamAttribution"]

_ALL = slice(None)
_NAMED = 3  # heads or tokens that are named when it is printed


@dataclass(frozen=True, slots=True, eq=False)
class LayerAttribution:
    """What is attributed to the links of one layer.

    Attributes:
        layer: The layer.
        method: The method.
        matrix: float32 ``[query, key]``, of a method that says something of all heads together.
    """

    layer: Layer
    method: Method
    matrix: NDArray[np.float32] | None = None

    def weights(
        self, head: Heads = None, queries: Place = _ALL, keys: Place = _ALL
    ) -> NDArray[np.float32]:
        """Return what is attributed to links; signed of ``gradient`` and ``integrated``.

        Args:
            head: One head, several, or ``None`` for all. Of ``rollout``, which is of all heads together, left out.
            queries: Query positions, or tokens' texts, as of `Layer.weights`.
            keys: Key positions, likewise.

        Returns:
            float32 ``[head, query, key]``, without the axes given as one integer or as the text of one token; of
            ``rollout`` ``[query, key]``.

        Raises:
            ValueError: If the method says nothing of links or of heads, or there is no such head, position or token.
        """
        _check_gives(self.method, "links")
        layer = self.layer
        places = (
            self._axis("queries", queries, layer.n_query, 0),
            self._axis("keys", keys, layer.n_key, 1),
        )
        if self.matrix is not None:
            if head is not None:
                msg = f"method={self.method.name!r} is of all heads together: leave head out, or pass method='gradient'."
                raise ValueError(msg)
            return _without(self.matrix[np.ix_(*(one.indices for one in places))], *places)
        axes = head_axis(head, layer.num_heads), *places
        with exact(layer):
            found = link_gradients(layer, *axes) * weight_block(layer, *axes)
            if not self.method.signed:
                found.clamp_(min=0)
            return _without(found.cpu().numpy(), *axes)

    def _axis(self, name: str, place: Place, size: int, which: int) -> Axis:
        positions = self.layer._positions[which]  # noqa: SLF001  what the layer itself looks tokens up in
        if positions is not None:
            place = replace_text(name, place, positions)
        return position_axis(name, cast("Any", place), size)


@dataclass(frozen=True, slots=True, eq=False)
class StreamAttribution:
    """What is attributed to the layers of one stream; ``result[stream][layer]`` is one of them, as the model counts them.

    Attributes:
        stream: The stream of the record.
        method: The method.
        matrices: float32 ``[layer, query, key]``, of a method that says something of all heads together.
    """

    stream: Stream
    method: Method
    matrices: NDArray[np.float32] | None = None

    def __getitem__(self, number: int) -> LayerAttribution:
        """Return the links of a layer.

        Raises:
            IndexError: If there is no such layer.
        """
        layer = self.stream[number]
        at = [one.layer for one in self.stream].index(layer.layer)
        return LayerAttribution(
            layer, self.method, None if self.matrices is None else self.matrices[at]
        )

    def __iter__(self) -> Iterator[LayerAttribution]:
        return (self[layer.layer] for layer in self.stream)

    def __len__(self) -> int:
        return len(self.stream)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Attribution:
    """What a metric is attributed to, on one input.

    ``result[stream][layer].weights(head)`` is what is attributed to links, where the method says something of them.

    Attributes:
        method: Name of the method.
        metric: What is attributed, in words.
        record: The record of the run.
        of_heads: Stream name to float64 ``[layer, head]``, where the method says something of heads; read-only.
        of_tokens: Stream name to float64 ``[key]``, likewise.
        of_layers: Stream name to its links.
        call: What runs the model again, for `agreement`; copies have none.
        direct: Of the method ``direct`` all parts of the residual stream.

    Example:
        >>> import attnwidget as aw
        >>> found = aw.attribute(model, "the cat sat on the mat because it", tokenizer, method="gradient", metric="purred")
        >>> found
        Attribution(gradient of log p(“purred”), 16 heads: 3.1 -0.942, 3.3 +0.886, 1.2 +0.564)
        >>> found.to_dataframe("heads")[["layer", "head"]].values.tolist()[0]
        [3, 1]
        >>> round(found.agreement().rank_correlation, 2)
        0.86
    """

    method: str
    metric: str
    record: Attention
    of_heads: Mapping[str, Array]
    of_tokens: Mapping[str, Array]
    of_layers: Mapping[str, StreamAttribution]
    call: Call | None = None
    direct: DirectAttribution | None = None

    def __post_init__(self) -> None:
        """Freeze what it maps."""
        for name in ("of_heads", "of_tokens", "of_layers"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> Any:
        # Read-only mappings cannot be copied or pickled, and a copy does not bring the model along.
        maps = (dict(self.of_heads), dict(self.of_tokens), dict(self.of_layers))
        return type(self), (self.method, self.metric, self.record, *maps, None, self.direct)

    @property
    def about(self) -> Method:
        """Question, formula, source and cost of the method."""
        return METHODS[self.method]

    @property
    def formula(self) -> str:
        """How it is computed."""
        return self.about.formula

    @property
    def source(self) -> str:
        """Where the method comes from."""
        return self.about.source

    @property
    def cost(self) -> str:
        """How many passes of the model it takes."""
        return self.about.cost

    @property
    def heads(self) -> Mapping[str, Array]:
        """Stream name to what is attributed to its heads, float64 ``[layer, head]``, NaN where a head is not there.

        Raises:
            ValueError: If the method says nothing of heads.
        """
        _check_gives(self.about, "heads")
        return self.of_heads

    @property
    def tokens(self) -> Mapping[str, Array]:
        """Stream name to what is attributed to each of its key positions, float64 ``[key]``.

        Of occlusion and chefer streams that share their keys have one entry, under the name of the first of them.

        Raises:
            ValueError: If the method says nothing of tokens.
        """
        _check_gives(self.about, "tokens")
        return self.of_tokens

    def __getitem__(self, stream: str) -> StreamAttribution:
        """Return what is attributed to the links of a stream.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If the method says nothing of links.
        """
        _check_gives(self.about, "links")
        return self.of_layers[check_name("stream", stream, self.of_layers)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.record)

    def __len__(self) -> int:
        return len(self.record)

    def to_dataframe(self, of: str | None = None) -> Any:
        """Return one row for each head, or for each token.

        Args:
            of: ``"heads"`` or ``"tokens"``; what the method says something of, heads first, when left out.

        Returns:
            A pandas ``DataFrame``, or a list of dicts where pandas is not installed. Of heads, the largest number, up or
            down, first: ``stream``, ``layer``, ``head``, ``attribution``. Of tokens, in their order: ``stream``,
            ``position``, ``token``, ``attribution``.

        Raises:
            ValueError: If ``of`` is neither, or the method says nothing of it.
        """
        if self._kind(of) == "tokens":
            return table(
                {"stream": name, "position": at, "token": label, "attribution": value}
                for name, _, at, label, value in self._tokens()
            )
        rows = sorted(self._heads(), key=lambda row: -abs(row[-1]))
        return table(
            {"stream": name, "layer": layer, "head": head, "attribution": value}
            for name, layer, head, _, value in rows
        )

    def agreement(
        self, sample: int | None = None, of: str | None = None, *, seed: int = 0
    ) -> Agreement:
        """Run the model without heads, or without tokens, and say how far what it loses ranks them as this attribution does.

        A head is knocked out as by ``attnwidget.ablate(heads=[(layer, head)])``, a token is cut as by
        ``attnwidget.cut(key=token)``, in all layers. Signed methods are compared with their signs, others by size.

        Args:
            sample: How many, drawn at random without replacement; all when left out. Each takes a pass of the model; all heads
                are run as `effects` runs them.
            of: ``"heads"`` or ``"tokens"``; what the method says something of, heads first, when left out.
            seed: Of the draw.

        Returns:
            The rank correlation, of how many, and the table.

        Raises:
            ValueError: If the method says nothing of it, the model cannot be run without, or this is a copy.
        """
        kind = self._kind(of)
        if self.call is None:
            msg = (
                "a copy of an attribution has no model to run: call attnwidget.attribute once more."
            )
            raise ValueError(msg)
        rows = list(self._heads() if kind == "heads" else self._tokens())
        total = len(rows)
        if sample is not None and check_count("sample", sample, least=2) < total:
            drawn = np.random.default_rng(seed).choice(total, sample, replace=False)
            rows = [rows[at] for at in sorted(drawn)]
        lost = _lost(self.call, rows, every=len(rows) == total)
        found = (
            AgreementRow(*row, float(one))
            for row, one in zip(rows, lost, strict=True)
            if not np.isnan(one)
        )
        return Agreement(self.method, self.metric, kind, tuple(found), total, self.about.signed)

    def _kind(self, of: Any) -> Any:
        given = [one for one in ("heads", "tokens") if one in self.about.gives]
        kind = given[0] if of is None else check_choice("of", of, ("heads", "tokens"))
        _check_gives(self.about, cast("Kind", kind))
        return kind

    def _heads(self) -> Iterator[_Row]:
        for name, array in self.of_heads.items():
            for at, layer in enumerate(self.record[name]):
                for head, value in enumerate(array[at, : layer.num_heads].tolist()):
                    if not np.isnan(value):  # of direct, a head that does not write into the stream
                        yield name, layer.layer, head, f"{layer.layer}.{head}", value

    def _tokens(self) -> Iterator[_Row]:
        for name, array in self.of_tokens.items():
            labels = (position.label for position in self.record[name].key_positions)
            for at, (label, value) in enumerate(zip(labels, array, strict=True)):
                yield name, None, at, label, float(value)

    def __repr__(self) -> str:
        """Write the method, the metric, and the heads or tokens with the largest numbers."""
        kind = self._kind(None)
        rows = list(self._heads() if kind == "heads" else self._tokens())
        largest = sorted(rows, key=lambda row: -abs(row[-1]))[:_NAMED]
        sign = "+" if self.about.signed else ""
        named = ", ".join(f"{row[3]} {row[-1]:{sign}.3g}" for row in largest)
        return f"Attribution({self.method} of {self.metric}, {len(rows)} {kind}: {named})"


def _lost(call: Call, rows: list[_Row], *, every: bool) -> list[float]:
    """Return what the metric loses without each of some heads or tokens, NaN where the model cannot be run without."""
    from attnwidget.attribution.occlusion import (  # noqa: PLC0415  brings transformers
        lost_without_head,
        sequences,
    )

    if every and rows[0][1] is not None:
        return _lost_without_all(call, rows)
    # A token of the answer is one that the model is not given here.
    found = [float("nan")] * len(rows)
    tokens: dict[tuple[str, ...], list[int]] = {}
    with call.exact() as runs:
        record = runs.clean.record
        groups = sequences(record)
        for at, (name, layer, number, _, _) in enumerate(rows):
            if layer is not None:
                found[at] = lost_without_head(runs, name, layer, number)
            elif number < len(record[name].key_positions):
                # Of a stream that shares its keys with others, those of the sequence.
                streams = next(each for each in groups.values() if name in each)
                tokens.setdefault(streams, []).append(at)
        for streams, places in tokens.items():
            lost = runs.lost_keys([rows[at][2] for at in places], streams)
            for at, one in zip(places, lost, strict=True):
                found[at] = one
    return found


def _lost_without_all(call: Call, rows: list[_Row]) -> list[float]:
    """Return what the metric loses without each head, several of them in one pass where that proves right."""
    exact_effects = effects(
        call.model,
        call.inputs,
        call.tokenizer,
        metric=call.metric,
        position=call.position,
        **call.options,
    )
    return [
        -float(one.effect[one.layers.index(layer), number])
        for name, layer, number, _, _ in rows
        for one in (exact_effects.streams[name],)
        if layer is not None
    ]


def _check_gives(method: Method, kind: Kind) -> None:
    """Refuse what a method says nothing of."""
    if kind in method.gives:
        return
    others = options(name for name, one in METHODS.items() if kind in one.gives)
    msg = (
        f"method={method.name!r} says nothing of {kind}, but of {' and '.join(method.gives)}: pass method={others} to "
        "attnwidget.attribute."
    )
    raise ValueError(msg)


def _without(array: NDArray[np.float32], *axes: Axis) -> NDArray[np.float32]:
    """Return an array without the axes that were given as one integer."""
    found: NDArray[np.float32] = array[tuple(0 if axis.dropped else _ALL for axis in axes)]
    return found
