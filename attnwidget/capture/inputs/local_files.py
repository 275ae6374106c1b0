"""Where on this machine the files of a model's tokenizer and processor are; no hub is asked for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

__all__ = ["model_folder", "model_name"]

# Of these a model's folder has one at least, where there is anything to load from it.
_FILES = (
    "tokenizer_config.json", "tokenizer.json", "preprocessor_config.json", "processor_config.json", "config.json",
)  # fmt: skip


def model_name(model: Any) -> str:
    """Return the name that a model was loaded from, empty where it knows none."""
    return getattr(model, "name_or_path", "") or ""


def model_folder(model: Any) -> str | None:
    """Return the folder that a model was loaded from: its own, or that of its name in the hub's cache.

    transformers can be told to look at local files only, yet asks the hub for something else while it looks up a name
    (`huggingface_hub` fetches a list for its user agent). For a folder it asks nothing.
    """
    name = model_name(model)
    if not name or Path(name).is_dir():
        return name or None
    # The files of the same commit, where the model knows it.
    commit = getattr(getattr(model, "config", None), "_commit_hash", None)
    for revision in dict.fromkeys((commit, None)):
        for file in _FILES:
            try:
                found = try_to_load_from_cache(name, file, revision=revision)
            except HFValidationError:
                return None
            if isinstance(found, str):
                return str(Path(found).parent)
    return None
