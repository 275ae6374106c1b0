"""What a head knocked out comes to, without any of our taps: numbers zeroed in what a module around it is given or returns.

Which module, and which numbers, is searched for. In what order only saves time: a candidate is the reference when the whole
output is the same with it to the last bit, and another than without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from capture.coverage.cuts import (
    Cut,
    input_cuts,
    method_cuts,
    output_cuts,
    parameter_cuts,
    weight_cuts,
)
from capture.coverage.runs import Output, same_bits

from attnwidget.capture.sparse.registry import adapter_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from torch import nn

    from attnwidget.capture.edits.places import Place

__all__ = ["Slices"]

Found = tuple[str, Cut]  # a module, and what is zeroed there
_MOST = 40  # candidates that are tried for one head
_LARGEST = 64  # modules among which a projection is looked for


class Slices:
    """Looks for the reference of each head.

    Attributes:
        model: The model.
        run: Runs it on its inputs, and lists the tensors of its output.
        clean: What that is without any change.
        paths: Paths of all attention modules.
    """

    def __init__(
        self, model: nn.Module, run: Callable[[], Output], clean: Output, paths: Iterable[str]
    ) -> None:
        self.model, self.run, self.clean, self.paths = model, run, clean, frozenset(paths)
        # What was right before: kind of attention module, path from it, and what was zeroed.
        self._known: list[tuple[type, str, Cut]] = []

    def verdict(
        self,
        got: Output,
        edited: Callable[[], AbstractContextManager[Any]],
        place: Place,
        head: int,
        heads: int,
    ) -> str:
        """Compare what an edit of one head came to with the reference.

        Args:
            got: The output under the edit.
            edited: Edits the model inside a block.
            place: Where the head is.
            head: Its number.
            heads: How many there are.

        Returns:
            "same", "idle" (nothing changes, in the reference either), or what is to be said against it.
        """
        changed = not same_bits(got, self.clean)
        tried, changing = 0, 0
        for name, cut, known in self._candidates(place, head, heads, edited):
            expected = self._reference(name, cut, head, heads)
            if expected is None:
                continue
            tried += 1
            same = same_bits(expected, got)
            if same and changed:
                self._note(place, name, cut)
                return "same"
            if same and known:
                return "idle"
            changing += not same_bits(expected, self.clean)
            if tried == _MOST:
                break
        if not tried:
            return "no projection was found to compare with"
        if changed:
            return "other than each of the references tried"
        return "changes nothing, unlike a reference" if changing else "idle"

    def _reference(self, name: str, cut: Cut, head: int, heads: int) -> Output | None:
        """Return the output with the numbers of a head zeroed; ``None`` where there are none of that shape."""
        try:
            with cut.applied(self.model, name, head, heads):
                return self.run()
        except Exception:  # noqa: BLE001  a tensor without such an axis, or which the model cannot go on with
            return None

    def _note(self, place: Place, name: str, cut: Cut) -> None:
        if name.startswith(place.path):
            key = (self._kind(place.path), name.removeprefix(place.path), cut)
        else:  # beside it, in the module around
            common = place.path.rpartition(".")[0]
            if not name.startswith(common):
                return
            key = (self._kind(place.path), f"<{name.removeprefix(common)}", cut)
        self._known = [key, *(each for each in self._known if each != key)]

    def _kind(self, path: str) -> type:
        return type(self.model.get_submodule(path))

    def _candidates(
        self,
        place: Place,
        head: int,
        heads: int,
        edited: Callable[[], AbstractContextManager[Any]],
    ) -> Iterator[tuple[str, Cut, bool]]:
        """Yield a module, what may be zeroed there, and whether that was right before; likeliest first."""
        module = self.model.get_submodule(place.path)
        modules = self._near(place.path)
        if adapter_of(module) is not None:
            yield from self._weights(module, place.path, modules, heads)
            return
        seen: set[Found] = set()
        for kind, name, cut in self._known:
            around = place.path.rpartition(".")[0]
            whole = f"{around}{name[1:]}" if name.startswith("<") else f"{place.path}{name}"
            if kind is type(module) and (whole in modules or whole == place.path):
                seen.add((whole, cut))
                yield whole, cut, True
        with edited():
            shapes, zeros = self._look(modules, head, heads)
        everything: list[Found] = [
            *zeros,
            *((place.path, cut) for cut in parameter_cuts(module, heads)),
            *(
                (name, cut)
                for name, each in modules.items()
                if name not in shapes
                for cut in weight_cuts(each, heads)
            ),
            *(
                (f"{place.path}.{name}", cut)
                for name, each in module.named_modules()
                for cut in method_cuts(each)
            ),
            *((place.path, cut) for cut in output_cuts()),
            *(
                (name, cut)
                for call in dict.fromkeys([place.call, None])
                for name, runs in shapes.items()
                if call is None or len(runs) > max(call, 1)
                for cut in input_cuts(modules[name], runs[call or 0], heads, call)
            ),
        ]
        for found in everything:
            if found not in seen:
                seen.add(found)
                yield *found, False

    def _weights(
        self, module: nn.Module, path: str, modules: dict[str, nn.Module], heads: int
    ) -> Iterator[tuple[str, Cut, bool]]:
        """Yield columns of weights alone: in a sparse layout, what a projection is given is edited and can be no reference."""
        known = [(kind, name, cut) for kind, name, cut in self._known if kind is type(module)]
        around = path.rpartition(".")[0]
        right = {
            f"{around}{name[1:]}" if name.startswith("<") else f"{path}{name}"
            for _, name, _ in known
        }
        for name in sorted(modules, key=lambda each: each not in right):
            for cut in weight_cuts(modules[name], heads):
                yield name, cut, name in right

    def _near(self, path: str) -> dict[str, nn.Module]:
        """Return modules with weights: in an attention module, then in those around it alone."""
        found: dict[str, nn.Module] = {}
        names = dict(self.model.named_modules())
        around = path
        while len(found) < _LARGEST:
            inside = f"{around}." if around else ""
            if any(each.startswith(inside) and not _within(each, path) for each in self.paths):
                break  # what is around several could as well be the projection of another
            for name, module in names.items():
                if name in found or not (name == around or name.startswith(inside)):
                    continue
                if any(True for _ in module.parameters(recurse=False)) and len(found) < _LARGEST:
                    found[name] = module
            if not around:
                break
            around = around.rpartition(".")[0]
        return found

    def _look(
        self, modules: dict[str, nn.Module], head: int, heads: int
    ) -> tuple[dict[str, list[torch.Size]], list[Found]]:
        """Run the model once; note what shape each module is given, run by run, and where the numbers of a head are zeros."""
        shapes: dict[str, list[torch.Size]] = {}
        zeros: list[Found] = []

        def note(name: str) -> Any:
            def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
                if not args or not isinstance(args[0], torch.Tensor):
                    return
                runs = shapes.setdefault(name, [])
                zeros.extend(
                    (name, cut)
                    for cut in input_cuts(module, args[0].shape, heads, len(runs))
                    if cut.is_zero(args[0], head, heads)
                )
                runs.append(args[0].shape)

            return hook

        handles = [module.register_forward_pre_hook(note(name)) for name, module in modules.items()]
        try:
            self.run()
        finally:
            for handle in handles:
                handle.remove()
        every = [(name, cut.of_every_run()) for name, cut in zeros]
        # One that is the same in each run is that of all of them.
        return {name: shapes[name] for name in modules if name in shapes}, [
            *dict.fromkeys(each for each in every if every.count(each) == len(shapes[each[0]])),
            *zeros,
        ]


def _within(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.")
