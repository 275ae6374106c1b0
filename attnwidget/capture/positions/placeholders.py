"""The tokens in whose place a model puts patches of a picture, of a film, or frames of a sound."""

from __future__ import annotations

from typing import Any

__all__ = ["MODALITIES", "placeholder_tokens"]

# What each kind of them represents, and a first mark of its medium: films come after pictures among the media.
MODALITIES = {"image": ("patch", 0), "video": ("patch", 1), "audio": ("frame", None)}
_SUFFIXES = ("token_index", "token_id", "token_idx")


def placeholder_tokens(config: Any) -> dict[int, str]:
    """Return the modality of each such token by its id, as a model's configuration says."""
    found: dict[int, str] = {}
    for name in MODALITIES:
        for suffix in _SUFFIXES:
            token = getattr(config, f"{name}_{suffix}", None)
            if isinstance(token, int):
                found.setdefault(token, name)
    return found
