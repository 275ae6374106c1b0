"""Attention that is computed in blocks, buckets or with side keys: one adapter for each such kind of module.

General recognition follows scores to the softmax and on to the values; these modules cut them up, shift and sort them in
between. An adapter knows how one kind of module does that: where each number that went into its softmax belongs among
query and key. It reads only what passed by while the module ran.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.sparse.bigbird import BigBird
from attnwidget.capture.sparse.longformer import Longformer
from attnwidget.capture.sparse.longt5 import LongT5
from attnwidget.capture.sparse.nystrom import Nystrom
from attnwidget.capture.sparse.pegasus_x import PegasusX
from attnwidget.capture.sparse.reformer import ReformerLocal, ReformerLSH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from torch import nn

    from attnwidget.capture.sparse.rows import Adapter
    from attnwidget.capture.taps.events import RunningModule

__all__ = ["ADAPTERS", "adapter_of", "watched_children"]

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
    "NystromformerSelfAttention": Nystrom(),
    "LocalSelfAttention": ReformerLocal(),
    "LSHSelfAttention": ReformerLSH(),
}


def adapter_of(module: nn.Module) -> Adapter | None:
    """Find the adapter for a module, if it needs one."""
    return next(
        (ADAPTERS[kind.__name__] for kind in type(module).__mro__ if kind.__name__ in ADAPTERS),
        None,
    )


def watched_children(
    modules: Iterable[nn.Module], running: Callable[[], RunningModule | None]
) -> Iterator[tuple[nn.Module, None, Callable[[Any], None]]]:
    """Find the children whose outputs adapters want to see.

    Args:
        modules: Modules that may need an adapter.
        running: Says which module runs.

    Yields:
        What to watch: a child, and what to call with its output.
    """
    for module in modules:
        adapter = adapter_of(module)
        for name in () if adapter is None else adapter.children:
            child = getattr(module, name, None)
            if child is not None:
                yield child, None, _output_hook(module, name, running)


def _output_hook(
    module: nn.Module, name: str, running: Callable[[], RunningModule | None]
) -> Callable[[Any], None]:
    def note(output: Any) -> None:
        frame = running()
        if frame is None or frame.module is not module or frame.trace is None:
            return
        if isinstance(output, torch.Tensor):
            frame.trace.outputs.setdefault(name, []).append(output)

    return note
