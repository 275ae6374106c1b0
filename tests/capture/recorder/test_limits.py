"""Records of some streams, layers and query positions: exactly what a whole record has there, and nothing else kept."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers as hf
from support import others, zoo

import attnwidget as aw
from attnwidget.capture.store import MemoryStore
from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget import Attention

CASES = [
    pytest.param(name, implementation, id=f"{name}-{implementation}")
    for name, kind in zoo.KINDS.items()
    for implementation in kind.implementations
]


def assert_part(part: Attention, whole: Attention, own: Any = None) -> None:
    """Check that ``part`` has the numbers of ``whole``, and those of the model's own eager attention."""
    for name, stream in part.streams.items():
        first = stream.first_query or 0
        rows = slice(first, first + len(stream.query_positions))
        if name.startswith("cross"):
            labels = [p.label for p in whole[name].query_positions]
            start = labels.index(stream.query_positions[0].label)
            rows = slice(start, start + len(stream.query_positions))
        elif stream.first_query is not None:
            first -= len(whole[name].key_positions) - len(whole[name].query_positions)
            rows = slice(first, first + len(stream.query_positions))
        assert stream.query_positions == whole[name].query_positions[rows]
        assert stream.key_positions == whole[name].key_positions
        for layer in stream:
            other = whole[name][layer.layer]
            np.testing.assert_allclose(layer.weights(), other.weights(queries=rows), atol=1e-6)
            np.testing.assert_allclose(layer.output(), other.output()[:, rows], atol=1e-5)
            if layer.value_norms is None:
                assert (
                    other.value_norms is None
                    or "none of the recorded positions" in layer.norm_reason
                )
            else:
                torch.testing.assert_close(layer.value_norms, other.value_norms)
            if layer.has_vectors:
                np.testing.assert_allclose(
                    layer.scores(), other.scores(queries=rows), rtol=1e-5, atol=1e-4
                )
            if own is not None:
                expected = own[zoo_field(own, name)][layer.layer][0].float().numpy()
                np.testing.assert_allclose(layer.weights(), expected[:, rows], atol=1e-5)


def zoo_field(own: Any, stream: str) -> str:
    return f"{stream}_attentions" if f"{stream}_attentions" in own else "attentions"


@pytest.mark.parametrize(("name", "implementation"), CASES)
def test_query_positions(name: str, implementation: str) -> None:
    inputs = zoo.inputs_of(name)
    with torch.no_grad():
        own = zoo.build(name)(**inputs, output_attentions=True)
    model = zoo.build(name, implementation)
    whole = capture(model, inputs)
    for positions in (slice(1, 4), slice(-2, None), range(2, 5), 3, slice(0, 999)):
        part = capture(model, inputs, positions=positions)
        assert list(part) == list(whole)
        assert_part(part, whole, own)
        for layer, other in zip(
            *(next(iter(a.streams.values())) for a in (part, whole)), strict=True
        ):
            # A band stays a band: no matrix comes of a limit.
            assert (layer.band is None) == (other.band is None) or layer.bias is None
            assert (layer.bias is None) == (other.bias is None)


@pytest.mark.parametrize("name", zoo.KINDS)
def test_layers_and_streams(name: str) -> None:
    model, inputs = zoo.build(name), zoo.inputs_of(name)
    whole = capture(model, inputs)
    for layers, numbers in ((1, {1}), ([0], {0}), (slice(1, None), None), (-1, None)):
        part = capture(model, inputs, layers=layers)
        assert_part(part, whole)
        for stream, found in part.streams.items():
            there = [layer.layer for layer in whole[stream]]
            expected = (
                numbers
                if numbers is not None
                else set(there[1:])
                if isinstance(layers, slice)
                else {there[-1]}
            )
            assert {layer.layer for layer in found} == expected
    for stream in whole:
        part = capture(
            model, inputs, streams=stream, layers={stream: [0]}, positions={stream: slice(2)}
        )
        assert list(part) == [stream]
        assert [layer.layer for layer in part[stream]] == [0]
        assert len(part[stream].query_positions) == 2
        assert_part(part, whole)


@pytest.mark.parametrize("name", ["bloom", "falcon", "gptj", "deberta-v2", "xlnet"])
def test_models_read_by_their_arithmetic(name: str) -> None:
    model = zoo.wake(others.MODELS[name]())
    whole = capture(model, zoo.ids(7))
    stream = next(iter(whole))
    part = capture(model, zoo.ids(7), streams=[stream], layers=1, positions=slice(2, 5))
    assert [len(found) for found in part.streams.values()] == [1]
    assert len(part[stream].query_positions) == 3
    assert_part(part, whole)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "gemma3"])
def test_padding_is_no_position(name: str, side: str) -> None:
    ids, mask = zoo.ids(9), torch.ones(1, 9, dtype=torch.long)
    mask[:, slice(None, 3) if side == "left" else slice(6, None)] = 0
    model, inputs = zoo.build(name, "sdpa"), {"input_ids": ids, "attention_mask": mask}
    whole = capture(model, inputs)
    for positions in (slice(0, 2), slice(1, 4), slice(-1, None), slice(-3, -1), range(5, 6)):
        part = capture(model, inputs, positions=positions)
        assert len(part[next(iter(part))].key_positions) == 6
        assert_part(part, whole)


def test_layers_that_share_a_module() -> None:
    config = hf.AlbertConfig(
        vocab_size=zoo.VOCABULARY, embedding_size=8, hidden_size=24, num_hidden_layers=3, num_attention_heads=3,
        intermediate_size=16,
    )  # fmt: skip
    model = zoo.wake(hf.AlbertModel(config))
    part = capture(model, zoo.ids(7), layers=[0, 2])
    assert [layer.layer for layer in part["encoder"]] == [0, 2]
    assert_part(part, capture(model, zoo.ids(7)))


def test_stages() -> None:
    config = hf.SwinConfig(
        image_size=32, patch_size=2, embed_dim=8, depths=[2, 2], num_heads=[2, 4], window_size=4
    )
    model = zoo.wake(hf.SwinModel(config))
    pixels = {"pixel_values": torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))}
    whole = capture(model, pixels)
    name = list(whole)[-1]
    part = capture(model, pixels, streams=name, layers={name: 1}, positions={name: slice(5, 20)})
    assert (list(part), len(part[name].query_positions)) == ([name], 15)
    (layer,) = part[name]
    np.testing.assert_allclose(
        layer.weights(), whole[name][1].weights(queries=slice(5, 20)), atol=1e-6
    )


@pytest.mark.parametrize(
    "options", [{}, {"num_beams": 2}, {"cache_implementation": "static", "disable_compile": True}]
)
def test_generation(options: dict[str, Any]) -> None:
    model, inputs = zoo.build("llama", "sdpa"), zoo.tokens(5)

    def record(**limits: Any) -> Attention:
        with recording(model, **limits) as attention:
            model.generate(**inputs, do_sample=False, max_new_tokens=6, min_new_tokens=6, **options)
        return attention.attention

    whole = record()
    for positions in (slice(1, 4), slice(3, 8), slice(-3, None), slice(7, 9)):
        part = record(layers=1, positions=positions)
        assert_part(part, whole)
        stream = part["decoder"]
        labels = [position.label for position in whole["decoder"].key_positions]
        first = stream.first_query
        assert first is not None
        assert [p.label for p in stream.query_positions] == labels[
            first : first + len(stream.query_positions)
        ]
        expected, got = whole.next_tokens, part.next_tokens
        assert expected is not None
        # Of the prompt, only what follows its last token was asked.
        assert (got is None) == (first + len(stream.query_positions) <= min(expected))
        for index in got or ():
            assert [t.id for t in got[index]] == [t.id for t in expected[first + index]]
        aw.view(part)


def held(
    model: Any, inputs: Mapping[str, torch.Tensor], monkeypatch: Any, **limits: Any
) -> list[int]:
    """Numbers of elements that were kept at all, call by call."""
    kept: list[int] = []
    keep = MemoryStore.keep

    def counting(self: MemoryStore, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        kept.append(sum(tensor.numel() for tensor in tensors.values()))
        return keep(self, tensors)

    with monkeypatch.context() as patch:
        patch.setattr(MemoryStore, "keep", counting)
        capture(model, inputs, **limits)
    return kept


def test_what_is_not_wanted_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = zoo.build("llama", "sdpa"), zoo.tokens(12)
    everything = held(model, inputs, monkeypatch)
    assert len(everything) == 2
    assert held(model, inputs, monkeypatch, layers=1) == everything[1:]
    assert held(model, inputs, monkeypatch, layers=-1) == everything[1:]
    config = model.config
    query = config.num_attention_heads * config.head_dim
    key = 2 * 12 * config.num_key_value_heads * config.head_dim
    assert everything == [12 * query + key] * 2
    assert held(model, inputs, monkeypatch, positions=slice(4, 7)) == [3 * query + key] * 2
    assert held(model, inputs, monkeypatch, positions=slice(-2, None)) == [2 * query + key] * 2
    both = zoo.build("bart-2-4", "sdpa")
    counts = held(both, zoo.source_and_target(), monkeypatch, streams=["cross"], layers=[0, 3])
    assert len(counts) == 2


def test_nothing_of_the_rest_stays() -> None:
    model, inputs = (
        zoo.build("bart-2-4", "sdpa"),
        {"input_ids": zoo.ids(23), "decoder_input_ids": zoo.ids(19)},
    )
    attention = capture(model, inputs, streams="decoder", layers=2, positions=slice(1, 3))
    gc.collect()
    kept = {id(part) for part in model.parameters()} | {id(part) for part in model.buffers()}
    given = {value.data_ptr() for value in inputs.values()}
    layer = attention["decoder"][2]
    own = {id(t) for t in (layer.query, layer.key, layer.value, layer.bias, layer.value_norms)}
    stray = [
        tuple(found.shape)
        for found in gc.get_objects()
        if issubclass(type(found), torch.Tensor)
        and found.is_floating_point()
        and found.ndim == 3
        and tuple(found.shape[-2:]) in {(23, layer.head_dim), (19, layer.head_dim)}
        and id(found) not in kept | own
        and not found.is_meta
        and found.data_ptr() not in given
    ]
    assert stray == []


def test_scores_of_heads_know_where_the_queries_stand() -> None:
    model, tokenizer = aw.pocket()
    text = "The cat sat on the mat because it was tired"
    whole = aw.capture(model, text, tokenizer)
    part = aw.capture(model, text, tokenizer, positions=slice(3, 6))
    assert part["decoder"].first_query == 3
    scores = {(row["layer"], row["head"]): row for row in rows_of(part.head_scores("previous"))}
    for layer in whole["decoder"]:
        weights = layer.weights()
        for head in range(layer.num_heads):
            expected = np.mean([weights[head, query, query - 1] for query in (3, 4, 5)])
            assert scores[layer.layer, head]["value"] == pytest.approx(expected, abs=1e-6)
    again = part.words()["decoder"]
    assert again.first_query == 3


def rows_of(table: Any) -> list[dict[str, Any]]:
    return table if isinstance(table, list) else table.to_dict("records")


def test_a_part_is_saved_copied_and_shown(tmp_path: Any) -> None:
    model, tokenizer = aw.pocket()
    part = aw.capture(
        model, "The cat sat on the mat", tokenizer, layers=[1, 2], positions=slice(2, 5)
    )
    part.save(tmp_path / "part.safetensors")
    loaded = aw.load(tmp_path / "part.safetensors")
    assert repr(loaded) == repr(part)
    assert loaded["decoder"].first_query == 2
    for layer, other in zip(loaded["decoder"], part["decoder"], strict=True):
        assert torch.equal(layer.query, other.query)
        np.testing.assert_allclose(layer.weights(), other.weights(), atol=1e-6)
    view = aw.view(model, "The cat sat on the mat", tokenizer, layers=[1], positions=slice(2, 5))
    assert len(view.attention["decoder"].query_positions) == 3
    words = aw.view(model, "The cat sat on the mat", tokenizer, positions="words")
    assert words.positions == "words"
    assert len(words.attention["decoder"].query_positions) == 7


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"layers": [0, 9]}, r"layers=\[0, 9\] asks for layer 9: stream 'decoder' has layers 0\.\.1"),
        ({"layers": slice(5, 9)}, "asks for no layer there is: stream 'decoder' has layers 0..1"),
        ({"layers": "all"}, "layers must be a layer's number, several, a slice or a range, .* got 'all'"),
        ({"layers": []}, r"layers must be .* got \[\]: pass layers=\[0, 5\]"),
        ({"layers": True}, "layers must be .* got True"),
        ({"layers": {"text": 0}}, "layers names stream 'text', the model has 'decoder'"),
        ({"streams": "encoder"}, "streams names stream 'encoder', the model has 'decoder'"),
        ({"streams": []}, r"streams must be the name of a stream or several, got \[\]"),
        ({"positions": slice(20, 30)}, "is not within the 7 query positions of stream 'decoder', 0..6"),
        ({"positions": range(5, 9)}, r"positions=range\(5, 9\) is not within the 7"),
        ({"positions": [1, 3]}, r"query positions that follow each other.*got \[1, 3\].*layer.weights\(queries="),
        ({"positions": slice(0, 7, 2)}, "slice or range without steps"),
        ({"positions": "words"}, "positions must be query positions .* got 'words'"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        capture(zoo.build("llama"), zoo.tokens(), **limits)


def test_a_layer_that_was_taken_for_another_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from attnwidget.capture.recorder import limits as module

    own = module.static_layers

    def wrong(model: Any) -> Any:
        found = own(model)
        paths = list(found)
        return dict(zip(paths, [found[path] for path in reversed(paths)], strict=True))

    monkeypatch.setattr(module, "static_layers", wrong)
    with pytest.raises(ValueError, match=r"layer 0 of stream 'decoder' .* was let go of while the"):
        capture(zoo.build("llama"), zoo.tokens(), layers=0)
