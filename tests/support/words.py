"""Tiny tokenizers of every spelling, built in code."""

# ruff: noqa: S106  these are tokens of text, not passwords

from __future__ import annotations

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

_TEMPLATE = "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"

# A small vocabulary for `word_piece`, a text of it, and the ids of that text with [CLS] and [SEP].
WORDS = ["the", "cat", "sat", "on", "mat", "un", "##able", "tired"]
TEXT = "the cat sat unable"
IDS = [1, 4, 5, 6, 9, 10, 2]


def byte_level(
    merges: tuple[tuple[str, str], ...] = (), *, chat: bool = False
) -> PreTrainedTokenizerFast:
    """Byte-level BPE as in GPT-2: every byte is a token, ``merges`` join some."""
    vocabulary = {
        character: index
        for index, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))
    }
    for left, right in merges:
        vocabulary[left + right] = len(vocabulary)
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = ["<|start|>", "<|end|>"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, additional_special_tokens=special, pad_token="<|end|>"
    )
    if chat:
        tokenizer.chat_template = _TEMPLATE
    return tokenizer


def word_piece(words: list[str]) -> PreTrainedTokenizerFast:
    """WordPiece as in BERT, with its pairs and special tokens."""
    vocabulary = {
        word: index for index, word in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", *words])
    }
    inner = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def sentence_piece(pieces: list[str], *, bytes_too: bool = False) -> PreTrainedTokenizerFast:
    """Unigram pieces spelled with ``▁``, as in T5; with single bytes too, as in Llama 2."""
    fallback = [f"<0x{byte:02X}>" for byte in range(256)] if bytes_too else []
    scores = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -99.0), *((piece, -1.0) for piece in pieces)]
    inner = Tokenizer(
        models.Unigram([*scores, *((b, -9.0) for b in fallback)], unk_id=2, byte_fallback=bytes_too)
    )
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = (
        decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
        if bytes_too
        else decoders.Metaspace()
    )
    inner.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def whole_words(words: list[str]) -> PreTrainedTokenizerFast:
    """One token per word."""
    inner = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(["<unk>", *words])}, unk_token="<unk>")
    )
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")
