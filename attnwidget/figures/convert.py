"""SVG to PDF and PNG, with the fonts of this machine, at the printed size, the same bytes each time."""

from __future__ import annotations

import re
import struct
import unicodedata
import warnings
import zlib
from functools import lru_cache
from html import unescape
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.figures.renderer import INSTALL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


__all__ = [
    "PER_INCH",
    "available",
    "png_chunk",
    "png_chunks",
    "settled",
    "size_of",
    "to_pdf",
    "to_pixels",
    "to_png",
]

_XREF = re.compile(rb"startxref\s+(\d+)\s+%%EOF\s*$")

_ENTRY = re.compile(rb"(\d{10}) \d{5} n")

_REFERENCE = re.compile(rb"\b(\d+) 0 R\b")

_STREAM = re.compile(rb">>\s*stream\r?\n")

_LENGTH = re.compile(rb"/Length (\d+)\b(?! 0 R)")

# A dictionary of names alone, as fonts, pictures and graphics states are listed in: "/Font <<\n /fo0 1 0 R\n >>".
_NAMES = re.compile(rb"<<\n((?:[ \t]*/[A-Za-z]+\d+ [^\n<>]*\n){2,})([ \t]*)>>")

_NAME = re.compile(rb"/([A-Za-z]+)(\d+)")

# Graphics states, such as an opacity: those that a page or a form may use, and where its content uses one.
_STATES = re.compile(rb"(/ExtGState <<\n)((?:[ \t]*/gs\d+ \d+ 0 R\n)+)")

_STATE = re.compile(rb"[ \t]*/(gs\d+) (\d+) 0 R\n")

_USE = re.compile(rb"^/(gs\d+) gs$", re.MULTILINE)

_CONTENTS = re.compile(rb"/Contents (\d+) 0 R")

_CONTENT = re.compile(rb"(\s*stream\r?\n)(.*)(\s*endstream)", re.DOTALL)


def settled(data: bytes) -> bytes:
    """Return the same document with names sorted and objects numbered in the order in which they are referred to.

    Args:
        data: A PDF with a plain cross-reference table, as svg2pdf writes it; any other is returned as it is.
    """
    objects = _merged(_objects(data))
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


def _merged(objects: dict[int, tuple[bytes, bytes]]) -> dict[int, tuple[bytes, bytes]]:
    """Return the objects with equal graphics states once each.

    The converter makes one for every translucent stroke, and of many strokes they are most of the document.
    """
    if any(b"/Subtype /Form" in head and b"/Resources" not in head for head, _ in objects.values()):
        # It uses the names of the page that it is drawn on.
        return objects
    first: dict[bytes, int] = {}
    same = {
        number: first.setdefault(head, number)
        for number, (head, stream) in objects.items()
        if b"/Type /ExtGState" in head and not stream
    }
    merged = {
        number: parts for number, parts in objects.items() if same.get(number, number) == number
    }
    for number, (head, stream) in list(merged.items()):
        listed = _STATES.search(head)
        page = _CONTENTS.search(head)
        content = int(page[1]) if page else number
        if not listed or content not in merged or not (page or stream):
            continue
        names: dict[bytes, bytes] = {}
        kept: dict[int, bytes] = {}
        # The converter lists them in any order.
        for name, reference in sorted(
            _STATE.findall(listed[2]), key=lambda state: int(state[0][2:])
        ):
            target = same.get(int(reference), int(reference))
            names[name] = kept.setdefault(target, name)
        lines = b"".join(b"      /%s %d 0 R\n" % (name, target) for target, name in kept.items())
        merged[number] = (head[: listed.start(2)] + lines + head[listed.end(2) :], stream)
        merged[content] = _renamed(*merged[content], names)
    return merged


def _renamed(head: bytes, stream: bytes, names: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return an object whose content uses other names for its graphics states."""
    found = _CONTENT.fullmatch(stream)
    if not found:
        return head, stream
    packed = b"/Filter /FlateDecode" in head
    text = zlib.decompress(found[2]) if packed else found[2]
    text = _USE.sub(lambda use: b"/%s gs" % names.get(use[1], use[1]), text)
    body = zlib.compress(text) if packed else text
    return _LENGTH.sub(b"/Length %d" % len(body), head, count=1), found[1] + body + found[3]


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


PER_INCH = {"px": 96.0, "pt": 72.0, "in": 1.0, "cm": 2.54, "mm": 25.4}

# Of PNG: kinds of pixels, and the filter that keeps the difference to the left neighbour.
_RGB, _RGBA, _LEFT = 2, 6, 1
# zlib's level and strategy. Of 13 MB, pixels of many links, the former takes 0.3 s, the latter a third of that for 7 %
# more bytes; the usual sixth level takes 1.1 s and is no smaller than the former.
_PACKING, _LARGE_PACKING = (4, zlib.Z_FILTERED), (1, zlib.Z_RLE)
_LARGE = 8 << 20

_TEXT = re.compile(r"<text( [^>]*)>((?:<title>[^<]*</title>)?)([^<]*)</text>")

_ROOT = re.compile(r'<svg([^>]*?) width="([\d.]+)(\w*)" height="([\d.]+)(\w*)"')

_STACK = re.compile(r'<svg[^>]* font-family="([^"]*)"')

_SHAPE = re.compile(r'<(?:rect|circle|path) [^>]*? opacity="[^>]*/>\n?')

_PAINT = re.compile(r' fill="([^"]*)"((?: stroke="[^"]*" stroke-width="[^"]*")?) opacity="([^"]*)"')

_SIDES = {"start": "end", "middle": "middle", "end": "start"}

# What every font of the usual stacks has: Latin, and signs that need no letter of their own.
_LATIN = 0x24F

_EMBEDDED = "\u202b{}\u202c"

# The converter looks no further than the first family that is installed, and takes any other that has a glyph after it,
# bold or not: so families that have a script come first where it is written.
_FAMILIES = (
    (r"[\u0590-\u05ff\ufb1d-\ufb4f]", ("Noto Sans Hebrew", "Arial Hebrew", "DejaVu Sans")),
    (r"[\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc]",
     ("Noto Sans Arabic", "Geeza Pro", "DejaVu Sans")),
    (r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]",
     ("Noto Sans CJK KR", "Noto Sans KR", "Apple SD Gothic Neo", "Malgun Gothic")),
    (r"[\u3040-\u30ff]",
     ("Noto Sans CJK JP", "Noto Sans JP", "Hiragino Sans", "Yu Gothic", "IPAGothic")),
    (r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]",
     ("Noto Sans CJK SC", "Noto Sans SC", "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei", "Droid Sans Fallback")),
    (r"[\u0900-\u097f]", ("Noto Sans Devanagari", "Kohinoor Devanagari", "Nirmala UI")),
    (r"[\u0e00-\u0e7f]", ("Noto Sans Thai", "Thonburi", "Leelawadee UI")),
    # Not the arrows and signs that Helvetica's kin have: a number is written in one font.
    (r"[\u2016\u2196-\u21ff\u2300-\u245f\u2600-\u2bff]", ("DejaVu Sans", "Segoe UI Symbol", "Apple Symbols")),
    (r"[\U0001f000-\U0001faff]", ("Noto Emoji", "Segoe UI Emoji", "Apple Color Emoji", "Noto Color Emoji", "DejaVu Sans")),
)  # fmt: skip


def available() -> bool:
    """Whether the converter is installed."""
    try:
        import vl_convert  # noqa: F401, PLC0415 - optional extra
    except ImportError:
        return False
    return True


def to_png(svg: str, *, scale: float = 2.0) -> bytes:
    """Return a PNG of an SVG document, ``scale`` pixels per CSS pixel, that says how large it is in print.

    Raises:
        ImportError: If the ``figures`` extra is not installed.

    Warns:
        UserWarning: If no font has some of the characters.
    """
    converter = _converter()
    _warn_of_missing(svg)
    data = bytes(converter.svg_to_png(_prepared(svg), scale=scale))
    per_metre = round(scale * 96 / 0.0254)
    data = _packed(data)
    printed = png_chunk(b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1))
    # The header is the first chunk and always as long; a size of the converter's own would come after it.
    head, rest = data[:33], data[33:]
    if rest[4:8] == b"pHYs":
        rest = rest[21:]
    return head + printed + rest


def to_pixels(svg: str, *, scale: float) -> np.ndarray:
    """Return an SVG document as pixels ``[row, column, channel]`` uint8, red, green and blue, on white.

    Nothing is said of characters that no font has: this is for pictures that nobody asked for.

    Raises:
        ImportError: If the ``figures`` extra is not installed.
        ValueError: If the converter writes its PNG in another way than the one known here.
    """
    data = bytes(_converter().svg_to_png(_prepared(svg), scale=scale))
    width, height, rows = _rows(data)
    if rows is None:
        message = "The converter wrote a PNG with other rows than those filtered by their left neighbours."
        raise ValueError(message)
    pixels = np.cumsum(rows[:, 1:].reshape(height, width, 4), axis=1, dtype=np.uint8)
    opacity = pixels[:, :, 3:]
    if (opacity == 255).all():
        return pixels[:, :, :3]
    share = opacity.astype(np.float32) / 255
    return (pixels[:, :, :3] * share + 255 * (1 - share)).round().astype(np.uint8)


def _rows(data: bytes) -> tuple[int, int, np.ndarray | None]:
    """Return width, height and the filtered rows of a PNG; None for them where they are of another kind.

    Args:
        data: A PNG; of 8 bits a channel with opacity, whose rows are all filtered by their left neighbours, as the
            converter writes it.
    """
    chunks = list(png_chunks(data))
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[0][1])
    stream = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    if kind != [8, _RGBA, 0, 0, 0] or len(stream) != height * (1 + 4 * width):
        return width, height, None
    rows = np.frombuffer(stream, np.uint8).reshape(height, 1 + 4 * width)
    return width, height, None if (rows[:, 0] != _LEFT).any() else rows


def _packed(data: bytes) -> bytes:
    """Return the same picture in fewer bytes: the converter packs in haste, and opaque pixels as well with their opacity.

    Args:
        data: A PNG of 8 bits a channel with opacity, whose rows are all filtered by their left neighbours, as the
            converter writes it; any other is returned as it is.
    """
    width, height, rows = _rows(data)
    if rows is None:
        return data
    stream, kind = rows.tobytes(), [8, _RGBA, 0, 0, 0]
    opacity = rows[:, 4::4]
    if (opacity[:, 0] == 255).all() and not opacity[:, 1:].any():
        # Filtered channel by channel, the others are what they would be without it.
        kept = np.empty((height, 1 + 3 * width), np.uint8)
        kept[:, 0] = _LEFT
        kept[:, 1:] = rows[:, 1:].reshape(height, width, 4)[:, :, :3].reshape(height, -1)
        stream, kind[1] = kept.tobytes(), _RGB
    header = struct.pack(">IIBBBBB", width, height, *kind)
    level, strategy = _LARGE_PACKING if len(stream) > _LARGE else _PACKING
    packer = zlib.compressobj(level, zlib.DEFLATED, 15, 9, strategy)
    packed = packer.compress(stream) + packer.flush()
    return (
        data[:8] + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")
    )


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the content of each part of a PNG."""
    at = 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size


def png_chunk(name: bytes, body: bytes) -> bytes:
    """Return a part of a PNG: how long it is, its name, its content and a checksum."""
    checked = name + body
    return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))


def to_pdf(svg: str, *, warn: bool = True) -> bytes:
    """Return a PDF of an SVG document, fonts embedded, one CSS pixel three quarters of a point.

    Args:
        svg: The document.
        warn: Whether to warn of characters that no font has.

    Raises:
        ImportError: If the ``figures`` extra is not installed.

    Warns:
        UserWarning: If no font has some of the characters.
    """
    converter = _converter()
    if warn:
        _warn_of_missing(svg)
    return settled(bytes(converter.svg_to_pdf(_in_points(_prepared(svg)))))


def _converter() -> Any:
    try:
        import vl_convert  # noqa: PLC0415 - optional extra
    except ImportError as error:
        message = f"PNG and PDF are made from the SVG by vl-convert-python: {INSTALL}."
        raise ImportError(message) from error
    return vl_convert


def size_of(svg: str) -> tuple[float, float]:
    """Return width and height of an SVG document in CSS pixels."""
    found = _ROOT.search(svg)
    if not found:
        message = "The SVG says neither how wide it is nor how high."
        raise ValueError(message)
    pairs = ((found[2], found[3]), (found[4], found[5]))
    width, height = (float(number) / PER_INCH[unit or "px"] * 96 for number, unit in pairs)
    return width, height


def _in_points(svg: str) -> str:
    """Return the document with its size in points: the converter takes a pixel of the SVG for a point of the page."""

    def sized(found: re.Match[str]) -> str:
        width, height = (
            float(number) / PER_INCH[unit or "px"] * 72
            for number, unit in ((found[2], found[3]), (found[4], found[5]))
        )
        return f'<svg{found[1]} width="{width:.6g}" height="{height:.6g}"'

    return _ROOT.sub(sized, svg, count=1)


def _prepared(svg: str) -> str:
    """Return the document as the converter understands it: it knows neither directions nor second choices of a font."""
    found = _STACK.search(svg)
    stack = found[1] if found else "sans-serif"

    def written(text: re.Match[str]) -> str:
        attributes, title, words = text[1], text[2], text[3]
        families = _families(unescape(words))
        if families:
            own = re.search(r' font-family="([^"]*)"', attributes)
            attributes = re.sub(r' font-family="[^"]*"', "", attributes)
            quoted = ", ".join(f"&#39;{family}&#39;" for family in families)
            attributes += f' font-family="{quoted}, {own[1] if own else stack}"'
        if ' direction="rtl"' in attributes:
            anchor = re.search(r' text-anchor="(\w+)"', attributes)
            side = _SIDES[anchor[1] if anchor else "start"]
            attributes = re.sub(r' (?:direction|text-anchor)="\w+"', "", attributes)
            attributes += f' text-anchor="{side}"'
            words = _EMBEDDED.format(words)
        return f"<text{attributes}>{title}{words}</text>"

    return _SHAPE.sub(_painted, _TEXT.sub(written, svg))


def _painted(found: re.Match[str]) -> str:
    """Return a shape with its opacity where it costs no layer of the whole picture; nothing where nobody sees it."""
    paint = _PAINT.search(found[0])
    if not paint:
        return found[0]
    fill, stroke, opacity = paint[1], paint[2], paint[3]
    if opacity == "0":
        return ""
    if stroke and fill != "none":
        # Both together are one shade, which two of half the opacity are not.
        return found[0]
    name = "stroke-opacity" if stroke else "fill-opacity"
    painted = f' fill="{fill}"{stroke} {name}="{opacity}"'
    return found[0][: paint.start()] + painted + found[0][paint.end() :]


def _families(words: str) -> list[str]:
    if all(ord(char) <= _LATIN for char in words):
        return []
    known = [families for pattern, families in _FAMILIES if re.search(pattern, words)]
    return list(dict.fromkeys(family for families in known for family in families))


def _warn_of_missing(svg: str) -> None:
    words = "".join(unescape(found[3]) for found in _TEXT.finditer(svg))
    absent = _missing(words)
    if absent:
        shown = " ".join(absent[:12]) + (" …" if len(absent) > 12 else "")
        message = (
            f"No font on this machine has {shown}: PDF and PNG show boxes in their place, the SVG has the text and takes"
            " the fonts of whoever opens it. Install one that has them, such as Noto Sans CJK or Noto Emoji."
        )
        warnings.warn(message, stacklevel=5)


def _missing(words: Iterable[str]) -> list[str]:
    """Return the characters for which there is no glyph, each once, in their order."""
    seen = dict.fromkeys(char for char in words if ord(char) > _LATIN)
    return [char for char in seen if not _has_glyph(char)]


@lru_cache(maxsize=4096)
def _has_glyph(char: str) -> bool:
    # Marks and joiners are drawn with what they belong to; an emoji's variation needs no glyph.
    kind = unicodedata.category(char)
    if kind[0] in "MZ" or kind in {"Cc", "Cf", "Sk"}:
        return True
    # One of a private plane, which nobody has: what is drawn for it is what stands for the missing.
    return _picture(char) != _picture("\U000f1234", _families(char))


@lru_cache(maxsize=4096)
def _drawn(char: str, families: tuple[str, ...]) -> bytes:
    stack = ", ".join([*(f"'{family}'" for family in families), "Helvetica, Arial, sans-serif"])
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24">'
        f'<text x="2" y="18" font-size="16" font-family="{stack}">{char}</text></svg>'
    )
    return bytes(_converter().svg_to_png(svg, scale=1.0))


def _picture(char: str, families: list[str] | None = None) -> bytes:
    return _drawn(char, tuple(_families(char) if families is None else families))
