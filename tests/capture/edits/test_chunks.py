"""Pictures packed into one row, which a module attends within one after the other: positions count over all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support import zoo
from support.model_checks import tensors
from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLVisionConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel

import attnwidget as aw

SIZE = 16  # patches of a picture


@pytest.fixture(scope="module")
def model() -> Any:
    config = Qwen2VLVisionConfig(
        depth=2, embed_dim=24, hidden_size=24, num_heads=3, mlp_ratio=2, patch_size=4, in_channels=3
    )
    return zoo.wake(Qwen2VisionTransformerPretrainedModel(config))


def _pictures(*seeds: int) -> dict[str, torch.Tensor]:
    patches = [
        torch.randn(SIZE, 3 * 2 * 4 * 4, generator=torch.Generator().manual_seed(seed))
        for seed in seeds
    ]
    return {"hidden_states": torch.cat(patches), "grid_thw": torch.tensor([[1, 4, 4]] * len(seeds))}


def _stream(record: aw.Attention) -> Any:
    (stream,) = record.streams.values()
    return stream


def test_a_link_is_cut_in_its_own_picture_alone(model: Any) -> None:
    both, second = _pictures(1, 2), _pictures(2)
    with torch.no_grad():
        clean = model(**both).last_hidden_state
        assert _stream(aw.capture(model, both))[0].n_query == 2 * SIZE
        with aw.intervening(model, aw.cut(query=SIZE + 4, key=SIZE + 9)):
            got = model(**both).last_hidden_state
        with aw.intervening(model, aw.cut(query=4, key=SIZE + 9)):  # of another picture: not seen
            across = model(**both).last_hidden_state
        aw.capture(model, second)
        with aw.intervening(model, aw.cut(query=4, key=9)):
            alone = model(**second).last_hidden_state
    assert torch.equal(got[:SIZE], clean[:SIZE])
    torch.testing.assert_close(got[SIZE:], alone, rtol=0, atol=2e-6)
    assert float((got[SIZE:] - clean[SIZE:]).abs().max()) > 1e-3
    assert torch.equal(across, clean)


@pytest.mark.parametrize("way", ["resample", "mean", "output", "pattern", "value"])
def test_what_is_taken_from_a_record_is_taken_position_by_position(model: Any, way: Any) -> None:
    inputs = _pictures(1, 2)
    with torch.no_grad():
        source = aw.capture(model, _pictures(3, 4))
        own = aw.capture(model, inputs)
        clean = tensors(model(**inputs))
        if way in {"resample", "mean"}:
            edit = aw.ablate(heads=(1, 1), how=way, source=source)
        else:
            edit = aw.patch(source, heads=(1, 1), what=way)
            with aw.intervening(model, aw.patch(own, heads=(1, 1), what=way)):
                assert all(map(torch.equal, clean, tensors(model(**inputs))))
        seen: list[torch.Tensor] = []
        projection = model.blocks[1].attn.proj
        handle = projection.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        with aw.intervening(model, edit):
            model(**inputs)
        handle.remove()
    other, mine = _stream(source)[1], _stream(own)[1]
    expected = {
        "pattern": lambda: other.weights(1) @ mine.value_vectors(1),
        "value": lambda: mine.weights(1) @ other.value_vectors(1),
    }.get(way, lambda: other.output(1))()
    given = seen[0].reshape(2 * SIZE, 3, -1)
    np.testing.assert_allclose(given[:, 1], expected, rtol=0, atol=2e-6)
    np.testing.assert_allclose(given[:, 0], mine.output(0), rtol=0, atol=2e-6)


def test_a_source_of_fewer_pictures_is_refused(model: Any) -> None:
    inputs = _pictures(1, 2)
    with torch.no_grad():
        source = aw.capture(model, _pictures(3))
        aw.capture(model, inputs)
        for edit in (
            aw.ablate(heads=(1, 1), how="resample", source=source),
            aw.patch(source, heads=(1, 1)),
        ):
            with (
                pytest.raises(ValueError, match="has 16 positions, the input 32 or more"),
                aw.intervening(model, edit),
            ):
                model(**inputs)
