"""`ResidualPass`: one pass of a model in which gradients flow along the residual stream alone, and what is added to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from attnwidget.attribution.residual_stream.frozen_norm import frozen_norm, may_be_norm
from attnwidget.capture.architecture.uncompiled import running_uncompiled
from attnwidget.capture.taps.substitutes import substituting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from attnwidget.attribution.residual_stream.stack import Stack
    from attnwidget.capture.forward import Ran
    from attnwidget.capture.taps.listeners import Run

__all__ = ["Part", "ResidualPass", "Through", "gradients_of"]


@dataclass(slots=True)
class Part:
    """What one module added to the stream, or was the stream to begin with.

    Attributes:
        kind: Which of these: ``"embedding"`` is the state that the first block was given.
        path: Path of the module.
        block: Path of the block that it is in, by the number of the block's call; ``None`` for the embedding.
        module: The module.
        value: What it put out, of which gradients are taken.
        given: What it was given.
    """

    kind: Literal["embedding", "module"]
    path: str
    block: int | None
    module: nn.Module
    value: Tensor
    given: Tensor | None


@dataclass(slots=True)
class Through:
    """A linear map or a norm that the stream passes through, which may add a bias.

    Attributes:
        path: Path of the module.
        module: The module.
        value: What it put out, a part of the graph.
        bias: ``[dim]``, or ``None``.
        given: What it was given, a part of the graph.
        linear: Whether it is a linear map.
    """

    path: str
    module: nn.Module
    value: Tensor
    bias: Tensor | None
    given: Tensor
    linear: bool


@dataclass(slots=True)
class ResidualPass:
    """One pass of a model whose values are those of the model, and whose gradients are of the stream alone.

    Whatever multiplies by a matrix inside of a block, or before the blocks, is cut off from what it was given: what it put out
    is a part of its own. Norms have the scale that they had. So what the model puts out is, as far as gradients see, a sum of
    these parts; whether it is, to the last digits, is for the caller to check, by adding them up.

    Attributes:
        output: What the model returned.
        parts: What was added to the stream.
        through: What the stream passed through.
    """

    output: Any = None
    parts: list[Part] = field(default_factory=list)
    through: list[Through] = field(default_factory=list)

    @classmethod
    def of(cls, ran: Ran, stack: Stack) -> ResidualPass:
        """Run the model of a recorded run in this way.

        Args:
            ran: The run.
            stack: Its blocks.
        """
        found = cls()
        with (
            torch.inference_mode(mode=False),
            torch.enable_grad(),
            running_uncompiled(ran.model),
            substituting(_Cutting(ran.model, stack, found).instead()),
        ):
            found.output = ran.model(*ran.args, **ran.kwargs)
        return found


class _Cutting:
    """What runs in the place of the modules of a model."""

    def __init__(self, model: nn.Module, stack: Stack, found: ResidualPass) -> None:
        self._found = found
        self._model = model
        self._blocks = set(stack.blocks)
        self._shape = stack.states[0].shape
        self._begun = 0  # calls of blocks
        self._block: str | None = None  # that is running
        self._depth = 0  # of modules that are cut off

    def instead(self) -> Iterable[tuple[nn.Module, Run]]:
        """Yield each module in whose place something else runs, and what."""
        around = {""} | {path for block in self._blocks for path in _prefixes(block)}
        for path, module in self._model.named_modules():
            if path in self._blocks:
                yield module, self._in_block(path)
            elif path in around:
                continue
            elif any(parameter.ndim >= 2 for parameter in module.parameters(recurse=False)):
                yield module, self._of_matrix(path)
            elif may_be_norm(module):
                yield module, self._of_norm(path)

    def _in_block(self, path: str) -> Run:
        def run(original: Run, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if self._depth:
                return original(module, *args, **kwargs)
            self._begun += 1
            if self._begun == 1:
                args, kwargs = self._entered(path, module, args, kwargs)
            self._block = path
            try:
                return original(module, *args, **kwargs)
            finally:
                self._block = None

        return run

    def _entered(
        self, path: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what the first block is given, with the state of the stream as a part."""
        cut: list[Tensor] = []

        def once(tensor: Tensor) -> Tensor:
            if cut or tensor.shape != self._shape:
                return tensor
            cut.append(tensor.detach().requires_grad_())
            self._found.parts.append(Part("embedding", path, None, module, cut[0], None))
            # Another tensor: a block may add to the stream in place, which a leaf of the graph forbids.
            return cut[0].clone()

        args = tuple(_mapped(one, once) for one in args)
        return args, {name: _mapped(one, once) for name, one in kwargs.items()}

    def _of_matrix(self, path: str) -> Run:
        def run(original: Run, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if self._depth:
                return original(module, *args, **kwargs)
            if self._begun and self._block is None:
                return self._passed(path, module, original(module, *args, **kwargs), args)
            return self._added(path, module, original, args, kwargs)

        return run

    def _added(
        self, path: str, module: nn.Module, original: Run, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:  # fmt: skip
        """Run a module cut off from what it is given; what it puts out is a part."""
        self._depth += 1
        try:
            with torch.no_grad():
                output = original(module, *args, **kwargs)
        finally:
            self._depth -= 1
        given = next((one.detach() for one in args if isinstance(one, Tensor)), None)
        if self._block is None:
            return _mapped(output, Tensor.detach)  # before the blocks: in their first state

        def leaf(tensor: Tensor) -> Tensor:
            own = tensor.detach().requires_grad_()
            self._found.parts.append(Part("module", path, self._begun - 1, module, own, given))
            return own.clone()

        return _mapped(output, leaf)

    def _passed(self, path: str, module: nn.Module, output: Any, args: tuple[Any, ...]) -> Any:
        """Note a map that the stream passes through after its blocks."""
        given = args[0] if args else None
        if isinstance(given, Tensor) and isinstance(output, Tensor) and output.requires_grad:
            linear = getattr(type(module), "forward", None) in {nn.Linear.forward, Conv1D.forward}
            bias = getattr(module, "bias", None) if linear else None
            output = output.view_as(output)  # the map's own, whatever is done to it in place
            self._found.through.append(Through(path, module, output, bias, given, linear))
            return output.view_as(output)
        return output

    def _of_norm(self, path: str) -> Run:
        def run(original: Run, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            output = original(module, *args, **kwargs)
            if self._depth or len(args) != 1 or kwargs:
                return output
            (x,) = args
            if not isinstance(x, Tensor) or not x.requires_grad or not isinstance(output, Tensor):
                return output
            with torch.no_grad():
                norm = frozen_norm(lambda other: original(module, other), module, x, output)
            if norm is None:
                return output
            output = norm(x, output)
            self._found.through.append(Through(path, module, output, norm.bias, x, linear=False))
            return output.view_as(output)

        return run


def gradients_of(
    number: Tensor, values: Sequence[Tensor], *, again: bool = False
) -> list[Tensor | None]:
    """Return the gradient of a number by each of some values; ``None`` for one that it does not depend on.

    Args:
        number: The number; its graph is kept.
        values: The values.
        again: Whether the gradients are to be differentiated themselves.
    """
    found: Any = torch.autograd.grad(
        number, list(values), create_graph=again, retain_graph=True, allow_unused=True
    )
    return list(found)


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return what a module is given or returns with its floating-point tensors changed."""
    if isinstance(value, Tensor):
        return change(value) if value.is_floating_point() else value
    if isinstance(value, (tuple, list)):
        parts = [_mapped(one, change) for one in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return type(value)({name: _mapped(one, change) for name, one in value.items()})
    return value


def _prefixes(path: str) -> Iterable[str]:
    while path:
        path = path.rpartition(".")[0]
        yield path
