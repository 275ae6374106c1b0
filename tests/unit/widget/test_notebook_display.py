"""What a cell's output is made of, live and frozen, before any browser sees it."""

from __future__ import annotations

from typing import Any

import pytest
from contract.record import record

import attnwidget as aw
from attnwidget.widget import notebook_display

Shown = list[tuple[dict[str, str], dict[str, Any]]]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    outputs: Shown = []
    monkeypatch.setattr(
        notebook_display, "display", lambda bundle, **options: outputs.append((bundle, options))
    )
    return outputs


def test_a_live_output_keeps_the_metadata_that_colab_reads(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = aw.view(record())
    metadata = {
        "application/vnd.jupyter.widget-view+json": {"colab": {"custom_widget_manager": {}}}
    }
    bundle = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}}
    monkeypatch.setattr(view, "_repr_mimebundle_", lambda **_: (bundle, metadata))
    view._ipython_display_()
    live, note = shown
    assert live[1]["metadata"] == metadata
    assert live[0]["text/plain"].startswith("AttentionWidget(")
    assert "Run this cell again to bring it back" in live[0]["text/plain"]
    assert "attnwidget-note" in note[0]["text/html"]


def test_a_frozen_output_is_replaced_by_the_next(shown: Shown) -> None:
    view = aw.view(record(), frozen=True)
    view._ipython_display_()
    view.freeze()
    first, second = (options for _, options in shown)
    assert first["display_id"] == second["display_id"]
    assert second["update"]
    assert all(sorted(bundle) == ["text/html", "text/plain"] for bundle, _ in shown)


def test_marimo_is_told_how_to_show_a_frozen_view_and_nothing_of_a_live_one() -> None:
    assert aw.view(record())._display_ is None
    assert callable(aw.view(record(), frozen=True)._display_)


def test_the_button_cannot_replace_what_has_no_output_of_its_own() -> None:
    answer, _ = aw.view(record()).freeze_shown({"height": 400}, [])
    assert answer["error"].startswith("This widget stands inside another one, so it has no output")


def test_a_closed_view_says_so_wherever_it_is_shown(shown: Shown) -> None:
    view = aw.view(record())
    view.close()
    view._ipython_display_()
    ((bundle, _),) = shown
    data, _ = view._repr_mimebundle_()
    for said in (bundle["text/plain"], bundle["text/html"], data["text/plain"]):
        assert "This view was closed" in said
        assert "attnwidget.view(view.attention)" in said
    assert "application/vnd.jupyter.widget-view+json" not in bundle | data


def test_what_a_closed_view_showed_is_still_there(shown: Shown) -> None:
    view = aw.view(record(), layer=2)
    view.close()
    view.close()
    view.heads = [1]
    assert "Figure(" in repr(view.figure())
    view.freeze()
    assert "<iframe" in shown[-1][0]["text/html"]
    aw.view(view.attention)._ipython_display_()
    assert "application/vnd.jupyter.widget-view+json" in shown[-2][0]


@pytest.mark.parametrize("kind", ["comparison", "survey"])
def test_other_closed_views_name_their_own_call(shown: Shown, kind: str) -> None:
    made = record()
    if kind == "comparison":
        view = aw.compare(made, made).view()
    else:
        model, tokenizer = aw.pocket()
        view = aw.survey(model, ["the cat sat"], tokenizer).view()
    view.close()
    view._ipython_display_()
    assert f"view.{kind}.view(" in shown[0][0]["text/plain"]
