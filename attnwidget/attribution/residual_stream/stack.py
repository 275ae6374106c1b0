"""`Stack`: the blocks that a model's residual stream passes through before its output, found and checked by value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from attnwidget.capture.architecture.uncompiled import running_uncompiled
from attnwidget.capture.edits.places import recorded_places
from attnwidget.capture.taps.substitutes import substituting
from attnwidget.capture.tensor_tools import tensors_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from attnwidget.capture.edits.places import Places
    from attnwidget.capture.forward import Ran
    from attnwidget.capture.taps.listeners import Run

__all__ = ["Stack", "find_stack", "first_state", "tell_hooks", "with_state"]


@dataclass(frozen=True, slots=True)
class Stack:
    """The blocks of one residual stream.

    Attributes:
        path: Path of the list that holds them.
        calls: The path of the block of each call, in the order in which they run; one block may run several times.
        states: What the stream is after each of these calls, as the model returns it, ``[batch, position, hidden]``.
        returned: For each block of the model, of whatever stream, what each of its calls returned; tensors of streams whole.
        places: Which module computes which layer of which recorded stream, of those inside of these blocks.
        output: What the model returned.
    """

    path: str
    calls: tuple[str, ...]
    states: tuple[Tensor, ...]
    returned: dict[str, list[Any]]
    places: Places
    output: Any

    @property
    def blocks(self) -> tuple[str, ...]:
        """Paths of the blocks, each once."""
        return tuple(dict.fromkeys(self.calls))


@dataclass(slots=True)
class _Calls:
    """Calls of the members of one list of modules, while the model runs.

    Attributes:
        paths: The member of each call.
        states: What the stream is after it.
        returned: What each call returned.
        chained: Whether each was given what the one before returned.
        ended: How many calls of lists had ended when the last of these did.
    """

    paths: list[str] = field(default_factory=list)
    states: list[Tensor] = field(default_factory=list)
    returned: list[Any] = field(default_factory=list)
    chained: bool = True
    ended: int = 0


def find_stack(ran: Ran) -> Stack:
    """Run a model once more and find the blocks whose stream its output is made of.

    That is the outermost list of modules around recorded attention whose members hand the stream from one to the next,
    each given to the last bit what the one before returned; of several such lists the one that ran last.

    Args:
        ran: A recorded run of the model.

    Raises:
        ValueError: If it has no such list.
    """
    places = recorded_places(ran.model) or {}
    lists = _lists_around(ran.model, [place.path for place in places.values()])
    seen = {path: _Calls() for path in lists}
    ended = 0

    def keeping(path: str, calls: _Calls) -> Run:
        def run(original: Run, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            nonlocal ended
            given = list(tensors_in((args, kwargs)))
            if calls.states and not any(_same(one, calls.states[-1]) for one in given):
                calls.chained = False
            found = original(module, *args, **kwargs)
            state = first_state(found)
            if state is None:
                calls.chained = False
                return found
            ended += 1
            calls.paths.append(path)
            # A copy: the next block may add to the stream in place.
            calls.states.append(state.detach().clone())
            calls.returned.append(found)
            calls.ended = ended
            return found

        return run

    instead = [
        (member, keeping(f"{path}.{name}", calls))
        for path, calls in seen.items()
        for name, member in ran.model.get_submodule(path).named_children()
    ]
    with torch.no_grad(), running_uncompiled(ran.model), substituting(instead):
        output = ran.model(*ran.args, **ran.kwargs)
    chained = {path: calls for path, calls in seen.items() if calls.states and calls.chained}
    # Lists inside of the members of another one are parts of its blocks.
    chained = {path: chained[path] for path in chained if not _inside(path, chained)}
    if not chained:
        raise ValueError(_no_stack(ran.model, lists))
    path = max(chained, key=lambda each: chained[each].ended)
    returned: dict[str, list[Any]] = {}
    for calls in chained.values():
        for block, found, state in zip(calls.paths, calls.returned, calls.states, strict=True):
            returned.setdefault(block, []).append(with_state(found, state))
    own = {name: place for name, place in places.items() if _inside(place.path, [path])}
    main = chained[path]
    return Stack(path, tuple(main.paths), tuple(main.states), returned, own, output)


def first_state(value: Any) -> Tensor | None:
    """Return the first tensor of vectors among what a block was given or returned, or ``None``."""
    return next(
        (one for one in tensors_in(value) if one.is_floating_point() and one.ndim >= 2), None
    )


def with_state(returned: Any, state: Tensor) -> Any:
    """Return what a block returned, with another state of the stream in its place."""
    if isinstance(returned, Tensor):
        return state
    if isinstance(returned, (tuple, list)):
        parts = list(returned)
        at = next(n for n, part in enumerate(parts) if first_state(part) is not None)
        parts[at] = with_state(parts[at], state)
        return type(returned)(*parts) if hasattr(returned, "_fields") else type(returned)(parts)
    if hasattr(returned, "items"):  # an output of transformers
        name = next(name for name, part in returned.items() if first_state(part) is not None)
        return type(returned)({**returned, name: with_state(returned[name], state)})
    msg = f"a block returned {type(returned).__name__}"
    raise TypeError(msg)


def tell_hooks(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any
) -> None:
    """Tell the hooks of a block what it returns: a model may collect hidden states by them, and read some of them later.

    What they return is left aside, since they had their say when the block ran.
    """
    takes_kwargs: Any = module._forward_hooks_with_kwargs  # noqa: SLF001  there is no public way to ask
    state = first_state(answer)
    for number, hook in list(module._forward_hooks.items()):  # noqa: SLF001
        given: Any = (args, kwargs) if takes_kwargs.get(number) else (args,)
        # A copy: a hook may write into it.
        hook(module, *given, answer if state is None else with_state(answer, state.clone()))


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)


def _lists_around(model: nn.Module, paths: Iterable[str]) -> list[str]:
    """Return the paths of all lists of modules that some modules lie in, the outermost first."""
    found = {parent for path in paths for parent in _parents(path)}
    lists = [
        path
        for path in found
        if path and isinstance(model.get_submodule(path), (nn.ModuleList, nn.Sequential))
    ]
    return sorted(lists, key=lambda path: (path.count("."), path))


def _parents(path: str) -> Iterator[str]:
    while path:
        path = path.rpartition(".")[0]
        yield path


def _inside(path: str, others: Iterable[str]) -> bool:
    return any(path.startswith(f"{other}.") for other in others)


def _no_stack(model: nn.Module, lists: list[str]) -> str:
    tried = f"tried {', '.join(lists)}" if lists else "its attention lies in no list of modules"
    return (
        f"{type(model).__name__} has no list of blocks that hand one residual stream from each to the next ({tried}): what its "
        "layers add to the stream is not told. attnwidget.effects(model, inputs, tokenizer) runs it without each head, which "
        "works for every model."
    )
