"""Lets torchvision be imported where its compiled operations do not load: timm needs only what it has in Python."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

__all__ = ["declare_operations"]

# What torchvision describes while it is imported, whether or not its library could be loaded.
_DESCRIBED = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

# Operations last as long as the library that they were declared in.
_declared: list[torch.library.Library] = []


def declare_operations() -> None:
    """Declare these operations where torchvision is installed and its library does not load; else do nothing.

    A package registry has torchvision compiled beside a torch with CUDA: its library does not load beside one without,
    and torchvision then fails while it is imported. A model that calls such an operation raises that there is no
    implementation of it, and is listed as not run.
    """
    found = importlib.util.find_spec("torchvision")
    folders = [] if found is None else found.submodule_search_locations or []
    if not folders or _declared:
        return
    try:
        for library in Path(folders[0]).glob("_C*.so"):
            torch.ops.load_library(str(library))
            return
    except OSError:
        pass
    declared = torch.library.Library("torchvision", "FRAGMENT")
    for operation in _DESCRIBED:
        declared.define(operation)
    _declared.append(declared)
