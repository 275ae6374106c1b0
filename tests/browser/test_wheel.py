"""The wheel over a panel: it moves what the panel holds while it can, and then the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser.copies import frozen
from browser.waiting import until
from browser.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser.lab import Lab, Notebook
    from playwright.sync_api import Locator

# Room to scroll on both sides, in the output itself: JupyterLab takes cells out of the page that are out of sight.
LINES = 60
START = f"""
import numpy as np

import attnwidget as aw

model, tokenizer = aw.pocket()
text = "The cat sat on the mat"
longer = " ".join(["the old dog sat on the mat because it was tired and"] * 8)
generator = np.random.default_rng(0)

def show(view):
    view.layout.padding = "{20 * LINES}px 0"
    return view
"""
ALL = 'view = show(aw.view(model, text, tokenizer, query=3))\nview'
MATRIX = 'show(aw.view(model, text, tokenizer, view="head", form="matrix"))'
TEXT = 'show(aw.view(model, text, tokenizer, view="head", form="text"))'
HEADS = 'show(aw.view(model, text, tokenizer, view="compare", compare=[(0, 1), (2, 3)]))'
TWO = 'show(aw.compare(*(aw.capture(model, each, tokenizer) for each in (text, text + " too"))).view(view="all"))'
SURVEY = "show(aw.survey(model, [text, longer], tokenizer=tokenizer, progress=False).view())"
GENERATION = """
inputs = tokenizer("the cat sat", return_tensors="pt")
with aw.recording(model, tokenizer) as attention:
    model.generate(**inputs, max_new_tokens=4, min_new_tokens=4)
show(aw.view(attention))
"""
LONG = 'show(aw.view(model, longer, tokenizer))'
LONG_TEXT = 'show(aw.view(model, " ".join([longer] * 4), tokenizer, view="head", form="text"))'
FROZEN = ""
