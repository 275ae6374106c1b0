"""The figure of the button and the figure of the headless engine are one: byte for byte, in every view."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser.figures import by_browser, headless, saved_by_button

from attnwidget.figures import convert

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser.lab import Lab, Notebook

TEXT = "The cat sat on the mat because it was tired"
TESTS = Path(__file__).parents[1]
START = f"import attnwidget as aw\nmodel, tokenizer = aw.pocket()\nview = aw.view(model, {TEXT!r}, tokenizer=tokenizer, choose=False)\nview"
# Decoder and probe, the latter over a picture, with hostile tokens and a generation.
RECORD = f"import sys\nsys.path.insert(0, {str(TESTS)!r})\nfrom contract.record import record\nview = aw.view(record(), choose=False)\nview"

STATES: dict[str, dict[str, Any]] = {
    "all": {"layer": 3, "heads": [1, 3], "query": 8},
    "model": {"view": "model", "layer": 2},
    "scored": {"view": "model", "score": "previous"},
    "scatter": {
        "view": "model",
        "score": "previous",
        "other_score": "induction",
        "arrange": "scatter",
    },
    "lines": {"view": "head", "layer": 3, "heads": [1, 3]},
    "fan": {"view": "head", "layer": 3, "heads": [1, 3], "query": 8},
    "panels": {"view": "head", "layer": 3, "heads": [3, 0, 1], "query": 8, "panels": "one a head"},
    "matrix": {"view": "head", "layer": 3, "heads": [0, 1, 3], "form": "matrix", "key": 2},
    "text": {"view": "head", "layer": 3, "heads": [1, 3], "form": "text", "query": 8},
    "text of a key": {"view": "head", "layer": 3, "heads": [1], "form": "text", "key": 2},
    "text of the mean": {"view": "all", "heads": [0, 1, 2, 3], "form": "text"},
    "neuron": {"view": "neuron", "layer": 3, "heads": [1], "query": 8},
    "whole head": {
        "view": "neuron",
        "layer": 3,
        "heads": [1, 3],
        "query": [8, 5],
        "explain": "head",
    },
    "compare": {"view": "compare", "compare": [(0, 1), (3, 1)]},
    "compared matrices": {"view": "compare", "compare": [(0, 1), (3, 1)], "form": "matrix"},
    "dark": {"view": "all", "theme": "dark", "compare": [(0, 1)]},
}

# Both as the browser draws them: the count of differing channels, and of all.
COMPARE = """async ([one, other]) => {
  const draw = async (svg) => {
    const image = new Image();
    image.src = "data:image/svg+xml;base64," + svg;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [2 * image.naturalWidth, 2 * image.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return context.getImageData(0, 0, canvas.width, canvas.height).data;
  };
  const [a, b] = [await draw(one), await draw(other)];
  let different = Math.abs(a.length - b.length);
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) different++;
  return [different, a.length];
}"""


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Iterator[Notebook]:
    notebook = lab.notebook([START, RECORD], name="figures")
    notebook.run(0)
    yield notebook
    notebook.close()


def differences(notebook: Notebook, one: bytes, other: bytes) -> list[int]:
    texts = [base64.b64encode(svg).decode("ascii") for svg in (one, other)]
    found: list[int] = notebook.page.evaluate(COMPARE, texts)
    return found


@pytest.mark.parametrize("name", STATES)
def test_the_button_saves_what_the_engine_draws(
    notebook: Notebook, name: str, tmp_path: Path
) -> None:
    usual = {"view": "all", "layer": 0, "heads": [0], "query": None, "key": None, "form": "lines",
             "compare": [], "theme": "light", "score": None, "other_score": None, "arrange": "layers",
             "explain": "link", "panels": "overlaid"}  # fmt: skip
    state = {**usual, **STATES[name]}
    notebook.execute(
        f"with view.hold_trait_notifications():\n    for name, value in {state!r}.items(): setattr(view, name, value)"
    )
    widget = notebook.widget(0)
    widget.leave()
    notebook.rest(widget)
    button = saved_by_button(widget)
    engine = headless(notebook, tmp_path / "figure.svg")
    assert button == engine
    assert convert.to_png(button.decode()) == convert.to_png(engine.decode())
    different, channels = differences(notebook, button, engine)
    assert different == 0
    assert channels > 100_000


def test_over_a_picture_and_with_hostile_tokens(notebook: Notebook, tmp_path: Path) -> None:
    notebook.run(1)
    widget = notebook.widget(1)
    shown = [("decoder", "lines"), ("decoder", "text"), ("probe", "text"), ("probe", "image")]
    for stream, form in shown:
        notebook.execute(f"view.stream, view.form = {stream!r}, {form!r}")
        widget.leave()
        notebook.rest(widget)
        assert saved_by_button(widget) == headless(notebook, tmp_path / "figure.svg")
    notebook.run(0)


def test_options_draw_the_same_in_the_browser(notebook: Notebook, tmp_path: Path) -> None:
    notebook.execute(
        "view.view, view.layer, view.heads, view.form, view.query = 'head', 3, [1, 3], 'lines', None"
    )
    widget = notebook.widget(0)
    widget.leave()
    notebook.rest(widget)
    options = (
        "width='85mm', font_size=8, theme='print', top_k=2, title='Two heads', grid=2, whole=True"
    )
    drawn, asked = tmp_path / "engine.svg", tmp_path / "browser.svg"
    notebook.execute(f"view.save({str(drawn)!r}, renderer='headless', {options})")
    assert by_browser(notebook, asked, options) == drawn.read_bytes()
