"""Several passes that are made by hand: what goes on from a cache is one sequence, exactly; anything else is passes of its own."""

# ruff: noqa: PT012, PT031  a recording of several passes is more than one statement

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from support import zoo
from support.model_checks import GREEDY, assert_same
from torch import Tensor, nn
from transformers import DynamicCache, StaticCache

from attnwidget.recordings import capture, recording

IDS = zoo.ids(14)
AGAIN = r"ran {} forward passes, none of which goes on from another: .* the last, .* which=0"
LEFT_OUT = r"{} of {} forward passes.*the last"


def cached(model: Any, ids: Tensor, cache: Any = None) -> Any:
    """The cache of a model that has read ``ids``."""
    with torch.no_grad():
        return model(ids, past_key_values=cache, use_cache=True).past_key_values


def assert_last_rows(stream: Any, whole: Any) -> None:
    """The stream is the last queries of the whole, over all of its keys."""
    count = len(stream.query_positions)
    assert len(stream.key_positions) == len(whole.key_positions)
    for layer, expected in zip(stream, whole, strict=True):
        weights = expected.weights()[:, -count:]
        np.testing.assert_allclose(layer.weights(), weights, rtol=0, atol=1e-5)


@pytest.mark.parametrize("way", ["copied", "cropped", "static"])
@pytest.mark.parametrize("counts", [(2, 3), (3, 2), (1, 1, 1)], ids=str)
@pytest.mark.parametrize(("name", "implementation"), [("gpt2", "eager"), ("llama", "sdpa")])
def test_branches_of_an_older_cache(
    name: str, implementation: str, counts: tuple[int, ...], way: str
) -> None:
    """The keys that were read before the recording belong to the last branch, and the others are said to be left out."""
    model = zoo.build(name, implementation)
    static = StaticCache(config=model.config, max_cache_len=16) if way == "static" else None
    cache = cached(model, IDS[:, :7], static)
    warned = LEFT_OUT.format(len(counts) - 1, len(counts))
    start = 7
    with torch.no_grad(), pytest.warns(UserWarning, match=warned), recording(model) as attention:
        for count in counts:
            used = cache if way == "cropped" else copy.deepcopy(cache)
            model(IDS[:, start : start + count], past_key_values=used)
            if way == "cropped":
                cache.crop(-count)
            start += count
    read = torch.cat([IDS[:, :7], IDS[:, start - counts[-1] : start]], dim=1)
    assert_last_rows(attention["decoder"], capture(model, read)["decoder"])
    labels = [position.label for position in attention["decoder"].query_positions]
    assert labels == [str(token) for token in read[0, 7:].tolist()]
    assert attention.next_tokens.prompt == counts[-1]


@pytest.mark.parametrize(
    ("name", "way"), [("llama", "copied"), ("llama", "cropped"), ("gemma3", "copied")]
)
def test_branches_of_a_prompt_that_is_recorded_too(name: str, way: str) -> None:
    model = zoo.build(name, "sdpa")
    with (
        torch.no_grad(),
        pytest.warns(UserWarning, match=LEFT_OUT.format(1, 3)),
        recording(model) as attention,
    ):
        cache = model(IDS[:, :7], use_cache=True).past_key_values
        for start, count in ((7, 2), (9, 3)):
            used = cache if way == "cropped" else copy.deepcopy(cache)
            model(IDS[:, start : start + count], past_key_values=used)
            if way == "cropped":
                cache.crop(-count)
    read = torch.cat([IDS[:, :7], IDS[:, 9:12]], dim=1)
    assert_same(attention["decoder"], capture(model, read)["decoder"])


def test_the_last_branch_goes_on() -> None:
    model = zoo.build("llama", "sdpa")
    cache = cached(model, IDS[:, :7])
    with (
        torch.no_grad(),
        pytest.warns(UserWarning, match=LEFT_OUT.format(1, 4)),
        recording(model) as attention,
    ):
        model(IDS[:, 10:14], past_key_values=copy.deepcopy(cache))
        for start, stop in ((7, 9), (9, 10), (10, 13)):
            model(IDS[:, start:stop], past_key_values=cache)
    assert len(attention["decoder"].query_positions) == 6
    assert_last_rows(attention["decoder"], capture(model, IDS[:, :13])["decoder"])


@pytest.mark.parametrize("kept", [3, 5])
def test_a_cache_that_is_cropped_into_what_was_read_before(kept: int) -> None:
    model = zoo.build("llama", "sdpa")
    cache = cached(model, IDS[:, :7])
    with (
        torch.no_grad(),
        pytest.warns(UserWarning, match=LEFT_OUT.format(1, 2)),
        recording(model) as attention,
    ):
        model(IDS[:, 7:9], past_key_values=cache)
        cache.crop(kept - 9)
        model(IDS[:, 10:14], past_key_values=cache)
    read = torch.cat([IDS[:, :kept], IDS[:, 10:14]], dim=1)
    assert_last_rows(attention["decoder"], capture(model, read)["decoder"])


@pytest.mark.filterwarnings("error")
def test_refused_drafts_are_no_branches() -> None:
    """What part of a pass is taken back, as drafting by hand does, goes without a warning."""
    model = zoo.build("llama", "sdpa")
    cache = cached(model, IDS[:, :4])
    with torch.no_grad(), recording(model) as attention:
        for start, stop, refused in ((4, 8, 2), (6, 9, 1), (8, 12, 0)):
            model(IDS[:, start:stop], past_key_values=cache)
            if refused:
                cache.crop(-refused)
    assert_last_rows(attention["decoder"], capture(model, IDS[:, :12])["decoder"])


def test_the_last_of_two_older_caches() -> None:
    """Of other tokens, as long as the first: none of the first one's keys is taken for one of the second's."""
    model = zoo.build("llama", "sdpa")
    caches = [cached(model, IDS[:, :5]), cached(model, IDS[:, 5:10])]
    with (
        torch.no_grad(),
        pytest.warns(UserWarning, match=LEFT_OUT.format(1, 2)),
        recording(model) as attention,
    ):
        for cache in caches:
            model(IDS[:, 10:13], past_key_values=cache)
    assert_last_rows(attention["decoder"], capture(model, IDS[:, 5:13])["decoder"])


@pytest.mark.parametrize("way", ["longer", "longer-static", "another"])
def test_a_cache_that_others_have_filled_is_refused(way: str) -> None:
    model = zoo.build("llama", "sdpa")
    static = StaticCache(config=model.config, max_cache_len=16) if "static" in way else None
    other = cached(model, IDS[:, 2:7] if way == "another" else IDS[:, :9], static)
    with (
        torch.no_grad(),
        pytest.raises(ValueError, match="Record one forward pass"),
        recording(model),
    ):
        model(IDS[:, :5])
        model(IDS[:, 9:11], past_key_values=other)


@pytest.mark.parametrize("before", [True, False], ids=["prompt before", "prompt in the block"])
@pytest.mark.parametrize("name", ["t5-4-2", "bart-2-4"])
def test_two_targets_on_copies_of_a_cache(name: str, before: bool) -> None:  # noqa: FBT001
    model, inputs = zoo.build(name, "sdpa"), zoo.tokens(6)
    with torch.no_grad():
        encoded = model.get_encoder()(**inputs)

    def read(ids: Tensor, cache: Any) -> Any:
        made = model(encoder_outputs=encoded, decoder_input_ids=ids, past_key_values=cache)
        return made.past_key_values

    with torch.no_grad(), pytest.warns(UserWarning, match=r"not recorded: 1 of"):
        cache = read(IDS[:, :4], None) if before else None
        with recording(model) as attention:
            cache = cache or read(IDS[:, :4], None)
            read(IDS[:, 4:6], copy.deepcopy(cache))
            read(IDS[:, 6:9], copy.deepcopy(cache))
    ids = torch.cat([IDS[:, :4], IDS[:, 6:9]], dim=1)
    whole = capture(model, {**inputs, "decoder_input_ids": ids})
    for stream in ("decoder", "cross"):
        assert_last_rows(attention[stream], whole[stream])
        assert len(attention[stream].query_positions) == (3 if before else 7)


@pytest.mark.parametrize("options", [{}, {"streams": "cross"}, {"layers": [0]}], ids=str)
@pytest.mark.parametrize("encoder", ["before", "in the block", "each time"])
@pytest.mark.parametrize("name", ["t5-4-2", "bart-2-4"])
def test_two_targets_of_one_source_are_two_passes(
    name: str, encoder: str, options: dict[str, Any]
) -> None:
    model, inputs = zoo.build(name, "sdpa"), zoo.tokens(6)
    with torch.no_grad():
        encoded = model.get_encoder()(**inputs)
        with pytest.warns(UserWarning, match=AGAIN.format(2)), recording(model, **options) as two:
            if encoder == "in the block":
                encoded = model.get_encoder()(**inputs)
            given = inputs if encoder == "each time" else {"encoder_outputs": encoded}
            for stop in (3, 7):
                model(**given, decoder_input_ids=IDS[:, :stop])
    assert (two.passes, two.which) == (2, 1)
    given = {"encoder_outputs": encoded} if encoder == "before" else inputs
    with torch.no_grad(), recording(model, **options) as alone:
        model(**given, decoder_input_ids=IDS[:, :7])
    assert list(two.streams) == list(alone.streams)
    for stream in two.streams:
        assert_same(two[stream], alone[stream])


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("again", [True, False], ids=["encoder again", "encoder once"])
def test_a_loop_with_a_cache_is_one_sequence(again: bool) -> None:  # noqa: FBT001
    """Also where the encoder reads its text again for every token: it alone is not in the record, and a warning says so."""
    model, inputs = zoo.build("bart-2-4", "sdpa"), zoo.tokens(6)
    cache, given = None, inputs
    with torch.no_grad(), recording(model) as attention:
        for start, stop in ((0, 3), (3, 4), (4, 6)):
            made = model(**given, decoder_input_ids=IDS[:, start:stop], past_key_values=cache)
            cache = made.past_key_values
            if not again:
                given = {"encoder_outputs": (made.encoder_last_hidden_state,)}
    whole = capture(model, {**inputs, "decoder_input_ids": IDS[:, :6]})
    assert set(whole.streams) - set(attention.streams) == ({"encoder"} if again else set())
    for stream in attention.streams:
        assert_last_rows(attention[stream], whole[stream])
        assert len(attention[stream].query_positions) == 6


class _Attention(nn.Module):
    """Attention of one's own, which appends to a list of keys and values where it is given one."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(16, 16) for _ in range(3))

    def forward(self, x: Tensor, read: Tensor, cache: list[Tensor] | None = None) -> Tensor:
        q, k, v = (
            f(t).unflatten(-1, (2, 8)).transpose(1, 2)
            for f, t in ((self.q, x), (self.k, read), (self.v, read))
        )
        if cache is not None:
            if cache:
                k, v = torch.cat([cache[0], k], dim=2), torch.cat([cache[1], v], dim=2)
            cache[:] = [k, v]
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return mixed.transpose(1, 2).flatten(2)


class _Library(nn.Module):
    """PyTorch's own attention in the same place."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x: Tensor, read: Tensor) -> Tensor:
        mixed: Tensor = self.inner(x, read, read, need_weights=False)[0]
        return mixed


class _Denoiser(nn.Module):
    def __init__(self, kind: type[nn.Module], *, own: bool) -> None:
        super().__init__()
        self.cross_attn = kind()
        self.self_attn = kind() if own else None

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        if self.self_attn is not None:
            x = x + self.self_attn(x, x)
        mixed: Tensor = x + self.cross_attn(x, text)
        return mixed


class _Writer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.self_attn, self.cross_attn = _Attention(), _Attention()

    def forward(self, x: Tensor, text: Tensor, memory: list[Tensor]) -> Tensor:
        x = x + self.self_attn(x, x, memory)
        mixed: Tensor = x + self.cross_attn(x, text)
        return mixed


@pytest.mark.parametrize("steps", [2, 3, 5])
@pytest.mark.parametrize("own", [True, False], ids=["self and cross", "cross"])
@pytest.mark.parametrize("kind", [_Attention, _Library])
def test_steps_of_a_denoiser_are_passes(kind: type[nn.Module], own: bool, steps: int) -> None:  # noqa: FBT001
    model, picture, words = (
        _Denoiser(kind, own=own).eval(),
        torch.randn(1, 9, 16),
        torch.randn(1, 7, 16),
    )
    first = picture
    with (
        torch.no_grad(),
        pytest.warns(UserWarning, match=AGAIN.format(steps)),
        recording(model) as attention,
    ):
        for _ in range(steps):
            given, picture = picture, model(picture, words)
    assert (attention.passes, attention.which) == (steps, steps - 1)
    with torch.no_grad(), recording(model) as alone:
        model(given, words)
    for stream in alone.streams:
        assert_same(attention[stream], alone[stream])
    assert len(attention["cross"].query_positions) == 9
    with torch.no_grad(), recording(model, which=0) as attention:
        picture = first
        for _ in range(steps):
            picture = model(picture, words)
    with torch.no_grad(), recording(model) as alone:
        model(first, words)
    for stream in alone.streams:
        assert_same(attention[stream], alone[stream])


def test_a_cache_of_ones_own_is_one_sequence() -> None:
    torch.manual_seed(0)
    model, states, words = _Writer().eval(), torch.randn(1, 9, 16), torch.randn(1, 7, 16)
    memory: list[Tensor] = []
    with torch.no_grad(), recording(model) as attention:
        for start, stop in ((0, 4), (4, 5), (5, 9)):
            model(states[:, start:stop], words, memory)
    assert len(attention["cross"].query_positions) == 9
    assert len(attention["cross"].key_positions) == 7
    with torch.no_grad(), recording(model) as whole:
        model(states[:, :4], words, [])
    np.testing.assert_allclose(
        attention["cross"][0].weights()[:, :4], whole["cross"][0].weights(), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("options", [{}, {"streams": "cross"}], ids=str)
def test_branches_of_a_cache_of_ones_own_are_passes(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model, states, words = _Writer().eval(), torch.randn(1, 12, 16), torch.randn(1, 7, 16)
    memory: list[Tensor] = []
    with torch.no_grad():
        model(states[:, :6], words, memory)
        with pytest.warns(UserWarning, match=AGAIN.format(2)), recording(model, **options) as two:
            for start, stop in ((6, 8), (8, 11)):
                model(states[:, start:stop], words, list(memory))
        with recording(model, **options) as alone:
            model(states[:, 8:11], words, list(memory))
    for stream in alone.streams:
        assert_same(two[stream], alone[stream])
    assert len(two["cross"].query_positions) == 3


@pytest.mark.parametrize("way", ["empty cache", "its cache", "no cache"])
def test_a_pass_after_a_generation(way: str) -> None:
    """It stands by itself; what it read of the generation's cache are keys of its own."""
    model = zoo.build("llama", "sdpa")
    with pytest.warns(UserWarning, match=AGAIN.format(2)), recording(model) as attention:
        output = model.generate(IDS[:, :5], **GREEDY, return_dict_in_generate=True)
        read, given = output.sequences, {}
        if way == "empty cache":
            given = {"past_key_values": DynamicCache(config=model.config)}
        elif way == "its cache":
            given = {"past_key_values": output.past_key_values}
        with torch.no_grad():
            model(IDS[:, :2] if way == "its cache" else read, **given)
    if way == "its cache":
        read = torch.cat([read[:, :-1], IDS[:, :2]], dim=1)
        assert len(attention["decoder"].query_positions) == 2
        assert_last_rows(attention["decoder"], capture(model, read)["decoder"])
    else:
        assert_same(attention["decoder"], capture(model, read)["decoder"])
