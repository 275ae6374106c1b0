"""What is advised is something that the model at hand can take."""

from __future__ import annotations

import re
from typing import Any

import peft
import pytest
import torch
import transformers as hf
from support import seeing, words, zoo
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import nn

import attnwidget as aw
from attnwidget.recordings import capture, recording

EAGER = "attn_implementation='eager'"
KEEP = r"keep them in the forward of TalkingAttention, .* call attnwidget\.from_weights\(kept, tokens\)"
ASK = r"attnwidget\.from_weights\({}\(\*\*inputs, output_attentions=True\)\.attentions, tokens\)"


class TalkingAttention(nn.Module):
    """Heads are mixed after the softmax: not recognised."""

    def __init__(self) -> None:
        super().__init__()
        self.to_qkv = nn.Linear(32, 96, bias=False)
        self.after = nn.Parameter(torch.randn(4, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (t.unflatten(-1, (4, 8)).transpose(1, 2) for t in self.to_qkv(x).chunk(3, -1))
        dots = (torch.einsum("bhid,bhjd->bhij", q, k) / 8**0.5).softmax(-1)
        dots = torch.einsum("bhij,hg->bgij", dots, self.after)
        return torch.einsum("bhij,bhjd->bhid", dots, v).transpose(1, 2).flatten(2)


class Config(hf.PretrainedConfig):
    model_type = "talking"


class Own(hf.PreTrainedModel):
    config_class = Config

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.attention = TalkingAttention()
        self.post_init()

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.attention(hidden_states)
        return found


class Remote(Own):
    _supports_sdpa = True

    def forward(
        self,
        hidden_states: torch.Tensor,
        output_attentions: bool = False,  # noqa: FBT001, FBT002
    ) -> torch.Tensor:
        assert not output_attentions
        return super().forward(hidden_states)


class Around(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.encoder = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.encoder(x)
        return found


def eager() -> Any:
    config = Config()
    config._attn_implementation = "eager"
    return config


def refusal(model: Any) -> str:
    with (
        pytest.raises(ValueError, match="was not recognised") as error,
        torch.no_grad(),
        recording(model),
    ):
        model(torch.randn(1, 5, 32))
    return str(error.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(TalkingAttention()),
        lambda: Around(TalkingAttention()),
        lambda: Own(Config()),  # a pretrained model that returns no weights
        lambda: Around(Own(Config())),
    ],
)
def test_weights_that_no_option_returns_are_to_be_kept(make: Any) -> None:
    said = refusal(make())
    assert EAGER not in said
    assert "output_attentions" not in said
    _match(KEEP, said)


def _match(pattern: str, said: str) -> None:
    assert re.search(pattern, said), said


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
def test_weights_that_a_model_returns_are_to_be_asked_for() -> None:
    said = refusal(Remote(Config()))
    assert EAGER in said
    _match(ASK.format("model"), said)
    said = refusal(Remote(eager()))
    assert EAGER not in said
    _match(ASK.format("model"), said)
    _match(ASK.format(r"model\.encoder"), refusal(Around(Remote(Config()))))
    adapted = peft.get_peft_model(Remote(Config()), peft.LoraConfig(target_modules=["to_qkv"]))
    _match(ASK.format("model"), refusal(adapted))


@pytest.mark.filterwarnings("ignore:.*is compiled")
def test_a_compiled_model() -> None:
    model = torch.compile(nn.Sequential(TalkingAttention()), backend="eager")
    _match(KEEP, refusal(model))


def test_what_is_missing_beside_what_is_recorded() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own, self.layer = TalkingAttention(), nn.MultiheadAttention(32, 4)

        def forward(self, x: torch.Tensor) -> Any:
            return self.layer(self.own(x), x, x)[0]

    model = Both()
    with pytest.warns(UserWarning, match=KEEP), torch.no_grad(), recording(model):
        model(torch.randn(5, 1, 32))


def test_a_model_without_attention_may_be_one_that_was_not_seen() -> None:
    with pytest.raises(ValueError, match=r"none of its modules .* call attnwidget\.from_weights"):
        capture(nn.Linear(3, 3), {"input": torch.randn(1, 3)})


def test_no_model_but_what_holds_one() -> None:
    class Pipeline:
        def __init__(self) -> None:
            self.model, self.tokenizer = zoo.build("bert"), words.word_piece(["the"])

    class Diffuser:
        def __init__(self) -> None:
            self.unet, self.vae = nn.Linear(3, 3), nn.Linear(3, 3)

    call = r"pass its \.model: capture\(pipe\.model, inputs, pipe\.tokenizer\)"
    for use in (lambda m: capture(m, "the"), aw.inspect, lambda m: aw.view(m, "the")):
        with pytest.raises(TypeError, match=call):
            use(Pipeline())
        with pytest.raises(TypeError, match=r"pass its \.unet or \.vae"):
            use(Diffuser())
        with pytest.raises(TypeError, match=r"AutoModel\.from_pretrained\('gpt2'\)"):
            use("gpt2")
        with pytest.raises(TypeError, match="the class BertModel; pass an instance"):
            use(hf.BertModel)


def test_the_processor_of_another_kind() -> None:
    bert = zoo.build("bert")
    for processor in (hf.WhisperFeatureExtractor(), hf.BitImageProcessorPil()):
        with pytest.raises(ValueError, match=r"makes no tokens of text: pass the tokenizer"):
            capture(bert, "the cat", processor)
    raw = Tokenizer(WordLevel({"the": 0}))
    assert [each.label for each in capture(bert, "the", raw)["encoder"].key_positions] == ["the"]
    with pytest.raises(ValueError, match="pictures and sounds need the model's processor"):
        capture(zoo.build("vit"), seeing.picture(), words.word_piece(["the"]))


def test_text_for_a_model_that_has_no_tokenizer() -> None:
    model = nn.Transformer(32, 4, 1, 1, 64, batch_first=True).eval()
    with pytest.raises(ValueError, match=r"or what its forward takes, capture\(.*'src': …, 'tgt'"):
        capture(model, "the cat")
