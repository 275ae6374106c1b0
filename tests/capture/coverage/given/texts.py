"""Inputs of models of text, of bytes, and of actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


def _blt_local_encoder(make: Any) -> dict[str, Any]:
    patch_ids = torch.arange(12).expand(2, 12) // 3
    return {"input_ids": make.ids(12), "patch_ids": patch_ids, "num_patches": 4}


def _blt_local_decoder(make: Any) -> dict[str, Any]:
    width = make.config.hidden_size_global
    return {
        "inputs_embeds": make.normal(2, 12, make.config.hidden_size),
        "patch_embeds": make.normal(2, 5, width),
    }


def _decision_transformer(make: Any) -> dict[str, Any]:
    return {
        "states": make.normal(2, 6, make.config.state_dim),
        "actions": make.normal(2, 6, make.config.act_dim),
        "rewards": make.normal(2, 6, 1),
        "returns_to_go": make.normal(2, 6, 1),
        "timesteps": torch.arange(6).expand(2, 6),
        "attention_mask": make.mask(6, 4),
    }


def _jev(make: Any) -> dict[str, Any]:
    """One prompt with two questions, of two and of three options."""
    return {
        "input_ids": make.ids(12)[:1],
        "marks": torch.tensor([[5, 11]]),
        "num_options": torch.tensor([[2, 3]]),
        "question_type_ids": torch.tensor([[0, 1]]),
    }


def _muse_assistant(make: Any) -> dict[str, Any]:
    config = make.config
    return {
        "noise_embeds": make.normal(2, 5, config.hidden_size),
        "context_hidden_states": make.normal(
            2, 7, config.hidden_size * len(config.target_layer_ids)
        ),
    }


def _rag(make: Any) -> dict[str, Any]:
    """A question, two documents for each row, and an answer."""
    documents = make.config.n_docs
    return {
        **make.text(),
        "context_input_ids": torch.cat([make.ids(10) for _ in range(documents)]),
        "context_attention_mask": torch.ones(2 * documents, 10, dtype=torch.long),
        "doc_scores": make.normal(2, documents),
        "decoder_input_ids": make.ids(5),
    }


def _lilt(make: Any) -> dict[str, Any]:
    return {**make.text(), "bbox": boxes(make, 12)}


def boxes(make: Any, count: int) -> torch.Tensor:
    """Draw boxes of words on a page of 1,000 by 1,000."""
    corners = (make.normal(2, count, 2).abs() * 200).clamp(max=500).long()
    return torch.cat([corners, corners + 40], dim=-1)


GIVEN: dict[str, Callable[[Any], dict[str, Any]]] = {
    "blt_local_decoder": _blt_local_decoder,
    "blt_local_encoder": _blt_local_encoder,
    "decision_transformer": _decision_transformer,
    "jev": _jev,
    "lilt": _lilt,
    "muse_glimmer_assistant": _muse_assistant,
    "rag": _rag,
}
