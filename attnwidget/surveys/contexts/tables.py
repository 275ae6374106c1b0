"""What a survey answers about contexts: `Contexts`, `Deciles` and `LinkedTokens`, each shown as a table."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from attnwidget.analysis.tables import table
from attnwidget.protocol.text import well_formed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "Context",
    "ContextToken",
    "Contexts",
    "Decile",
    "Deciles",
    "LinkedToken",
    "LinkedTokens",
]

# Rows that are printed; a DataFrame has all.
_SHOWN = 20
# Characters of a text that are printed.
_WIDTH = 60

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class ContextToken:
    """A token of a context.

    Attributes:
        position: Its position.
        label: What it is called.
        joined: Whether it stands right after the token before, with no space between.
        is_query: Whether it is the query.
        is_key: Whether it is the key.
        after_gap: Whether tokens before it are left out.
    """

    position: int
    label: str
    joined: bool = False
    is_query: bool = False
    is_key: bool = False
    after_gap: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """A place where a head does what is asked about.

    Attributes:
        rank: 1 for the best.
        input: Number of the input.
        query: Position of the query.
        key: Position of the key.
        query_token: The query.
        key_token: The key, the one with the most weight of those that the score is about.
        value: What it is ranked by, to five decimals.
        weight: Weight of the link.
        tokens: The tokens around query and key, where both are of one sequence; else those around the key.
        query_tokens: The tokens around the query, where queries are of another sequence than keys.
    """

    rank: int
    input: int
    query: int
    key: int
    query_token: str
    key_token: str
    value: float
    weight: float
    tokens: tuple[ContextToken, ...]
    query_tokens: tuple[ContextToken, ...] = ()

    @property
    def text(self) -> str:
        """The tokens as one line, the query as «query», the key as [key], and … for what is left out."""
        lines = [_line(part, mark=True) for part in (self.query_tokens, self.tokens) if part]
        return " ⟵ ".join(lines)

    @property
    def plain_text(self) -> str:
        """The same without marks."""
        lines = [_line(part, mark=False) for part in (self.query_tokens, self.tokens) if part]
        return " ".join(lines)

    def row(self) -> dict[str, Any]:
        """Return the row of a table."""
        return {
            "rank": self.rank,
            "input": self.input,
            "query": self.query,
            "key": self.key,
            "query_token": self.query_token,
            "key_token": self.key_token,
            "value": self.value,
            "weight": self.weight,
            "text": self.text,
        }


def _line(tokens: Iterable[ContextToken], *, mark: bool) -> str:
    parts: list[str] = []
    for token in tokens:
        text = token.label
        if mark and token.is_key:
            text = f"[{text}]"
        if mark and token.is_query:
            text = f"«{text}»"
        if token.after_gap:
            parts.append(" …")
        parts.append(text if token.joined and not token.after_gap else f" {text}")
    return "".join(parts).strip()


class _Rows(Sequence[Row], Generic[Row]):
    """Rows with a heading."""

    rows: tuple[Row, ...]

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, place: int | slice) -> Row | tuple[Row, ...]:
        """Return a row, or several."""
        return self.rows[place]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def _more(self) -> str:
        more = len(self.rows) - _SHOWN
        return f"… {more} more: to_dataframe() has all" if more > 0 else ""


@dataclass(frozen=True, repr=False)
class Contexts(_Rows[Context]):
    """The places in which a head has the highest values of a score, best first.

    A sequence of `Context`; of places with equal values the earlier input and query comes first.

    Attributes:
        rows: The places.
        heading: Stream, layer, head and score.
        rule: What they are ranked by.
        why: Why there is none, where that is so.
    """

    rows: tuple[Context, ...]
    heading: str
    rule: str
    why: str = ""

    def to_dataframe(self) -> Any:
        """Return the rows as a pandas ``DataFrame``, or a list of dicts where pandas is not installed."""
        return table(row.row() for row in self.rows)

    def __repr__(self) -> str:
        lines = [f"{self.heading}: {self.rule}"]
        lines += [
            f"{row.value:.3f}  input {row.input}  {row.text}" for row in self.rows[:_SHOWN]
        ] or [self.why]
        return well_formed("\n".join([*lines, self._more()]).rstrip())

    def _repr_html_(self) -> str:
        cells = [
            [f"{row.value:.3f}", str(row.input), _context_html(row)] for row in self.rows[:_SHOWN]
        ]
        note = self.why or self._more()
        return _html(f"{self.heading}: {self.rule}", ["value", "input", "context"], cells, note)


@dataclass(frozen=True, slots=True)
class Decile:
    """A tenth of the inputs, by a head's score in them.

    Attributes:
        number: 1 for the lowest scores, 10 for the highest.
        up_to: The highest score in it.
        examples: Some of its inputs, those nearest to its middle: number, score and text of each.
    """

    number: int
    up_to: float
    examples: tuple[tuple[int, float, str | None], ...] = ()


@dataclass(frozen=True, repr=False)
class Deciles(_Rows[Decile]):
    """The deciles of a head's score over the inputs, lowest first: a sequence of ten `Decile`.

    Attributes:
        rows: The deciles; none where the score is defined in no input.
        heading: Stream, layer, head and score.
        inputs: Number of inputs in which the score is defined.
        error: By how much ``up_to`` may be wrong; 0 where all scores are kept.
        sampled: Whether examples are of a sample of the inputs.
    """

    rows: tuple[Decile, ...]
    heading: str
    inputs: int
    error: float = 0.0
    sampled: bool = field(default=False)

    def to_dataframe(self) -> Any:
        """Return ``decile``, ``up_to``, ``input``, ``value`` and ``text``, a row for each example, as a ``DataFrame``."""
        return table(
            {
                "decile": row.number,
                "up_to": row.up_to,
                "input": index,
                "value": value,
                "text": text,
            }
            for row in self.rows
            for index, value, text in (row.examples or ((None, None, None),))
        )

    def __repr__(self) -> str:
        lines = [self._title()]
        for row in self.rows:
            index, value, text = row.examples[0] if row.examples else (None, None, None)
            example = "" if index is None else f"  input {index} ({value:.3f}) {_short(text)}"
            lines.append(f"{row.number:2d}  up to {row.up_to:.3f}{example}")
        return well_formed("\n".join(lines))

    def _repr_html_(self) -> str:
        cells = [
            [
                str(row.number),
                f"{row.up_to:.3f}",
                "<br>".join(
                    f"{value:.3f} input {index} {_escaped(_short(text))}"
                    for index, value, text in row.examples
                ),
            ]
            for row in self.rows
        ]
        return _html(self._title(), ["decile", "up to", "examples"], cells)

    def _title(self) -> str:
        wrong = f", each wrong by {self.error:.5f} at most" if self.error else ""
        some = ", examples of a sample" if self.sampled else ""
        return f"{self.heading}: deciles over {self.inputs} inputs{wrong}{some}"


@dataclass(frozen=True, slots=True)
class LinkedToken:
    """How often a head links a token, or two.

    Attributes:
        query_token: The query, None in counts of keys.
        key_token: The key, None in counts of queries.
        count: How often at least.
        at_most: How often at most; the same where nothing had to be let go.
        share: ``count`` as a share of the head's links that fire.
    """

    query_token: str | None
    key_token: str | None
    count: int
    at_most: int
    share: float


@dataclass(frozen=True, repr=False)
class LinkedTokens(_Rows[LinkedToken]):
    """The tokens that a head links most often: a sequence of `LinkedToken`.

    Attributes:
        rows: The tokens or pairs, most frequent first.
        heading: Stream, layer, head and what is counted.
        links: Number of the head's links that fire.
        error: By how much a count may be too small, and how often at most there was what has no row.
    """

    rows: tuple[LinkedToken, ...]
    heading: str
    links: int
    error: int

    def to_dataframe(self) -> Any:
        """Return the rows as a pandas ``DataFrame``, or a list of dicts where pandas is not installed."""
        return table(
            {
                "query_token": row.query_token,
                "key_token": row.key_token,
                "count": row.count,
                "at_most": row.at_most,
                "share": row.share,
            }
            for row in self.rows
        )

    def __repr__(self) -> str:
        lines = [f"{row.count:6d}  {row.share:6.1%}  {_pair(row)}" for row in self.rows[:_SHOWN]]
        return well_formed("\n".join([self._title(), *lines, self._more()]).rstrip())

    def _repr_html_(self) -> str:
        cells = [
            [str(row.count), f"{row.share:.1%}", _escaped(_pair(row))] for row in self.rows[:_SHOWN]
        ]
        return _html(self._title(), ["count", "share", "token"], cells, self._more())

    def _title(self) -> str:
        wrong = f", each count too small by {self.error} at most" if self.error else ""
        return f"{self.heading}: of {self.links} links that fire{wrong}"


def _pair(row: LinkedToken) -> str:
    return " → ".join(one for one in (row.query_token, row.key_token) if one is not None)


def _short(text: str | None) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def _escaped(text: str) -> str:
    return html.escape(well_formed(text))


def _context_html(row: Context) -> str:
    lines = []
    for part in (row.query_tokens, row.tokens):
        pieces = []
        for token in part:
            text = _escaped(token.label)
            if token.is_key:
                # Half of the text stays readable on light and on dark pages.
                shade = 0.15 + 0.5 * min(1.0, max(0.0, row.weight))
                text = f'<span style="background:rgba(66,133,244,{shade:.2f})">{text}</span>'
            if token.is_query:
                text = f"<u>{text}</u>"
            gap = " … " if token.after_gap else "" if token.joined else " "
            pieces.append(gap + text)
        if pieces:
            lines.append("".join(pieces).strip())
    return "<br>".join(lines)


def _html(title: str, names: list[str], rows: list[list[str]], note: str = "") -> str:
    head = "".join(f'<th style="text-align:left">{name}</th>' for name in names)
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    more = f"<p>{_escaped(note)}</p>" if note else ""
    return f"<table><caption>{_escaped(title)}</caption><tr>{head}</tr>{body}</table>{more}"
