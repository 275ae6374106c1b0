"""Edits as values: checked, printed, combined, compared, written as JSON."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support.records import random_layer

import attnwidget as aw
from attnwidget.record.positions import Position
from attnwidget.record.record import Record
from attnwidget.record.stream import Stream


def record(queries: int, seed: int = 0) -> Record:
    layer = random_layer(queries=queries, keys=queries, seed=seed)
    positions = tuple(Position(f"t{at}") for at in range(queries))
    return Record("Model", {layer.stream: Stream(layer.stream, (layer,), positions, positions)})


def test_edits_are_values() -> None:
    one, other = aw.ablate([(3, 3), (3, 3), (2, -1)]), aw.ablate((1, 0), stream="decoder")
    assert repr(one) == "ablate(heads=[(3, 3), (2, -1)])"
    assert repr(one + other) == f"{one!r} + ablate(heads=[(1, 0)], stream='decoder')"
    assert one == aw.ablate([[3, 3], [2, -1]])
    assert hash(one) == hash(aw.ablate([[3, 3], [2, -1]]))
    assert one != other
    assert one + one == one
    assert one + aw.ablate([]) == one
    assert not aw.ablate(heads=[])
    assert repr(aw.ablate(heads=[])) == "ablate(heads=[])"
    with pytest.raises(AttributeError):
        one.parts = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        one + 1  # type: ignore[operator]


def test_edits_of_tokens_are_values() -> None:
    one, other = aw.replace("cat", "dog"), aw.mask(torch.tensor(3))
    assert repr(one + other) == "replace('cat', 'dog') + mask(3)"
    assert one == aw.replace("cat", "dog")
    assert one != aw.replace(2, "dog")
    assert one.to_json() == '{"edits": [{"replace": "cat", "with": "dog"}]}'
    assert other.to_json() == '{"edits": [{"mask": 3}]}'
    both = one + aw.ablate((1, 0)) + other
    assert repr(both.inside) == "ablate(heads=[(1, 0)])"
    assert [*map(repr, both.of_tokens)] == ["replace('cat', 'dog')", "mask(3)"]
    assert hash(one + one) == hash(one)


@pytest.mark.parametrize("position", ["", None, 1.5, True, [1]])
def test_what_is_no_position_is_refused(position: object) -> None:
    with pytest.raises(ValueError, match=r"position must be .* mask\('cat'\)"):
        aw.mask(position)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"position must be .* replace\('cat', 'dog'\)"):
        aw.replace(position, "dog")  # type: ignore[arg-type]


@pytest.mark.parametrize("token", ["", None, 3])
def test_what_is_no_token_is_refused(token: object) -> None:
    with pytest.raises(ValueError, match=r"token must be .* replace\(2, 'dog'\)"):
        aw.replace(2, token)  # type: ignore[arg-type]


def test_json_is_read_back() -> None:
    edits = (
        aw.ablate([(0, 1)])
        + aw.ablate([(0, 0)], "mean", ["“a”", "b"], stream="cross")
        + aw.ablate([(0, 2)], "mean", [record(5), record(4, 1)])
        + aw.ablate([(0, 1)], "resample", record(5))
        + aw.replace("cat", "dog")
        + aw.replace(-1, "“a”")
        + aw.mask(0)
        + aw.mask("cat")
    )
    assert aw.Edits.from_json(edits.to_json()) == edits
    assert aw.Edits.from_json(aw.ablate([]).to_json()) == aw.ablate([])


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"edits": 1}', '{"edits": [{"ablate": [[0, 0]]}]}', 3,
     '{"edits": [{"replace": 1}]}', '{"edits": [{"replace": 1, "with": 2}]}', '{"edits": [{"mask": null}]}',
     '{"edits": [{"mask": 1, "with": "a"}]}',
     '{"edits": [{"ablate": [[0]], "how": "zero", "stream": null, "source": null}]}',
     '{"edits": [{"ablate": [[0, 0]], "how": "mean", "stream": null, "source": {"outputs": {"inputs": 1}}}]}'],
)  # fmt: skip
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"to_json|edit has the entries|pairs of a layer|position must|token must"
    ):
        aw.Edits.from_json(text)


def test_a_mean_is_by_position_as_far_as_all_go_and_over_all_beyond() -> None:
    first, second = record(5), record(4, 1)
    edits = aw.ablate([(0, 2)], "mean", [first, second])
    at, over_all = edits.parts[0].source.of((0, 2))  # type: ignore[union-attr]
    one, two = (next(iter(each[next(iter(each))])).output(2) for each in (first, second))
    assert at == pytest.approx((one[:4] + two) / 2, abs=1e-6)
    assert over_all == pytest.approx((one.sum(0) + two.sum(0)) / 9, abs=1e-6)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"heads": 3}, "pairs of a layer and a head"),
        ({"heads": "3.3"}, "pairs of a layer and a head"),
        ({"heads": [(1, 2, 3)]}, "pairs of a layer and a head"),
        ({"heads": [(1, True)]}, "pairs of a layer and a head"),
        ({"heads": [(1, 1)], "how": "noise"}, "'zero', 'mean', 'resample'"),
        ({"heads": [(1, 1)], "how": "mean"}, "needs texts, records of capture or a survey"),
        ({"heads": [(1, 1)], "how": "mean", "source": []}, "needs texts, records of capture or a survey"),
        ({"heads": [(1, 1)], "how": "mean", "source": [" "]}, "needs texts, records of capture or a survey"),
        ({"heads": [(1, 1)], "source": ["a"]}, "takes nothing from a source"),
        ({"heads": [(1, 1)], "how": "resample", "source": ["a", "b"]}, "one other input, got 2"),
        ({"heads": [(1, 1)], "stream": 1}, "name of a stream"),
        ({"heads": [(9, 1)], "how": "mean", "source": record(3)}, "no layer 9; its layers are \\[0\\]"),
        ({"heads": [(0, 9)], "how": "mean", "source": record(3)}, "heads 0 .. 5, not 9"),
    ],
)  # fmt: skip
def test_what_is_no_edit_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        aw.ablate(**given)  # type: ignore[arg-type]


def test_a_layer_gives_the_output_that_was_put_in_a_heads_place() -> None:
    plain = random_layer(queries=4, keys=4)
    put = torch.randn(2, 4, plain.value.shape[2])  # type: ignore[union-attr]
    edited = replace(plain, edited_heads=(2, 0), edited_output=put)
    assert (edited.output(2) == put[0].numpy()).all()
    assert (edited.output([1, 0], [1, 3])[1] == put[1, [1, 3]].numpy()).all()
    assert (edited.output(1) == plain.output(1)).all()
    assert (edited.weights(2) == plain.weights(2)).all()
    for wrong in ({"edited_heads": (6,), "edited_output": put[:1]}, {"edited_heads": (1,)},
                  {"edited_heads": (1,), "edited_output": put}):  # fmt: skip
        with pytest.raises(ValueError, match="edited"):
            replace(plain, **wrong)


def test_heads_have_both_names_and_one_of_them_is_taken() -> None:
    assert aw.ablate(head=(3, 1)) == aw.ablate(heads=[(3, 1)])
    with pytest.raises(TypeError, match="one argument"):
        aw.ablate([(3, 1)], head=(3, 2))
    with pytest.raises(ValueError, match="heads must be pairs"):
        aw.ablate()
