"""A forward that fails for a reason the user can mend says which."""

from __future__ import annotations

import pytest
import torch
from models import zoo

from attnwidget.capture import capture


def test_more_tokens_than_learned_positions_say_how_many_fit() -> None:
    model = zoo.build("gpt2", "sdpa")
    most = model.config.max_position_embeddings
    ids = torch.zeros(1, most + 3, dtype=torch.long)
    with pytest.raises(ValueError, match=f"has {most + 3} tokens, .* takes at most {most}"):
        capture(model, ids)
