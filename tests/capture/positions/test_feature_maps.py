"""Keys out of a convolutional backbone lie in the picture; object queries, however many, do not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf

from attnwidget.capture.architecture.submodels import Submodel
from attnwidget.capture.positions.grids import feature_map
from attnwidget.recordings import capture


def detr(queries: int = 5) -> Any:
    backbone = hf.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], out_features=["stage2"]
    )
    config = hf.DetrConfig(
        use_timm_backbone=False, backbone=None, backbone_config=backbone, d_model=16,
        encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=queries,
    )  # fmt: skip
    return hf.DetrForObjectDetection(config).eval()


@pytest.mark.parametrize("size", [(64, 96), (60, 90)])
def test_keys_of_object_queries_lie_in_the_picture(size: tuple[int, int]) -> None:
    attention = capture(detr(), {"pixel_values": torch.rand(1, 3, *size)})
    keys = attention["cross"].key_positions
    assert [(each.row, each.column) for each in keys] == [
        (row, column) for row in range(8) for column in range(12)
    ]
    assert {(each.grid, each.medium) for each in keys} == {((8, 12), 0)}
    assert attention["encoder"].key_positions == keys
    assert {each.row for each in attention["decoder"].key_positions} == {None}
    assert attention.figure("image", stream="cross", layer=0, heads=[0], query=2).svg


def test_object_queries_as_many_as_cells_have_no_place() -> None:
    attention = capture(detr(queries=24), {"pixel_values": torch.rand(1, 3, 32, 48)})
    assert len(attention["cross"].key_positions) == 24
    assert {each.row for each in attention["decoder"].query_positions} == {None}


def test_several_maps_of_one_picture() -> None:
    submodel = Submodel("", detr())
    submodel.passes.append({"pixel_values": (1, 3, 64, 96)})
    found = feature_map(submodel, 8 * 12 + 4 * 6 + 2 * 3)
    assert found is not None
    assert [found[place].grid for place in (0, 96, 120)] == [(8, 12), (4, 6), (2, 3)]
    assert (found[97].row, found[97].column) == (0, 1)
    assert feature_map(submodel, 97) is None
