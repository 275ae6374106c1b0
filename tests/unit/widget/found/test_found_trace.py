"""The trace in a view: as `attnwidget.trace` finds it, in slices, stopped, dropped, in copies, figures and code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from contract.record import record
from contract.test_protocol import validate

import attnwidget as aw
from attnwidget.widget.found import found_trace

if TYPE_CHECKING:
    from support.loops import CalledLoop

    from attnwidget.widget.widget import AttentionWidget

TEXT = "the cat sat on the mat because it"
WISH: dict[str, Any] = {"threshold": 0.2, "budget": 8, "again": False}


def test_it_is_that_of_trace(view: AttentionWidget, pocket: tuple[Any, Any]) -> None:
    found = view.find_trace("purred", threshold=0.05, budget=12)
    expected = aw.trace(pocket[0], TEXT, pocket[1], metric="purred", threshold=0.05, budget=12)
    assert found is not None
    assert view.trace is not None
    assert view.metric == "purred"
    assert (found.metric, found.starts) == (expected.metric, expected.starts)
    places = [(one.layer, one.head, one.query, one.key) for one in found.links]
    assert places == [(one.layer, one.head, one.query, one.key) for one in expected.links]
    for one, other in zip(found.links, expected.links, strict=True):
        assert one.change == pytest.approx(other.change, abs=2e-5)
    told = view.traced
    validate("TraceOfView", told)
    assert (told["state"], told["done"], told["of"]) == ("done", 12, 12)
    assert (told["stream"], told["at"], told["position"]) == ("decoder", "it", 8)
    first = told["trace"]["links"][0]
    assert (first["layer"], first["head"], first["query"], first["key"]) == (3, 3, 8, 2)
    # What is selected afterwards changes nothing.
    view.query, view.key, view.layer, view.heads = 2, 1, 0, [2]
    assert view.traced == told


def test_estimates_come_first_and_each_link_that_is_cut_has_its_change(
    view: AttentionWidget, loop: CalledLoop
) -> None:
    heard: list[tuple[str, int]] = []
    view.observe(lambda change: heard.append((change.new["state"], change.new["done"])), "traced")
    assert view.start_trace(WISH, []) == ({}, [])
    assert heard == [("running", 0)]
    assert view.traced["trace"] is None
    while view.traced["trace"] is None:
        loop.once()
    told = view.traced
    validate("TraceOfView", told)
    assert told["done"] == 0
    assert {link["change"] for link in told["trace"]["links"]} == {None}
    # Another page that shows it asks as well: nothing begins anew.
    assert view.start_trace(WISH, []) == ({}, [])
    assert view.traced == told
    loop.once()
    loop.once()
    done = view.traced["done"]
    assert 0 < done < 8
    assert view.trace is not None
    cut = [one for one in (*view.trace.links, *view.trace.small) if one.change is not None]
    assert len(cut) == done
    assert view.trace.interrupted
    request = {"what": "weights", "stream": "decoder", "layer": 3, "head": 0, "queries": [0, 9]}
    assert view.blocks({"requests": [request]}, [])[0]["replies"][0]["ok"]
    loop.run()
    assert heard[-1] == ("done", 8)
    assert [count for _, count in heard] == sorted(count for _, count in heard)
    assert not view.trace.interrupted
    assert view.traced["trace"]["together"] is not None
    # Asked for again, it does.
    view.start_trace({**WISH, "budget": 2, "again": True}, [])
    assert (view.traced["state"], view.traced["trace"]) == ("running", None)
    loop.run()
    assert view.traced["of"] == 2


def test_it_is_stopped_and_what_was_found_stays(view: AttentionWidget, loop: CalledLoop) -> None:
    view.start_trace(WISH, [])
    while view.traced["done"] == 0:
        loop.once()
    done = view.traced["done"]
    assert view.stop_trace({}, []) == ({}, [])
    assert (view.traced["state"], view.traced["done"]) == ("stopped", done)
    loop.run()
    assert (view.traced["state"], view.traced["done"]) == ("stopped", done)
    view.stop_finding_trace()
    assert view.traced["state"] == "stopped"


def test_another_input_metric_or_edit_drops_it(view: AttentionWidget, loop: CalledLoop) -> None:
    def begin() -> None:
        view.start_trace(WISH, [])
        while view.trace is None:
            loop.once()

    begin()
    view.metric = "was"
    assert (view.trace, view.traced) == (None, None)
    begin()
    view.interventions = aw.ablate(heads=[(0, 2)])
    assert (view.trace, view.traced) == (None, None)
    assert "Edits are in force" in view.cannot_trace
    with pytest.raises(ValueError, match="Edits are in force"):
        view.find_trace()
    view.interventions = None
    assert view.cannot_trace == ""
    begin()
    view.form = "trace"
    view.text = "the dog sat on the mat because it"
    assert (view.trace, view.traced, view.form) == (None, None, "trace")
    loop.run()
    assert view.traced is None


def test_what_cannot_be_traced_is_said(view: AttentionWidget) -> None:
    plain = aw.view(record())
    assert "a record without its model" in plain.cannot_trace
    with pytest.raises(ValueError, match=r"form='trace'\), or trace\(model"):
        plain.form = "trace"
    assert plain.start_trace(WISH, []) == ({}, [])
    assert plain.traced["state"] == "refused"
    assert "a record without its model" in plain.traced["message"]
    validate("TraceOfView", plain.traced)
    answer, _ = view.start_trace({**WISH, "threshold": 0}, [])
    assert "threshold" in answer["error"]
    with pytest.raises(ValueError, match="threshold must be a share"):
        view.find_trace(threshold=2)
    with pytest.raises(ValueError, match="budget"):
        view.find_trace(budget=-1)
    with pytest.raises(IndexError):
        view.find_trace(position=99)
    assert view.traced["state"] == "refused"
    view.text = "the dog sat on the mat"
    view.form = "trace"
    view.compare_with_before()
    assert "Two records are shown" in view.cannot_trace
    assert view.form != "trace"
    view.compare_with_before(on=False)
    assert (view.cannot_trace, view.form) == ("", "trace")


def test_copies_figures_and_code_have_it(view: AttentionWidget, loop: CalledLoop) -> None:
    view.metric = "purred"
    view.start_trace(WISH, [])
    while view.traced["done"] == 0:
        loop.once()
    made = view.snapshot()
    validate("Snapshot", made)
    # Nothing goes on there.
    assert made["traced"] == {**view.traced, "state": "stopped"}
    json.dumps(made, allow_nan=False)
    loop.run()
    figure = view.figure("trace")
    assert "3.3 −5.0" in figure.svg
    assert "log p(“purred”) = −0.74" in figure.svg
    table = figure.data
    rows = table.to_dict("records") if hasattr(table, "to_dict") else list(table)
    assert view.trace is not None
    assert [row["key"] for row in rows] == [link.key for link in view.trace.links]
    assert rows[0]["key_label"] == "cat"
    np.testing.assert_allclose(
        [row["change"] for row in rows], [link.change for link in view.trace.links]
    )
    wrong: tuple[dict[str, Any], ...] = ({"queries": [1]}, {"grid": True}, {"positions": range(3)})
    for given in wrong:
        with pytest.raises(ValueError, match=f"got {next(iter(given))}= besides"):
            view.figure("trace", **given)
    assert "find_trace" not in view.code()
    view.form = "trace"
    call = 'view.find_trace("purred", position=8, threshold=0.2, budget=8)'
    assert view.code().endswith(f'form="trace")  # then {call}')
    assert f"; {call[:-1]}, wait=True); view.figure(" in view.figure().code()
    assert view.figure(form="lines").code().startswith("aw.view(")


def test_of_very_many_links_the_page_is_told_the_largest(
    view: AttentionWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_trace, "MOST_LINKS", 2)
    found = view.find_trace("purred", budget=2)
    assert found is not None
    told = view.traced["trace"]
    validate("Trace", told)
    assert (len(told["links"]), told["count"]) == (2, len(found.links))
    assert told["links"] == found.to_data()["links"][:2]
    assert f"Drawn: the 2 largest of {len(found.links)} links." in view.figure("trace").svg


def test_a_figure_without_one_says_so(view: AttentionWidget) -> None:
    drawn = view.figure("trace").svg
    assert "No trace was found: call view.find_trace() first." in drawn
    table = view.figure("trace").data
    assert len(table) == 0
    with pytest.raises(ValueError, match="figure draws"):
        view.figure("traces")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="besides: pass one of them"):
        view.figure("trace", form="lines")
