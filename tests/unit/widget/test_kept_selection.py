"""What the reader had selected is selected again when the cell is run again, where it fits and the caller says nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.kernels import Notebook, notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

START = """
import json, torch
import attnwidget as aw
def shown(words, heads=4, layers=2, **options):
    tokens, torch_ones = words.split(), torch.ones(heads, len(words.split()), len(words.split())).tril()
    weights = torch_ones / torch_ones.sum(-1, keepdim=True)
    global view
    view = aw.view(aw.from_weights([weights] * layers, tokens=tokens), **options)
    return view
def reader(view, **changes):
    view.set_state(changes)
def state():
    names = ("layer", "heads", "query", "key", "form", "theme", "chosen")
    print(json.dumps({name: getattr(view, name) for name in names}))
"""
CELL = "display(shown('a b c d e'))"


@pytest.fixture(scope="module")
def kernel() -> Iterator[Notebook]:
    with notebook() as started:
        started.run(START)
        yield started


def rerun(kernel: Notebook, before: str, code: str, cell: str, first: str = CELL) -> dict[str, Any]:
    kernel.run(first, cell=cell)
    kernel.run(before)
    kernel.run(code, cell=cell)
    found: dict[str, Any] = json.loads(kernel.run("state()"))
    return found


CHANGED = "reader(view, layer=1, heads=[2, 3], query=3, key=1, form='matrix')"


def test_it_is_selected_again(kernel: Notebook) -> None:
    state = rerun(kernel, CHANGED, CELL, "again")
    expected = {"layer": 1, "heads": [2, 3], "query": 3, "key": 1, "form": "matrix"}
    assert {name: state[name] for name in expected} == expected
    assert state["chosen"] is None
    kernel.run(CELL, cell="again")
    assert json.loads(kernel.run("state()")) == state


def test_keys_set_aside_one_by_one_follow_their_tokens(kernel: Notebook) -> None:
    kernel.run("display(shown('a b c d e'))", cell="set aside")
    kernel.run("reader(view, aside=[1, 3])")
    kernel.run("display(shown('d x y b a c'))", cell="set aside")
    assert kernel.run("print(view.aside)") == "[0, 3]\n"


def test_pins_follow_their_tokens(kernel: Notebook) -> None:
    state = rerun(kernel, CHANGED, "display(shown('d x y b a c'))", "moved")
    assert (state["layer"], state["heads"], state["query"], state["key"]) == (1, [2, 3], 0, 3)
    state = rerun(kernel, CHANGED, "display(shown('a b x x x'))", "lost")
    assert (state["layer"], state["query"], state["key"]) == (1, None, 1)


def test_what_the_caller_gives_comes_first(kernel: Notebook) -> None:
    state = rerun(kernel, CHANGED, "display(shown('a b c d e', layer=0, form='text'))", "given")
    assert (state["layer"], state["heads"], state["query"], state["form"]) == (0, [0], None, "text")


def test_another_shape_keeps_what_is_no_place_in_it(kernel: Notebook) -> None:
    state = rerun(kernel, CHANGED, "display(shown('a b c d e', layers=3))", "shape")
    assert state["form"] == "matrix"
    assert state["chosen"]["layer"] == state["layer"]


def test_another_cell_starts_anew(kernel: Notebook) -> None:
    state = rerun(kernel, CHANGED + "; " + CELL, "pass", "elsewhere")
    assert state["form"] == "lines"
    assert state["chosen"] is not None


def test_what_python_sets_is_not_the_readers(kernel: Notebook) -> None:
    state = rerun(kernel, "view.form = 'matrix'", CELL, "python")
    assert state["form"] == "lines"


def test_of_a_state_that_is_sent_whole_what_is_another_value_is_the_readers(
    kernel: Notebook,
) -> None:
    whole = "view.form = 'matrix'; view.set_state({**view.get_state(), 'theme': 'dark'})"
    state = rerun(kernel, whole, CELL, "whole")
    assert (state["form"], state["theme"]) == ("lines", "dark")
    assert state["chosen"] is not None


def test_of_several_each_has_its_own(kernel: Notebook) -> None:
    both = "one = shown('a b c'); two = shown('a b c'); display(one); display(two)"
    kernel.run(both, cell="several")
    kernel.run("reader(one, theme='dark'); reader(two, theme='light')")
    kernel.run(both, cell="several")
    assert kernel.run("print(one.theme, two.theme)") == "dark light\n"


PAIR = """
def pair(**options):
    global view
    tokens = "[CLS] who sat [SEP] the cat [SEP]".split()
    weights = torch.full((4, len(tokens), len(tokens)), 1 / len(tokens))
    view = aw.view(aw.from_weights([weights] * 2, tokens=tokens, sentence_b_start=4), **options)
    return view
"""


@pytest.mark.parametrize(
    ("options", "ends"),
    [
        ("", ["segment", "B", "A"]),
        ("grouping='segment'", ["segment", "B", "A"]),
        ("grouping='special'", ["special", None, None]),
        ("grouping=None", [None, None, None]),
        ("from_group='A'", ["segment", "A", "A"]),
    ],
)
def test_groups_at_the_ends_are_kept_where_the_grouping_has_them(
    kernel: Notebook, options: str, ends: list[str | None]
) -> None:
    kernel.run(PAIR)
    kernel.run("display(pair())", cell="ends " + options)
    kernel.run("reader(view, from_group='B', to_group='A')")
    for _ in range(2):
        kernel.run(f"display(pair({options}))", cell="ends " + options)
        said = kernel.run("print(json.dumps([view.grouping, view.from_group, view.to_group]))")
        assert json.loads(said) == ends


TWO = """
def two(layers=1, **options):
    global view
    even = lambda rows, columns: [torch.full((2, rows, columns), 1 / columns)] * layers
    made = aw.from_weights(cross_attention=even(7, 3), decoder_attention=even(7, 7))
    view = aw.view(made, **options)
    return view
"""


@pytest.mark.parametrize(
    ("first", "again", "kept"),
    [
        # The view opens on the stream of the sharpest link.
        ("", "", "cross [2] dark"),
        ("", "stream='decoder'", "decoder [2] dark"),
        ("stream='decoder'", "stream='cross'", "cross None dark"),
        ("stream='decoder'", "", "decoder [6] dark"),
        ("stream='decoder'", "layers=2", "cross None dark"),
    ],
)
def test_positions_set_aside_are_kept_where_the_stream_on_show_has_them(
    kernel: Notebook, first: str, again: str, kept: str
) -> None:
    kernel.run(TWO)
    cell = f"aside {first} {again}"
    kernel.run(f"display(two({first}))", cell=cell)
    kernel.run("reader(view, aside=[6 if view.stream == 'decoder' else 2], theme='dark')")
    kernel.run(f"display(two({again}))", cell=cell)
    assert kernel.run("print(view.stream, view.aside, view.theme)") == kept + "\n"
