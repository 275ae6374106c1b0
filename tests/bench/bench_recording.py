"""What recording costs: the same forward pass with and without it, and the memory at its peak.

Run by ``make bench``; ``python tests/bench/bench_recording.py --help`` lists the options. What is measured:

time      the thread's own processor time of a forward pass, once plain and once inside of `recording`, in turns, on one
          thread, so that a busy machine spoils neither. "on" includes making the record. The ratio is the median of
          the turns' ratios.
memory    the resident set at its highest in a process of its own: a plain pass, a recorded one, and an eager one that
          returns its attention. The first is subtracted from the others.
record    bytes of the tensors that the record holds, each storage counted once.

The models have 12 layers of 768 and random weights. The first three go through transformers' interface, which hands over
query and key; the others are read by their arithmetic.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers as hf

from attnwidget.recordings import recording

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from attnwidget import Attention

log = logging.getLogger("bench")
_WIDE = {"hidden_size": 768, "num_attention_heads": 12, "vocab_size": 32_000}


def _gpt2(layers: int) -> Any:
    return hf.GPT2LMHeadModel(hf.GPT2Config(n_layer=layers, n_positions=4096))


def _llama(layers: int) -> Any:
    sizes = {"intermediate_size": 2048, "num_key_value_heads": 4, "num_hidden_layers": layers}
    return hf.LlamaForCausalLM(hf.LlamaConfig(**_WIDE | sizes))


def _bert(layers: int) -> Any:
    return hf.BertModel(
        hf.BertConfig(**_WIDE, num_hidden_layers=layers, max_position_embeddings=4096)
    )


def _bloom(layers: int) -> Any:
    return hf.BloomForCausalLM(
        hf.BloomConfig(vocab_size=32_000, hidden_size=768, n_layer=layers, n_head=12)
    )


def _deberta(layers: int) -> Any:
    sizes = {"intermediate_size": 3072, "num_hidden_layers": layers, "position_buckets": 256}
    bias = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "share_att_key": True}
    sizes["max_position_embeddings"] = 4096
    return hf.DebertaV2Model(
        hf.DebertaV2Config(**_WIDE | sizes | bias, norm_rel_ebd="layer_norm", max_relative_positions=-1)
    )  # fmt: skip


def _gptj(layers: int) -> Any:
    sizes = {"n_embd": 768, "n_layer": layers, "n_head": 12, "rotary_dim": 64}
    return hf.GPTJForCausalLM(hf.GPTJConfig(**sizes, vocab_size=32_000))


def _falcon(layers: int) -> Any:
    return hf.FalconForCausalLM(hf.FalconConfig(**_WIDE, num_hidden_layers=layers))


# Name to (how to build it, how much recording may cost).
MODELS: Mapping[str, tuple[Callable[[int], Any], float]] = {
    "gpt2": (_gpt2, 1.15),
    "llama": (_llama, 1.15),
    "bert": (_bert, 1.15),
    "bloom": (_bloom, 1.5),
    "deberta-v2": (_deberta, 1.5),
    "gptj": (_gptj, 1.5),
    "falcon": (_falcon, 1.5),
}


def built(name: str, layers: int, tokens: int) -> tuple[Any, dict[str, Any]]:
    """Build a model and its inputs, the same every time."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = MODELS[name][0](layers).eval()
    inputs: dict[str, Any] = {"input_ids": torch.randint(5, 1000, (1, tokens))}
    if "LM" in type(model).__name__:
        inputs["use_cache"] = False  # or the cache is measured with the rest
    return model, inputs


def times(name: str, layers: int, tokens: int, turns: int) -> tuple[float, float, float]:
    """Measure: median milliseconds plain and recorded, and the median of the turns' ratios."""
    model, inputs = built(name, layers, tokens)
    plain, recorded = [], []
    with torch.no_grad():
        for _ in range(turns + 1):
            begin = time.thread_time()
            model(**inputs)
            middle = time.thread_time()
            with recording(model):
                model(**inputs)
            plain.append(middle - begin)
            recorded.append(time.thread_time() - middle)
    # The first turn pays for what is made once.
    ratios = [on / off for off, on in zip(plain[1:], recorded[1:], strict=True)]
    return (
        1e3 * statistics.median(plain[1:]),
        1e3 * statistics.median(recorded[1:]),
        statistics.median(ratios),
    )


def peak(name: str, layers: int, tokens: int, how: str) -> None:
    """Run once, and print the highest resident set and the size of the record, in bytes."""
    model, inputs = built(name, layers, tokens)
    if how == "eager":
        model.set_attn_implementation("eager")
    short = {**inputs, "input_ids": inputs["input_ids"][:, :8]}
    with torch.no_grad():
        run(model, short, how)  # what is loaded once is nobody's
        from_here()
        held = run(model, inputs, how)
    sys.stdout.write(f"{highest()} {held}\n")


def run(model: Any, inputs: dict[str, Any], how: str) -> int:
    """Run one forward pass, and say how large its record is, if there is one."""
    if how != "recorded":
        model(**inputs, output_attentions=how == "eager")
        return 0
    with recording(model) as attention:
        model(**inputs)
    return size(attention)


def from_here() -> None:
    """Forget the highest resident set so far, which was that of building the model; where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def highest() -> int:
    """Highest resident set, in bytes."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def size(attention: Attention) -> int:
    """Bytes that a record holds: layers share masks and biases."""
    storages: dict[int, int] = {}
    for stream in attention.streams.values():
        for layer in stream:
            for name in ("query", "key", "value", "bias", "sinks", "recorded", "output_gradient"):
                tensor = getattr(layer, name)
                if tensor is not None:
                    storage = tensor.untyped_storage()
                    storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def peaks(name: str, layers: int, tokens: int) -> dict[str, tuple[int, int]]:
    """Measure memory in processes of their own."""
    found = {}
    for how in ("plain", "recorded", "eager"):
        sizes = ("--layers", str(layers), "--tokens", str(tokens))
        command = [sys.executable, __file__, "--peak", name, how, *sizes]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        most, held = done.stdout.split()
        found[how] = int(most), int(held)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the options ask for and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", help=f"some of {', '.join(MODELS)}; all when left out")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--long", type=int, default=1024, help="tokens when memory is measured")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--peak", nargs=2, metavar=("MODEL", "HOW"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    if options.peak:
        peak(options.peak[0], options.layers, options.tokens, options.peak[1])
        return
    names = options.models or list(MODELS)
    wrong = [name for name in names if name not in MODELS]
    if wrong:
        parser.error(f"models must be some of {', '.join(MODELS)}, got {', '.join(wrong)}")
    log.info(
        "Recording, %d layers of 768, one thread; time at %d tokens, memory at %d",
        *(options.layers, options.tokens, options.long),
    )
    heads = ("off", "on", "ratio", "aim", "peak on", "peak eager", "record", "n x n of all heads")
    log.info("%s", f"{'':12}" + "".join(f"{head:>12}" for head in heads[:-1]) + f"{heads[-1]:>20}")
    for name in names:
        off, on, ratio = times(name, options.layers, options.tokens, options.turns)
        memory = peaks(name, options.layers, options.long)
        above = [(memory[how][0] - memory["plain"][0]) / 1e6 for how in ("recorded", "eager")]
        cells = [
            *(f"{off:,.0f} ms", f"{on:,.0f} ms", f"{ratio:.2f} x", f"{MODELS[name][1]:.2f} x"),
            *(f"{number:+,.0f} MB" for number in above),
            f"{memory['recorded'][1] / 1e6:,.0f} MB",
        ]
        matrices = options.layers * 12 * options.long**2 * 4 / 1e6
        log.info("%s", f"{name:12}" + "".join(f"{cell:>12}" for cell in cells) + f"{matrices:>17,.0f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
