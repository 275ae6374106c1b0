"""Models that are not transformers': token ids and pictures whatever the arguments are called."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from attnwidget.pocket import pocket_tokenizer
from attnwidget.recordings import capture, recording

TOKENIZER = pocket_tokenizer()
IDS: Tensor = TOKENIZER("The cat sat on the mat", return_tensors="pt")["input_ids"]
OTHER: Tensor = TOKENIZER("the dog ran on the mat", return_tensors="pt")["input_ids"]
WORDS = ["<bos>", "the", "cat", "sat", "on", "the", "mat"]
OTHER_WORDS = ["<bos>", "the", "dog", "ran", "on", "the", "mat"]
DIM = 32


class Attention(nn.Module):
    def __init__(self, *, causal: bool = True) -> None:
        super().__init__()
        self.qkv, self.out, self.causal = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM), causal

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (t.unflatten(-1, (4, -1)).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        made = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(made.transpose(1, 2).flatten(2))


class GPT(nn.Module):
    """As nanoGPT: positions are looked up as well, targets are integers too."""

    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(len(TOKENIZER), DIM), nn.Embedding(64, DIM)
        self.attn, self.head = Attention(), nn.Linear(DIM, len(TOKENIZER))

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> Tensor:  # noqa: ARG002
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
        return self.head(x + self.attn(x))

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        return self(*batch).sum()


class Wrapped(nn.Module):
    """As a LightningModule."""

    def __init__(self) -> None:
        super().__init__()
        self.model = GPT()

    def forward(self, *batch: Tensor) -> Tensor:
        return self.model(*batch)


class ByPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = GPT()

    def forward(self, tokens: Tensor, /) -> Tensor:
        return self.model(tokens)


class OneHot(nn.Module):
    """Looks nothing up."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.attn = nn.Linear(len(TOKENIZER), DIM), Attention()

    def forward(self, src: Tensor) -> Tensor:
        return self.attn(self.read(functional.one_hot(src, len(TOKENIZER)).float()))


class Visual(nn.Module):
    def __init__(self, leading: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, DIM, 8, 8)
        self.first = nn.Parameter(torch.randn(1, leading, DIM))
        self.attn = Attention(causal=False)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.conv1(x).flatten(2).mT
        return self.attn(torch.cat([self.first.expand(len(x), -1, -1), patches], dim=1))


class Unfolded(nn.Module):
    """Cuts patches without a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.attn = nn.Linear(3 * 64, DIM), Attention(causal=False)
        self.first = nn.Parameter(torch.randn(1, 1, DIM))

    def forward(self, img: Tensor) -> Tensor:
        patches = self.read(functional.unfold(img, 8, stride=8).mT)
        return self.attn(torch.cat([self.first, patches], dim=1))


class Clip(nn.Module):
    """As open_clip's: its parts are called by methods that are no forward."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = Visual(1)
        self.token_embedding, self.transformer = nn.Embedding(len(TOKENIZER), DIM), Attention()

    def encode_text(self, text: Tensor) -> Tensor:
        return self.transformer(self.token_embedding(text))

    def encode_image(self, image: Tensor) -> Tensor:
        return self.visual(image)

    def forward(self, image: Tensor | None = None, text: Tensor | None = None) -> list[Tensor]:
        given = [] if image is None else [self.encode_image(image)]
        return given if text is None else [*given, self.encode_text(text)]


class Translator(nn.Module):
    """One table looks both texts up."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(len(TOKENIZER), DIM)
        self.both = nn.Transformer(DIM, 4, 1, 1, 64, dropout=0.0, batch_first=True)

    def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
        mask = self.both.generate_square_subsequent_mask(tgt.shape[1])
        return self.both(self.table(src), self.table(tgt), tgt_mask=mask)


class Vectors(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn = Attention()

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        return self.attn(x)


def made(kind: Any, *args: Any) -> Any:
    torch.manual_seed(0)
    return kind(*args).eval()


def labels(attention: Any, stream: str = "decoder") -> list[str]:
    return [position.label for position in attention[stream].key_positions]


def recorded(model: Any, call: Any, tokenizer: Any = TOKENIZER) -> Any:
    with torch.no_grad(), recording(model, tokenizer) as attention:
        call()
    return attention


@pytest.mark.parametrize("kind", [GPT, Wrapped, ByPlace, OneHot])
def test_ids_under_any_name(kind: Any) -> None:
    model = made(kind)
    assert labels(recorded(model, lambda: model(IDS))) == WORDS
    for inputs in (IDS, IDS[0].tolist(), "The cat sat on the mat"):
        assert labels(capture(model, inputs, TOKENIZER)) == WORDS
    assert labels(capture(model, TOKENIZER("the cat", return_tensors="pt"), TOKENIZER)) == WORDS[:3]
    weights = recorded(model, lambda: model(IDS))["decoder"][0].weights()
    assert (capture(model, IDS, TOKENIZER)["decoder"][0].weights() == weights).all()


def test_other_integers_are_not_the_ids() -> None:
    model = made(GPT)
    targets = IDS.roll(-1, 1)
    for call in (
        lambda: model(IDS, targets),
        lambda: model(targets=targets, idx=IDS),
        lambda: model.training_step((IDS, targets), 0),
    ):
        assert labels(recorded(model, call)) == WORDS
    # Ids that count up are ids all the same.
    counting = torch.arange(7)[None]
    expected = TOKENIZER.convert_ids_to_tokens(counting[0].tolist())
    assert labels(recorded(model, lambda: model(counting))) == expected
    vectors = made(Vectors)
    found = recorded(vectors, lambda: vectors(torch.randn(1, 7, DIM), labels=IDS))
    assert labels(found) == [f"#{index}" for index in range(7)]


def test_a_row_of_a_batch() -> None:
    model = made(GPT)
    both = torch.cat([IDS, OTHER])
    with pytest.raises(ValueError, match="batch of 2"):
        capture(model, both, TOKENIZER)
    assert labels(capture(model, both, TOKENIZER, batch=1)) == OTHER_WORDS


@pytest.mark.parametrize("count", [4, 7])
def test_two_texts(count: int) -> None:
    model = made(Translator)
    attention = recorded(model, lambda: model(IDS, OTHER[:, :count]))
    assert labels(attention, "encoder") == WORDS
    assert labels(attention) == OTHER_WORDS[:count]
    assert labels(attention, "cross") == WORDS
    queries = [position.label for position in attention["cross"].query_positions]
    assert queries == OTHER_WORDS[:count]


@pytest.mark.parametrize("leading", [0, 1, 5])
def test_patches_with_and_without_a_class_token(leading: int) -> None:
    model, picture = made(Visual, leading), torch.rand(1, 3, 35, 49)
    attention = capture(model, picture)
    positions = attention["vision"].key_positions
    first = ["[CLS]", *(f"[REG {index}]" for index in range(4))][:leading]
    assert [position.label for position in positions[: leading + 1]] == [*first, "r0 c0"]
    last = positions[-1]
    assert (last.label, last.kind, last.grid, last.medium) == ("r3 c5", "patch", (4, 6), 0)
    # What is left over of the picture lies in no patch.
    assert attention.media[0].pixels.shape[:2] == (32, 48)


def test_patches_without_a_convolution() -> None:
    positions = capture(made(Unfolded), torch.rand(1, 3, 32, 48))["encoder"].key_positions
    assert [positions[0].label, positions[1].label, positions[-1].label] == [
        "[CLS]",
        "r0 c0",
        "r3 c5",
    ]


def test_parts_that_are_called_by_methods() -> None:
    model, picture = made(Clip), torch.rand(1, 3, 32, 48)
    assert labels(recorded(model, lambda: model.encode_text(IDS))) == WORDS
    for attention in (
        recorded(model, lambda: model.encode_image(picture)),
        capture(model, picture),
        capture(model, {"image": picture, "text": IDS}, TOKENIZER),
    ):
        assert labels(attention, "vision")[:2] == ["[CLS]", "r0 c0"]
        assert len(attention.media) == 1
    assert labels(capture(model, "the cat", TOKENIZER)) == WORDS[:3]


def test_tokenizers_of_other_kinds() -> None:
    model, alphabet = made(GPT), "abcdefghijklmnopqrstuvwxyz "
    characters = SimpleNamespace(
        encode=lambda text: [alphabet.index(each) for each in text],
        decode=lambda ids: "".join(alphabet[token] for token in ids),
    )
    assert labels(capture(model, "the cat", characters)) == ["t", "h", "e", "␣", "c", "a", "t"]
    assert labels(capture(model, "the cat", TOKENIZER.backend_tokenizer)) == WORDS[:3]

    class Padding:
        """As open_clip's: callable, gives a tensor of one length."""

        def __call__(self, texts: str) -> Tensor:
            return functional.pad(torch.tensor([characters.encode(texts)]), (0, 3))

        decode = staticmethod(characters.decode)

    assert labels(capture(model, "cat", Padding())) == ["c", "a", "t", "a", "a", "a"]


@pytest.mark.parametrize(
    ("kind", "inputs", "said"),
    [
        (
            GPT,
            torch.rand(1, 3, 8, 8),
            r"GPT.forward\(idx, targets\) was given idx: float32 \[1, 3, 8, 8\]",
        ),
        (
            GPT,
            {"foo": IDS},
            r"GPT.forward takes \(idx.*missing a required argument: 'idx'.*\{'idx': ...\}",
        ),
        (Translator, "the cat", r"missing a required argument: 'tgt'.*\{'src': ..., 'tgt': ...\}"),
        (Vectors, "the cat", r"Vectors.forward\(x, labels\) was given x: int64 \[1, 3\]"),
        (GPT, [], "inputs is empty"),
        (GPT, {}, "inputs is empty"),
    ],
)
def test_what_does_not_fit_is_said_in_words(kind: Any, inputs: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        capture(made(kind), inputs, TOKENIZER)
    assert "reads token ids" not in str(raised.value)


def test_looking_changes_nothing() -> None:
    model, picture = made(Clip), torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        before = model(picture, IDS)
        with recording(model, TOKENIZER):
            during = model(picture, IDS)
    assert all(torch.equal(one, other) for one, other in zip(before, during, strict=True))
    with pytest.raises(RuntimeError), recording(model, TOKENIZER):
        model(picture.repeat(1, 2, 1, 1))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
