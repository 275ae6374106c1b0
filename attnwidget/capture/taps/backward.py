"""`BackwardTap`: read, off the backward pass of operations, the gradient of what attention put out.

What a dispatch mode sees lies below autograd, so nothing can be hung onto a weighted sum there. But the backward pass of the
product ``w v`` is ``grad v^T`` and ``w^T grad``: products in which ``w`` or ``v``, known by their memory, stand beside the
gradient of the sum. The backward pass of PyTorch's fused operations is given it as its first argument.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch.utils._python_dispatch import TorchDispatchMode, _pop_mode, _push_mode

from attnwidget.capture.tensor_tools import address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from attnwidget.capture.arguments import OutputGradient

__all__ = ["BackwardTap", "FollowedSum"]

_PRODUCTS = frozenset({"aten::bmm", "aten::mm"})
_FUSED = frozenset(
    f"aten::_scaled_dot_product_{kernel}_backward"
    for kernel in (
        "flash_attention_for_cpu",
        "flash_attention",
        "efficient_attention",
        "cudnn_attention",
        "fused_attention_overrideable",
    )
)


@dataclass(frozen=True, slots=True)
class FollowedSum:
    """One weighted sum whose gradient is wanted.

    Attributes:
        operands: What was multiplied: weights and values of a product, as they stood in it; query, key and value of a fused
            operation. Held, so that their memory, by which they are known again, is not used for others.
        gradient: Takes the gradient.
        split: Makes ``[row, head, query, value_dim]`` of it.
    """

    operands: tuple[Tensor, ...]
    gradient: OutputGradient
    split: Callable[[Tensor], Tensor]

    def take(self, gradient: Tensor) -> None:
        """Keep the gradient."""
        self.gradient.value = self.split(gradient.detach())


class BackwardTap(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees the operations of a backward pass.

    Args:
        products: The weighted sums that are products of two tensors.
        fused: Those that a fused operation makes.
    """

    supports_higher_order_operators = True

    def __init__(self, products: Sequence[FollowedSum], fused: Sequence[FollowedSum]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._weights = _by_memory((one.operands[0], one) for one in products)
        self._values = _by_memory((one.operands[1], one) for one in products)
        self._fused: dict[Any, list[FollowedSum]] = {}
        for one in fused:
            self._fused.setdefault(_pointers(one.operands), []).append(one)
        self._sure: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as of `DispatchTap`

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Read the operations of this thread until the block ends."""
        _push_mode(self)  # without the flags that ``with`` sets for all threads
        try:
            yield
        finally:
            _pop_mode()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation, and read it."""
        del types
        name = func._schema.name if hasattr(func, "_schema") else ""  # noqa: SLF001  there is no public way
        if name in _PRODUCTS:
            self._read_product(*args[:2])
        elif name in _FUSED:
            found = self._fused.get(_pointers(args[1:4]), ())
            if len(found) == 1:
                found[0].take(args[0])
        return func(*args, **(kwargs or {}))

    def _read_product(self, left: Tensor, right: Tensor) -> None:
        for known, other in ((left, right), (right, left)):
            # By its weights a sum is known for certain; the same values may be summed with several weights.
            for table, sure in ((self._weights, True), (self._values, False)):
                found = table.get(address(known), ())
                if len(found) == 1 and (sure or id(found[0]) not in self._sure):
                    found[0].take(other)
                    if sure:
                        self._sure.add(id(found[0]))


def _by_memory(pairs: Any) -> dict[Any, list[FollowedSum]]:
    table: dict[Any, list[FollowedSum]] = {}
    for tensor, one in pairs:
        # Of one query and one key both forms are one.
        for place in dict.fromkeys((address(tensor), address(tensor.mT))):
            table.setdefault(place, []).append(one)
    return table


def _pointers(tensors: Sequence[Tensor]) -> tuple[int, ...]:
    return tuple(tensor.data_ptr() for tensor in tensors)
