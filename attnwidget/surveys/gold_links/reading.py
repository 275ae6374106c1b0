"""The links of one input, counted in its record: where its words and tokens stand in its text, then every head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from attnwidget.surveys.gold_links.counts import LinkCounts
from attnwidget.surveys.gold_links.given import Linked, read_links
from attnwidget.surveys.gold_links.units import Text, links_of_stream, the_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.record.record import Record
    from attnwidget.surveys.gold_links.given import Link, LinksAsked, Span

__all__ = ["InputAndLinks", "input_and_links", "link_counts"]


class InputAndLinks(NamedTuple):
    """An input and its links, checked.

    Attributes:
        one: What the model is given.
        links: The links.
        text: Where the words of its text stand.
    """

    one: Any
    links: tuple[Link, ...] = ()
    text: Text = Text(None, ())


def input_and_links(one: Any, asked: LinksAsked | None) -> InputAndLinks:
    """Return an input and its links apart.

    Raises:
        ValueError: If the links are none.
    """
    if asked is None:
        return InputAndLinks(one)
    given = one.links if isinstance(one, Linked) else asked.of(one)
    plain = one.one if isinstance(one, Linked) else one
    links = read_links(given)
    text, words = the_text(plain, asked.unit == "words")
    return InputAndLinks(text, links, Text(None, words))


def link_counts(
    record: Record,
    asked: LinksAsked | None,
    read: InputAndLinks,
    using: tuple[Any, Any],
    measure: str,
) -> Mapping[str, LinkCounts]:
    """Return the counts of one input, by the name of the stream that its links are of.

    Args:
        record: Its record.
        asked: How links are given; None for none.
        read: The input and its links.
        using: The model and the tokenizer.
        measure: What the strongest key is the strongest by.

    Raises:
        KeyError: If there is no such stream.
        ValueError: If a link names what is not there, or there are too many labels.
    """
    if asked is None:
        return {}
    text = read.text if asked.unit == "tokens" else _spans(read, *using)
    stream, units, placed = links_of_stream(record, asked, read.links, text)
    unit = "tokens" if asked.unit == "tokens" else "words"
    return {stream.name: LinkCounts.of(stream, units, placed, unit, measure)}


def _spans(read: InputAndLinks, model: Any, tokenizer: Any) -> Text:
    """Add where each token stands in the text, as a fast tokenizer of transformers' tells."""
    from attnwidget.capture.inputs.text import has_special_tokens, tokenizer_of  # noqa: PLC0415  brings transformers

    if not isinstance(read.one, str):
        return read.text
    words = tokenizer_of(model, tokenizer)
    words = getattr(words, "tokenizer", words)
    if not getattr(words, "is_fast", False):
        message = (
            f"{type(words).__name__} does not tell which characters a token is of: give links between tokens, "
            "links_as='tokens', or a fast tokenizer, AutoTokenizer.from_pretrained(..., use_fast=True)."
        )
        raise ValueError(message)
    # As it was recorded: special tokens that stand in a text are not put around it again.
    more = {"add_special_tokens": False} if has_special_tokens(read.one, words) else {}
    found = words(read.one, return_offsets_mapping=True, **more)
    spans: list[Span] = [(start, stop) for start, stop in found["offset_mapping"]]
    return Text(spans, read.text.words)
