"""A patch from an input of another length is refused before the model runs, where its length can be told."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import zoo

import attnwidget as aw

TEXT = "the cat sat on the mat because it"


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


def _passes(model: Any) -> list[int]:
    """Count the passes of a model from now on."""
    counted: list[int] = []
    model.register_forward_pre_hook(lambda *_: counted.append(1))
    return counted


@pytest.mark.parametrize("what", ["output", "pattern", "value"])
def test_nothing_runs_for_a_record_of_another_length(what: Any) -> None:
    model, tokenizer = aw.pocket()
    edit = aw.patch(aw.capture(model, TEXT, tokenizer), heads=(3, 3), what=what)
    counted = _passes(model)
    other = "the cat sat on"
    ids = tokenizer(other, return_tensors="pt")["input_ids"]
    for door in (
        lambda: aw.what_if(model, other, tokenizer, edit),
        lambda: aw.capture(model, other, tokenizer, interventions=edit),
        lambda: aw.capture(model, {"input_ids": ids}, interventions=edit),
        lambda: aw.capture(
            model, other, tokenizer, interventions=aw.Edits.from_json(edit.to_json())
        ),
    ):
        with pytest.raises(ValueError, match="has 9 positions, the input 5: take one of an input"):
            door()
    assert not counted
    aw.capture(model, TEXT.replace("cat", "dog"), tokenizer, interventions=edit)
    assert counted


def test_a_row_of_a_batch_is_counted_with_and_without_its_padding() -> None:
    model = zoo.build("llama", "sdpa")
    edit = aw.patch(aw.capture(model, {"input_ids": zoo.ids(5)}), heads=(1, 1))
    ids = zoo.ids(7, rows=2)
    mask = torch.ones_like(ids)
    mask[0, :2] = 0
    counted = _passes(model)
    with pytest.raises(ValueError, match="has 5 positions, the input 7"):
        aw.capture(model, {"input_ids": ids, "attention_mask": mask}, batch=1, interventions=edit)
    assert not counted
    short = {"input_ids": ids[:1], "attention_mask": mask[:1]}
    changed = aw.capture(model, short, interventions=edit)
    assert changed["decoder"][1].n_query == 5


@pytest.mark.parametrize(
    ("stream", "what", "kept"),
    [
        ("encoder", "output", ("decoder_input_ids",)),
        ("decoder", "output", ("input_ids", "attention_mask")),
        ("cross", "output", ("input_ids", "attention_mask")),
        ("cross", "value", ("decoder_input_ids",)),
    ],
)
def test_each_side_has_its_own_length(stream: str, what: Any, kept: tuple[str, ...]) -> None:
    model = zoo.build("t5-4-2", "sdpa")
    inputs = zoo.inputs_of("t5-4-2")
    record = aw.capture(model, inputs)
    edit = aw.patch(record, heads=(0, 0), what=what, stream=stream)
    axis = record.streams[stream]
    there = len(axis.key_positions if what == "value" else axis.query_positions)
    shorter = {name: tensor if name in kept else tensor[:, :-1] for name, tensor in inputs.items()}
    counted = _passes(model)
    with pytest.raises(ValueError, match=f"has {there} positions, the input {there - 1}"):
        aw.capture(model, shorter, interventions=edit)
    assert not counted
    # The length of the other side does not matter.
    longer = {name: tensor[:, :-1] if name in kept else tensor for name, tensor in inputs.items()}
    aw.capture(model, longer, interventions=edit)


def test_where_positions_are_no_tokens_the_unedited_run_tells() -> None:
    model = zoo.build("vit", "sdpa")
    inputs = zoo.inputs_of("vit")
    edit = aw.patch(aw.capture(model, inputs), heads=(0, 0))
    record = aw.patch(aw.capture(*aw.pocket()[:1], TEXT, aw.pocket()[1]), heads=(0, 0))
    assert not edit.parts[0].of_tokens  # type: ignore[union-attr]
    assert record.parts[0].of_tokens  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="has 9 positions, the input "):
        aw.what_if(model, inputs, None, record)
