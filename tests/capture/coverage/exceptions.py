"""Types of which some head is not knocked out, or some link not cut, as a reference has it, by name, and why."""

from __future__ import annotations

__all__ = ["NOT_CUT", "NOT_EDITED"]

NOT_EDITED: dict[str, str] = {
    "chameleon": "the images of a row count as heads of a block of one head: edited, but no reference was found",
    "diffllama": "the difference of two attentions: refused",
    "groupvit": "divides its weights by their sum over the groups: refused",
    "groupvit_vision_model": "divides its weights by their sum over the groups: refused",
    "informer": "other queries get the mean of the values: refused",
    "vits": "a head adds relative values to its weighted sum: refused",
}

# Beside those that are refused, whose reason is what the error says.
NOT_CUT: dict[str, str] = {
    "timesfm": "two positions, the first of which sees one key in one of two rows: without it the output is 0 by definition",
}
