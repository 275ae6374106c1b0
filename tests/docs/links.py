"""What is wrong with a site of plain files: links that lead nowhere, and what a page would fetch from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What a browser fetches of its own accord; a link is followed by a reader.
FETCHED = {"script", "img", "iframe", "link", "source", "audio", "video", "embed", "object"}
IN_STYLES = re.compile(r"""@import\s+["']?([^"';\s]+)|url\(\s*["']?([^"')]+)""")
IN_SCRIPTS = re.compile(r"""\b(?:import|from)\s*\(?\s*["'](https?:[^"']+)["']""")
INSIDE = ("data:", "blob:", "about:", "mailto:", "javascript:")


class _Page(HTMLParser):
    """The anchors of a page, where its links lead, and what it fetches."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._inside = tag
        self.anchors.update(given[name] for name in ("id", "name") if given.get(name))
        address = given.get("src") or given.get("href") or given.get("data") or ""
        if address and tag in FETCHED:
            self.fetched.append(address)
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])
        if "style" in given:
            self._styles(given["style"])

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self._styles(data)
        elif self._inside == "script":
            self.fetched += IN_SCRIPTS.findall(data)

    def _styles(self, text: str) -> None:
        self.fetched += [first or second for first, second in IN_STYLES.findall(text)]


def problems(folder: Path) -> list[str]:
    """Return a line for each link of a site's pages that leads nowhere and for each thing that they would fetch.

    Args:
        folder: Where the site is, all of it.
    """
    root = folder.resolve()
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(root.rglob("*.html"))}
    return [
        f"{path.relative_to(root)}: {said}"
        for path, page in pages.items()
        for said in _of_page(root, path, page, pages)
    ]


def _of_page(root: Path, path: Path, page: _Page, pages: dict[Path, _Page]) -> Iterator[str]:
    for address in dict.fromkeys([*page.links, *page.fetched]):
        if address.startswith(INSIDE) or (
            re.fullmatch(r"#[\w-]*", address) and address in page.fetched
        ):
            continue
        if re.match(r"(?:[a-z]+:)?//", address):
            if address in page.fetched:
                yield f"fetches {address}"
            continue
        name, _, anchor = address.partition("#")
        there = (path.parent / unquote(name)).resolve() if name else path
        if not there.is_relative_to(root) or not there.exists():
            yield f"{address} is not there"
        elif there in pages and not {anchor, unquote(anchor)} & {"", *pages[there].anchors}:
            yield f"{address} has no such place"
