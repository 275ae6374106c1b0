"""Attention that is computed in blocks, buckets or with side keys: one adapter for each such kind of module.

General recognition follows scores to the softmax and on to the values; these modules cut them up, shift and sort them in
between. An adapter knows how one kind of module does that: where each number that went into its softmax belongs among
query and key. It reads only what passed by while the module ran.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnwidget.capture.adapters.bigbird import BigBird
from attnwidget.capture.adapters.longformer import Longformer
from attnwidget.capture.adapters.longt5 import LongT5
from attnwidget.capture.adapters.pegasus_x import PegasusX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from attnwidget.capture.adapters.strips import Adapter

__all__ = ["ADAPTERS", "adapter_of"]

# By the name of the class, so that no modelling file is imported and copies of one are known too. What an adapter says is
# checked against the weights of the model itself.
ADAPTERS: Mapping[str, Adapter] = {
    "LongformerSelfAttention": Longformer(),
    "LEDEncoderSelfAttention": Longformer(),
    "BigBirdBlockSparseAttention": BigBird(),
    "BigBirdPegasusBlockSparseAttention": BigBird(),
    "LongT5LocalAttention": LongT5(),
    "LongT5TransientGlobalAttention": LongT5(),
    "PegasusXGlobalLocalAttention": PegasusX(),
}


def adapter_of(module: nn.Module) -> Adapter | None:
    """Find the adapter for a module, if it needs one."""
    return next(
        (ADAPTERS[kind.__name__] for kind in type(module).__mro__ if kind.__name__ in ADAPTERS),
        None,
    )
