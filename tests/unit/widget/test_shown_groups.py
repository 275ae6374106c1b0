"""Which groups a view marks, and between which it draws links: traits, defaults, errors, figures and their tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attnwidget as aw

TOKENS = ["[CLS]", "the", "cat", "##s", "sat", "[SEP]", "who", "sat", "?", "[SEP]"]


def pair(**options: Any) -> aw.Attention:
    count = len(TOKENS)
    weights = np.random.default_rng(3).dirichlet(np.ones(count), (2, 3, count))
    return aw.from_weights(weights.astype(np.float32), TOKENS, **{"sentence_b_start": 6, **options})


def rows(table: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        table.to_dict("records") if hasattr(table, "to_dict") else list(table)
    )
    return found


def test_a_view_marks_the_callers_own_groups_else_the_usual_ones() -> None:
    assert pair().view().grouping == "segment"
    assert pair(sentence_b_start=None).view().grouping is None
    own = {"cats": "cats"}
    assert pair().view(groups=own).grouping == "own"
    assert pair().view(groups=own, grouping="special").grouping == "special"
    assert pair().view(grouping=None).grouping is None


def test_ends_that_are_no_groups_are_refused_with_those_there_are() -> None:
    view = pair().view()
    view.from_group, view.to_group = "A", "B"
    with pytest.raises(ValueError, match=r"from_group must be one of 'A', 'B' \(by segment\)"):
        view.from_group = "C"
    assert view.from_group == "A"
    with pytest.raises(ValueError, match="grouping must be one of 'segment', 'special'"):
        view.grouping = "role"
    with pytest.raises(ValueError, match="to_group must be None while no groups are shown"):
        pair().view(grouping=None, to_group="A")
    with pytest.raises(ValueError, match=r"form must be .* no grouping of its positions"):
        aw.from_weights(np.full((1, 1, 3, 3), 1 / 3, np.float32)).view(form="groups")


def test_another_grouping_drops_the_ends_that_it_has_not() -> None:
    view = pair().view(from_group="A", to_group="B")
    view.grouping = "special"
    assert (view.from_group, view.to_group) == (None, None)
    view.to_group = "special"
    view.grouping = None
    assert view.to_group is None
    assert "grouping=None" in view.code()


def test_the_copied_call_opens_on_the_same_groups() -> None:
    view = pair().view(from_group="A", form="groups")
    assert 'from_group="A"' in view.code()
    assert "grouping" not in view.code()


def test_the_table_of_the_form_groups_is_that_of_group_shares() -> None:
    attention = pair()
    figure = attention.figure("groups", layer=1, heads=[0, 2], query=None)
    expected = [row for row in rows(attention.group_shares("segment", layer=1)) if row["head"] != 1]
    found = rows(figure.data)
    assert [(row["head"], row["from"], row["to"]) for row in found] == [
        (row["head"], row["from"], row["to"]) for row in expected
    ]
    np.testing.assert_allclose(
        [row["share"] for row in found], [row["share"] for row in expected], atol=1e-6
    )
    mean = rows(attention.figure("groups", layer=1, heads=[0, 2], together="mean").data)
    both = np.reshape([row["share"] for row in found], (2, 4)).mean(0)
    np.testing.assert_allclose([row["share"] for row in mean], both, atol=1e-6)
    with pytest.raises(ValueError, match="maximum of several heads has no shares"):
        _ = attention.figure("groups", heads=[0, 2], together="max").data


@pytest.mark.parametrize("options", [{}, {"positions": "words"}])
def test_the_table_of_a_profile_is_the_mean_over_heads_of_dense_weights(
    options: dict[str, Any],
) -> None:
    attention = pair()

    read = attention.words() if options else attention
    split = 5 if options else 6
    found = rows(attention.figure("profile", **options).data)
    for row in found:
        heads = [read["self"][row["layer"]].weights(head) for head in range(3)]
        keys = slice(0, split) if row["to"] == "A" else slice(split, None)
        shares = [float(head[:, keys].sum(1).mean()) for head in heads]
        np.testing.assert_allclose(row["mean"], np.mean(shares), atol=1e-6)
        np.testing.assert_allclose(row["low"], np.quantile(shares, 0.25), atol=1e-6)
        np.testing.assert_allclose(row["most"], np.max(shares), atol=1e-6)
        assert (row["from"], row["heads"]) == ("all", 3)
    one = rows(attention.figure("profile", from_group="B").data)
    weights = attention["self"][1].weights(0)
    assert {row["from"] for row in one} == {"B"}
    least = min(
        float(attention["self"][1].weights(head)[6:, :6].sum(1).mean()) for head in range(3)
    )
    (row,) = [row for row in one if row["layer"] == 1 and row["to"] == "A"]
    np.testing.assert_allclose(row["least"], least, atol=1e-6)
    assert weights.shape == (10, 10)


def test_lines_between_groups_are_those_of_the_table() -> None:
    attention = pair()
    figure = attention.figure("lines", layer=0, heads=[0], from_group="A", to_group="B", top_k=1)
    found = rows(figure.data)
    assert [row["query"] for row in found] == list(range(6))
    weights = attention["self"][0].weights(0)
    assert [row["key"] for row in found] == [6 + int(row[6:].argmax()) for row in weights[:6]]


def test_a_figure_of_groups_takes_no_part_of_the_positions() -> None:
    with pytest.raises(ValueError, match="is of whole groups: leave positions"):
        pair().figure("groups", positions=slice(0, 4))


def test_compared_records_differ_group_by_group() -> None:
    other = np.random.default_rng(9).dirichlet(np.ones(10), (2, 3, 10)).astype(np.float32)
    first, second = pair(), aw.from_weights(other, TOKENS, sentence_b_start=6)
    comparison = aw.compare(first, second)
    found = rows(comparison.figure("compare", form="groups", layer=1, heads=[2]).data)
    by = {(row["panel"], row["from"], row["to"]): row["share"] for row in found}
    shares = [float(each["self"][1].weights(2)[:6, 6:].sum(1).mean()) for each in (first, second)]
    np.testing.assert_allclose(by["A", "A", "B"], shares[0], atol=1e-6)
    np.testing.assert_allclose(by["B − A", "A", "B"], shares[1] - shares[0], atol=1e-6)


def test_the_same_figure_of_a_copy_without_a_kernel_is_drawn() -> None:
    pytest.importorskip("py_mini_racer")
    attention = pair()
    for form in ("groups", "profile"):
        svg = attention.figure(form, layer=1).svg
        call = attention.figure(form, layer=1).code()
        assert eval(call, {"attention": attention}).svg == svg  # noqa: S307 - what is copied is run
        assert ">A<" in svg
