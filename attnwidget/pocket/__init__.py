"""A tiny language model that comes with the package.

`pocket()` needs no network and no download, so the first cell of a notebook
can draw attention that was really learned. `README.md` beside this file says
what the model is and what it is not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

__all__ = ["NAME", "pocket", "pocket_tokenizer"]

# What the model calls itself: no path of the machine it was loaded on, and no hub id.
NAME = "pocket"

_FOLDER = Path(__file__).parent


def pocket() -> tuple[GPT2LMHeadModel, PreTrainedTokenizerFast]:
    """Load the bundled model and its tokenizer.

    A word-level GPT-2 of 4 layers with 4 heads each, for up to 512 tokens. It
    reads the few hundred words of a small generated English; every other word
    becomes `<unk>`. Each text starts with the token `<bos>`.

    Every call returns fresh objects, so what one caller changes no other sees.
    Nothing is downloaded and the random state of torch is left alone.

    Returns:
        The model (float32, on the CPU, in evaluation mode) and its tokenizer.

    Example:
        >>> model, tokenizer = pocket()
        >>> inputs = tokenizer("The cat sat on the mat", return_tensors="pt")
        >>> model(**inputs).logits.shape
        torch.Size([1, 7, 442])
    """
    # Imported here, so that whoever brings a model of their own does not wait for GPT-2's classes.
    import torch  # noqa: PLC0415
    from safetensors.torch import load_file  # noqa: PLC0415
    from transformers import (  # noqa: PLC0415
        GPT2Config,
        GPT2LMHeadModel,
    )

    config = GPT2Config.from_json_file(_FOLDER / "config.json")
    config.name_or_path = NAME
    with torch.random.fork_rng(devices=[]):
        model = GPT2LMHeadModel(config)
    weights = load_file(_FOLDER / "model.safetensors")
    missing, unexpected = model.load_state_dict(weights, strict=False)
    if unexpected or missing != ["lm_head.weight"]:
        message = (
            f"the pocket model's weights do not fit its config.json: missing {missing}, "
            f"unexpected {unexpected}; reinstall attnwidget."
        )
        raise ValueError(message)
    model.train(mode=False)
    return model, pocket_tokenizer()


def pocket_tokenizer() -> PreTrainedTokenizerFast:
    """Load the bundled model's tokenizer alone."""
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    config = json.loads((_FOLDER / "config.json").read_text(encoding="utf-8"))
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(_FOLDER / "tokenizer.json"),
        name_or_path=NAME,
        bos_token="<bos>",  # noqa: S106 - a token, no secret
        eos_token="<eos>",  # noqa: S106
        unk_token="<unk>",  # noqa: S106
        pad_token="<pad>",  # noqa: S106
        model_max_length=config["n_positions"],
        # Before transformers 5 token types are made besides unless told, which GPT-2 adds to its states.
        model_input_names=["input_ids", "attention_mask"],
    )
    return tokenizer
