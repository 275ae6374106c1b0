"""Masks of every form are read as the keys each query sees."""

from __future__ import annotations

import sys

import pytest
import torch

from attnwidget.capture.calls.mask_reader import MaskView, fit_band
from attnwidget.compute.masks import Band

BANDS = [
    Band(causal=True),
    Band(causal=True, offset=2),
    Band(causal=True, window=3),
    Band(causal=True, offset=2, window=3),
    Band(causal=True, offset=2, window=1),
    Band(causal=False, window=1),
    Band(causal=False, window=3),
]


def seen_by(band: Band, queries: int = 5, keys: int = 7) -> torch.Tensor:
    return band.visible(torch.arange(queries), torch.arange(keys))


@pytest.mark.parametrize("additive", [False, True])
@pytest.mark.parametrize("band", BANDS, ids=str)
def test_bands_are_recognised(band: Band, additive: bool) -> None:  # noqa: FBT001
    seen = seen_by(band)
    mask = (
        torch.zeros(5, 7).masked_fill(~seen, torch.finfo(torch.float32).min) if additive else seen
    )
    view = MaskView(mask.expand(2, 1, 5, 7), 5, 7, batch=1)
    spans = view.spans(torch.arange(5), torch.arange(7))
    assert spans.dense is None
    fitted = fit_band(spans.start, spans.stop, 7)
    assert fitted is not None
    assert torch.equal(seen_by(fitted), seen)


def test_square_bands_are_named_as_they_are_meant() -> None:
    for band in (Band(causal=True), Band(causal=True, window=3), Band(causal=False, window=2)):
        seen = seen_by(band, 7, 7)
        spans = MaskView(seen[None, None], 7, 7, batch=0).spans(torch.arange(7), torch.arange(7))
        assert fit_band(spans.start, spans.stop, 7) == band


def test_nothing_hidden_is_no_band() -> None:
    view = MaskView(torch.ones(1, 1, 1, 7, dtype=torch.bool), 5, 7, batch=0)
    spans = view.spans(torch.arange(5), torch.arange(7))
    assert fit_band(spans.start, spans.stop, 7) is None


def test_no_queries_see_nothing() -> None:
    view = MaskView(torch.ones(1, 1, 5, 7, dtype=torch.bool), 5, 7, batch=0)
    spans = view.spans(torch.arange(0), torch.arange(7))
    assert (len(spans.start), len(spans.stop), spans.dense) == (0, 0, None)


def test_many_runs_are_not_mistaken_for_one() -> None:
    mask = (torch.arange(1026) % 2 == 0).expand(1, 1, 5, 1026)
    assert (
        MaskView(mask, 5, 1026, batch=0).spans(torch.arange(5), torch.arange(1026)).dense
        is not None
    )


def test_dropped_keys_close_the_gap() -> None:
    mask = seen_by(Band(causal=True), 7, 7) & torch.tensor([1, 1, 0, 0, 1, 1, 1]).bool()
    view = MaskView(mask[None, None], 7, 7, batch=0)
    real = torch.tensor([0, 1, 4, 5, 6])
    spans = view.spans(real, real)
    assert fit_band(spans.start, spans.stop, 5) == Band(causal=True)
    assert not view.sees_any(real, torch.tensor([2, 3]))
    assert view.sees_any(real, torch.tensor([3, 4]))
    assert view.spans(torch.arange(7), torch.arange(7)).dense is not None


def test_no_mask_is_read_off_the_flags() -> None:
    everything = torch.arange(5), torch.arange(7)
    for offset, window in ((0, None), (2, None), (2, 3)):
        view = MaskView(None, 5, 7, batch=0, causal=True, offset=offset, window=window)
        spans = view.spans(*everything)
        assert fit_band(spans.start, spans.stop, 7) == Band(
            causal=True, offset=offset, window=window
        )
        assert torch.equal(view._seen(*everything)[0], seen_by(Band(True, offset, window)))  # noqa: FBT003
    view = MaskView(None, 7, 7, batch=0, window=3)
    spans = view.spans(torch.arange(7), torch.arange(7))
    assert fit_band(spans.start, spans.stop, 7) == Band(causal=False, window=2)


def test_flash_padding_masks_have_two_axes() -> None:
    mask = torch.tensor([[1] * 7, [1, 1, 1, 1, 0, 0, 0]])
    view = MaskView(mask, 7, 7, batch=1, causal=True)
    assert not view.sees_any(torch.arange(7), torch.tensor([4, 5, 6]))
    spans = view.spans(torch.arange(4), torch.arange(4))
    assert fit_band(spans.start, spans.stop, 4) == Band(causal=True)


def test_flex_masks_are_evaluated() -> None:
    flex = pytest.importorskip("torch.nn.attention.flex_attention")
    real = torch.tensor([[True] * 7, [False, False, True, True, True, True, True]])

    def seen(
        batch: torch.Tensor, _head: torch.Tensor, query: torch.Tensor, key: torch.Tensor
    ) -> torch.Tensor:
        return (query >= key) & (query - key < 3) & real[batch, key]

    mask = flex.create_block_mask(seen, B=2, H=None, Q_LEN=7, KV_LEN=7, device="cpu")
    keep = torch.arange(2, 7)
    view = MaskView(mask, 7, 7, batch=1)
    assert not view.sees_any(keep, torch.tensor([0, 1]))
    spans = view.spans(keep, keep)
    assert fit_band(spans.start, spans.stop, 5) == Band(causal=True, window=3)


def test_what_is_no_run_of_keys_is_kept() -> None:
    mask = seen_by(Band(causal=True, offset=2)).clone()
    mask[4, 1] = False
    dense = MaskView(mask[None, None], 5, 7, batch=0).spans(torch.arange(5), torch.arange(7)).dense
    assert dense is not None
    assert torch.equal(dense[0] == 0, mask)
    assert torch.equal(dense[0].isinf(), ~mask)


def test_each_head_may_have_a_mask() -> None:
    mask = torch.stack([seen_by(Band(causal=True, window=size)) for size in (1, 2, 3)])[None]
    dense = MaskView(mask, 5, 7, batch=0).spans(torch.arange(5), torch.arange(7)).dense
    assert dense is not None
    assert torch.equal(dense == 0, mask[0])


def test_a_row_that_is_hidden_altogether_keeps_its_numbers() -> None:
    lowest = torch.finfo(torch.float32).min
    mask = torch.zeros(5, 7)
    mask[3] = lowest
    mask[4, 2] = lowest
    dense = MaskView(mask[None, None], 5, 7, batch=0).spans(torch.arange(5), torch.arange(7)).dense
    assert dense is not None
    assert (dense[0, 3] == lowest).all()
    assert dense[0, 4, 2] == float("-inf")


def test_the_tail_of_a_static_cache_is_never_seen() -> None:
    mask = seen_by(Band(causal=True), 5, 12)
    assert MaskView(mask[None, None], 5, 12, batch=0).last_seen() == 5
    assert MaskView(None, 5, 12, batch=0).last_seen() == 12


def test_masks_are_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[MaskView.__module__], "_BLOCK", 16)
    test_bands_are_recognised(BANDS[3], additive=True)
    test_what_is_no_run_of_keys_is_kept()
    test_the_tail_of_a_static_cache_is_never_seen()
