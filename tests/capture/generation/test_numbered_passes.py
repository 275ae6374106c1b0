"""Passes that do not go on from one another are numbered; a recording holds one of them, exactly, and says which."""

# ruff: noqa: PT031  a recording of several passes is more than one statement

from __future__ import annotations

import gc
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch
from support import zoo
from support.model_checks import GREEDY, assert_same
from torch import Tensor, nn

from attnwidget.capture.calls.call import Call
from attnwidget.recordings import capture, load, recording

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

IDS = zoo.ids(16)
SOURCES = ({"input_ids": IDS[:, :6]}, {"input_ids": IDS[:, 6:13]})
TARGETS = (IDS[:, :3], IDS[:, 3:7])


def bart() -> Any:
    return zoo.build("bart-2-4", "sdpa")


def read(model: Any, source: int, target: int) -> Any:
    """The record of one source and one target."""
    return capture(model, {**SOURCES[source], "decoder_input_ids": TARGETS[target]})


def assert_passes(model: Any, run: Callable[[], object], expected: Sequence[Any]) -> None:
    """Each pass of what ``run`` does is recorded as expected, counted from either end."""
    count = len(expected)
    for number, one in enumerate(expected):
        for which in (number, number - count):
            with torch.no_grad(), recording(model, which=which) as attention:
                run()
            assert (attention.passes, attention.which) == (count, number)
            assert list(attention.streams) == list(one.streams)
            for name, stream in one.streams.items():
                assert_same(attention[name], stream)
                for side in ("query_positions", "key_positions"):
                    labels = [p.label for p in getattr(attention[name], side)]
                    assert labels == [p.label for p in getattr(stream, side)]


@pytest.mark.filterwarnings("error")
def test_forward_passes_by_number() -> None:
    """With ``which`` given there is nothing to warn of."""
    model = zoo.build("llama", "sdpa")
    lengths = (5, 9, 7)
    expected = [capture(model, IDS[:, :n]) for n in lengths]
    assert_passes(model, lambda: [model(IDS[:, :n]) for n in lengths], expected)


@pytest.mark.parametrize("way", ["encoder once", "in turn", "encoders first", "inside"])
def test_an_encoder_belongs_to_the_passes_that_decode_it(way: str) -> None:
    model = bart()
    encoder = model.get_encoder()

    def decode(encoded: Any, target: int) -> Any:
        return model(encoder_outputs=encoded, decoder_input_ids=TARGETS[target])

    def run() -> None:
        if way == "encoder once":
            encoded = encoder(**SOURCES[0])
            decode(encoded, 0)
            decode(encoded, 1)
        elif way == "in turn":
            for number, source in enumerate(SOURCES):
                decode(encoder(**source), number)
        elif way == "encoders first":
            both = [encoder(**source) for source in SOURCES]
            decode(both[0], 0)
            decode(both[1], 1)
        else:
            made = model(**SOURCES[0], decoder_input_ids=TARGETS[0])
            decode((made.encoder_last_hidden_state,), 1)

    second = int(way in {"in turn", "encoders first"})
    assert_passes(model, run, [read(model, 0, 0), read(model, second, 1)])


def test_loops_with_a_cache_are_one_pass_each() -> None:
    model = bart()

    def run() -> None:
        encoded = model.get_encoder()(**SOURCES[0])
        for target in TARGETS:
            cache = None
            for token in target.split(1, dim=1):
                made = model(
                    encoder_outputs=encoded, decoder_input_ids=token, past_key_values=cache
                )
                cache = made.past_key_values

    assert_passes(model, run, [read(model, 0, 0), read(model, 0, 1)])


def test_generations_and_forward_passes() -> None:
    model = bart()

    def generate() -> Any:
        return model.generate(**SOURCES[1], **GREEDY)

    def run() -> None:
        model(**SOURCES[0], decoder_input_ids=TARGETS[0])
        generate()
        generate()
        model(**SOURCES[1], decoder_input_ids=TARGETS[1])

    with recording(model) as generated:
        generate()
    expected = [read(model, 0, 0), generated, generated, read(model, 1, 1)]
    assert_passes(model, run, expected)


@pytest.mark.parametrize("lengths", [(5, 7), (6, 6), (1, 1)], ids=str)
def test_a_part_of_the_model_is_called(lengths: tuple[int, int]) -> None:
    """Not through the whole: the model without its head, or its layers."""
    model = zoo.build("llama", "sdpa")
    inputs = [IDS[:, i : i + n] for i, n in enumerate(lengths)]
    expected = []
    for ids in inputs:
        with torch.no_grad(), recording(model) as alone:
            model.model(ids)
        expected.append(alone)
    assert_passes(model, lambda: [model.model(ids) for ids in inputs], expected)


def test_a_part_of_the_model_goes_on_from_its_cache() -> None:
    model = zoo.build("llama", "sdpa")
    inputs = (IDS[:, :5], IDS[:, 5:11])

    def run() -> None:
        for ids in inputs:
            cache = model.model(ids[:, :3], use_cache=True).past_key_values
            for token in ids[:, 3:].split(1, dim=1):
                model.model(token, past_key_values=cache)

    for which, ids in enumerate(inputs):
        with torch.no_grad(), recording(model, which=which) as attention:
            run()
        assert attention.passes == 2
        assert_same(attention["decoder"], capture(model, ids)["decoder"])


class _Translator(nn.Module):
    """Encodes once and decodes for every token anew, as the tutorials do."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.decoder = nn.TransformerDecoderLayer(16, 2, 32, batch_first=True)

    def encode(self, source: Tensor) -> Tensor:
        encoded: Tensor = self.encoder(source)
        return encoded

    def decode(self, target: Tensor, memory: Tensor) -> Tensor:
        decoded: Tensor = self.decoder(target, memory)
        return decoded

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        return self.decode(target, self.encode(source))


def test_a_decoder_that_is_called_for_every_token() -> None:
    torch.manual_seed(0)
    model, source, target = _Translator().eval(), torch.randn(1, 6, 16), torch.randn(1, 4, 16)

    def run() -> None:
        memory = model.encode(source)
        for count in range(1, 5):
            model.decode(target[:, :count], memory)

    expected = []
    for count in range(1, 5):
        with torch.no_grad(), recording(model) as alone:
            model(source, target[:, :count])
        expected.append(alone)
    assert_passes(model, run, expected)


class _Prefixed(nn.Module):
    """Self-attention that also looks at a few vectors of its own, in every pass at the same."""

    def __init__(self) -> None:
        super().__init__()
        self.prefix = nn.Parameter(torch.randn(1, 3, 16))
        self.attn = _PrefixedAttention()

    def forward(self, states: Tensor) -> Tensor:
        mixed: Tensor = states + self.attn(states, torch.cat([self.prefix, states], dim=1))
        return mixed


class _PrefixedAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(16, 16) for _ in range(3))

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        q, k, v = (
            f(t).unflatten(-1, (2, 8)).transpose(1, 2)
            for f, t in ((self.q, x), (self.k, keys), (self.v, keys))
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return mixed.transpose(1, 2).flatten(2)


@pytest.mark.filterwarnings("ignore:the block ran 3")
def test_more_keys_than_queries_are_not_a_cache() -> None:
    """Keys from elsewhere are not those that the pass before left."""
    torch.manual_seed(0)
    model, states = _Prefixed().eval(), [torch.randn(1, n, 16) for n in (5, 5, 7)]
    with torch.no_grad(), recording(model) as attention:
        for one in states:
            model(one)
    with torch.no_grad(), recording(model) as alone:
        model(states[-1])
    assert attention.passes == 3
    for name, stream in alone.streams.items():
        assert_same(attention[name], stream)


@pytest.mark.filterwarnings("ignore:the block ran 6")
@pytest.mark.parametrize("which", [None, 0, -1])
def test_only_the_wanted_pass_is_kept(which: int | None) -> None:
    model = zoo.build("bert", "sdpa")
    inputs = {"input_ids": IDS}

    def kept() -> int:
        gc.collect()
        return sum(type(o) is Call and not o.query.is_meta for o in gc.get_objects())

    with torch.no_grad(), recording(model) as one:
        model(**inputs)
        most = kept()
    with torch.no_grad(), recording(model, which=5 if which == 0 else which) as many:
        for step in range(6):
            model(**inputs)
            # A pass that may yet turn out to go on from the one before drops its layers one by one.
            assert kept() <= most, step
    assert many.passes == 6
    assert_same(many["encoder"], one["encoder"])


def test_the_batch_may_change() -> None:
    model = zoo.build("llama", "sdpa")
    with torch.no_grad(), recording(model, batch=0, which=1) as attention:
        for rows in (1, 3, 2):
            model(IDS[:, :6].repeat(rows, 1) + torch.arange(rows)[:, None] % 3)
    assert_same(attention["decoder"], capture(model, IDS[:, :6])["decoder"])


@pytest.mark.filterwarnings("ignore:the forward pass that is recorded raised")
@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
def test_a_pass_that_raises(last: bool) -> None:  # noqa: FBT001
    """It is a pass like another; the record of one says that it is not whole."""
    model = zoo.build("llama", "sdpa")

    def interrupt(*_: object) -> None:
        raise InterruptedError

    def broken() -> None:
        hook = model.model.layers[1].mlp.register_forward_hook(interrupt)
        with pytest.raises(InterruptedError):
            model(IDS[:, :7])
        hook.remove()

    with (
        torch.no_grad(),
        pytest.warns(UserWarning, match="ran 2") as warned,
        recording(model) as attention,
    ):
        for run in (lambda: model(IDS[:, :5]), broken)[:: 1 if last else -1]:
            run()
    assert any("raised before its end" in str(w.message) for w in warned) == last
    assert attention.passes == 2
    assert len(attention["decoder"].query_positions) == (7 if last else 5)


@pytest.mark.parametrize("which", [2, -3, 7])
def test_a_pass_that_is_not_there(which: int) -> None:
    model = zoo.build("llama", "sdpa")
    with (
        torch.no_grad(),
        pytest.raises(ValueError, match=rf"in -2\.\.1, got {which}: the block ran 2 passes; pass"),
        recording(model, which=which),
    ):
        [model(IDS[:, :n]) for n in (3, 4)]
    with (
        torch.no_grad(),
        pytest.raises(ValueError, match=r"the block ran one pass; leave it out"),
        recording(model, which=which),
    ):
        model(IDS)


@pytest.mark.parametrize("which", ["all", [0, 1], True, 1.0], ids=str)
def test_what_is_no_number(which: Any) -> None:
    model = zoo.build("llama", "sdpa")
    with pytest.raises(TypeError, match="number of one pass"), recording(model, which=which):
        pass


def test_the_number_is_kept_in_the_file(tmp_path: Path) -> None:
    model = zoo.build("llama", "sdpa")
    with torch.no_grad(), recording(model, which=1) as attention:
        [model(IDS[:, :n]) for n in (3, 4, 5)]
    attention.save(tmp_path / "run.safetensors")
    for again in (load(tmp_path / "run.safetensors"), pickle.loads(pickle.dumps(attention))):  # noqa: S301
        assert (again.passes, again.which) == (3, 1)
        assert "which=1 of 3 passes" in repr(again)
    single = capture(model, IDS)
    assert (single.passes, single.which) == (1, 0)
    assert "passes" not in repr(single)
