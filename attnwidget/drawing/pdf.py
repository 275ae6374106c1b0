"""A PDF's bytes in one order: the converter's hash tables leave its dictionaries and objects in any."""

from __future__ import annotations

import re

__all__ = ["settled"]

_XREF = re.compile(rb"startxref\s+(\d+)\s+%%EOF\s*$")
_ENTRY = re.compile(rb"(\d{10}) \d{5} n")
_REFERENCE = re.compile(rb"\b(\d+) 0 R\b")
_STREAM = re.compile(rb">>\s*stream\r?\n")
_LENGTH = re.compile(rb"/Length (\d+)\b(?! 0 R)")
# A dictionary of names alone, as fonts, pictures and graphics states are listed in: "/Font <<\n /fo0 1 0 R\n >>".
_NAMES = re.compile(rb"<<\n((?:[ \t]*/[A-Za-z]+\d+ [^\n<>]*\n){2,})([ \t]*)>>")
_NAME = re.compile(rb"/([A-Za-z]+)(\d+)")


def settled(data: bytes) -> bytes:
    """Return the same document with names sorted and objects numbered in the order in which they are referred to.

    Args:
        data: A PDF with a plain cross-reference table, as svg2pdf writes it; any other is returned as it is.
    """
    objects = _objects(data)
    trailer = data.rpartition(b"trailer")[2].partition(b"startxref")[0]
    if not objects:
        return data
    heads = {number: _NAMES.sub(_sorted, head) for number, (head, _) in objects.items()}
    order = _reached(trailer, heads)
    if set(order) != set(objects):
        return data
    new = {number: place for place, number in enumerate(order, start=1)}

    def renumbered(text: bytes) -> bytes:
        return _REFERENCE.sub(lambda found: b"%d 0 R" % new[int(found[1])], text)

    parts = [data[: data.index(b"\n\n") + 2]]
    offsets, at = [], len(parts[0])
    for number in order:
        written = b"%d 0 obj\n%s%s\nendobj\n\n" % (
            new[number], renumbered(heads[number]), objects[number][1],
        )  # fmt: skip
        offsets.append(at)
        parts.append(written)
        at += len(written)
    entries = b"".join(b"%010d 00000 n\r\n" % offset for offset in offsets)
    table = b"xref\n0 %d\n0000000000 65535 f\r\n%s" % (len(order) + 1, entries)
    parts.append(b"%strailer%sstartxref\n%d\n%%%%EOF" % (table, renumbered(trailer), at))
    return b"".join(parts)


def _objects(data: bytes) -> dict[int, tuple[bytes, bytes]]:
    """Return each object's text up to its stream, and the stream with the words around it; none if it is not plain."""
    start = _XREF.search(data)
    if not start or not data[int(start[1]) :].startswith(b"xref"):
        return {}
    found: dict[int, tuple[bytes, bytes]] = {}
    for entry in _ENTRY.finditer(data, int(start[1])):
        offset = int(entry[1])
        head = re.compile(rb"(\d+) 0 obj\n").match(data, offset)
        end = data.find(b"\nendobj", offset)
        if not head or end < 0:
            return {}
        stream = _STREAM.search(data, head.end(), end)
        if not stream:
            found[int(head[1])] = (data[head.end() : end], b"")
            continue
        length = _LENGTH.search(data, head.end(), stream.start())
        if not length:
            return {}
        end = data.find(b"\nendobj", stream.end() + int(length[1]))
        cut = stream.start() + 2
        found[int(head[1])] = (data[head.end() : cut], data[cut:end])
    return found


def _sorted(found: re.Match[bytes]) -> bytes:
    def place(line: bytes) -> tuple[bytes, int]:
        name = _NAME.search(line)
        return (name[1], int(name[2])) if name else (line, 0)

    lines = sorted(found[1].splitlines(keepends=True), key=place)
    return b"<<\n%s%s>>" % (b"".join(lines), found[2])


def _reached(trailer: bytes, heads: dict[int, bytes]) -> list[int]:
    """Return the objects in the order in which reading from the trailer meets them first."""
    order: list[int] = []
    waiting = [int(number) for number in reversed(_REFERENCE.findall(trailer))]
    seen = set()
    while waiting:
        number = waiting.pop()
        if number in seen or number not in heads:
            continue
        seen.add(number)
        order.append(number)
        waiting.extend(int(other) for other in reversed(_REFERENCE.findall(heads[number])))
    return order
