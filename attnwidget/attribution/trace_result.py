"""`Trace`: the links over which a model comes to what it says, as values, a table and a figure."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from attnwidget.analysis.tables import table
from attnwidget.edits.edits import Edits
from attnwidget.figures.trace_figure import TraceFigure

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from typing_extensions import Unpack

    from attnwidget.attribution.trace_links import TraceLink
    from attnwidget.figures.trace_figure import TraceOptions

__all__ = ["Together", "Trace"]

_NAMED = 3  # links that are named when it is printed


@dataclass(frozen=True, slots=True)
class Together:
    """Changes of the metric when links are cut at once.

    Attributes:
        traced: Without all links of the trace.
        every: Without any link of the stream: all its heads put out 0, and each position is left with its own token.
    """

    traced: float
    every: float

    @property
    def share(self) -> float:
        """How much of what all links do the traced ones do: ``traced / every``; NaN where all links do nothing.

        It may be above 1, where links that are left out work against the metric.
        """
        return self.traced / self.every if self.every else float("nan")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Trace:
    """The links over which a model comes to what it says, on one input.

    Attributes:
        metric: What is measured, in words.
        value: The metric with all links.
        stream: Name of the stream.
        labels: What each position is called.
        num_heads: How many heads each layer has, by its number, from the first layer to the last; read-only.
        starts: Positions at which the metric is read off the last layer.
        links: The links, the largest first: by the change of the metric where they were cut, else by its estimate.
        small: Links that were cut because of their estimates, and left out: the cut changed little, or none of those that
            are left leads to their queries.
        together: What cutting all of them at once changes; ``None`` where they were not cut.
        edit: The edit that cuts all of them, for `what_if` and the others.
        noise: The largest change of the metric that was seen without any edit; changes no larger than it are 0.
        ways: How many links were cut in which way, as in `Effects`.
        interrupted: Whether the run was ended before its last cut.

    Example:
        >>> import attnwidget as aw
        >>> trace = aw.trace(model, "the cat sat on the mat because it", tokenizer, metric="purred")
        >>> trace.links[0].layer, trace.links[0].head, trace.labels[trace.links[0].key]
        (3, 3, 'cat')
        >>> trace.to_dataframe()[["layer", "head", "query", "key"]].values.tolist()[0]
        [3, 3, 8, 2]
        >>> trace.figure().svg[:4]
        '<svg'
        >>> path = trace.save("trace.svg")
    """

    metric: str
    value: float
    stream: str
    labels: tuple[str, ...]
    num_heads: Mapping[int, int]
    starts: tuple[int, ...]
    links: tuple[TraceLink, ...]
    small: tuple[TraceLink, ...] = ()
    together: Together | None = None
    edit: Edits = field(default_factory=Edits)
    noise: float = 0.0
    ways: Mapping[str, int] = field(default_factory=dict)
    interrupted: bool = False

    def __post_init__(self) -> None:
        """Freeze what it maps."""
        object.__setattr__(self, "num_heads", MappingProxyType(dict(self.num_heads)))
        object.__setattr__(self, "ways", MappingProxyType(dict(self.ways)))

    def __reduce__(self) -> Any:
        # Read-only mappings cannot be copied or pickled themselves.
        maps = {"num_heads", "ways"}
        names = tuple(self.__dataclass_fields__)
        values = (getattr(self, name) for name in names)
        return type(self), tuple(
            dict(value) if name in maps else value
            for name, value in zip(names, values, strict=True)
        )

    def __len__(self) -> int:
        return len(self.links)

    def to_dataframe(self) -> Any:
        """Return one row for each link, the largest first, then those that were cut and left out.

        Returns:
            A pandas ``DataFrame``, or a list of dicts where pandas is not installed, with the columns ``layer``, ``head``,
            ``query``, ``key``, ``query_label``, ``key_label``, ``distance``, ``weight``, ``estimate`` (to first order),
            ``change`` (exact; None where it was not cut) and ``traced`` (whether the trace has it).
        """
        return table(
            {
                "layer": link.layer,
                "head": link.head,
                "query": link.query,
                "key": link.key,
                "query_label": self.labels[link.query],
                "key_label": self.labels[link.key],
                "distance": link.distance,
                "weight": link.weight,
                "estimate": link.estimate,
                "change": link.change,
                "traced": traced,
            }
            for links, traced in ((self.links, True), (self.small, False))
            for link in links
        )

    def figure(self, **options: Unpack[TraceOptions]) -> TraceFigure:
        """Return a figure: the links as paths over layers and positions.

        The input is at the bottom, what the model says on top. A path leads from the key, below a layer, to the query above
        it, in its head's colour and as wide as its change; solid where it was cut, dashed where it is an estimate. Beside it
        stand layer and head and the change, as far as there is room, and of far positions the distance. Of a long
        input only the positions of the links are there, and how many lie between them.

        Args:
            **options: ``width`` (pixels, or text such as ``"85mm"``), ``font_size``, ``theme`` (``"light"``, ``"dark"``,
                ``"print"``), ``title``, ``legend``, ``transparent`` and ``font``, as `Attention.figure` takes them.

        Raises:
            TypeError, ValueError: If an option does not exist, or is none of what is accepted.

        Example:
            >>> import attnwidget as aw
            >>> model, tokenizer = pocket()
            >>> found = aw.trace(model, "the cat sat on the mat because it", tokenizer, metric="purred")
            >>> found.figure(theme="dark").save("trace.svg")  # doctest: +SKIP
        """
        return TraceFigure(self.to_data(), options)

    def save(self, path: str | os.PathLike[str], **options: Unpack[TraceOptions]) -> Path:
        """Write the figure; see `figure` and `Figure.save`.

        Raises:
            TypeError, ValueError, ImportError: As these.
        """
        return self.figure(**options).save(path)

    def to_data(self) -> dict[str, Any]:
        """Return what the figure draws, as ``Trace`` of the schema."""
        data: dict[str, Any] = {
            "metric": self.metric,
            "value": self.value,
            "stream": self.stream,
            "labels": list(self.labels),
            "layers": [
                {"layer": layer, "num_heads": count} for layer, count in self.num_heads.items()
            ],
            "starts": list(self.starts),
            "links": [
                {
                    "layer": link.layer,
                    "head": link.head,
                    "query": link.query,
                    "key": link.key,
                    "weight": link.weight,
                    "estimate": link.estimate,
                    "change": link.change,
                }
                for link in self.links
            ],
            "together": None,
        }
        if self.together is not None:
            data["together"] = {"traced": self.together.traced, "every": self.together.every}
        return data

    def __repr__(self) -> str:
        """Write the metric and the links whose change is largest."""
        named = ", ".join(
            f"{link.layer}.{link.head} {self.labels[link.query]!r} → {self.labels[link.key]!r} "
            + (f"{link.estimate:+.3g} estimated" if link.change is None else f"{link.change:+.3g}")
            for link in self.links[:_NAMED]
        )
        cut = sum(link.change is not None for link in self.links)
        whole = ""
        if self.together is not None:
            whole = f", together {self.together.traced:+.3g} of {self.together.every:+.3g} for all links"
        return f"Trace({self.metric} {self.value:.4g}, {len(self.links)} links, {cut} cut{whole}: {named or 'none'})"

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """Return what an output holds: the figure, and the words of its `repr`."""
        from attnwidget.figures.renderer import available  # noqa: PLC0415

        words = {"text/plain": repr(self)}
        return (self.figure()._repr_mimebundle_(include, exclude) if available() else {}) | words
