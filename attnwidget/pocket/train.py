"""Train the pocket model from nothing but its grammar.

    python -m attnwidget.pocket.train --out DIR

No data set and no download: the text is generated as it is needed, from a
seed, so the same seed and the same number of threads give the same model.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

import torch
from safetensors.torch import save_file
from torch.nn import functional

from attnwidget.pocket import grammar, words
from attnwidget.pocket.head_report import IDS, head_scores, report
from attnwidget.pocket.tokens import build_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import GPT2LMHeadModel

logger = logging.getLogger(__name__)

POSITIONS: Final = 512
UNPREDICTABLE_WEIGHT: Final = 0.1
UNKNOWN_RATE: Final = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides the outcome of a training run.

    Attributes:
        steps: Number of optimiser steps.
        seed: Seed of both the text and the initial weights.
        tokens: Tokens in a batch.
        length: Tokens in a row; every eighth batch has rows of 512 instead.
        learning_rate: Peak, doubled for the layers' matrices; reached after 200 steps, and decayed over the
            last third of the run.
        num_layers: Number of layers.
        num_heads: Heads in a layer.
        width: Size of the residual stream.
    """

    steps: int = 4_200
    seed: int = 0
    tokens: int = 3_072
    length: int = 128
    learning_rate: float = 3e-3
    num_layers: int = 4
    num_heads: int = 4
    width: int = 128


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's text: int64 ids and positions, float32 weight of each target."""

    ids: torch.Tensor
    positions: torch.Tensor
    weights: torch.Tensor


def _row(
    stream: Iterator[grammar.Passage], rng: Random, length: int
) -> tuple[list[int], list[float]]:
    """Passages joined to one row of ids, each with its weight as a target."""
    ids, weights = [IDS["<bos>"]], [0.0]
    while len(ids) < length:
        passage = next(stream)
        for place, word in enumerate(passage.words):
            unknown = rng.random() < UNKNOWN_RATE
            ids.append(IDS["<unk>" if unknown else word])
            hard = unknown or place < passage.unpredictable
            weights.append(UNPREDICTABLE_WEIGHT if hard else 1.0)
        ids.append(IDS["<eos>"])
        weights.append(1.0)
    return ids[:length], weights[:length]


def batches(recipe: Recipe) -> Iterator[Batch]:
    """The endless, reproducible sequence of batches.

    Half of the short rows continue at a random position after their first
    token, so that all of the positions are learned from short text too.

    Args:
        recipe: What to generate.

    Yields:
        Batches of about `recipe.tokens` tokens, `[row, position]`.
    """
    rng = Random(recipe.seed)
    stream = grammar.passages(rng)
    step = 0
    while True:
        step += 1
        length = POSITIONS if step % 8 == 0 else recipe.length
        rows, positions = [], []
        for _ in range(max(1, recipe.tokens // length)):
            rows.append(_row(stream, rng, length))
            room = POSITIONS - length
            offset = rng.randint(0, room) if room and rng.random() < 0.5 else 0
            positions.append([0, *range(1 + offset, length + offset)])
        ids, weights = zip(*rows, strict=True)
        yield Batch(torch.tensor(ids), torch.tensor(positions), torch.tensor(weights))


def new_model(recipe: Recipe) -> GPT2LMHeadModel:
    """An untrained model whose weights depend on the seed alone.

    Args:
        recipe: Its size and seed.

    Returns:
        The model, in training mode.
    """
    from transformers import GPT2Config, GPT2LMHeadModel  # noqa: PLC0415 - slow to import

    config = GPT2Config(
        vocab_size=len(words.VOCABULARY),
        n_positions=POSITIONS,
        n_embd=recipe.width,
        n_layer=recipe.num_layers,
        n_head=recipe.num_heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=IDS["<bos>"],
        eos_token_id=IDS["<eos>"],
        pad_token_id=IDS["<pad>"],
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = GPT2LMHeadModel(config)
    # Starting from sinusoids, "one to the left" is the same linear map at every
    # position, so a previous-token head forms soon and at all of them.
    rates = torch.exp(torch.arange(0, recipe.width, 2) * (-math.log(1_000.0) / recipe.width))
    angles = torch.arange(POSITIONS)[:, None] * rates
    with torch.no_grad():
        waves = torch.cat([angles.sin(), angles.cos()], dim=1)
        model.transformer.wpe.weight.copy_(0.1 * waves)
    model.train()
    return model


def _optimizers(model: GPT2LMHeadModel) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the matrices of the layers, AdamW for everything else.

    Tried on this task, Muon was ahead of AdamW alone: a loss of 2.4 against 2.6
    after 400 steps, which take about as long.
    """
    if not hasattr(torch.optim, "Muon"):
        message = f"training needs torch 2.9 or later, got {torch.__version__}."
        raise RuntimeError(message)
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        hidden = parameter.ndim == 2 and ".h." in name
        (matrices if hidden else others).append(parameter)
    return (
        torch.optim.Muon(
            [{"params": matrices, "factor": 2.0}],
            weight_decay=0.05,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW([{"params": others, "factor": 1.0}], betas=(0.9, 0.98), weight_decay=0.0),
    )


def _rate(recipe: Recipe, step: int) -> float:
    """The learning rate of a step: a short rise, a plateau, a linear fall."""
    left = (recipe.steps - step) / (recipe.steps / 3)
    return recipe.learning_rate * min(1.0, (step + 1) / 200, left)


def _loss(model: GPT2LMHeadModel, batch: Batch) -> torch.Tensor:
    logits = model(
        batch.ids,
        position_ids=batch.positions,
        # Without a mask, transformers takes a jump in the positions for the start
        # of another sequence, and hides the first token from the rest of its row.
        attention_mask=torch.ones_like(batch.ids),
        use_cache=False,
    ).logits
    losses = functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), batch.ids[:, 1:].flatten(), reduction="none"
    )
    weights = batch.weights[:, 1:].flatten()
    return (losses * weights).sum() / weights.sum()


def train(
    recipe: Recipe, *, out: Path | None = None, every: int = 500
) -> tuple[GPT2LMHeadModel, list[float]]:
    """Train a model.

    Args:
        recipe: What to train; equal recipes give equal models.
        out: Folder for the model, written every `every` steps and at the end.
        every: Steps between two checkpoints.

    Returns:
        The model in evaluation mode, and the loss of every step.
    """
    model = new_model(recipe)
    optimizers = _optimizers(model)
    losses: list[float] = []
    source = batches(recipe)
    for step in range(recipe.steps):
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = _rate(recipe, step) * group["factor"]
        loss = _loss(model, next(source))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad()
        losses.append(loss.item())
        done = step + 1
        if done % 100 == 0:
            logger.info("step %d of %d, loss %.3f", done, recipe.steps, sum(losses[-100:]) / 100)
        if out is not None and done % every == 0 and done < recipe.steps:
            save(model, out)
            logger.info("%s", report(head_scores(model, samples=40)))
    if out is not None:
        save(model, out)
    model.train(mode=False)
    return model, losses


def save(model: GPT2LMHeadModel, out: Path) -> None:
    """Write weights, configuration and tokenizer.

    Weights are stored in half precision, which keeps the package small.

    Args:
        model: The model to write.
        out: The folder; made if it does not exist.
    """
    out.mkdir(parents=True, exist_ok=True)
    # The output layer is the embedding again, so it is left out of the file.
    weights = {
        name: tensor.detach().to(torch.float16).contiguous()
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight"
    }
    partial = out / "model.safetensors.partial"
    save_file(weights, partial, metadata={"format": "pt"})
    partial.chmod(0o644)  # it is made readable by its owner alone
    partial.replace(out / "model.safetensors")
    config = model.config.to_diff_dict()
    config.pop("transformers_version", None)
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    build_tokenizer().save(str(out / "tokenizer.json"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line.

    Args:
        arguments: What was typed after the name; by default taken from `sys.argv`.
    """
    defaults = Recipe()
    parser = argparse.ArgumentParser(prog="attnwidget.pocket.train", description=train.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument(
        "--threads", type=int, default=1, help="more is faster, with other rounding"
    )
    parser.add_argument("--every", type=int, default=500, help="steps between two checkpoints")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(given.threads)
    recipe = Recipe(steps=given.steps, seed=given.seed)
    model, losses = train(recipe, out=given.out, every=given.every)
    logger.info("final loss %.3f", sum(losses[-100:]) / len(losses[-100:]))
    logger.info("%s", report(head_scores(model)))


if __name__ == "__main__":
    main()
