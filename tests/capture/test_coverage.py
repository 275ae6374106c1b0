"""A sample of what `make coverage` measures, and that its measure can fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from capture.coverage import torchvision_operations
from capture.coverage.again import merged, read, unsaid
from capture.coverage.cuts import input_cuts
from capture.coverage.edited import measure_edits
from capture.coverage.exceptions import NO_GRADIENTS, NOT_EDITED
from capture.coverage.factory import model_types
from capture.coverage.gradients import measure_gradients
from capture.coverage.links import measure_links
from capture.coverage.measure import Result, compare, measure
from capture.coverage.reference import Reference, Seen
from capture.coverage.table import write
from capture.coverage.ways import difference
from support import others, zoo
from support.model_checks import hooks

from attnwidget import ablate, cut, intervening
from attnwidget.capture.gradients.gradients import Gradients
from attnwidget.recordings import capture, recording

SAMPLE = {
    "big_bird": {"encoder": 2},
    "florence_vision": {},
    "gemma3n_audio": {"audio": 2},
    "oneformer": {},
    "qwen2_5_omni_audio_encoder": {"audio": 2},
    "rag": {"encoder": 2, "decoder": 2, "cross": 2},
    "seggpt": {"vision": 2},
    "xclip_vision_model": {"vision": 2},
    "bloom": {"decoder": 2},
    "dia": {"encoder": 2, "decoder": 2, "cross": 2},
    "fastspeech2_conformer": {},
    "gemma4_vision": {"vision": 2},
    "informer": {"decoder": 2, "cross": 2},
    "kyutai_speech_to_text": {"decoder": 2},
    "lfm2_vl": {"vision": 2},
    "rt_detr": {},
    "siglip2": {"vision": 2},
    "swin2sr": {},
    "video_llama_3_vision": {},
    "deberta-v2": {"encoder": 2},
    "detr": {"encoder": 2, "decoder": 2, "cross": 2},
    "diffllama": {"decoder": 2},
    "gemma4": {"vision": 2, "decoder": 2},
    "granite_swa": {"decoder": 2},
    "granite_speech": {"decoder": 2, "cross": 1},
    "qwen3_vl": {"vision": 2, "decoder": 2},
    "hiera": {"vision stage 4": 1},
    "jamba": {"decoder": 1},
    "led": {"encoder": 2, "decoder": 2, "cross": 2},
    "llama": {"decoder": 2},
    "longt5": {"encoder": 2, "decoder": 2, "cross": 2},
    "pixtral": {"vision": 2},
    "reformer": {"encoder": 2},
    "swin": {"vision stage 1": 2},
    "t5": {"encoder": 2, "decoder": 2, "cross": 2},
    "xlnet": {"encoder": 2},
}


@pytest.mark.filterwarnings("ignore")  # of the models themselves
@pytest.mark.parametrize("model_type", SAMPLE)
def test_every_call_is_exact_and_has_its_vectors(model_type: str) -> None:
    result = measure(model_type)
    assert result.outcome == "measured", result.reason
    assert result.calls > 0
    assert (result.exact, result.vectors) == (result.calls, result.calls), result.reason
    assert result.captured == result.calls, result.reason
    assert result.error <= 1e-5
    assert result.same
    assert result.clean
    assert result.tidy
    assert result.heads > 0
    assert (result.edited < result.heads) == (model_type in NOT_EDITED), result.reason
    assert result.links
    assert result.cut + sum(result.not_cut.values()) == result.links
    assert all(reason.endswith(": refused") for reason in result.not_cut), result.not_cut
    assert result.layers
    assert (result.sloped < result.layers) == (model_type in NO_GRADIENTS), result.not_sloped
    assert result.streams.items() >= SAMPLE[model_type].items()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model_type", ["mamba", "fnet"])
def test_types_without_attention(model_type: str) -> None:
    assert measure(model_type).outcome == "no attention"


def test_the_measure_can_fail() -> None:
    """Weights of another head, of another layer, or of no layer are not counted."""
    model = others.Own().eval()
    hidden = others.hidden_states(rows=2)
    with torch.no_grad(), Reference() as reference:
        model(hidden)
    with recording(model, batch=1) as attention:
        model(hidden)
    seen = [taken.weights for taken in reference.seen]
    counted = Result("own")
    compare(attention.attention, reference.seen, counted)
    assert (counted.exact, counted.vectors) == (2, 2)
    for wrong in (
        [weights.flip(1) for weights in seen],
        [weights + 2e-5 for weights in seen],
        [weights.flip(0) for weights in seen],
    ):
        counted = Result("own")
        compare(attention.attention, [Seen(weights) for weights in wrong], counted)
        assert counted.exact == 0
        assert counted.reason == "2 recorded layers match no call"


def test_the_measure_of_edits_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another head, another layer, a head that is only scaled, and an edit that does nothing are not counted."""
    model = zoo.wake(others.Own())
    inputs = {"hidden": others.hidden_states(rows=2)}
    attention = capture(model, inputs, batch=1)

    def measured() -> tuple[int, int]:
        found = measure_edits(model, inputs, attention, hooks)
        return found.same, found.heads

    assert measured() == (4, 4)
    for wrong in (
        lambda pair: ablate((pair[0], (pair[1] + 1) % 3)),
        lambda pair: ablate((1 - pair[0], pair[1])),
        lambda pair: ablate(pair, how="mean", source=[attention]),
        lambda _: ablate([]),
    ):
        monkeypatch.setattr(
            "capture.coverage.edited.intervening",
            lambda model, edit, wrong=wrong: intervening(model, _wrong(edit, wrong)),
        )
        assert measured() == (0, 4)


def test_the_measure_of_links_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another head, another query, another key, weights that are not made to add up, and no cut at all are not counted."""
    model = zoo.wake(others.Own())
    inputs = {"hidden": others.hidden_states(rows=2)}
    attention = capture(model, inputs, batch=1)

    def measured() -> tuple[int, int, int]:
        found = measure_links(model, inputs, attention)
        return found.same, found.idle, found.links

    assert measured() == (2, 0, 2)
    for wrong in (
        {"heads": (0, 0)},
        {"query": 0, "key": 1},
        {"key": 0, "query": 4},
        {"renormalise": False},
        {"key": 999},
    ):
        monkeypatch.setattr(
            "capture.coverage.links.cut",
            lambda wrong=wrong, **given: cut(**{**given, **_named(wrong, given)}),
        )
        assert measured()[0] == 0, wrong


def _named(wrong: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Name the layer of a cut in the heads that are put in its place."""
    return {"heads": (given["heads"][0], wrong["heads"][1])} if "heads" in wrong else wrong


def test_a_link_without_effect_is_told_from_one_that_is_not_cut() -> None:
    model = zoo.wake(others.Own())
    inputs = {"hidden": others.hidden_states(rows=2)}
    attention = capture(model, inputs, batch=1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "proj" in name:
                parameter.zero_()
    found = measure_links(model, inputs, attention)
    assert (found.same, found.idle, found.links) == (2, 2, 2)


def _wrong(edit: Any, wrong: Any) -> Any:
    return wrong(edit.parts[0].heads[0]) if edit else edit


def test_two_records_that_differ() -> None:
    """What is said of another text, another position and other weights."""
    model, ids = zoo.build("bert"), zoo.ids(7)
    one = capture(model, ids)
    assert difference(one, capture(model, ids)) == ""
    assert difference(one, capture(model, ids, layers=[1])).startswith("layers {")
    assert difference(one, capture(model, zoo.ids(7, seed=1))) == "other query positions in encoder"
    moved = capture(model, ids, position_ids=torch.arange(7)[None] + 9)
    assert difference(one, moved) == "other weights in encoder 0"


def test_the_reference_sees_what_eager_attention_returns() -> None:
    model, inputs = zoo.build("bart-2-4"), zoo.inputs_of("bart-2-4")
    with torch.no_grad(), Reference() as reference:
        own = model(**inputs, output_attentions=True)
    assert len(reference.seen) == 2 + 4 + 4
    torch.testing.assert_close(reference.seen[1].weights, own.encoder_attentions[1])
    torch.testing.assert_close(reference.seen[-1].weights, own.cross_attentions[-1])
    assert len(capture(model, inputs)["cross"]) == 4


def test_the_measure_of_gradients_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo.wake(others.Own())
    inputs = {"hidden": others.hidden_states(rows=2)}
    attention = capture(model, inputs, batch=1)
    found = measure_gradients(model, inputs, attention, 1)
    assert (found.same, found.layers, found.why) == (2, 2, {})
    whole = Gradients.compute
    monkeypatch.setattr(Gradients, "compute", lambda self, number: whole(self, number / 2))
    found = measure_gradients(model, inputs, attention, 1)
    assert found.same == 0
    assert sum(found.why.values()) == 2


def test_the_table(tmp_path: Path) -> None:
    results = [
        Result(
            "alpha",
            model="A",
            streams={"encoder": 2},
            calls=2,
            exact=2,
            captured=1,
            vectors=1,
            error=1e-7,
            heads=4,
            edited=3,
            links=2,
            cut=1,
            still=1,
            not_cut={"attends within windows: refused": 1},
            layers=2,
            sloped=1,
        ),
        Result("beta", model="B", streams={}, calls=3, same=False, reason="a | b"),
        Result("gamma", outcome="not built", reason="ImportError: timm"),
    ]
    write(results, tmp_path / "coverage.md")
    text = (tmp_path / "coverage.md").read_text()
    assert (
        "| type | streams | calls | `recording` | `capture` | max error | vectors | edited | links | gradients | remarks |"
        in text
    )
    assert (
        "| alpha | encoder 2 | 2 | 2 | 1 | 1e-07 | 1 | 3 of 4 | 1 of 2 (1 idle) | 1 of 2 |  |"
        in text
    )
    assert "| beta |  | 3 | 0 | 0 | – | 0 | 0 of 0 | – | – | a / b; output differs |" in text
    assert "- gamma: ImportError: timm" in text
    assert "| with attention | 2 |" in text
    assert "| every call exact by capture | 0 |" in text
    assert "| with a link to be cut | 1 |" in text
    assert "| every link cut as the reference | 0 |" in text
    assert "Links cut: 2, as the reference: 1, of these without effect in both: 1." in text
    assert "## Not every link cut: 1\n\n- attends within windows: refused: alpha\n" in text
    assert "Layers with gradients: 2, as autograd: 1." in text
    assert "## Not every layer with gradients: 1\n\n- alpha, 1 of 2: not known why\n" in text
    assert {"bert", "gpt2", "whisper"} <= set(model_types())


def test_the_table_is_read_back_and_some_of_it_measured_again(tmp_path: Path) -> None:
    committed = Path(__file__).parent / "coverage.md"
    copy = tmp_path / "coverage.md"
    write(read(committed), copy, unsaid(committed))
    whole, read_back = committed.read_text("utf-8"), copy.read_text("utf-8")
    start = whole.index("| | types |")
    assert read_back[read_back.index("| | types |") :] == whole[start:]
    more = Result(
        "bert",
        streams={"encoder": 1},
        calls=1,
        exact=1,
        captured=1,
        vectors=1,
        heads=2,
        edited=2,
        idle=1,
    )
    again = merged(committed, [more, Result("llama", outcome="not run", reason="as a test")])
    write(again, copy, unsaid(committed))
    text = copy.read_text("utf-8")
    assert "| bert | encoder 1 | 1 | 1 | 1 | 0e+00 | 1 | 2 of 2 (1 idle) | – | – |  |" in text
    assert "- llama: as a test" in text
    assert "| llama |" not in text
    assert len(again) == len(read(committed))
    assert unsaid(copy) == unsaid(committed)


def test_operations_of_torchvision_are_declared_where_its_library_does_not_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "_C.so").write_bytes(b"no library")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(torchvision_operations, "_declared", [])
    torchvision_operations.declare_operations()
    assert len(torchvision_operations._declared) == 1
    schema = str(torch.ops.torchvision.nms.default._schema)
    assert schema.startswith("torchvision::nms(Tensor dets, Tensor scores, float iou_threshold)")
    # Once is enough: a second declaration would raise.
    torchvision_operations.declare_operations()
    assert len(torchvision_operations._declared) == 1


def test_a_head_zeroed_before_a_convolution_lies_in_memory_as_it_did() -> None:
    given = torch.rand(2, 6, 3, 4) + 1
    zero = next(input_cuts(torch.nn.Conv2d(6, 2, 1), given.shape, 3, None)).zeroed(given, 1, 3)
    assert zero.stride() == given.stride()
    assert not zero[:, 2:4].any()
    assert torch.equal(zero[:, [0, 1, 4, 5]], given[:, [0, 1, 4, 5]])
    assert given.all()
