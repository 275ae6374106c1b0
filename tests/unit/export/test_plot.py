"""Heads drawn into matplotlib's axes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba

import attnwidget as aw
from attnwidget.export.colours import THEMES, head_colour, ramp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

TOKENS = ["the", "$x$", "שלום", "\u202eevil", "long" * 30]


@pytest.fixture
def axes() -> Iterator[Axes]:
    with mpl.rc_context({"backend": "agg"}):
        figure, axes = plt.subplots()
        yield axes
        plt.close(figure)


@pytest.fixture
def attention() -> aw.Attention:
    generator = np.random.default_rng(0)
    weights = generator.dirichlet(np.full(5, 0.3), size=(2, 3, 5)).astype(np.float32)
    weights[0, 1, 2] = [0, 0.5, 0, 0.5, 0]
    return aw.from_weights(weights, TOKENS)


def labels(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def test_lines_lead_from_each_query_to_its_keys(axes: Axes, attention: aw.Attention) -> None:
    drawn = attention.plot("head", layer=0, heads=[1, 2], ax=axes)
    assert drawn.axes is axes
    for head, lines in zip((1, 2), drawn.artists, strict=True):
        weights = attention["self"][0].weights(head)
        ends = [(path.vertices[0, 1], path.vertices[-1, 1]) for path in lines.get_paths()]
        expected = np.argwhere(weights > 1e-3)
        shown = {(int(query), int(key)) for query, key in ends}
        assert {tuple(pair) for pair in expected.tolist()} <= shown
        assert all(weights[pair] > 0 for pair in shown)
        colours, widths = lines.get_edgecolors(), lines.get_linewidths()
        strength = [weights[int(query), int(key)] for query, key in ends]
        assert strength == sorted(strength), "the strongest lies on top"
        np.testing.assert_allclose(colours[:, 3], 0.95 * np.array(strength) ** 0.75, rtol=1e-5)
        assert (np.diff(widths) >= 0).all()
        assert to_hex(colours[0]) == head_colour(THEMES["light"], head, 3)
    assert axes.get_legend_handles_labels()[1] == ["head 1", "head 2"]
    # The first query stands at the top.
    assert axes.get_ylim() == (4.5, -0.5)


def test_the_sentence_may_run_along_x(axes: Axes, attention: aw.Attention) -> None:
    (lines,) = attention.plot(
        "head", layer=0, heads=1, query=2, layout="horizontal", ax=axes
    ).artists
    ends = [path.vertices[[0, -1]].tolist() for path in lines.get_paths()]
    # Queries above, keys below; the first token at the left.
    assert sorted(ends) == [[[2, 0], [1, 1]], [[2, 0], [3, 1]]]
    assert axes.get_ylim() == (1.02, -0.02)
    assert axes.get_xlim() == (-0.5, 4.5)
    keys = [label.get_text() for label in axes.get_xticklabels()]
    assert keys[:3] == ["the", "$x$", "שלום"]
    (top,) = axes.child_axes
    assert top.get_xticklabels()[2].get_fontweight() == "bold"
    with pytest.raises(ValueError, match="layout must be 'vertical' or 'horizontal', got 'flat'"):
        attention.plot("head", layer=0, layout="flat", ax=axes)
    with pytest.raises(ValueError, match=r"a matrix has queries below one another"):
        attention.plot("matrix", layer=0, layout="horizontal", ax=axes)


def test_one_query_is_given_by_its_text(axes: Axes, attention: aw.Attention) -> None:
    (lines,) = attention.plot("head", layer=0, heads=1, query="שלום", ax=axes).artists
    ends = {tuple(path.vertices[[0, -1], 1].tolist()) for path in lines.get_paths()}
    assert ends == {(2.0, 1.0), (2.0, 3.0)}
    assert axes.get_yticklabels()[2].get_fontweight() == "bold"


def test_a_threshold_leaves_faint_lines_out(axes: Axes, attention: aw.Attention) -> None:
    (lines,) = attention.plot("head", layer=0, heads=1, threshold=0.4, ax=axes).artists
    weights = attention["self"][0].weights(1)
    assert len(lines.get_paths()) == np.count_nonzero(weights > 0.4)


def test_a_matrix_is_shaded_as_in_the_widget(axes: Axes, attention: aw.Attention) -> None:
    (image,) = attention.plot("matrix", layer=0, heads=1, ax=axes).artists
    weights = attention["self"][0].weights(1)
    np.testing.assert_array_equal(image.get_array(), weights)
    stops = ramp(THEMES["light"].sequential)
    assert to_hex(image.to_rgba(0.0)) == stops[0]
    assert to_hex(image.to_rgba(1.0)) == stops[255]
    # Half of the scale's length is a quarter of the weight.
    assert to_hex(image.to_rgba(0.25)) == stops[128]
    bar = axes.figure.colorbar(image)
    assert (bar.vmin, bar.vmax) == (0, 1)


@pytest.mark.parametrize("kind", ["head", "matrix"])
def test_tokens_are_legible_text(axes: Axes, attention: aw.Attention, kind: str) -> None:
    attention.plot(kind, layer=0, heads=0, ax=axes)
    assert labels(axes) == ["the", "$x$", "שלום", "⟨U+202E⟩evil", ("long" * 30)[:23] + "…"]
    assert not any(label.get_parse_math() for label in axes.get_yticklabels())
    plt.rcParams["svg.fonttype"] = "none"
    buffer = io.StringIO()
    axes.figure.savefig(buffer, format="svg")
    assert ">$x$<" in buffer.getvalue()
    assert "\u202e" not in buffer.getvalue()


def test_many_tokens_are_numbered_instead(axes: Axes) -> None:
    weights = np.full((1, 1, 300, 300), 1 / 300, np.float32)
    aw.from_weights(weights).plot("matrix", layer=0, ax=axes)
    shown = labels(axes)
    assert shown[:2] == ["0", "19"]
    assert len(shown) <= 16


def test_queries_and_keys_of_different_sequences(axes: Axes) -> None:
    weights = np.full((1, 1, 2, 3), 1 / 3, np.float32)
    drawn = aw.from_weights(
        cross_attention=weights, encoder_tokens=["a", "b", "c"], decoder_tokens=["x", "y"]
    ).plot("head", layer=0, ax=axes)
    assert labels(axes) == ["x", "y"]
    (right,) = axes.child_axes
    assert [label.get_text() for label in right.get_yticklabels()] == ["a", "b", "c"]
    assert len(drawn.artists[0].get_paths()) == 6


def test_dark_colours(axes: Axes, attention: aw.Attention) -> None:
    attention.plot("head", layer=0, ax=axes, theme="dark")
    assert to_rgba(axes.get_yticklabels()[0].get_color()) == to_rgba(THEMES["dark"].text)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "neuron"}, "plot draws 'head' or 'matrix', got 'neuron'"),
        ({"kind": "matrix", "heads": [0, 2]}, r"a matrix shows one head, got \[0, 2\]"),
        ({"kind": "matrix", "query": 0}, "a matrix shows all queries"),
        ({"theme": "print"}, "theme must be 'light' or 'dark', got 'print'"),
        ({"heads": 3}, r"heads must be integers in 0..2, got \[3\]"),
        ({"query": "cat"}, "query='cat' is no token"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    axes: Axes, attention: aw.Attention, options: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        attention.plot(layer=0, ax=axes, **options)
