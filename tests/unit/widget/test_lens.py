"""What each layer would predict, in a view: told with the record, of another text anew, and kept in pages."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from contract.test_protocol import validate
from support import lm_heads

import attnwidget as aw
from attnwidget.record.layer_predictions import LayerPredictions
from attnwidget.serve import meta as serve_meta

if TYPE_CHECKING:
    from attnwidget.widget.widget import AttentionWidget

TEXT = "the cat sat on the mat because it"


@pytest.fixture(scope="module")
def pocket() -> tuple[Any, Any]:
    return aw.pocket()


@pytest.fixture
def view(pocket: tuple[Any, Any]) -> AttentionWidget:
    return aw.view(pocket[0], TEXT, pocket[1], layer=2, lens=True)


def told(view: AttentionWidget, layer: int, position: int) -> dict[str, float]:
    lens = view.meta["lens"]
    rows = len(lens["top"]) // (lens["layers"] * lens["ranks"])
    first = (layer * rows + position - lens["first"]) * lens["ranks"]
    found = slice(first, first + lens["ranks"])
    labels = [lens["tokens"][place] for place in lens["top"][found]]
    return dict(zip(labels, lens["probabilities"][found], strict=True))


def test_a_view_is_told_what_the_lens_says(view: AttentionWidget, pocket: tuple[Any, Any]) -> None:
    lens = aw.logit_lens(pocket[0], TEXT, pocket[1])
    validate("Meta", view.meta)
    assert view.meta["lens"]["stream"] == "decoder"
    for layer, position in ((0, 3), (3, 8)):
        assert told(view, layer, position) == pytest.approx(lens[layer, position], rel=1e-3)


def test_another_text_is_asked_anew(view: AttentionWidget, pocket: tuple[Any, Any]) -> None:
    other = "the dog sat on the rug because it"
    view.text = other
    wanted = aw.logit_lens(pocket[0], other, pocket[1])[3, -1]
    assert told(view, 3, 8) == pytest.approx(wanted, rel=1e-3)
    assert "lens=True" in view.meta["python"]["call"]


def test_under_an_edit_it_is_of_the_edited_model(
    view: AttentionWidget, pocket: tuple[Any, Any]
) -> None:
    before = view.meta["lens"]
    edit = aw.cut(query="it", key="cat", heads=[(3, 3)])
    view.interventions = edit
    lens = aw.logit_lens(pocket[0], TEXT, pocket[1], interventions=edit)
    assert told(view, 3, 8) == pytest.approx(lens[3, 8], rel=1e-3)
    assert told(view, 3, 8)["lay"] == pytest.approx(0.626, abs=1e-3)
    # The layers before it are as they were.
    assert told(view, 2, 8) == pytest.approx(aw.logit_lens(*pocket[:1], TEXT, pocket[1])[2, 8], rel=1e-3)  # fmt: skip
    view.metric = "lay"
    assert told(view, 3, 8)["lay"] == pytest.approx(0.626, abs=1e-3)
    view.interventions = aw.Edits(())
    assert view.meta["lens"] == before


def test_pages_and_cropped_figures(view: AttentionWidget) -> None:
    assert view.snapshot()["meta"]["lens"] == view.meta["lens"]
    drawn = str(view.figure().svg)
    assert "What layer 2 would predict" in drawn
    assert "What layer 2 would predict" not in str(view.figure(queries=range(4), keys=range(4)).svg)


def test_a_long_text_of_many_layers_keeps_its_end(
    view: AttentionWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = view.attention
    monkeypatch.setattr(serve_meta, "_MOST_PREDICTED", 4 * 9 * 2)
    assert serve_meta._lens(record)["ranks"] == 2  # type: ignore[index]
    monkeypatch.setattr(serve_meta, "_MOST_PREDICTED", 4 * 6)
    found = serve_meta._lens(record)
    assert found is not None
    assert (found["first"], found["ranks"], len(found["top"])) == (3, 1, 4 * 6)


def test_a_record_and_its_copy_keep_it(view: AttentionWidget) -> None:
    other = copy.deepcopy(view.attention).predictions
    assert isinstance(other, LayerPredictions)
    kept = view.attention.predictions
    assert kept is not None
    np.testing.assert_array_equal(other.ids, kept.ids)


def test_what_cannot_be_shown_is_refused(pocket: tuple[Any, Any]) -> None:
    model, tokenizer = pocket
    with pytest.raises(TypeError, match="lens"):
        aw.view(aw.capture(model, TEXT, tokenizer), lens=True)
    with pytest.raises(ValueError, match="lens must be"):
        aw.view(model, TEXT, tokenizer, lens="yes")  # type: ignore[arg-type]
    vit, inputs = lm_heads.build("vit")
    with pytest.raises(ValueError, match=r"attnwidget\.logit_lens"):
        aw.view(vit, inputs, lens=True)
