"""Adapters for sparse attention by module class.

General recognition follows scores to the softmax and on to the values; these modules cut them up, shift and sort them in
between. An adapter knows how one kind of module does that: which query and key each number that went into its softmax is
of. It reads only the trace of the module's run.
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
    modules: Iterable[nn.Module], current: Callable[[], RunningModule | None]
) -> Iterator[tuple[nn.Module, None, Callable[[Any], None]]]:
    """Find the children whose outputs adapters read.

    Args:
        modules: Modules that may need an adapter.
        current: Returns the module that runs.

    Yields:
        Hooks: a child, and what to call with its output.
    """
    for module in modules:
        adapter = adapter_of(module)
        for name in () if adapter is None else adapter.children:
            child = getattr(module, name, None)
            if child is not None:
                yield child, None, _output_hook(module, name, current)


def _output_hook(
    module: nn.Module, name: str, current: Callable[[], RunningModule | None]
) -> Callable[[Any], None]:
    def note(output: Any) -> None:
        running = current()
        if running is None or running.module is not module or running.trace is None:
            return
        if isinstance(output, torch.Tensor):
            running.trace.outputs.setdefault(name, []).append(output)

    return note
