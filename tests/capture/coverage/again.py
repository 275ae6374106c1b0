"""Reads a written table back, for a run that measures some types again and leaves the lines of the others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from capture.coverage.measure import Result

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["merged", "read", "unsaid", "versions_of"]

_ROW = re.compile(r"^\| (?P<cells>.+) \|$", re.MULTILINE)
_CELLS = 11
_OUTCOMES = ("no attention", "part of another", "not built", "not run", "too slow")
_OF = re.compile(r"(\d+) of (\d+)(?: \((\d+) idle\))?")
_SAID = {
    "output differs": "same",
    "hooks left behind": "clean",
    "an edit of no head changes the output, or leaves something behind": "tidy",
}


def read(path: Path) -> list[Result]:
    """Return what a table says of each type.

    Why a type was not built or has an exception is there; which heads and links are without effect is, where the line says it.
    """
    text = path.read_text(encoding="utf-8")
    found = {row.model_type: row for row in _rows(text)}
    for title, lines in re.findall(r"^## (.+): \d+\n\n((?:- .*\n)+)", text, re.MULTILINE):
        for line in lines.splitlines():
            if title.lower() in _OUTCOMES:
                name, _, reason = line.removeprefix("- ").partition(": ")
                found[name] = Result(name, outcome=title.lower(), reason=reason)
            elif title == "Not every link cut":
                reason, _, names = line.removeprefix("- ").rpartition(": ")
                for name in names.split(", "):
                    found[name].not_cut[reason] = 1
    return list(found.values())


def merged(path: Path, again: Iterable[Result]) -> list[Result]:
    """Return the types of a table with some of them measured again, by name."""
    results = {result.model_type: result for result in read(path)}
    results |= {result.model_type: result for result in again}
    return [results[name] for name in sorted(results)]


def unsaid(path: Path) -> tuple[int, int]:
    """Return how many heads and links without effect a table counts of which no line of it says so."""
    text = path.read_text(encoding="utf-8")
    heads, links = map(
        int, re.findall(r"of these without effect in both: (\d+)\.$", text, re.MULTILINE)
    )
    rows = list(_rows(text))
    return heads - sum(row.idle for row in rows), links - sum(row.still for row in rows)


def versions_of(path: Path) -> str:
    """Return what a table was written with."""
    match = re.search(
        r"^Written by `make coverage` with (.+?): every", path.read_text("utf-8"), re.MULTILINE
    )
    return "" if match is None else match[1]


def _rows(text: str) -> Iterable[Result]:
    for row in _ROW.finditer(text):
        cells = [cell.strip() for cell in row["cells"].split("|")]
        cells += [""] * (_CELLS - len(cells))
        if len(cells) == _CELLS and cells[2].isdecimal():
            yield _result(cells)


def _result(cells: list[str]) -> Result:
    name, streams, calls, exact, captured, error, vectors, edited, links, slopes, said = cells
    result = Result(name, calls=int(calls), exact=int(exact), captured=int(captured))
    result.vectors = int(vectors)
    result.error = 0.0 if error == "–" else float(error)
    if streams:
        parts = (part.rpartition(" ") for part in streams.split(", "))
        result.streams = {stream: int(count) for stream, _, count in parts}
    result.edited, result.heads, result.idle = _numbers(edited)
    if links != "–":
        result.cut, result.links, result.still = _numbers(links)
    if slopes != "–":
        result.sloped, result.layers, _ = _numbers(slopes)
    remarks = said.split("; ")
    for remark, name_of in _SAID.items():
        setattr(result, name_of, remark not in remarks)
    result.reason = "; ".join(remark for remark in remarks if remark not in _SAID)
    return result


def _numbers(cell: str) -> tuple[int, int, int]:
    match = _OF.fullmatch(cell)
    if match is None:
        message = f"a cell of the table must be like '3 of 4' or '3 of 4 (1 idle)', got {cell!r}"
        raise ValueError(message)
    part, whole, idle = match.groups(default="0")
    return int(part), int(whole), int(idle)
