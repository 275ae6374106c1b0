"""`Record`: streams, text, next tokens and media of one forward pass or generation; plain data."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from attnwidget.compute.checks import check_name
from attnwidget.protocol.text import well_formed
from attnwidget.record.stream import Stream, stream_summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from attnwidget.record.hidden_states import HiddenStates
    from attnwidget.record.layer_predictions import LayerPredictions
    from attnwidget.record.media import Medium
    from attnwidget.record.next_tokens import NextTokens

__all__ = ["Record", "the_stream"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Record:
    """One forward pass: every attention layer of a model on one input.

    Attributes:
        model_name: Class of the model, or what the caller called it.
        streams: Stream name to `Stream`, in order; read-only.
        text: The text that went in, where there was one.
        next_tokens: Query position to the most probable next tokens there, where the model gave logits of them.
        media: The pictures and sounds that went in; positions name theirs by its index.
        passes: How many passes, of which none goes on from another, ran while it was recorded.
        which: The number of the one that this is, from 0.
        edits: What was done to the model while it was recorded, each as the call that says so
            (``ablate(heads=[(3, 3)])``); nothing where it ran as it is.
        metric: What the gradients in its layers are of, such as ``log p(“purred”)``; ``None`` where it has none.
        no_gradients: Why there are no gradients, where some were asked for; files do not keep it.
        hidden_states: The residual stream after each layer, where that was asked for; files and copies do not keep it.
        predictions: What the model would predict after each of its layers, where that was asked for; files do not keep it.
    """

    model_name: str
    streams: Mapping[str, Stream]
    text: str | None = None
    next_tokens: NextTokens | None = None
    media: tuple[Medium, ...] = ()
    passes: int = 1
    which: int = 0
    edits: tuple[str, ...] = ()
    metric: str | None = None
    predictions: LayerPredictions | None = None
    no_gradients: str | None = None
    hidden_states: HiddenStates | None = None

    def __post_init__(self) -> None:
        """Check and freeze the streams.

        Raises:
            ValueError: If there is no stream, if one stands under another name than its own, or if a position lies in
                a medium that is not there.
        """
        wrong = [name for name, stream in self.streams.items() if name != stream.name]
        if not self.streams or wrong:
            message = f"streams must map each stream's own name to it, got {wrong or 'no stream'}."
            raise ValueError(message)
        object.__setattr__(self, "streams", MappingProxyType(dict(self.streams)))
        object.__setattr__(self, "media", tuple(self.media))
        object.__setattr__(self, "edits", tuple(self.edits))
        for stream in self.streams.values():
            for position in (*stream.query_positions, *stream.key_positions):
                if position.medium is not None and not 0 <= position.medium < len(self.media):
                    message = (
                        f"position {position.label!r} of stream {stream.name!r} lies in medium {position.medium}, but"
                        f" there are {len(self.media)} media: pass media=(...)."
                    )
                    raise ValueError(message)

    def __reduce__(self) -> tuple[type[Record], tuple[object, ...]]:
        # The read-only mapping cannot be copied or pickled itself, and a copy does not bring the model along.
        parts = (self.model_name, dict(self.streams), self.text, self.next_tokens, self.media)
        runs = (self.passes, self.which, self.edits, self.metric)
        return type(self), (*parts, *runs, self.predictions, self.no_gradients)

    def __len__(self) -> int:
        return len(self.streams)

    def __iter__(self) -> Iterator[str]:
        return iter(self.streams)

    def __getitem__(self, name: str) -> Stream:
        """Return a stream by name.

        Raises:
            KeyError: If there is no such stream.
        """
        return self.streams[check_name("stream", name, self.streams)]

    def __repr__(self) -> str:
        streams = "; ".join(map(stream_summary, self.streams.values()))
        number = f"; which={self.which} of {self.passes} passes" if self.passes > 1 else ""
        edits = f"; under {' + '.join(self.edits)}" if self.edits else ""
        metric = f"; gradients of {self.metric}" if self.metric is not None else ""
        return well_formed(f"Attention({self.model_name}, {streams}{number}{edits}{metric})")


def the_stream(record: Record, name: str | None) -> Stream:
    """Return a stream by name, or the only one there is.

    Raises:
        KeyError: If there is no such stream.
        ValueError: If there are several and none is named.
    """
    if name is None and len(record) > 1:
        message = f"there are several streams, {list(record)}: choose one, such as stream={next(iter(record))!r}."
        raise ValueError(message)
    return record[next(iter(record)) if name is None else name]
