"""A forward that fails for a reason the user can mend says which."""

from __future__ import annotations

import pytest
from models import zoo

from attnwidget.capture import capture


# RoBERTa counts its positions from the row after the padding's, which is row 0 here.
@pytest.mark.parametrize(
    ("name", "most"), [("gpt2", 64), ("bert", 64), ("distilbert", 64), ("roberta", 63)]
)
def test_more_tokens_than_learned_positions_say_how_many_fit(name: str, most: int) -> None:
    model = zoo.build(name, "sdpa")
    capture(model, zoo.ids(most))
    for over in (1, 9):
        with pytest.raises(ValueError, match=f"has {most + over} tokens, .* takes at most {most}"):
            capture(model, zoo.ids(most + over))
