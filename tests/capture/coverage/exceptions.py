"""Types of which some head cannot be knocked out as a reference has it, by name, and why."""

from __future__ import annotations

__all__ = ["NOT_EDITED"]

NOT_EDITED: dict[str, str] = {
    "chameleon": "the images of a row count as heads of a block of one head: edited, but no reference was found",
    "diffllama": "the difference of two attentions: refused",
    "groupvit": "divides its weights by their sum over the groups: refused",
    "groupvit_vision_model": "divides its weights by their sum over the groups: refused",
    "informer": "other queries get the mean of the values: refused",
    "vits": "a head adds relative values to its weighted sum: refused",
}
