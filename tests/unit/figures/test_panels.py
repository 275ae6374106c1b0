"""Lines of several heads, one panel a head: figures, their calls, the trait."""

from __future__ import annotations

import re

import pytest

import attnwidget as aw

TEXT = "The cat sat on the mat because it was tired"
HEADS = [3, 0, 1]


@pytest.fixture(scope="module")
def attention() -> aw.Attention:
    model, tokenizer = aw.pocket()
    return aw.capture(model, TEXT, tokenizer)


def titles(figure: aw.Figure) -> list[str]:
    return re.findall(r">(head \d)<", figure.svg)


def test_each_head_has_a_panel(attention: aw.Attention) -> None:
    figure = attention.figure("lines", layer=3, heads=HEADS, panels="one a head", query="it")
    assert titles(figure) == ["head 0", "head 1", "head 3"]
    weights = attention["decoder"][3].weights()
    for head in HEADS:
        assert f">{weights[head, 8].max():.3f}<" in figure.svg
    overlaid = attention.figure("lines", layer=3, heads=HEADS, query="it")
    assert titles(overlaid) == ["head 3"]  # the first name of the legend, which numbers follow
    # The numbers are those of the lines, however they are drawn.
    assert str(figure.data) == str(overlaid.data)


def test_the_call_of_a_figure_makes_it_again(attention: aw.Attention) -> None:
    figure = attention.figure("lines", layer=3, heads=HEADS, panels="one a head")
    assert "panels='one a head'" in figure.code().replace('"', "'")
    again: aw.Figure = eval(figure.code(), {"attention": attention})  # noqa: S307
    assert again.svg == figure.svg


def test_the_views_figure_is_the_scripts(attention: aw.Attention) -> None:
    view = aw.view(attention, layer=3, heads=HEADS, view="head")
    view.panels = "one a head"
    assert 'panels="one a head"' in view.code()
    options = {"width": 600, "whole": True}
    script = attention.figure("lines", layer=3, heads=HEADS, panels="one a head", **options)
    assert view.figure(**options).svg == script.svg
    assert titles(view.figure(panels="overlaid", **options)) == ["head 3"]


def test_a_page_and_a_frozen_copy_keep_it(attention: aw.Attention) -> None:
    view = aw.view(attention, heads=HEADS, panels="one a head")
    assert view.snapshot()["state"]["panels"] == "one a head"


def test_what_is_no_choice_is_refused(attention: aw.Attention) -> None:
    with pytest.raises(ValueError, match="'overlaid' or 'one a head', got 'side by side'"):
        aw.view(attention, panels="side by side")
    view = aw.view(attention)
    with pytest.raises(ValueError, match="panels"):
        view.panels = 2
    assert view.panels == "overlaid"
