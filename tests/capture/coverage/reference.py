"""What a model itself multiplies its values with, found without any code of the package.

A torch function mode over the whole forward pass: whatever comes out of a softmax is marked, marks follow every function
that keeps the number of elements, and a marked operand of a matrix product whose summed axis is that of the softmax is
taken down. PyTorch's fused functions are asked for, or worked out again, in float64. Modules that attend in blocks are
asked for their weights by what they make of values that are ones and zeros.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from capture.coverage.probe import PROBED, probe
from torch.nn import functional
from torch.nn.modules import module as torch_module
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode

# In newer PyTorch a hook of every module may be told what was given by name.
_KNOWS_KWARGS = hasattr(torch_module, "_global_forward_hooks_with_kwargs")
_PRODUCTS = ("matmul", "__matmul__", "bmm", "baddbmm", "__rmatmul__", "mm")
_CUT = ("linear", "conv1d", "conv2d", "layer_norm", "group_norm", "rms_norm", "embedding")


@dataclass(frozen=True)
class Seen:
    """One product with values.

    Attributes:
        weights: ``[..., query, key]`` as they were multiplied.
        extra_queries: How many queries, the last ones, are none of the sequence (global tokens).
        extra_keys: How many keys, the last ones, are none of the sequence.
        before: How many positions stand before the sequence.
    """

    weights: torch.Tensor
    extra_queries: int = 0
    extra_keys: int = 0
    before: int = 0


@dataclass(frozen=True)
class _Mark:
    """What came out of a softmax: how long its axis is, which softmax it was, and whether it was one of scores."""

    tensor: torch.Tensor
    size: int
    origin: torch.Tensor
    scored: bool


class Reference(TorchFunctionMode):
    """Collects the weights of every attention call.

    Attributes:
        seen: Softmaxes of what comes of products of two activations, multiplied with values.
        aside: Softmaxes of anything else, multiplied with something: most are no attention (routers, kernels of
            convolutions), some are (pooling by learned scores).
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Seen] = []
        self.aside: list[Seen] = []
        self._marked: dict[int, _Mark] = {}
        self._scores: dict[int, torch.Tensor] = {}
        self._last: tuple[Any, ...] = ()
        self._probing = 0
        self._random: list[torch.Tensor] = []
        self._hooks: list[Any] = []

    def __enter__(self) -> Any:
        """Begin to look on."""
        after = (
            register_module_forward_hook(self._after_module, with_kwargs=True, always_call=True)
            if _KNOWS_KWARGS
            else register_module_forward_hook(self._after_module_of_args, always_call=True)
        )
        self._hooks = [register_module_forward_pre_hook(self._before_module), after]
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        """Cease to look on."""
        for hook in self._hooks:
            hook.remove()
            # PyTorch's own handle forgets this entry, which then reads as a hook of every module.
            if _KNOWS_KWARGS:
                torch_module._global_forward_hooks_with_kwargs.pop(hook.id, None)
        super().__exit__(*error)

    def _before_module(self, module: Any, args: Any) -> None:
        del args
        if not PROBED.keys().isdisjoint(k.__name__ for k in type(module).__mro__):
            self._probing += 1
            self._random.append(torch.get_rng_state())

    def _after_module_of_args(self, module: Any, args: Any, output: Any) -> None:
        self._after_module(module, args, {}, output)

    def _after_module(self, module: Any, args: Any, kwargs: Any, output: Any) -> None:
        if PROBED.keys().isdisjoint(k.__name__ for k in type(module).__mro__):
            return
        state = self._random.pop()
        raised = output is None
        found = None if raised or self._probing > 1 else probe(module, args, kwargs, state)
        self._probing -= 1
        if found is not None:
            self.seen.append(
                Seen(found.weights, found.extra_queries, found.extra_keys, found.before)
            )

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        kwargs = kwargs or {}
        if self._probing:
            return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name == "scaled_dot_product_attention":
            self._scaled(*args, **kwargs)
        elif name == "multi_head_attention_forward":
            return self._multi_head(func, args, kwargs)
        elif name in _PRODUCTS:
            named = [kwargs[key] for key in ("batch1", "batch2", "other", "mat2") if key in kwargs]
            tensors = [*(args[1:] if name == "baddbmm" else args), *named]
            if not self._product(tensors[0], tensors[1]):
                other = tensors[1]
                if isinstance(other, torch.Tensor) and id(other) in self._marked:
                    self._product(other, tensors[0], turned=True)
        elif name == "einsum":
            self._einsum(*args)
        result = func(*args, **kwargs)
        if isinstance(result, torch.Tensor):
            self._mark(name, args, kwargs, result)
        self._score(name, [*args, *kwargs.values()], result)
        return result

    def _score(self, name: str, given: list[Any], result: Any) -> None:
        """Follow what comes of products of two activations, loosely: a softmax of anything else is no attention."""
        flat = [
            item
            for value in given
            for item in (value if isinstance(value, (list, tuple)) else [value])
        ]
        tensors = [value for value in flat if isinstance(value, torch.Tensor)]
        if name in _CUT:
            return
        if name in {"einsum", *_PRODUCTS}:
            derived = not any(isinstance(value, torch.nn.Parameter) for value in tensors)
        else:
            derived = any(id(value) in self._scores for value in tensors)
        for value in result if isinstance(result, (tuple, list)) else (result,):
            if derived and isinstance(value, torch.Tensor):
                self._scores[id(value)] = value

    def _mark(self, name: str, args: Any, kwargs: Any, result: torch.Tensor) -> None:
        if name in {"softmax", "_softmax"}:
            dim = kwargs.get("dim", args[1] if len(args) > 1 else -1)
            scored = any(id(value) in self._scores for value in (*args, *kwargs.values()))
            # Over the queries instead of the keys (GroupViT): the keys are summed over all the same.
            over_queries = dim is not None and dim % result.ndim == result.ndim - 2
            size = result.shape[-1 if over_queries and scored else dim]
            # Through nn.Softmax the axis is a keyword; a softmax over one number is none.
            if result.ndim > 1 and dim is not None:
                self._marked[id(result)] = _Mark(result, size, result, scored)
            return
        if name in {"einsum", *_PRODUCTS, "sum", "max", "mean", "argmax", "cat", "__get__"}:
            return
        for value in args[:2]:
            mark = self._marked.get(id(value)) if isinstance(value, torch.Tensor) else None
            if mark is not None and (result.numel() == value.numel() or name == "__getitem__"):
                self._marked[id(result)] = replace(mark, tensor=result)
                return

    def _product(self, left: Any, right: Any, *, turned: bool = False) -> bool:
        mark = self._marked.get(id(left)) if isinstance(left, torch.Tensor) else None
        if mark is None or not isinstance(right, torch.Tensor) or left.ndim < 2 or right.ndim < 2:
            return False
        weights = left.mT if turned else left
        if weights.shape[-1] > mark.size:
            return False
        self._take(weights, mark.origin, scored=mark.scored)
        return True

    def _einsum(self, equation: Any, *operands: Any) -> None:
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = tuple(operands[0])
        if not isinstance(equation, str) or len(operands) != 2:
            return
        # Letters for what "..." stands for: nobody uses capitals.
        equation = equation.replace(" ", "")
        if "..." in equation:
            plain = equation.partition("->")[0].split(",")
            count = operands[0].ndim - len(plain[0].replace("...", ""))
            equation = equation.replace("...", "ABCDEF"[:count])
        terms, _, result = equation.partition("->")
        sides = terms.split(",")
        for index in (0, 1):
            weights, other = operands[index], operands[1 - index]
            mark = self._marked.get(id(weights))
            if mark is None or "." in equation:
                continue
            mine, theirs = sides[index], sides[1 - index]
            summed = [axis for axis in mine if axis in theirs and axis not in result]
            batch = [axis for axis in mine if axis in theirs and axis in result]
            queries = [axis for axis in mine if axis not in theirs]
            if len(summed) != 1 or weights.shape[mine.index(summed[0])] != mark.size:
                continue
            del other
            order = [mine.index(axis) for axis in batch + queries + summed]
            taken = weights.permute(order)
            if not queries:
                taken = taken.unsqueeze(-2)
            self._take(taken, mark.origin, scored=mark.scored)
            return

    def _take(self, weights: torch.Tensor, *origin: torch.Tensor, scored: bool = True) -> None:
        """Take weights down, once where the same softmax is applied to one half of the values and then to the other."""
        taken = weights.detach().float().clone()
        into = self.seen if scored else self.aside
        same = len(origin) == len(self._last) > 0 and all(
            one is other for one, other in zip(origin, self._last, strict=True)
        )
        if not same or not into or not _same(into[-1].weights, taken):
            into.append(Seen(taken))
        self._last = origin

    def _scaled(self, *args: Any, **kwargs: Any) -> None:
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        query, key, attn_mask = given["query"], given["key"], given.get("attn_mask")
        enable_gqa, is_causal = given.get("enable_gqa", False), given.get("is_causal", False)
        scale = given.get("scale")
        origin = query, key
        query, key = query.double(), key.double()
        if enable_gqa:
            key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        scores = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else float(scale))
        if is_causal:
            scores = scores.masked_fill(~torch.ones(scores.shape[-2:]).bool().tril(), -torch.inf)
        if attn_mask is not None:
            if attn_mask.dtype == torch.bool:
                scores = scores.masked_fill(~attn_mask, -torch.inf)
            else:
                scores = scores + attn_mask
        self._take(scores.softmax(-1).nan_to_num(), *origin)

    def _multi_head(self, func: Any, args: Any, kwargs: Any) -> Any:
        asked = {**kwargs, "need_weights": True, "average_attn_weights": False}
        _, weights = functional.multi_head_attention_forward(*args, **asked)
        self._take(weights if weights.ndim == 4 else weights[None])
        return func(*args, **kwargs)


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())
