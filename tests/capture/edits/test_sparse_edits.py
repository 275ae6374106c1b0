"""Heads of sparse layouts: what is put in their place, what is refused, and that a projection is believed by its numbers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support import sparse, zoo
from support.knocked_out import projection, zeroed
from support.model_checks import tensors
from torch import nn

import attnwidget as aw
from attnwidget.capture.edits.places import recorded_places

if TYPE_CHECKING:
    from collections.abc import Iterator

# Layouts in which an output in a record is what the projection is given.
PLAIN = ["longformer", "bigbird", "bigbird-pegasus", "longt5-local", "longt5-global", "pegasus_x",
         "reformer", "reformer-hashes"]  # fmt: skip
PADDING = 2  # half a block of PEGASUS-X, which every other layer puts before the text


def _build(name: str) -> Any:
    return zoo.wake({**sparse.MODELS, **sparse.LANDMARKS}[name]())


def _text(name: str, seed: int) -> dict[str, torch.Tensor]:
    """One row without padding."""
    inputs = {key: value[:1] for key, value in sparse.inputs_of(name).items()}
    generator = torch.Generator().manual_seed(seed)
    inputs["input_ids"] = torch.randint(
        3, zoo.VOCABULARY, inputs["input_ids"].shape, generator=generator
    )
    return inputs


@contextmanager
def _given(
    model: nn.Module, path: str, head: int, heads: int, rows: torch.Tensor
) -> Iterator[None]:
    """Put rows in the place of a head's in what the projection of a module is given; global tokens are its last rows."""
    runs: list[int] = []

    def hook(_module: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        own = given[0].clone()
        view = own.view(*own.shape[:2], heads, -1)[:, :, head]
        extra = len(rows) - sparse.LENGTH
        put = rows
        if extra:  # PEGASUS-X projects its global tokens first
            put = rows[: sparse.LENGTH] if runs else rows[sparse.LENGTH :]
        padded = sparse.LENGTH + -sparse.LENGTH % 4
        start = PADDING if extra and runs and own.shape[1] > padded else 0
        runs.append(1)
        view[:, start : start + len(put)] = put
        return (own,)

    handle = projection(model, path).register_forward_pre_hook(hook)
    yield
    handle.remove()


@pytest.mark.parametrize("name", PLAIN)
def test_what_a_record_has_of_a_head_is_put_where_it_is_projected(name: str) -> None:
    model, inputs, other = _build(name), _text(name, 5), _text(name, 6)
    with torch.no_grad():
        source, clean = aw.capture(model, other), aw.capture(model, inputs)
        plain = tensors(model(**inputs))
        for number, way in enumerate(("resample", "patch")):
            place = (recorded_places(model) or {})["encoder", number]
            head, layer = 1, source["encoder"][number]
            rows = torch.tensor(layer.output(head))
            with _given(model, place.path, head, layer.num_heads, rows):
                expected = tensors(model(**inputs))
            if way == "patch":
                edit = aw.patch(source, heads=(number, head), stream="encoder")
            else:
                edit = aw.ablate(
                    heads=(number, head), how="resample", source=source, stream="encoder"
                )
            with aw.intervening(model, edit):
                got = tensors(model(**inputs))
            for one, two in zip(got, expected, strict=True):
                torch.testing.assert_close(one, two, rtol=0, atol=1e-6)
            assert not all(map(torch.equal, got, plain))
            changed = aw.capture(model, inputs, interventions=edit)["encoder"][number]
            np.testing.assert_allclose(changed.output(head), layer.output(head), atol=1e-6)
            np.testing.assert_array_equal(changed.output(0), clean["encoder"][number].output(0))


@pytest.mark.parametrize("name", ["longformer", "longt5-global", "pegasus_x", "reformer-hashes"])
def test_a_patch_with_what_the_head_puts_out_changes_no_bit(name: str) -> None:
    model, inputs = _build(name), _text(name, 5)
    with torch.no_grad():
        clean = tensors(model(**inputs))
        record = aw.capture(model, inputs)
        for edit in (
            aw.patch(record, heads=[(0, 0), (1, 2)], stream="encoder"),
            aw.patch(record, heads=(1, 1), positions=[3, -1], stream="encoder"),
        ):
            with aw.intervening(model, edit):
                assert all(map(torch.equal, clean, tensors(model(**inputs))))


def test_positions_of_a_patch_are_those_of_the_text() -> None:
    model, inputs = _build("pegasus_x"), _text("pegasus_x", 5)
    with torch.no_grad():
        source, clean = aw.capture(model, _text("pegasus_x", 6)), aw.capture(model, inputs)
        for position in (4, sparse.LENGTH + 1):  # one of the text, one of the global tokens
            edit = aw.patch(source, heads=(1, 1), positions=position, stream="encoder")
            changed = aw.capture(model, inputs, interventions=edit)["encoder"][1]
            expected = clean["encoder"][1].output(1).copy()
            expected[position] = source["encoder"][1].output(1)[position]
            np.testing.assert_allclose(changed.output(1), expected, atol=1e-6)
        place = (recorded_places(model) or {})["encoder", 1]
        rows = clean["encoder"][1].output(1).copy()
        rows[4] = source["encoder"][1].output(1)[4]
        with _given(model, place.path, 1, 3, torch.tensor(rows)):
            expected_output = tensors(model(**inputs))
        edit = aw.patch(source, heads=(1, 1), positions=4, stream="encoder")
        with aw.intervening(model, edit):
            for one, two in zip(tensors(model(**inputs)), expected_output, strict=True):
                torch.testing.assert_close(one, two, rtol=0, atol=1e-6)


def test_a_mean_stands_at_each_position() -> None:
    model, inputs = _build("bigbird"), _text("bigbird", 5)
    with torch.no_grad():
        several = [aw.capture(model, _text("bigbird", seed)) for seed in (6, 7)]
        clean = tensors(model(**inputs))
        layers = [record["encoder"][1] for record in several]
        rows = torch.tensor(np.mean([layer.output(2) for layer in layers], axis=0))
        place = (recorded_places(model) or {})["encoder", 1]
        with _given(model, place.path, 2, 3, rows):
            expected = tensors(model(**inputs))
        edit = aw.ablate(heads=(1, 2), how="mean", source=several)
        with aw.intervening(model, edit):
            got = tensors(model(**inputs))
    for one, two in zip(got, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-6)
    assert not all(map(torch.equal, got, clean))


def test_gradients_flow_through_an_edit() -> None:
    model, inputs = _build("longformer"), _text("longformer", 5)
    aw.capture(model, inputs)
    with aw.intervening(model, aw.ablate(heads=(0, 1))):
        model(**inputs).last_hidden_state.sum().backward()
    got = {name: one.grad for name, one in model.named_parameters() if one.grad is not None}
    model.zero_grad()
    place = (recorded_places(model) or {})["encoder", 0]
    with zeroed(model, place.path, 1, 8):
        model(**inputs).last_hidden_state.sum().backward()
    for name, one in model.named_parameters():
        if name in got:
            torch.testing.assert_close(one.grad, got[name])
    assert got


class _Halved(nn.Module):
    """A projection that is given half of what the heads put out, and another module that halves it."""

    def __init__(self, dense: nn.Linear) -> None:
        super().__init__()
        self.dense = dense

    def forward(self, given: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        summed: torch.Tensor = self.dense(given / 2) + states
        return summed


def test_a_projection_that_is_given_something_else_is_refused() -> None:
    model, inputs = _build("longformer"), _text("longformer", 5)
    attention = model.encoder.layer[1].attention
    attention.output = _Halved(attention.output.dense)
    aw.capture(model, inputs)
    with (
        pytest.raises(ValueError, match="given is not what its heads put out"),
        aw.intervening(model, aw.ablate(heads=(1, 0))),
    ):
        model(**inputs)
    attention.output = None
    with (
        pytest.raises(ValueError, match=r"is not at \.\./output\.dense"),
        aw.intervening(model, aw.ablate(heads=(1, 0))),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("bigbird", lambda _: aw.cut(key=3), "sparse layout.*cut cannot be applied"),
        ("bigbird", lambda record: aw.patch(record, heads=(0, 0), what="pattern"), "cannot be applied there"),
        ("bigbird", lambda record: aw.patch(record, heads=(0, 0), what="value"), "cannot be applied there"),
        ("longformer-global", lambda record: aw.ablate(heads=(0, 0), how="resample", source=record), "global attention.*zero"),
        ("nystromformer", lambda record: aw.patch(record, heads=(0, 0)), "adds a convolution.*zero"),
        ("pegasus_x", lambda record: aw.ablate(heads=(0, 0), how="mean", source=record, stream="encoder"), "averaged.*zero"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_there_is_refused(name: str, edit: Any, message: str) -> None:
    model, inputs = _build(name), _text(name, 5)
    record = aw.capture(model, inputs)
    with (
        torch.no_grad(),
        pytest.raises(ValueError, match=message),
        aw.intervening(model, edit(record)),
    ):
        model(**inputs)


def test_a_source_of_another_length_is_refused() -> None:
    model, inputs = _build("longformer"), _text("longformer", 5)
    short = aw.capture(model, {key: value[:, :9] for key, value in _text("longformer", 6).items()})
    aw.capture(model, inputs)
    for edit in (
        aw.ablate(heads=(0, 0), how="resample", source=short),
        aw.patch(short, heads=(0, 0)),
    ):
        with (
            torch.no_grad(),
            pytest.raises(ValueError, match="has 9 positions, the input 21"),
            aw.intervening(model, edit),
        ):
            model(**inputs)


def test_effects_are_those_of_each_head_alone() -> None:
    model, inputs = _build("bigbird"), _text("bigbird", 5)
    states = torch.randn(24, generator=torch.Generator().manual_seed(1))

    def metric(output: Any) -> torch.Tensor:
        return output.last_hidden_state[0, 0] @ states

    found = aw.effects(model, inputs, metric=metric)
    assert set(found.ways) == {"one by one"}
    # Gradients come as far as the projections.
    assert not np.isnan(found.streams["encoder"].estimate).any()
    with torch.no_grad():
        value = float(metric(model(**inputs)))
        for layer in range(2):
            for head in range(3):
                with aw.intervening(model, aw.ablate(heads=(layer, head))):
                    alone = float(metric(model(**inputs)))
                assert found["encoder"][layer, head] == pytest.approx(alone - value, abs=1e-5)
