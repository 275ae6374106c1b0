"""A cell that is run again lets go what it showed before, and nothing that is shown or held elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.kernels import Notebook, notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

# The search for rings is off: a view must be gone without it, since in a session it may never come.
START = """
import gc, resource, weakref
import torch, ipywidgets
from IPython.display import clear_output, display
import attnwidget as aw
from ipywidgets.widgets.widget import _instances
gc.disable()
made = []
def fresh(size=8, **options):
    weights = torch.ones(4, size, size).tril()
    view = aw.view(aw.from_weights([weights / weights.sum(-1, keepdim=True)]), **options)
    made.append((weakref.ref(view), weakref.ref(view.source), view.comm.comm_id if view.comm else None))
    return view
def alive():
    return ''.join('01'[view() is not None] for view, _, _ in made)
def listed():
    comms = get_ipython().kernel.comm_manager.comms
    return ''.join('01'[name in comms and name in _instances] for _, _, name in made)
def report():
    assert alive() == listed(), (alive(), listed())
    assert alive() == ''.join('01'[source() is not None] for _, source, _ in made)
    print(alive(), end='')
def resident():
    return int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize() // 2**20
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[Notebook]:
    with notebook() as started:
        started.run(START)
        yield started


@pytest.fixture
def cells(kernel: Notebook) -> Iterator[Notebook]:
    kernel.run("made.clear()")
    yield kernel
    kernel.run("ipywidgets.Widget.close_all(); Out.clear(); view = _ = __ = ___ = None")


def alive(cells: Notebook) -> str:
    return cells.run("report()")


SHOWN = {
    "a name": "view = fresh(); display(view)",
    "no name": "display(fresh())",
    "several": "for _ in range(2): display(fresh())",
    "twice": "view = fresh(); display(view); display(view)",
    "frozen afterwards": "view = fresh(); display(view); view.freeze()",
    "frozen at once": "fresh().freeze()",
    "beside another cell's own": "view = fresh(); display(view); view.layer = 0; print(view)",
    "cleared meanwhile": "for _ in range(2): clear_output(wait=True); display(fresh())",
    "not shown": "view = fresh()",
}


@pytest.mark.parametrize("code", SHOWN.values(), ids=SHOWN)
def test_fifty_reruns_leave_what_one_leaves(cells: Notebook, code: str) -> None:
    counts = "print(len(_instances), len(get_ipython().kernel.comm_manager.comms))"
    cells.run(code, cell="a")
    once, first = cells.run(counts), alive(cells)
    for _ in range(49):
        cells.run(code, cell="a")
    assert cells.run(counts) == once
    assert alive(cells) == first.rjust(50 * len(first), "0")


def test_memory_does_not_grow_with_reruns(cells: Notebook) -> None:
    # 16 MB of weights each: 800 MB if they stayed.
    code = "view = fresh(1024); display(view)"
    for _ in range(5):
        cells.run(code, cell="a")
    before = int(cells.run("print(resident())"))
    for _ in range(50):
        cells.run(code, cell="a")
    assert int(cells.run("print(resident())")) - before < 100


def test_what_a_variable_or_out_holds_stays(cells: Notebook) -> None:
    cells.run("kept = fresh(); display(kept)", cell="a")
    cells.run("inside = {'x': [fresh()]}; display(inside['x'][0])", cell="b")
    cells.run("fresh()", cell="c")
    for cell in "abc":
        cells.run("pass", cell=cell)
    assert alive(cells) == "111"
    cells.run("kept.layer = 0; assert kept.comm; del kept")
    assert alive(cells) == "011"
    cells.run(
        "inside.clear(); Out.clear(); _ = __ = ___ = None; __builtins__.__dict__.pop('_', None)"
    )
    assert alive(cells)[:2] == "00"


def test_what_another_cell_shows_stays_until_that_is_run_again(cells: Notebook) -> None:
    cells.run("view = fresh(); display(view)", cell="a")
    cells.run("display(view)", cell="b")
    cells.run("view = fresh(); display(view)", cell="a")
    assert alive(cells) == "11"
    cells.run("pass", cell="b")
    assert alive(cells) == "01"


def test_without_ids_of_cells_everything_shown_stays(cells: Notebook) -> None:
    for _ in range(3):
        cells.run("view = fresh(); display(view)")
    assert alive(cells) == "111"


def test_a_cell_that_fails_or_runs_others_has_let_go_too(cells: Notebook) -> None:
    cells.run("display(fresh())", cell="a")
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        cells.run("1 / 0", cell="a")
    assert alive(cells) == "0"
    cells.run("get_ipython().run_cell('display(fresh())'); display(fresh())", cell="a")
    assert alive(cells) == "011"
    cells.run("pass", cell="b")
    assert alive(cells) == "011"
    cells.run("pass", cell="a")
    assert alive(cells) == "000"


def test_an_output_keeps_what_it_shows(cells: Notebook) -> None:
    cells.run("out = ipywidgets.Output(); display(out)", cell="a")
    fill = "with out:\n    display(fresh())"
    cells.run(fill, cell="b")
    cells.run(fill, cell="b")
    assert alive(cells) == "11"
    cells.run("with out:\n    clear_output(wait=True)\n    display(fresh())", cell="b")
    assert alive(cells) == "001"
    cells.run("clear_output(); display(fresh())", cell="b")
    assert alive(cells) == "0011"
    cells.run("out.clear_output()", cell="c")
    assert alive(cells) == "0001"
    cells.run(fill, cell="c")
    cells.run("out.close()", cell="c")
    assert alive(cells) == "00010"


def test_outputs_around_one_another_keep_what_either_may_show(cells: Notebook) -> None:
    cells.run(
        "outer, inner = ipywidgets.Output(), ipywidgets.Output()\n"
        "with outer:\n    with inner:\n        display(fresh())\n        clear_output()",
        cell="a",
    )
    cells.run("pass", cell="a")
    assert alive(cells) == "1"


@pytest.mark.parametrize("shows", ["display(fresh())", "return fresh()"])
def test_interact_keeps_what_it_shows_last(cells: Notebook, shows: str) -> None:
    cells.run(
        f"def show(i):\n    {shows}\nbox = ipywidgets.interactive(show, i=(0, 9)); display(box)",
        cell="a",
    )
    for i in (1, 7, 3):
        cells.run(f"box.children[0].value = {i}")
    assert alive(cells) == "0001"


def test_what_was_captured_can_still_be_shown(cells: Notebook) -> None:
    cells.run("%%capture held\ndisplay(fresh())", cell="a")
    cells.run("held.show()", cell="b")
    cells.run("pass", cell="a")
    assert alive(cells) == "1"


def test_what_stands_in_another_widget_stays(cells: Notebook) -> None:
    cells.run("box = ipywidgets.VBox([fresh()]); display(box)", cell="a")
    cells.run("pass", cell="a")
    assert alive(cells) == "1"


def test_a_page_that_is_loaded_again_finds_what_is_shown(cells: Notebook) -> None:
    cells.run("display(fresh())", cell="a")
    cells.run(
        "states = {name: widget.get_state() for name, widget in _instances.items()}\n"
        "assert 'meta' in states[made[0][2]]"
    )


def test_all_widgets_can_be_closed_at_once(cells: Notebook) -> None:
    cells.run(
        "out = ipywidgets.Output()\nwith out:\n    display(fresh())\ndisplay(fresh())\nipywidgets.Widget.close_all()",
        cell="a",
    )
    assert alive(cells) == "00"


def test_a_view_that_is_closed_goes_at_once(cells: Notebook) -> None:
    cells.run("view = fresh(); display(view); view.close(); del view", cell="a")
    assert alive(cells) == "0"


def test_a_thread_shows_in_the_cell_that_began_it(cells: Notebook) -> None:
    cells.run(
        "import threading\nthread = threading.Thread(target=lambda: display(fresh()))\nthread.start(); thread.join()",
        cell="a",
    )
    assert alive(cells) == "1"
    cells.run("del thread", cell="a")
    assert alive(cells) == "0"


@pytest.mark.parametrize("frozen", [False, True])
def test_the_25th_view_of_a_cell_says_that_jupyterlab_shows_no_more(
    cells: Notebook, *, frozen: bool
) -> None:
    for _ in range(2):
        cells.run(f"for _ in range(24): display(fresh(frozen={frozen}))", cell="a")
        assert not cells.of_type("stream")
        said = cells.run(f"for _ in range(27): display(fresh(frozen={frozen}))", cell="a")
        assert said.count("This cell shows 25 views") == 1
        kinds = [message["msg_type"] for message in cells.messages]
        outputs = [kind for kind in kinds if kind in {"display_data", "stream"}]
        # Within the 50 that are shown.
        assert outputs.index("stream") < 50
    cells.run("for _ in range(30): clear_output(wait=True); display(fresh())", cell="a")
    assert not cells.of_type("stream")


def test_a_closed_view_as_the_last_line(cells: Notebook) -> None:
    cells.run("view = fresh(); view.close(); view", cell="a")
    (shown,) = cells.of_type("display_data")
    assert "This view was closed" in shown["data"]["text/plain"]
