"""Calls of ``flex_attention`` made by a model itself.

PyTorch compiles it on the spot, mask and all, so that none of its operations is seen. Hence, for the length of a recording,
the name by which a model's code calls it refers to a wrapper that tells the listeners first.
"""

from __future__ import annotations

import functools
import inspect
import sys
from contextlib import ExitStack, contextmanager
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.arguments import AttentionArguments
from attnwidget.capture.taps.class_code import code_of_class
from attnwidget.capture.taps.listeners import listeners
from attnwidget.capture.taps.patches import Replacement, patched
from attnwidget.capture.taps.transforms import outside_transforms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torch import Tensor, nn

__all__ = ["listening_to_flex_attention", "read_flex_call"]

_MODULE = "torch.nn.attention.flex_attention"
_SAME = 1e-5  # what a function of scores adds, at scores and at zero
_CHANGED = "its scores are changed by a function that does more than add to them."


@contextmanager
def listening_to_flex_attention(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Listen wherever one of the modules, or its code, names ``flex_attention``."""
    if _MODULE not in sys.modules:
        yield
        return
    modules = list(modules)
    own = [(vars(one), name) for one in modules for name in vars(one) if _is_flex(vars(one)[name])]
    named = [pair for kind in {type(module) for module in modules} for pair in _references(kind)]
    with ExitStack() as stack:
        for wrap, references in ((_stored, own), (_renamed, named)):
            for names, name in {
                (id(names), name): (names, name) for names, name in references
            }.values():
                stack.enter_context(patched(names, name, wrap))
        yield


def read_flex_call(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], row: int
) -> AttentionArguments:
    """Read one call of ``flex_attention`` that ``module`` makes.

    Args:
        module: The module.
        args: What it gives.
        kwargs: What it gives by name.
        row: Row of the batch, for which a function of the scores is worked out.
    """
    given = inspect.signature(_flex()).bind(*args, **kwargs).arguments
    query, key, value = (given[name] for name in ("query", "key", "value"))
    scaling, change = given.get("scale"), given.get("score_mod")
    arguments = AttentionArguments(
        implementation="flex_attention",
        module=module,
        query=query,
        key=key,
        value=value,
        attention_mask=given.get("block_mask"),
        options={"scaling": scaling},
    )
    if change is None:
        return arguments
    row = min(row, len(query) - 1)
    scores = _scores(query[row], key[row], scaling)
    changed = _applied(change, scores, row)
    added = _applied(change, torch.zeros_like(scores), row)
    hidden = added == -torch.inf
    apart = (changed - scores - added).masked_fill(hidden, 0.0).abs().max()
    if float(apart) <= _SAME * (1 + float(scores.abs().max())):
        arguments.options["position_bias"] = added[None]
        return arguments
    return _weights_only(arguments, changed, row)


def _weights_only(arguments: AttentionArguments, scores: Tensor, row: int) -> AttentionArguments:
    from torch.nn.attention.flex_attention import create_mask  # noqa: PLC0415  imported by the model itself

    block, heads = arguments.attention_mask, scores.shape[0]
    if block is not None:

        def seen(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Any:
            return block.mask_mod(batch + row, head, query, key)

        queries, keys = scores.shape[1:]
        visible = create_mask(seen, 1, heads, queries, keys, device=str(scores.device))
        scores = scores.masked_fill(~visible[0], -torch.inf)
    weights = scores.softmax(dim=-1).nan_to_num()
    return AttentionArguments(
        implementation="functional",
        module=arguments.module,
        query=weights.new_zeros(1, heads, scores.shape[1], 0),
        key=weights.new_zeros(1, heads, scores.shape[2], 0),
        value=arguments.value[row][None].repeat_interleave(heads // arguments.value.shape[1], 1),
        attention_mask=(weights != 0).any(dim=0)[None, None],
        options={"is_causal": False, "scaling": 1.0},
        weights=weights[None],
        reason=_CHANGED,
    )


def _scores(query: Tensor, key: Tensor, scaling: float | None) -> Tensor:
    """Score one row in float32, ``[head, query, key]``; several heads may share a key."""
    key = key.repeat_interleave(len(query) // len(key), dim=0)
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    return query.detach().float() @ key.detach().float().mT * scaling


def _applied(change: Callable[..., Tensor], scores: Tensor, row: int) -> Tensor:
    """Apply a function of (score, batch, head, query, key) to all scores of a row."""
    apply: Any = change
    for score, axes in ((0, (None, None, 0)), (0, (None, 0, None)), (0, (0, None, None))):
        head, query, key = axes
        apply = torch.vmap(apply, in_dims=(score, None, head, query, key))
    numbers = [torch.arange(size, device=scores.device) for size in scores.shape]
    batch = torch.tensor(row, device=scores.device)
    from torch._dynamo._trace_wrapped_higher_order_op import (  # noqa: PLC0415  the model imported the compiler
        TransformGetItemToIndex,
    )

    with TransformGetItemToIndex():  # lets such functions look up tensors by their arguments
        changed: Tensor = apply(scores, batch, *numbers)
    return changed.float()


def _flex() -> Any:
    return sys.modules[_MODULE].flex_attention


def _is_flex(value: Any) -> bool:
    """Tell whether a name refers to the function, compiled or not, or to the wrapper that another recording put there."""
    if isinstance(value, (FunctionType, Replacement)):
        flex = inspect.unwrap(_flex())
        value = inspect.unwrap(value)
        return value is flex or getattr(value, "_torchdynamo_orig_callable", None) is flex
    return False


def _is_home(value: Any) -> bool:
    """Tell whether a name refers to the function's module, or to what another recording put in its place."""
    return isinstance(value, ModuleType) and value.__name__ == _MODULE


def _references(kind: type) -> Iterator[tuple[dict[str, Any], str]]:
    """Find where a class's code takes the function from: its globals, or a module among those."""
    for code, names in code_of_class(kind):
        for name in code.co_names:
            value = names.get(name)
            if _is_flex(value) or _is_home(value):
                yield names, name


def _stored(original: Callable[..., Any]) -> Replacement:
    return Replacement(original, _wrapped(original))


def _renamed(original: Any) -> Any:
    """Wrap what a name in code refers to: the function, or the module that has it.

    The module itself stays as it is: a model that has the function as an attribute is pickled by the function's name there.
    """
    if not _is_home(original):
        return _wrapped(original)
    module = ModuleType(original.__name__, original.__doc__)
    vars(module).update(vars(original))
    vars(module)["flex_attention"] = _wrapped(original.flex_attention)
    return module


def _wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def flex_attention(*args: Any, **kwargs: Any) -> Any:
        with ExitStack() as stack:
            told = () if torch.compiler.is_dynamo_compiling() else listeners()
            if told:
                with outside_transforms((args, kwargs)) as (plain_args, plain_kwargs):
                    for listener in told:
                        stack.enter_context(listener.on_flex_attention(plain_args, plain_kwargs))
            return original(*args, **kwargs)

    return flex_attention
