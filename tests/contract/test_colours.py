"""The colours that Python knows are the front end's: both are held against the same table.

`js/tests/unit/styles/colours.test.ts` is the other half.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attnwidget.export.colours import THEMES, head_colour, ramp

COLOURS = json.loads((Path(__file__).parent / "fixtures" / "colours.json").read_text("utf-8"))


@pytest.mark.parametrize("name", ["light", "dark"])
def test_colours_are_those_of_the_table(name: str) -> None:
    theme, expected = THEMES[name], COLOURS[name]
    for one in ("text", "muted", "accent", "special"):
        assert getattr(theme, one) == expected[one]
    assert ramp(theme.sequential) == expected["sequential"]
    for count, colours in expected["heads"].items():
        assert [head_colour(theme, head, int(count)) for head in range(int(count))] == colours
