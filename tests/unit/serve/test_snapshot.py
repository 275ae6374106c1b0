"""Pages without a kernel: what they hold within a budget, and what tokens cannot do to them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from contract.record import record
from support.copies import array_of, snapshot_of, unframed

import attnwidget as aw
from attnwidget.protocol import codec
from attnwidget.protocol.constants import BAND_WEIGHTS
from attnwidget.record.byte_sizes import parse_bytes
from attnwidget.serve import page
from attnwidget.serve import snapshot as stored_blocks
from attnwidget.serve.snapshot import choose_blocks, shrink_thumbnails

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOSTILE = [
    "</script><script>alert(1)</script>", "]]>", "&amp;", "\"'`<b>", "\u202eevil\u202c", "👩‍👩‍👧", "x" * 10_000, "\ud800",
]  # fmt: skip


@pytest.fixture
def view() -> aw.AttentionWidget:
    return aw.view(record(), choose=False)


def many_heads(n: int = 24, **options: Any) -> aw.AttentionWidget:
    """Two layers of six heads on n random weights each, and a second stream of one."""
    generator = np.random.default_rng(0)
    weights = generator.dirichlet(np.full(n, 0.1), size=(2, 6, n)).astype(np.float32)
    cross = generator.dirichlet(np.full(n, 0.1), size=(1, 2, 3)).astype(np.float32)
    return aw.view(aw.from_weights(encoder_attention=weights, cross_attention=cross), **options)


def held(snapshot: dict[str, Any]) -> dict[tuple[str, int, int], set[str]]:
    found: dict[tuple[str, int, int], set[str]] = {}
    for stored in snapshot["blocks"]:
        request = stored["request"]
        if "layer" not in request:
            continue  # about all heads
        where = (request["stream"], request["layer"], request["head"])
        found.setdefault(where, set()).add(stored["block"]["dtype"])
    return found


def counted(deflate: Callable[..., codec.Block], sizes: list[int]) -> Callable[..., codec.Block]:
    """Return ``deflate`` that notes how many characters it made."""

    def noting(block: codec.Block, data: bytes) -> codec.Block:
        made = deflate(block, data)
        sizes.append(len(made["data"]))
        return made

    return noting


def test_a_page_with_room_holds_every_number(view: aw.AttentionWidget, tmp_path: Path) -> None:
    view.layer, view.heads = 2, [3]
    snapshot = snapshot_of(view.save(tmp_path / "page.html").read_text(encoding="utf-8"))
    assert snapshot["state"]["layer"] == 2
    assert set(held(snapshot).values() and map(frozenset, held(snapshot).values())) == {
        frozenset({"float32"})
    }
    assert len(held(snapshot)) == sum(
        layer.num_heads for stream in view.attention.streams.values() for layer in stream
    )
    first = snapshot["blocks"][0]
    assert first["request"] == {
        "what": "weights", "stream": "decoder", "layer": 2, "head": 3, "queries": [0, 5],
    }  # fmt: skip
    np.testing.assert_array_equal(array_of(first), view.attention["decoder"][2].weights(head=[3]))


def test_the_budget_is_spent_by_the_stated_rule() -> None:
    view = many_heads(layer=1, heads=[4, 2], compare=[(0, 3)])
    stream = view.stream
    state = view.snapshot()["state"]
    everything = choose_blocks(view.source, state, view.meta, 10**9)
    assert all(block["block"]["dtype"] == "float32" for block in everything.blocks)
    tops = dict(
        zip(
            [(layer, head) for layer in range(2) for head in range(6)],
            next(s for s in view.meta["streams"] if s["name"] == stream)["top"][2::3],
            strict=True,
        )
    )
    chosen = [(1, 4), (1, 2), (0, 3)]
    rest = sorted((pair for pair in tops if pair not in chosen), key=lambda pair: -tops[pair])
    expected = [(stream, *pair) for pair in [*chosen, *rest]]
    assert list(everything.heads)[:12] == expected
    assert {name for name, _, _ in list(everything.heads)[12:]} == {"cross"}
    grown: list[set[str]] = []
    for budget in np.linspace(0, everything.spent, 30):
        chosen = choose_blocks(view.source, state, view.meta, budget)
        assert chosen.spent <= budget
        assert list(chosen.heads) == list(everything.heads)[: len(chosen.heads)]
        kinds = [{b["block"]["dtype"] for b in blocks} for blocks in chosen.heads.values()]
        exact = [kind == {"float32"} for kind in kinds]
        assert exact == sorted(exact, reverse=True)
        if exact.count(True) > 1:
            assert len(exact) == len(everything.heads), "numbers came before all had shades"
        grown.append({"uint8"} & set().union(*kinds))
    assert {"uint8"} in grown


def test_shades_are_the_square_root_in_256_steps() -> None:
    view = many_heads()
    state = view.snapshot()["state"]
    chosen = choose_blocks(view.source, state, view.meta, 9_000)
    (where, blocks) = next(
        (where, blocks)
        for where, blocks in chosen.heads.items()
        if blocks[0]["block"]["dtype"] == "uint8"
    )
    weights = view.attention[where[0]][where[1]].weights(head=[where[2]])
    np.testing.assert_array_equal(array_of(blocks[0]), codec.shade(weights))


@pytest.mark.parametrize("budget", ["310 kB", "300 kB", 320_000])
def test_a_page_stays_within_its_budget(tmp_path: Path, budget: int | str) -> None:
    view = many_heads(120, layer=1, heads=[4])
    path = view.save(tmp_path / "page.html", budget=budget)
    limit = parse_bytes(budget)
    assert 0.7 * limit < path.stat().st_size <= limit
    snapshot = snapshot_of(path.read_text(encoding="utf-8"))
    assert next(iter(held(snapshot))) == (view.stream, 1, 4)
    assert len(held(snapshot)) < 14
    # The rest of the widget is there all the same.
    sizes = [stream["overview"] for stream in snapshot["meta"]["streams"]]
    assert all(size["rows"] >= 3 for size in sizes)


def test_a_budget_without_room_for_any_head_says_what_is_needed(tmp_path: Path) -> None:
    view = many_heads(300)
    with pytest.raises(
        ValueError, match=r"budget=1,000 bytes is less .* pass budget='\d+ kB'"
    ) as caught:
        view.save(tmp_path / "page.html", budget=1_000)
    needed = re.search(r"budget='(\d+ kB)'", str(caught.value))
    assert needed
    with pytest.warns(UserWarning, match=r"does not hold the weights of layer 0 · head 0"):
        view.save(tmp_path / "page.html", budget=needed[1])


@pytest.mark.parametrize(
    ("budget", "bytes_"),
    [("5 MB", 5_000_000), ("800 kB", 800_000), ("1.5mb", 1_500_000), ("2 MiB", 2_097_152), (7, 7), ("9", 9)],
)  # fmt: skip
def test_budgets_are_what_people_write(budget: int | str, bytes_: int) -> None:
    assert parse_bytes(budget) == bytes_


@pytest.mark.parametrize("budget", ["much", "5 MBit", "-1 MB", 0, -3, True, 2.5, None, "0 kB"])
def test_a_budget_that_is_none_is_refused(budget: object) -> None:
    with pytest.raises(
        ValueError, match=r"budget must be a number of bytes, or text such as '5 MB'"
    ):
        parse_bytes(budget)


def test_a_budget_is_for_pages(view: aw.AttentionWidget, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"budget is what an \.html page may weigh"):
        view.save(tmp_path / "figure.svg", budget="5 MB")


def test_without_a_budget_the_selected_head_is_held_however_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    weights = generator.dirichlet(np.full(1100, 0.1), size=(1, 2, 1100)).astype(np.float32)
    view = aw.view(aw.from_weights(weights), heads=[1, 0])
    monkeypatch.setattr(page, "PAGE_BYTES", 1_000_000)
    snapshot = snapshot_of(view.save(tmp_path / "page.html").read_text(encoding="utf-8"))
    requests = [entry["request"] for entry in snapshot["blocks"]]
    stored = [request for request in requests if "layer" in request]
    assert {(request["layer"], request["head"]) for request in stored} == {(0, 1)}
    rows = BAND_WEIGHTS // 1100
    assert [request["queries"] for request in stored if request["what"] == "weights"] == [
        [start, min(1100, start + rows)] for start in range(0, 1100, rows)
    ]
    assert stored[0] == {
        "what": "tile",
        "stream": view.stream,
        "layer": 0,
        "head": 1,
        "level": 3,
        "tile": [0, 0],
    }
    # What is too much in full is there in shades, and of the full numbers no more are made than might be kept.
    made: list[int] = []
    monkeypatch.setattr(page, "LARGEST_PAGE", 2_500_000)
    monkeypatch.setattr(stored_blocks, "deflate", counted(codec.deflate, made))
    snapshot = snapshot_of(view.save(tmp_path / "page.html").read_text(encoding="utf-8"))
    assert held(snapshot)[view.stream, 0, 1] == {"uint8"}
    assert {entry["request"]["what"] for entry in snapshot["blocks"]} >= {"tile", "weights"}
    assert sum(made) < 2 * 2_500_000
    for limit in ("PAGE_BYTES", "LARGEST_PAGE"):
        monkeypatch.setattr(page, limit, 500_000)
    with pytest.warns(UserWarning, match=r"weights of layer 0 · head 1.* attention.save"):
        view.save(tmp_path / "page.html")


def test_smaller_thumbnails_keep_the_strongest_cell() -> None:
    view = many_heads(300)
    meta, data = shrink_thumbnails(view.meta, view.overview, 600)
    for before, after in zip(view.meta["streams"], meta["streams"], strict=True):
        heads = sum(layer["num_heads"] for layer in before["layers"])

        def images(place: dict[str, int], source: bytes, heads: int = heads) -> np.ndarray:
            shape = (heads, place["rows"], place["columns"])
            return np.frombuffer(source, np.uint8, int(np.prod(shape)), place["offset"]).reshape(
                shape
            )

        large = images(before["overview"], view.overview)
        small = images(after["overview"], data)
        assert small.shape[1:] == (min(8, large.shape[1]), min(8, large.shape[2]))
        np.testing.assert_array_equal(small.max((1, 2)), large.max((1, 2)))
    unchanged, same = shrink_thumbnails(view.meta, view.overview, 10**9)
    assert (unchanged, same) == (view.meta, view.overview)


@pytest.mark.parametrize("count", [40, 70, 301])
def test_smaller_thumbnails_are_the_weights_pooled_once(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = many_heads(count)
    for size in (48, 32, 24, 8):
        # Of a page as small as it gets, so that this size is the one it comes to.
        monkeypatch.setattr(stored_blocks, "THUMBNAIL_SIZES", (48, size))
        meta, data = shrink_thumbnails(view.meta, view.overview, 600, view.source)
        for described in meta["streams"]:
            stream, place = view.attention[described["name"]], described["overview"]
            expected = np.concatenate([codec.shade(layer.overview(size)) for layer in stream])
            assert (place["rows"], place["columns"]) == expected.shape[1:]
            found = np.frombuffer(data, np.uint8, expected.size, place["offset"])
            np.testing.assert_array_equal(found, expected.ravel())


class Elements(HTMLParser):
    """Every element that a browser would find, with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_no_token_adds_an_element_to_a_page() -> None:
    weights = np.full((1, 1, len(HOSTILE), len(HOSTILE)), 1 / len(HOSTILE), dtype=np.float32)
    harmless = aw.view(aw.from_weights(weights, [f"t{i}" for i in range(len(HOSTILE))]))
    hostile = aw.view(aw.from_weights(weights, HOSTILE))
    expected = [tag for tag, _ in Elements(harmless.page()).found]
    text = hostile.page()
    assert [tag for tag, _ in Elements(text).found] == expected
    assert text.isascii() or "×" in text
    (axis,) = snapshot_of(text)["meta"]["positions"]
    assert axis["labels"][2:4] == HOSTILE[2:4]
    (tag, attributes), *rest = Elements(
        hostile._notebook.frozen_bundle(hostile, 900_000)["text/html"]
    ).found
    assert (tag, rest) == ("iframe", [("script", {})])
    assert attributes["sandbox"] == "allow-scripts allow-downloads"
    assert attributes["srcdoc"] == unframed(
        hostile._notebook.frozen_bundle(hostile, 900_000)["text/html"]
    )
    assert [tag for tag, _ in Elements(attributes["srcdoc"] or "").found] == expected


def test_nothing_in_a_page_comes_from_elsewhere(view: aw.AttentionWidget) -> None:
    for _, attributes in Elements(view.page()).found:
        assert not {"src", "href", "srcset", "action"} & set(attributes)
