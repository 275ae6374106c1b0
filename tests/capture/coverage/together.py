"""Inputs of models of text and images, sounds or videos: as many tokens stand in the text as the model makes features."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from capture.coverage.features import CANDIDATES
from capture.coverage.recipes import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TOKENS = ("{}_token_id", "{}_token_index", "{}_token_idx", "{}_pad_token_id")
_PADDING = 3  # positions at the end of the padded row


def together(make: Any, model: Any) -> Iterator[dict[str, Any]]:
    """Make text with all the kinds of features the model puts into it, then with one kind after the other.

    Args:
        make: Draws numbers and tokens.
        model: The model.

    Yields:
        Its inputs; none when it puts nothing into text, or nothing that is known here.
    """
    if "input_ids" not in make.names:
        return
    found = {}
    for kind, candidates in CANDIDATES.items():
        features = _features(model, kind)
        names = (name.format(kind) for name in _TOKENS)
        token = next(
            (value for name in names if type(value := _option(model.config, name)) is int), None
        )
        if token is None or features is None:
            continue
        counted = (_counted(features, candidate, make, model) for candidate in candidates)
        taken = next((each for each in counted if each is not None and each[1] % ROWS == 0), None)
        if taken is not None:
            found[kind] = (token, *taken)
    for kinds in (list(found), *([kind] for kind in found if len(found) > 1)):
        if kinds:
            yield _with_text(make, {kind: found[kind] for kind in kinds})


def _with_text(make: Any, found: dict[str, tuple[int, dict[str, Any], int]]) -> dict[str, Any]:
    """Put the places of the features between the words."""
    places: list[int] = []
    kinds: list[int] = []
    inputs: dict[str, Any] = {}
    for kind, (token, given, count) in found.items():
        places += [token] * (count // ROWS)
        kinds += [1 + list(CANDIDATES).index(kind)] * (count // ROWS)
        inputs |= given
    text = make.ids(8)
    row = torch.tensor(places).expand(ROWS, -1)
    ids = torch.cat([text[:, :2], row, text[:, 2:]], dim=1)
    mask = torch.ones_like(ids)
    mask[1, -_PADDING:] = 0
    types = torch.zeros_like(ids)
    types[:, 2 : 2 + len(kinds)] = torch.tensor(kinds)
    inputs |= {
        "input_ids": ids,
        "attention_mask": mask,
        "mm_token_type_ids": types,
        "token_type_ids": (types > 0).long(),
        "decoder_input_ids": make.ids(5),
    }
    return {name: value for name, value in inputs.items() if name in make.names}


def _option(config: Any, name: str) -> Any:
    try:
        return getattr(config, name, None)
    except RuntimeError:  # an option that each layer has of its own
        return None


def _features(model: Any, kind: str) -> Callable[..., Any] | None:
    name = f"get_{kind}_features"
    for holder in (model, getattr(model, "model", None)):
        if hasattr(holder, name):
            return getattr(holder, name)  # type: ignore[no-any-return]
    return None


def _counted(
    features: Callable[..., Any],
    candidate: Callable[[Any, Any], dict[str, Any]],
    make: Any,
    model: Any,
) -> tuple[dict[str, Any], int] | None:
    """Ask a model for features, and count them."""
    names = inspect.signature(features).parameters
    try:
        given = candidate(make, model)
        taken = {name: value for name, value in given.items() if name in names}
        with torch.no_grad():
            made = features(**taken)
    except Exception:  # noqa: BLE001  the next candidate may do
        return None
    pooled = getattr(made, "pooler_output", made)
    pooled = getattr(made, "last_hidden_state", None) if pooled is None else pooled
    if hasattr(made, "deepstack_features") and not isinstance(pooled, torch.Tensor | list | tuple):
        pooled = made.deepstack_features[0][1]  # the same places are filled for each layer
    tensors = list(_tensors(pooled))
    return (taken, sum(tensor.shape[:-1].numel() for tensor in tensors)) if tensors else None


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)
