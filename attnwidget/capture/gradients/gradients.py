"""`Gradients`: follow what attention calls put out while a model runs, and compute gradients with regard to it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.arguments import OutputGradient, OutputRows
from attnwidget.capture.calls.call import has_dropout
from attnwidget.capture.reconstruct.attention_call import sum_rows
from attnwidget.capture.taps.backward import BackwardTap, FollowedSum

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from attnwidget.capture.arguments import AttentionArguments
    from attnwidget.capture.taps.events import RunningModule, WeightedSum
    from attnwidget.capture.taps.listeners import Given

__all__ = ["Gradients", "without_parameter_gradients"]


class Gradients:
    """Takes note, during one forward pass, of what attention calls put out, and computes gradients of a number afterwards.

    At tap 1 a zero is added to what the attention function returned, and the gradient with regard to that zero is the one
    with regard to the output. At tap 2, below autograd, the gradient is read off the backward pass (`BackwardTap`). For that
    pass to come so far, the hidden states of a module that is read there are made to need gradients where they need none; of
    a module that is given ids, what it looks up first.
    """

    def __init__(self) -> None:
        """Begin."""
        self._expected: dict[int, tuple[list[Any], OutputGradient]] = {}
        self._zeros: list[tuple[OutputGradient, Tensor, int]] = []
        self._states: list[Tensor] = []
        self._products: list[FollowedSum] = []
        self._fused: list[FollowedSum] = []

    def of_interface(self, arguments: AttentionArguments) -> OutputRows:
        """Expect what a call of the attention interface returns.

        Raises:
            ValueError: If it drops weights at random: the gradient would be that of other weights.
        """
        if has_dropout(arguments):
            msg = (
                f"gradients of {type(arguments.module).__name__} are not those of its weights while it drops some of them at random "
                "(dropout): call model.eval() before."
            )
            raise ValueError(msg)
        batch = max(map(len, (arguments.query, arguments.key, arguments.value)))
        gradient = OutputGradient()
        # The list is the one of the arguments that come back with a result; it is held, so that no other gets its id.
        self._expected[id(arguments.returned)] = arguments.returned, gradient
        return OutputRows.whole(gradient, batch, arguments.query.shape[2])

    def with_zero(self, arguments: AttentionArguments, result: Any) -> Any:
        """Return what an attention function returned, plus a zero with regard to which gradients are computed."""
        expected = self._expected.pop(id(arguments.returned), None)
        if expected is None or not torch.is_grad_enabled():
            return result
        output = result[0] if isinstance(result, tuple) else result
        zero = output.new_zeros(1).expand(output.shape).requires_grad_()
        self._zeros.append((expected[1], zero, arguments.query.shape[1]))
        followed = output + zero
        return (followed, *result[1:]) if isinstance(result, tuple) else followed

    def of_fused_call(self, arguments: AttentionArguments) -> OutputRows:
        """Expect the gradient of what one of PyTorch's own attention functions returns."""
        gradient = OutputGradient()
        query = arguments.query

        def split(output: Tensor) -> Tensor:
            whole = output[(None,) * (4 - output.ndim)] if output.ndim != 3 else output[:, None]
            return whole.reshape(*query.shape[:3], whole.shape[-1])

        operands = (query, arguments.key, arguments.value)
        self._fused.append(FollowedSum(operands, gradient, split))
        return OutputRows.whole(gradient, query.shape[0], query.shape[2])

    def of_sum(
        self, running: RunningModule, found: WeightedSum, rows: int | None, batch: int
    ) -> OutputRows:
        """Expect the gradient of what a weighted sum comes to."""
        gradient = OutputGradient()
        own, split = sum_rows(found, running, rows, batch, gradient)
        operands = (found.weights.detach(), found.value.detach())
        self._products.append(FollowedSum(operands, gradient, split))
        return own

    def with_states(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Given:
        """Return what an attention module is called with, its hidden states such that gradients with regard to them exist."""
        if not torch.is_grad_enabled():
            return args, kwargs
        given = [*args, *kwargs.values()]
        at = next((n for n, one in enumerate(given) if isinstance(one, torch.Tensor)), None)
        states = None if at is None else given[at]
        if at is None or states is None or states.requires_grad or not states.is_floating_point():
            return args, kwargs
        if states.is_nested:
            return args, kwargs
        zero = states.new_zeros(1).expand(states.shape).requires_grad_()
        self._states.append(zero)
        given[at] = states + zero
        return tuple(given[: len(args)]), dict(zip(kwargs, given[len(args) :], strict=True))

    def with_vectors(self, run: Any, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Run what looks up ids inside of an attention module; what it returns has gradients where nothing has any yet."""
        vectors = run(module, *args, **kwargs)
        if self._states or self._zeros or not torch.is_grad_enabled():
            return vectors
        if not isinstance(vectors, torch.Tensor) or vectors.is_nested or vectors.requires_grad:
            return vectors
        zero = vectors.new_zeros(1).expand(vectors.shape).requires_grad_()
        self._states.append(zero)
        return vectors + zero

    def compute(self, number: Tensor) -> None:
        """Compute the gradient of a number with regard to all outputs.

        Args:
            number: A scalar that the model's output was made into.

        Raises:
            ValueError: If it does not depend on any of them by operations that have gradients.
        """
        leaves = [*(zero for _, zero, _ in self._zeros), *self._states]
        if not number.requires_grad or not leaves:
            msg = (
                "the metric has no gradient with regard to the model's attention: it must be computed from the model's output, such "
                "as metric=lambda output: output.logits[0, -1, 5], with operations that have gradients (no argmax, .item(), "
                ".detach() or numpy). A model that runs under torch.no_grad or inference_mode by itself has none: "
                "attnwidget.effects(model, inputs, tokenizer, metric=...) runs it without each head instead."
            )
            raise ValueError(msg)
        tap = BackwardTap(self._products, self._fused)
        with tap.watching() if self._products or self._fused else ExitStack():
            slopes = torch.autograd.grad(number, leaves, allow_unused=True)
        for (gradient, _, heads), slope in zip(self._zeros, slopes, strict=False):
            if slope is not None:
                whole = slope if slope.ndim == 4 else slope.reshape(*slope.shape[:2], heads, -1)
                gradient.value = whole.movedim(2, 1)
        self._zeros.clear()
        self._states.clear()
        self._products.clear()
        self._fused.clear()


@contextmanager
def without_parameter_gradients(model: nn.Module) -> Iterator[None]:
    """Have no parameter of a model need gradients until the block ends: what is kept for these takes as much memory again."""
    needing = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in needing:
            parameter.requires_grad_(False)  # noqa: FBT003  its only argument
        yield
    finally:
        for parameter in needing:
            parameter.requires_grad_()
