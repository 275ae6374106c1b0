"""`Ablation`: heads of one stream whose output is replaced, and by what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from attnwidget.compute.checks import check_choice, listed, shown
from attnwidget.edits.head_outputs import HasOutputs, HeadOutputs, outputs_of_records
from attnwidget.edits.places import head_pairs, stream_name
from attnwidget.record.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HOW", "Ablation", "How", "check_source"]

How = Literal["zero", "mean", "resample"]
HOW: tuple[How, ...] = get_args(How)

Source = tuple[str, ...] | HeadOutputs | None


@dataclass(frozen=True, slots=True)
class Ablation:
    """Heads whose output is replaced before the output projection, and by what.

    Attributes:
        heads: Pairs of a layer and a head, each once.
        how: ``"zero"``, ``"mean"`` or ``"resample"``.
        stream: Name of their stream; ``None`` for the only one there is.
        source: What a mean is of, or another output is taken from: texts, or outputs read off records.
    """

    heads: tuple[tuple[int, int], ...]
    how: How = "zero"
    stream: str | None = None
    source: Source = None

    @classmethod
    def of(cls, heads: Any, how: Any, source: Any, stream: Any) -> Ablation:
        """Check what a caller gave, and make a value of it; `ablate` describes the arguments.

        Raises:
            ValueError: If one of them is not what it must be.
        """
        check_choice("how", how, HOW)
        pairs, named = head_pairs(heads), stream_name(stream)
        return cls(pairs, how, named, _source(pairs, how, source, named))

    def __bool__(self) -> bool:
        """Whether any head is meant."""
        return bool(self.heads)

    def __repr__(self) -> str:
        """Write the call that makes it; texts beyond the first two are counted."""
        parts = [f"heads={list(self.heads)}"]
        if self.how != "zero":
            parts.append(f"how={self.how!r}")
        if isinstance(self.source, HeadOutputs):
            parts.append(f"source=<{self.source}>")
        elif self.source is not None:
            few = len(self.source) <= 2
            parts.append(
                f"source={list(self.source)}" if few else f"source=<{len(self.source)} texts>"
            )
        if self.stream is not None:
            parts.append(f"stream={self.stream!r}")
        return f"ablate({', '.join(parts)})"

    def to_data(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        source: Any = self.source
        if isinstance(source, HeadOutputs):
            source = {"outputs": source.to_data()}
        elif source is not None:
            source = {"texts": list(source)}
        pairs = [list(pair) for pair in self.heads]
        return {"ablate": pairs, "how": self.how, "stream": self.stream, "source": source}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Ablation:
        """Return what `to_data` made of one.

        Raises:
            ValueError: If it is not such.
        """
        expected = {"ablate", "how", "stream", "source"}
        if set(data) != expected:
            message = f"an edit has the entries {sorted(expected)}, got {sorted(map(str, data))}."
            raise ValueError(message)
        source = data["source"]
        if isinstance(source, dict) and set(source) == {"outputs"}:
            made = cls.of(data["ablate"], "zero", None, data["stream"])
            check_choice("how", data["how"], HOW[1:])
            return cls(
                made.heads, data["how"], made.stream, HeadOutputs.from_data(source["outputs"])
            )
        texts = source["texts"] if isinstance(source, dict) and set(source) == {"texts"} else source
        return cls.of(data["ablate"], data["how"], texts, data["stream"])


def check_source(how: str, source: Any) -> None:
    """Refuse a source that nothing can be taken from for ``how``; the heads are not looked up in it.

    Raises:
        ValueError: If it is none.
    """
    if how == "zero":
        if source is None:
            return
        message = (
            f"a head that is zeroed takes nothing from a source, got source={shown(source)}: leave it out, or say "
            "how='mean'."
        )
        raise ValueError(message)
    if isinstance(source, HasOutputs):
        if how == "resample":
            message = "how='resample' takes the output of one other input, got means over many: pass a text, or how='mean'."
            raise ValueError(message)
        return
    several = _several(source)
    texts = all(isinstance(one, str) and one.strip() for one in several)
    records = all(isinstance(one, Record) for one in several)
    if not several or not (texts or records):
        message = (
            f"how={how!r} needs texts, records of capture or a survey with outputs to take outputs from, got source={shown(source)}: pass "
            "source=['a text', 'another']."
        )
        raise ValueError(message)
    if how == "resample" and len(several) != 1:
        message = (
            f"how='resample' takes the output of one other input, got {len(several)}: pass one, source={shown(several[0])}, "
            "or how='mean' for the mean of all."
        )
        raise ValueError(message)


def _several(source: Any) -> list[Any]:
    return [source] if isinstance(source, (str, Record)) else list(listed(source) or ())


def _source(
    pairs: tuple[tuple[int, int], ...], how: str, source: Any, stream: str | None
) -> Source:
    check_source(how, source)
    if source is None:
        return None
    if isinstance(source, HasOutputs):
        return source.outputs_of(pairs, stream)
    several = _several(source)
    if isinstance(several[0], str):
        return tuple(map(str, several))
    return outputs_of_records(cast("list[Record]", several), pairs, stream)
