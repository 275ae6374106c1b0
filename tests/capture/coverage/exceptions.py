"""Types of which some head cannot be knocked out as a reference has it, by name, and why."""

from __future__ import annotations

__all__ = ["NOT_EDITED"]

NOT_EDITED: dict[str, str] = {
    "big_bird": "attends in a sparse layout, whose heads are put together from pieces: refused",
    "bigbird_pegasus": "attends in a sparse layout, whose heads are put together from pieces: refused",
    "chameleon": "the images of a row count as heads of a block of one head: edited, but no reference was found",
    "diffllama": "the difference of two attentions: refused",
    "groupvit": "divides its weights by their sum over the groups: refused",
    "groupvit_vision_model": "divides its weights by their sum over the groups: refused",
    "informer": "other queries get the mean of the values: refused",
    "jetmoe": "its output projection is routed to experts: edited, but no reference was found",
    "led": "attends in a sparse layout, whose heads are put together from pieces: refused",
    "longformer": "attends in a sparse layout, whose heads are put together from pieces: refused",
    "longt5": "attends in a sparse layout, whose heads are put together from pieces: refused",
    "nystromformer": "attends in a sparse layout, whose heads are put together from pieces: refused",
    "pegasus_x": "attends in a sparse layout, whose heads are put together from pieces: refused",
    "reformer": "attends in a sparse layout, whose heads are put together from pieces: refused",
    "vits": "a head adds relative values to its weighted sum: refused",
}
