"""Where on this machine the files of a model's tokenizer and processor are; no hub is asked for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

__all__ = ["how_to_load", "load_from_files", "model_folder", "model_name"]

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


def how_to_load(model: Any, kind: str, given: str) -> str:
    """Return the lines to write, to load what a model was not given.

    Args:
        model: The model.
        kind: ``"tokenizer"`` or ``"processor"``.
        given: What the model is to read, as a call names it.
    """
    name = model_name(model) or "..."
    return (
        f"load it with {kind} = Auto{kind.title()}.from_pretrained({name!r}), then pass it: "
        f"aw.view(model, {given}, {kind})"
    )


def load_from_files(model: Any, kind: str, given: str, auto: Any) -> Any:
    """Load a model's tokenizer or processor from the files of this machine.

    Args:
        model: A model that knows its name.
        kind: As for `how_to_load`.
        given: As for `how_to_load`.
        auto: The class of transformers that loads it.

    Raises:
        ValueError: If there is none. No hub is asked: that a cell goes out to the network is for its author to write.
    """
    missing = (
        f"no {kind} given and none found for {model_name(model)!r} among the files of this machine; "
        f"{how_to_load(model, kind, given)}."
    )
    folder = model_folder(model)
    if folder is None:
        raise ValueError(missing)
    try:
        return auto.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        raise ValueError(missing) from error
