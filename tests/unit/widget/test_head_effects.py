"""Effects of all heads in a view: as `attnwidget.effects` has them, in slices, stopped, as a score, in copies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from contract.record import record
from contract.test_protocol import validate

import attnwidget as aw
from attnwidget.attribution.agreement import rank_correlation

if TYPE_CHECKING:
    from support.loops import CalledLoop

    from attnwidget.widget.widget import AttentionWidget

TEXT = "the cat sat on the mat because it"


def test_they_are_those_of_effects_and_of_what_if(
    view: AttentionWidget, pocket: tuple[Any, Any]
) -> None:
    found = view.find_effects("purred")
    assert found is not None
    expected = aw.effects(pocket[0], TEXT, pocket[1], metric="purred")
    np.testing.assert_array_equal(found["decoder"], expected["decoder"])
    told = view.effects
    validate("EffectsOfHeads", told)
    assert told["streams"]["decoder"]["values"] == expected["decoder"].tolist()
    assert np.all(told["streams"]["decoder"]["exact"])
    assert (told["state"], told["done"], told["of"], told["how"]) == ("done", 16, 16, "zero")
    assert (told["metric"], told["at"], told["position"]) == ("log p(“purred”)", "it", 8)
    view.interventions = aw.ablate(heads=[(3, 3)])
    change = view.what_if["after"] - view.what_if["before"]
    assert told["streams"]["decoder"]["values"][3][3] == pytest.approx(change, abs=1e-5)
    # They are of the model without edits, and stay.
    assert view.effects == told


def test_with_a_source_a_zeroed_head_says_what_its_mean_would_say(
    view: AttentionWidget, pocket: tuple[Any, Any]
) -> None:
    source = ["the dog sat on the mat because it", "the bird sat on the bed because it"]
    found = view.find_effects("purred", source=source)
    assert found is not None
    expected = aw.effects(pocket[0], TEXT, pocket[1], metric="purred", source=source)
    told = view.effects
    validate("EffectsOfHeads", told)
    stream = told["streams"]["decoder"]
    np.testing.assert_allclose(stream["values"], expected["decoder"], atol=1e-5)
    np.testing.assert_allclose(
        np.array(stream["means"], dtype=float), expected.streams["decoder"].by_mean, atol=1e-5
    )
    assert stream["differs"] == expected.streams["decoder"].differs(1e-5).tolist()
    assert 0 < np.sum(stream["differs"]) < 16
    assert "zero and mean differ" in repr(found)
    view.find_effects("purred")
    assert "means" not in view.effects["streams"]["decoder"]


def test_values_come_one_after_the_other_and_everything_else_answers_meanwhile(
    view: AttentionWidget, loop: CalledLoop
) -> None:
    heard: list[tuple[str, int]] = []
    view.observe(lambda change: heard.append((change.new["state"], change.new["done"])), "effects")
    assert view.start_effects({"how": "zero"}, []) == ({}, [])
    assert heard == [("running", 0)]
    loop.once()
    told = view.effects
    validate("EffectsOfHeads", told)
    # The estimates of all are there at once.
    assert (told["done"], told["of"]) == (0, 16)
    assert not np.any(told["streams"]["decoder"]["exact"])
    assert None not in np.array(told["streams"]["decoder"]["values"]).ravel()
    loop.once()
    run = np.array(view.effects["streams"]["decoder"]["exact"])
    assert run.sum() >= 1
    request = {"what": "weights", "stream": "decoder", "layer": 3, "head": 0, "queries": [0, 9]}
    answer, blocks = view.blocks({"requests": [request]}, [])
    assert answer["replies"][0]["ok"]
    assert blocks
    view.interventions = aw.ablate(heads=[(0, 2)])
    loop.run()
    assert heard[-1] == ("done", 16)
    assert [done for _, done in heard] == sorted(done for _, done in heard)
    clean = aw.effects(*_call(view), position=8)
    assert view.effects["streams"]["decoder"]["values"] == clean["decoder"].tolist()


def _call(view: AttentionWidget) -> tuple[Any, str, Any]:
    return *aw.pocket()[:1], view.text, aw.pocket()[1]


def test_they_are_stopped_and_what_was_found_stays(view: AttentionWidget, loop: CalledLoop) -> None:
    view.start_effects({"how": "zero"}, [])
    for _ in range(3):
        loop.once()
    done = view.effects["done"]
    assert 0 < done < 16
    assert view.stop_effects({}, []) == ({}, [])
    assert (view.effects["state"], view.effects["done"]) == ("stopped", done)
    loop.run()
    assert (view.effects["state"], view.effects["done"]) == ("stopped", done)
    assert view.find_effects(wait=True) is not None
    assert (view.effects["state"], view.effects["done"]) == ("done", 16)


def test_another_text_ends_them(view: AttentionWidget, loop: CalledLoop) -> None:
    view.find_effects()
    view.score = "effect"
    view.text = "the dog sat on the mat because it"
    assert (view.effects, view.score) == (None, None)
    loop.run()
    assert view.effects is None


def test_what_is_refused_is_said(view: AttentionWidget) -> None:
    with pytest.raises(ValueError, match="how must be"):
        view.find_effects(how="half")
    with pytest.raises(ValueError, match="needs texts"):
        view.find_effects(how="mean")
    assert view.effects["state"] == "refused"
    assert "needs texts" in view.effects["message"]
    assert view.find_effects(how="mean", source=["the dog sat", "the mat was small"]) is not None
    assert view.effects["how"] == "mean"
    answer, _ = view.start_effects({"how": "mean"}, [])
    assert "how must be one of zero" in answer["error"]
    plain = aw.view(record())
    assert plain.start_effects({"how": "zero"}, []) == ({}, [])
    assert plain.effects["state"] == "refused"
    assert "a record without its model" in plain.effects["message"]
    validate("EffectsOfHeads", plain.effects)
    with pytest.raises(ValueError, match="a record without its model"):
        plain.find_effects()


def test_effect_is_a_score_once_there_are_effects(view: AttentionWidget) -> None:
    with pytest.raises(ValueError, match=r"call view\.find_effects\(\)"):
        view.score = "effect"
    view.find_effects()
    view.score, view.arrange = "effect", "rank"
    view.interventions = aw.ablate(heads=[(3, 3)])
    assert view.score == "effect"
    view.interventions = None
    assert (view.score, view.arrange) == ("effect", "rank")
    assert view.code().endswith('arrange="rank")  # then view.find_effects()')
    view.set_state({"effects": None})
    assert view.effects["state"] == "done"


def test_copies_carry_what_was_computed(view: AttentionWidget, loop: CalledLoop) -> None:
    view.interventions = aw.ablate(heads=[(3, 3)])
    view.start_effects({"how": "zero"}, [])
    loop.once()
    made = view.snapshot()
    validate("Snapshot", made)
    assert made["what_if"] == view.what_if
    # Nothing goes on there.
    assert made["effects"] == {**view.effects, "state": "stopped"}
    json.dumps(made, allow_nan=False)
    view.stop_effects({}, [])
    view.interventions = None
    assert "what_if" not in view.snapshot()


def test_a_threshold_is_in_the_units_of_effects_once_they_are_known(view: AttentionWidget) -> None:
    with pytest.raises(ValueError, match="threshold must be a number from 0 to 1, or None"):
        view.threshold = 2.0
    view.find_effects("purred")
    view.score, view.threshold = "effect", 2.0
    # The page sends what its slider says.
    view.set_state({"threshold": 2.5})
    assert view.threshold == 2.5
    for wrong in (-1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="of at least 0, in the units of the effects"):
            view.threshold = wrong
    # It stays with the edit's record, and no other score has it.
    view.interventions = aw.ablate(heads=[(0, 0)])
    assert (view.score, view.threshold) == ("effect", 2.5)
    view.score = "previous"
    assert view.threshold is None
    view.score, view.threshold = "effect", 0.5
    view.score = "previous"
    assert view.threshold == 0.5


def test_another_text_forgets_a_threshold_among_effects(view: AttentionWidget) -> None:
    view.find_effects("purred")
    view.score, view.threshold = "effect", 2.0
    view.text = "the dog sat on the mat because it"
    assert (view.effects, view.score, view.threshold) == (None, None, None)


def test_effects_that_are_found_anew_stay_the_score(
    view: AttentionWidget, loop: CalledLoop
) -> None:
    view.find_effects("purred")
    loop.run()
    view.score, view.threshold = "effect", 2.0
    view.find_effects("lay")
    assert view.effects["state"] == "running"
    assert (view.score, view.threshold) == ("effect", 2.0)


def test_the_numbers_of_a_figure_have_effects_with_their_sign(view: AttentionWidget) -> None:
    view.find_effects("purred")
    view.view, view.score, view.arrange, view.other_score = (
        "model",
        "effect",
        "scatter",
        "induction",
    )
    figure = view.figure()
    table = figure.data
    assert list(table.columns) == ["stream", "layer", "head", "induction", "effect"]
    expected = np.ravel(view.effects["streams"]["decoder"]["values"]).astype(np.float32)
    np.testing.assert_array_equal(table["effect"], expected)
    # It is a value: what is found later changes nothing.
    view.find_effects("lay")
    np.testing.assert_array_equal(figure.data["effect"], expected)
    view.arrange = "layers"
    cells = view.figure().data
    last = np.float32(view.effects["streams"]["decoder"]["values"][3][3])
    assert set(cells[cells["layer"].eq(3) & cells["head"].eq(3)]["effect"]) == {last}


def test_the_call_that_opens_a_view_has_no_threshold_among_effects(view: AttentionWidget) -> None:
    view.find_effects("purred")
    view.score, view.threshold = "effect", 2.0
    code = view.code()
    assert "threshold" not in code
    assert code.endswith("# then view.find_effects()")


class TestAgreement:
    """How far measures of gradients agree, where the effects are of what the gradients are of."""

    @pytest.fixture
    def graded(self, pocket: tuple[Any, Any]) -> AttentionWidget:
        return aw.view(pocket[0], TEXT, pocket[1], query="it", metric="purred", measure="gradient")

    def test_it_is_that_of_the_attribution(
        self, graded: AttentionWidget, pocket: tuple[Any, Any]
    ) -> None:
        graded.find_effects()
        validate("EffectsOfHeads", graded.effects)
        told = graded.effects["agreement"]
        given = aw.attribute(pocket[0], TEXT, pocket[1], metric="purred")
        expected = given.agreement()
        assert told["gradient"] == {
            "correlation": pytest.approx(expected.rank_correlation, abs=1e-12),
            "heads": 16,
            "of": 16,
            "first": expected.first,
            "most": "3.3",
            "largest": "3.1",
        }
        lost = [row.lost for row in expected.rows]
        positive = [
            float(layer.measure("relevance", head).sum())
            for layer in graded.attention["decoder"]
            for head in range(layer.num_heads)
        ]
        by_size = rank_correlation(positive, np.abs(lost))
        assert told["relevance"]["correlation"] == pytest.approx(by_size, abs=1e-12)
        assert by_size != pytest.approx(expected.rank_correlation)

    def test_of_another_metric_position_or_way_there_is_none(self, graded: AttentionWidget) -> None:
        graded.find_effects("lay")
        assert "agreement" not in graded.effects
        graded.query = "cat"
        graded.find_effects("purred")
        assert "agreement" not in graded.effects
        graded.query = "it"
        graded.find_effects(how="mean", source=["the dog sat", "the mat was small"])
        assert "agreement" not in graded.effects
        graded.find_effects()
        assert "agreement" in graded.effects

    def test_the_page_asks_for_the_metric_of_the_gradients_whatever_is_measured_and_pinned(
        self, graded: AttentionWidget, loop: CalledLoop
    ) -> None:
        graded.metric, graded.query = "lay", "cat"
        message = {"how": "zero", "of": "gradients"}
        assert graded.start_effects(message, []) == ({}, [])
        while not graded.effects["done"]:
            loop.once()
        # Those with the largest estimates come first: nothing is said of them alone.
        assert graded.effects["agreement"] == {}
        loop.run()
        told = graded.effects
        assert (told["metric"], told["at"], graded.metric) == ("log p(“purred”)", "it", "lay")
        assert told["agreement"]["gradient"]["heads"] == 16
        assert graded.snapshot()["effects"]["agreement"] == told["agreement"]
        graded.text = "the dog sat on the mat because it"
        graded.start_effects(message, [])
        loop.run()
        again = graded.effects["agreement"]["gradient"]["correlation"]
        assert again != pytest.approx(told["agreement"]["gradient"]["correlation"])

    def test_stopped_it_is_of_the_heads_that_were_run(
        self, graded: AttentionWidget, loop: CalledLoop
    ) -> None:
        graded.start_effects({"how": "zero", "of": "gradients"}, [])
        while graded.effects["done"] < 2:
            loop.once()
        graded.stop_effects({}, [])
        told = graded.effects
        validate("EffectsOfHeads", told)
        assert told["agreement"]["gradient"]["heads"] == told["done"] < 16
        assert told["agreement"]["gradient"]["of"] == 16

    def test_a_function_of_the_output_is_compared_too(self, pocket: tuple[Any, Any]) -> None:
        def logit(output: Any) -> Any:
            return output.logits[0, -1, 5]

        view = aw.view(pocket[0], TEXT, pocket[1], metric=logit)
        view.start_effects({"how": "zero", "of": "gradients"}, [])
        expected = aw.attribute(pocket[0], TEXT, pocket[1], metric=logit).agreement()
        told = view.effects["agreement"]["gradient"]
        assert told["correlation"] == pytest.approx(expected.rank_correlation, abs=1e-12)
