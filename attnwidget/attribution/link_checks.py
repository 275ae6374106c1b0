"""`LinkChecks`: cut the links of a trace, several in one pass, and all of them together."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from attnwidget.attribution.trace_links import connected, largest_first, starts_of, strong
from attnwidget.attribution.trace_result import Together, Trace
from attnwidget.capture.edits.editor import NotEditedError
from attnwidget.capture.edits.resolve import NotEditableError
from attnwidget.edits.cut import Cut
from attnwidget.edits.edits import Edits
from attnwidget.intervene.passes import Passes, Proofs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import nn

    from attnwidget.attribution.trace_links import TraceLink
    from attnwidget.capture.forward import Ran
    from attnwidget.metrics.metrics import Metric
    from attnwidget.record.stream import Stream

__all__ = ["LinkChecks"]


@dataclass(slots=True)
class LinkChecks:
    """Cuts the links of a trace.

    Attributes:
        model: The model.
        clean: Its unedited run.
        metric: What is measured.
        restart: Puts the random generators back to where they were before that run.
        stream: The stream, with gradients.
        renormalise: As of `cut`.
        at_once: How many links of a layer are cut in one pass, at most.
        passes: Runs of the model.
    """

    model: nn.Module
    clean: Ran
    metric: Metric
    restart: Callable[[], None]
    stream: Stream
    renormalise: bool
    at_once: int
    passes: Passes = field(init=False)

    def run(self, found: list[TraceLink], threshold: float, budget: int) -> Trace:
        """Cut links, those with the largest estimates first, and then all that are left together."""
        settings: dict[str, Any] = {"proofs": Proofs(), "at_once": self.at_once}
        self.passes = Passes(self.model, self.clean, self.metric, self.restart, **settings)
        ways: dict[str, int] = {}
        changes: dict[TraceLink, float] = {}
        together, interrupted = None, False
        starts = starts_of(self.stream.layers[-1])
        try:
            for links in self._several(found[:budget]):
                for values, way in self._cut(links):
                    changes |= {links[at]: value for at, value in values.items()}
                    ways[way] = ways.get(way, 0) + len(values)
            links = self._checked(found, changes, starts, threshold)
            together = self._together(links) if budget else None
        except KeyboardInterrupt:
            links, interrupted = self._checked(found, changes, starts, threshold), True
        cut = [replace(link, change=changes[link]) for link in found if link in changes]
        return Trace(
            metric=self.metric.name,
            value=self.passes.value,
            stream=self.stream.name,
            labels=tuple(place.label for place in self.stream.query_positions),
            num_heads={layer.layer: layer.num_heads for layer in self.stream},
            starts=starts,
            links=tuple(links),
            small=tuple(largest_first(link for link in cut if link not in links)),
            together=together,
            edit=self._edit(links),
            noise=self.passes.noise,
            ways=ways,
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

    def _cut(self, links: list[TraceLink]) -> Iterator[tuple[dict[int, float], str]]:
        """Yield the change of the metric without each link by its place among them, and how that was done."""
        try:
            for values, way in self.passes.each([self._part([link]) for link in links]):
                yield {at: self._change(value) for at, value in values.items()}, way
        except (NotEditableError, NotEditedError) as error:
            warnings.warn(f"links are estimates alone: {error}", stacklevel=6)

    def _change(self, value: float) -> float:
        """Return a change of the metric; one that is no larger than that without any edit is none."""
        change = value - self.passes.value
        return 0.0 if abs(change) <= self.passes.noise else change

    def _checked(
        self,
        found: list[TraceLink],
        changes: dict[TraceLink, float],
        starts: Sequence[int],
        threshold: float,
    ) -> list[TraceLink]:
        links = [replace(link, change=changes.get(link)) for link in found]
        return largest_first(connected(strong(links, threshold), starts))

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

    def _together(self, links: Sequence[TraceLink]) -> Together | None:
        """Cut all links of the trace at once, and all links of the stream."""
        numbers = tuple(layer.layer for layer in self.stream)
        every = Cut(
            None,
            tuple(range(len(self.stream.key_positions))),
            layers=numbers,
            stream=self.stream.name,
        )
        try:
            values = [self.passes.under(one) for one in (self._edit(links), Edits((every,)))]
        except (NotEditableError, NotEditedError) as error:
            warnings.warn(f"not all links were cut together: {error}", stacklevel=5)
            return None
        return Together(*map(self._change, values))
