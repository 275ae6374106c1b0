"""Models that several processes share by tensor parallelism: what each records of its heads becomes one record."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers as hf
from support import sharing, zoo
from support.model_checks import compare, own

import attnwidget as aw
from attnwidget.capture.distributed.head_shards import fill_value_norms, join_heads
from attnwidget.record.layer import Layer
from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TEXT = {
    "vocab_size": 61,
    "hidden_size": 64,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
CONFIGS: dict[str, Any] = {
    "llama": lambda: hf.LlamaConfig(**TEXT),
    "one-key": lambda: hf.LlamaConfig(**TEXT | {"num_key_value_heads": 1}),
    # Its second layer has sinks and twice as many key heads as the first; values are shorter than keys.
    "sinks": lambda: hf.MiMoV2FlashConfig(
        **TEXT,
        v_head_dim=4,
        sliding_window=3,
        layer_types=["full_attention", "sliding_attention"],
        mlp_layer_types=["dense", "dense"],
    ),
    "softcap": lambda: hf.Gemma2Config(**TEXT, sliding_window=3, attn_logit_softcapping=2.0),
    # Their queries and keys are normed across all heads, so every process computes all of them.
    "gathered": lambda: hf.Olmo2Config(**{k: v for k, v in TEXT.items() if k != "head_dim"}),
}
IMPLEMENTATIONS = [
    ("llama", "eager"),
    ("llama", "sdpa"),
    ("one-key", "sdpa"),  # transformers' own eager function has no notion of it
    ("sinks", "eager"),
    ("softcap", "eager"),
    ("gathered", "eager"),
]


def plain(folder: Path, name: str, implementation: str = "eager") -> Any:
    """Load all of a model."""
    return hf.AutoModelForCausalLM.from_pretrained(
        folder / name, attn_implementation=implementation
    ).eval()


def started(folder: Path, world: int) -> None:
    """Run as many processes: two as ``torchrun`` does, four as forks of a server, which is faster."""
    if world == 2:
        run = "torch.distributed.run", "--standalone", "--nproc-per-node", "2"
        path = os.pathsep.join(sys.path)
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        made = subprocess.run(
            [sys.executable, "-m", *run, sharing.__file__, str(folder)],
            env=environment, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr[-4000:]
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["support.sharing"])
    processes = [
        context.Process(target=sharing.in_file, args=(rank, world, folder)) for rank in range(world)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    assert codes == [0] * world


@pytest.fixture(scope="module", params=[2, 4], ids=["two", "four"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder into which so many processes have written their records, their number, and what they said."""
    folder, world = tmp_path_factory.mktemp("shared"), request.param
    for name, config in CONFIGS.items():
        zoo.wake(hf.AutoModelForCausalLM.from_config(config())).save_pretrained(folder / name)
    started(folder, world)
    said = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(world)]
    return folder, world, said


def loaded(shared: Any, name: str) -> list[aw.Attention]:
    folder, world, _ = shared
    return [aw.load(folder / f"{name}-{rank}.safetensors") for rank in range(world)]


def same(found: aw.Attention, expected: aw.Attention) -> None:
    """Two records of one input, of sums made in another order."""
    assert repr(found) == repr(expected)
    for stream, other in zip(found.streams.values(), expected.streams.values(), strict=True):
        assert stream.key_positions == other.key_positions
        for one, two in zip(stream, other, strict=True):
            assert repr(one) == repr(two)
            assert (one.band, one.softcap, one.norm_reason) == (two.band, two.softcap, two.norm_reason)  # fmt: skip
            np.testing.assert_allclose(one.weights(), two.weights(), rtol=0, atol=1e-5)
            for field in ("query", "key", "value", "bias", "sinks", "value_norms"):
                held, wanted = getattr(one, field), getattr(two, field)
                assert (held is None) == (wanted is None), field
                if held is not None:
                    torch.testing.assert_close(held, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "implementation"), IMPLEMENTATIONS)
def test_every_process_has_the_record_of_all_heads(
    shared: Any, name: str, implementation: str
) -> None:
    folder, _, said = shared
    model = plain(folder, name, implementation)
    expected = capture(model, {"input_ids": zoo.ids(9)})
    weights = own(plain(folder, name), {"input_ids": zoo.ids(9)})
    for found in loaded(shared, f"{name}-{implementation}"):
        same(found, expected)
        compare(found, weights)
        assert found["decoder"][0].num_heads == 8
        assert found["decoder"][1].value_norms is not None
        assert (found["decoder"][1].sinks is None) == (name != "sinks")
    assert all(
        one[f"{name}-{implementation}"] for one in said
    )  # as without a recording, to the last bit


def test_gradients_generations_and_rows_of_a_batch(shared: Any) -> None:
    model = plain(shared[0], "llama", "sdpa")
    for found in loaded(shared, "gradients"):
        same(found, capture(model, zoo.ids(9)))
    with recording(model) as expected:
        model.generate(zoo.ids(5), max_new_tokens=4, do_sample=False)
    for found in loaded(shared, "generation"):
        same(found, expected.attention)
        assert found.next_tokens is not None
        np.testing.assert_array_equal(found.next_tokens.chosen, expected.next_tokens.chosen)
    some = {"layers": 1, "positions": slice(2, 5)}
    for name in ("some", "disk"):
        for found in loaded(shared, name):
            same(found, capture(model, zoo.ids(9), **some))
            assert (found["decoder"].first_query, len(found["decoder"])) == (2, 1)
    for found in loaded(shared, "row"):
        same(found, capture(model, zoo.ids(9, rows=3), batch=1))


def test_replicas_have_records_of_their_own(shared: Any) -> None:
    model = plain(shared[0], "llama", "sdpa")
    for name in ("replica", "wrapped"):
        for rank, found in enumerate(loaded(shared, name)):
            same(found, capture(model, zoo.ids(5 + rank)))
    for rank, found in enumerate(loaded(shared, "put-away")):
        for layer, other in zip(found["decoder"], capture(model, zoo.ids(5 + rank))["decoder"], strict=True):  # fmt: skip
            np.testing.assert_allclose(layer.weights(), other.weights(), rtol=0, atol=1e-6)
            assert layer.num_heads == 8
            assert layer.norm_reason.startswith("its output projection is put away after each pass")


def test_who_fails_lets_nobody_wait(shared: Any) -> None:
    _, world, said = shared
    last = world - 1
    wanted = f"RuntimeError: rank {last} has no record of its heads: KeyError: 'no more'"
    assert [one["raised"] for one in said] == [wanted] * last + ["KeyError: 'no more'"]
    for one in said:
        assert one["other input"].startswith(f"ValueError: ranks {list(range(world))} share one model but")  # fmt: skip
    assert "rank 1 did not come to the end of the recording within 0:00:00.5" in said[0]["only the first"]  # fmt: skip


def part(seed: int, heads: int, keys: int, **options: Any) -> Layer:
    made = torch.Generator().manual_seed(seed)
    sizes = {"query": (heads, 3, 4), "key": (keys, 5, 4), "value": (keys, 5, 2)}
    vectors = {name: torch.randn(size, generator=made) for name, size in sizes.items()}
    return Layer(stream="decoder", layer=0, module_path="a", num_heads=heads, scaling=0.5, **vectors | options)  # fmt: skip


def put_together(parts: Sequence[Layer]) -> Layer:
    heads = [one.num_heads for one in parts]
    return join_heads(parts[0], heads, lambda name: [getattr(one, name) for one in parts], dict)


@pytest.mark.parametrize(
    ("counts", "keys"),
    [
        ([(4, 2), (4, 2)], 4),
        ([(2, 2), (1, 1)], 3),  # the last process has fewer
        ([(4, 2), (2, 2)], 6),  # groups of unlike size
        ([(3, 1), (3, 1)], 2),
    ],
)
def test_heads_of_one_process_come_after_those_of_another(
    counts: list[tuple[int, int]], keys: int
) -> None:
    parts = [part(seed, *count) for seed, count in enumerate(counts)]
    whole = put_together(parts)
    assert whole.num_key_value_heads == keys
    np.testing.assert_allclose(
        whole.weights(), np.concatenate([one.weights() for one in parts]), atol=1e-6
    )
    np.testing.assert_allclose(
        whole.output(), np.concatenate([one.output() for one in parts]), atol=1e-6
    )


@pytest.mark.parametrize(("first", "keys"), [(4, 2), (2, 1)])
def test_key_heads_that_neighbours_share_are_there_once(first: int, keys: int) -> None:
    shared_by = first // keys
    parts = [
        replace(part(seed, 2, 1), key=part(seed // shared_by, 2, 1).key, value=part(seed // shared_by, 2, 1).value)
        for seed in range(first)
    ]  # fmt: skip
    whole = put_together(parts)
    assert (whole.num_heads, whole.num_key_value_heads) == (2 * first, keys)
    np.testing.assert_allclose(
        whole.weights(), np.concatenate([one.weights() for one in parts]), atol=1e-6
    )


def test_lengths_behind_a_split_projection_come_from_all_processes() -> None:
    norms = torch.rand(4, 5)
    split = [norms.clone(), norms.clone()]
    split[0][2:], split[1][:2] = torch.nan, torch.nan
    found = fill_value_norms(part(0, 4, 2, value_norms=split[0]), lambda _: split)
    assert found.value_norms is not None
    assert torch.equal(found.value_norms, norms)
    lost = fill_value_norms(part(0, 4, 2, value_norms=split[0]), lambda _: split[:1])
    assert lost.value_norms is None
    assert lost.norm_reason == "no process knows all of its output projection."
