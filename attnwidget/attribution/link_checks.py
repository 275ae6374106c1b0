"""`LinkChecks`: cut the links of a trace, several in one pass, and all of them together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from attnwidget.attribution.trace_links import connected, largest_first, starts_of, strong
from attnwidget.attribution.trace_result import Together, Trace
from attnwidget.capture.edits.editor import NotEditedError
from attnwidget.capture.edits.resolve import NotEditableError
from attnwidget.edits.cut import Cut
from attnwidget.edits.edits import Edits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attnwidget.attribution.trace_links import TraceLink
    from attnwidget.intervene.passes import Passes
    from attnwidget.record.stream import Stream

__all__ = ["LinkChecks"]


@dataclass(slots=True)
class LinkChecks:
    """Cuts the links of a trace.

    Attributes:
        passes: Runs of the model.
        metric: What is measured, in words.
        stream: The stream, with gradients.
        found: The links by their estimates, the largest first.
        threshold: Least size of a link, as a share of the largest.
        budget: How many links are cut at most.
        renormalise: As of `cut`.
        done: How many links were looked at so far.
        notes: Why some links cannot be cut.
    """

    passes: Passes
    metric: str
    stream: Stream
    found: list[TraceLink]
    threshold: float
    budget: int
    renormalise: bool
    done: int = 0
    notes: list[str] = field(default_factory=list)
    _changes: dict[TraceLink, float] = field(default_factory=dict)
    _ways: dict[str, int] = field(default_factory=dict)
    _together: Together | None = None

    @property
    def of(self) -> int:
        """How many links are cut."""
        return min(self.budget, len(self.found))

    def steps(self) -> Iterator[None]:
        """Cut links, those with the largest estimates first, and then all that are left together; a step runs the model."""
        for links in self._several(self.found[: self.budget]):
            yield
            self._cut(links)
            self.done += len(links)
        if self.budget:
            yield
            self._together = self._cut_together()

    def trace(self, *, interrupted: bool) -> Trace:
        """Return what is known so far.

        Args:
            interrupted: Whether there are steps left.
        """
        links = self._checked()
        cut = [replace(link, change=self._changes[link]) for link in self.found if link in self._changes]  # fmt: skip
        return Trace(
            metric=self.metric,
            value=self.passes.value,
            stream=self.stream.name,
            labels=tuple(place.label for place in self.stream.query_positions),
            num_heads={layer.layer: layer.num_heads for layer in self.stream},
            starts=starts_of(self.stream.layers[-1]),
            links=tuple(links),
            small=tuple(largest_first(link for link in cut if link not in links)),
            together=self._together,
            edit=self._edit(links),
            noise=self.passes.noise,
            ways=dict(self._ways),
            interrupted=interrupted,
        )

    def _several(self, links: list[TraceLink]) -> Iterator[list[TraceLink]]:
        """Yield links that run in one pass: of one layer, the layer with the largest estimate first."""
        of_layer: dict[int, list[TraceLink]] = {}
        for link in links:
            of_layer.setdefault(link.layer, []).append(link)
        for several in of_layer.values():
            for start in range(0, len(several), self.passes.most):
                yield several[start : start + self.passes.most]

    def _cut(self, links: list[TraceLink]) -> None:
        """Note the change of the metric without each link, and how that was done."""
        try:
            for values, way in self.passes.each([self._part([link]) for link in links]):
                self._changes |= {links[at]: self._change(value) for at, value in values.items()}
                self._ways[way] = self._ways.get(way, 0) + len(values)
        except (NotEditableError, NotEditedError) as error:
            self.notes.append(f"links are estimates alone: {error}")

    def _change(self, value: float) -> float:
        """Return a change of the metric; one that is no larger than that without any edit is none."""
        change = value - self.passes.value
        return 0.0 if abs(change) <= self.passes.noise else change

    def _checked(self) -> list[TraceLink]:
        links = [replace(link, change=self._changes.get(link)) for link in self.found]
        starts = starts_of(self.stream.layers[-1])
        return largest_first(connected(strong(links, self.threshold), starts))

    def _part(self, links: Sequence[TraceLink]) -> Cut:
        """Return the cut of links of one head and one query."""
        first = links[0]
        keys = tuple(link.key for link in links)
        return Cut(
            (first.query,),
            keys,
            heads=((first.layer, first.head),),
            stream=self.stream.name,
            renormalise=self.renormalise,
        )

    def _edit(self, links: Sequence[TraceLink]) -> Edits:
        rows: dict[tuple[int, int, int], list[TraceLink]] = {}
        for link in links:
            rows.setdefault((link.layer, link.head, link.query), []).append(link)
        return Edits(tuple(self._part(row) for row in rows.values()))

    def _cut_together(self) -> Together | None:
        """Cut all links of the trace at once, and all links of the stream."""
        numbers = tuple(layer.layer for layer in self.stream)
        every = Cut(
            None,
            tuple(range(len(self.stream.key_positions))),
            layers=numbers,
            stream=self.stream.name,
        )
        edits = self._edit(self._checked()), Edits((every,))
        try:
            values = [self.passes.under(one) for one in edits]
        except (NotEditableError, NotEditedError) as error:
            self.notes.append(f"not all links were cut together: {error}")
            return None
        return Together(*map(self._change, values))
