"""Types of which some head is not knocked out, some link not cut, or some gradient not there, as a reference has it, and why."""

from __future__ import annotations

__all__ = ["NOT_CUT", "NOT_EDITED", "NO_GRADIENTS"]

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

_SPARSE = "a layout read by an adapter, which follows no weighted sum: no gradients in these layers"
_NO_GRAD = "the model runs these layers without gradients (torch.no_grad)"
_SCALED = "the output is scaled by the sink inside the attention function: the gradient is that of what the function returns"
_NOT_COMPARED = "no tensor of the model holds the output of these layers in a form that is compared"

NO_GRADIENTS: dict[str, str] = {
    "big_bird": _SPARSE,
    "bigbird_pegasus": _SPARSE,
    "blt": f"patcher: {_NO_GRAD}",
    "chameleon": f"pictures: {_NO_GRAD}",
    "edgetam_video": _NO_GRAD,
    "granite_swa": _SCALED,
    "granitemoe_swa": _SCALED,
    "hrm_text": f"all cycles but the last: {_NO_GRAD}",
    "idefics": f"pictures: {_NOT_COMPARED}",
    "janus_vqgan": _NOT_COMPARED,
    "led": _SPARSE,
    "longformer": _SPARSE,
    "longt5": _SPARSE,
    "neucodec": f"the sound's encoder: {_NO_GRAD}",
    "nystromformer": _SPARSE,
    "pegasus_x": _SPARSE,
    "reformer": _SPARSE,
    "sam2_video": _NO_GRAD,
    "sam3_tracker_video": _NO_GRAD,
    "sam3_video": _NO_GRAD,
    "vits": "a head adds relative values to its weighted sum, which no tensor of the model holds alone",
    "xcodec": _NO_GRAD,
    "xcodec2": f"the sound's semantic encoder: {_NO_GRAD}",
}
