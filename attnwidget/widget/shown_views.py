"""Which views the notebook shows, and where: they are kept alive for it, and let go once it shows them no longer."""

from __future__ import annotations

import warnings
import weakref
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import ipywidgets  # type: ignore[import-untyped,unused-ignore]
from ipywidgets.widgets.widget import (  # type: ignore[import-untyped,unused-ignore]
    _instances as open_widgets,
)

from attnwidget.widget.kept_selection import KeptSelection
from attnwidget.widget.still import kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ShownViews", "hold_weakly", "shown_views"]

# JupyterLab shows the first 50 outputs of a cell, and the rest at a click.
MOST_VIEWS = 25
TOO_MANY = (
    f"This cell shows {MOST_VIEWS} views, each of them two outputs, the second for readers without widgets. JupyterLab shows"
    f" the first {2 * MOST_VIEWS} outputs of a cell: show further views in another cell, or one after the other in this"
    " one, after clear_output(wait=True)."
)


@dataclass(slots=True, eq=False)
class _Place:
    """What one run of a cell, or one `Output`, shows.

    Attributes:
        views: Its views by their `id`: this keeps them alive.
        replaced: Those that go with the next output, after ``clear_output(wait=True)``.
        count: How often a view was shown here, since it was cleared.
    """

    views: dict[int, Any] = field(default_factory=dict)
    replaced: set[int] = field(default_factory=set)
    count: int = 0

    def add(self, view: object) -> None:
        self.views[id(view)] = view
        self.replaced.discard(id(view))

    def drop_replaced(self) -> None:
        for name in self.replaced:
            self.views.pop(name, None)
        self.replaced.clear()


class ShownViews:
    """The views that one kernel's notebook shows.

    ipywidgets keeps every widget until it is closed, so that a cell that is run again would keep each record that it
    showed before. Here a view is kept by the places that show it: it goes when the last of them is gone and no variable
    holds it either, `Out` included. A run of a cell is gone when the cell is run again, which is known where the notebook
    says which cell it runs (JupyterLab, Notebook 7, VS Code); an output, when `clear_output` takes it away.
    """

    def __init__(self, running: Any) -> None:
        """Watch what the cells of a kernel show.

        Args:
            running: The kernel.
        """
        self._kernel = running
        self._runs: dict[str, _Place] = {}
        self._runs_of_cell: dict[str, set[str]] = {}
        # Of each cell what readers had selected in the views that its last run showed, until its views are made again.
        self._selected: dict[str, list[KeptSelection | None]] = {}
        self._outputs: dict[str, _Place] = {}
        # Shown in a place that we know nothing of, such as what `%%capture` keeps.
        self._for_good = _Place()
        running.shell.events.register("pre_run_cell", self._cell_begins)

    def add(self, view: object) -> None:
        """Keep a view alive while the output that is about to be made of it stands in the notebook."""
        place = self._place_of_next_output() or self._for_good
        place.add(view)
        self._counted(place)

    def count(self) -> None:
        """Count a view that is shown as a copy, which nothing has to keep alive."""
        place = self._place_of_next_output()
        if place is not None:
            self._counted(place)

    def _counted(self, place: _Place) -> None:
        place.count += 1
        if place.count == MOST_VIEWS and place in self._runs.values():
            # Of no line of code: Python says the same of one line only once, and each cell should hear it.
            warnings.warn_explicit(TOO_MANY, UserWarning, "attnwidget.view", 1)

    def in_output(self) -> bool:
        """Tell whether what is shown next goes into an `Output`, whose contents no later message replaces."""
        publisher = self._kernel.shell.display_pub
        parent = getattr(publisher, "parent_header", None) or {}
        return bool(_outputs_of(parent.get("msg_id", "")))

    def keep(self, view: object) -> None:
        """Keep a view alive until it is closed: somebody took what shows it, to show it nobody knows where."""
        self._for_good.add(view)

    def discard(self, view: object) -> None:
        """Forget a view that was closed."""
        places = [self._for_good, *self._runs.values(), *self._outputs.values()]
        for place in places:
            place.views.pop(id(view), None)

    def _place_of_next_output(self) -> _Place | None:
        shell = self._kernel.shell
        publisher = shell.display_pub
        if not isinstance(publisher, shell.display_pub_class) or not hasattr(
            publisher, "register_hook"
        ):
            return None
        # Every thread has hooks of its own, and widgets' messages may be handled in one of theirs.
        publisher.unregister_hook(self._message)
        publisher.register_hook(self._message)
        run = publisher.parent_header.get("msg_id")
        if not run:
            return None
        outputs = _outputs_of(run)
        if outputs:
            return self._output(outputs)
        parent = self._kernel.get_parent() or {}
        cell = (parent.get("metadata") or {}).get("cellId")
        if cell and parent.get("header", {}).get("msg_id") == run:
            self._runs_of_cell.setdefault(cell, set()).add(run)
        return self._runs.setdefault(run, _Place())

    def _output(self, outputs: Sequence[ipywidgets.Output]) -> _Place | None:
        # Of several around one another only the browser knows the innermost.
        if len(outputs) > 1:
            return None
        (output,) = outputs
        name = output.model_id
        if name not in self._outputs:
            self._outputs[name] = _Place()
            output.observe(partial(self._output_closed, name), "comm")
        return self._outputs[name]

    def _output_closed(self, name: str, change: Any) -> None:
        if change.new is None:
            self._outputs.pop(name, None)

    def _cell_begins(self, info: Any) -> None:
        """Let go what the cell showed before, which the notebook has taken away, but for what was selected in it."""
        cell = getattr(info, "cell_id", None) or ""
        gone = [self._runs.pop(run, None) for run in self._runs_of_cell.pop(cell, ())]
        views = [view for place in gone if place is not None for view in place.views.values()]
        if views:
            self._selected[cell] = [KeptSelection.of(view) for view in views]

    def selected_before(self) -> KeptSelection | None:
        """Return what a reader had selected in the view that the running cell made before, the next one at each call."""
        cell = ((self._kernel.get_parent() or {}).get("metadata") or {}).get("cellId")
        kept = self._selected.get(cell or "")
        return kept.pop(0) if kept else None

    def _message(self, message: dict[str, Any]) -> dict[str, Any]:
        """Follow what a thread sends to the notebook; changes nothing of it."""
        kind = message["header"]["msg_type"]
        run = message["parent_header"].get("msg_id", "")
        outputs = _outputs_of(run)
        if len(outputs) > 1:
            place = None
        else:
            place = self._outputs.get(outputs[0].model_id) if outputs else self._runs.get(run)
        if place is not None and kind == "clear_output":
            place.replaced = set(place.views)
            place.count = 0
            if not message["content"].get("wait"):
                place.drop_replaced()
        elif place is not None and kind == "display_data":
            place.drop_replaced()
        return message


def _outputs_of(run: str) -> list[ipywidgets.Output]:
    """Return the `Output` widgets that take what this request sends."""
    # A copy: a widget may be made or closed in another thread meanwhile.
    widgets = list(open_widgets.values()) if run else []
    return [
        widget
        for widget in widgets
        # By its own class: asking a view, which is held weakly and may just have gone, is an error.
        if issubclass(type(widget), ipywidgets.Output) and widget.msg_id == run
    ]


@cache
def _of_kernel(running: Any) -> ShownViews:
    return ShownViews(running)


def shown_views() -> ShownViews | None:
    """Return what this kernel's notebook shows; None where there is no such kernel, and ipywidgets keeps every view."""
    running = kernel()
    return None if running is None else _of_kernel(running)


def hold_weakly(view: Any) -> None:
    """Let ipywidgets and the connection to the browser find an open view without keeping it alive.

    Nothing may lead from the view back to itself either: Python would then free it, and its record, only at its next
    full search for such rings, which may never come.
    """
    if kernel() is None:
        return
    # Still listed: the browser asks for the state of all that are when its page is loaded again.
    open_widgets[view.model_id] = _Listed(view)
    view.comm.on_msg(partial(_deliver, weakref.ref(view)))


class _Listed:
    """A view in ipywidgets' list of what is open: the view itself to whoever asks, without keeping it alive.

    As `weakref.proxy`, but one that may be closed when it is gone: closing what shows a view lets it go, and
    `Widget.close_all` closes one after the other of a list that it took before.
    """

    __slots__ = ("_view",)

    def __init__(self, view: object) -> None:
        object.__setattr__(self, "_view", weakref.ref(view))

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What `isinstance` asks."""
        return type(self._found())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found(), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._found(), name, value)

    def close(self) -> None:
        """Close the view, if there still is one."""
        found = self._view()
        if found is not None:
            found.close()

    def _found(self) -> Any:
        found = self._view()
        if found is None:
            message = "this view is gone: nothing showed or held it any longer."
            raise ReferenceError(message)
        return found


def _deliver(view: weakref.ref[Any], message: dict[str, Any]) -> None:
    found = view()
    if found is not None:
        found.was_heard = True
        found._handle_msg(message)  # noqa: SLF001 - ipywidgets has no other way in
