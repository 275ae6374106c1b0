"""The tokenizer of the pocket model: one token for each word."""

from __future__ import annotations

from typing import Final

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from attnwidget.pocket import words

_PLAIN: Final = {
    "\u201c": '"',  # curly quotes
    "\u201d": '"',
    "\u2018": "'",
    "\u2019": "'",
    "\u2013": "-",  # dashes
    "\u2014": "-",
}


def build_tokenizer() -> Tokenizer:
    """Build the tokenizer from the vocabulary.

    Text is lowercased, accents and curly quotes are made plain, and words and
    punctuation marks become one token each; other words become `<unk>`. Each
    text starts with `<bos>`.

    Returns:
        A `tokenizers.Tokenizer`, as stored in `tokenizer.json`.
    """
    ids = {word: number for number, word in enumerate(words.VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))  # noqa: S106 - a token, no secret
    tokenizer.normalizer = normalizers.Sequence(
        [
            *(normalizers.Replace(fancy, simple) for fancy, simple in _PLAIN.items()),
            normalizers.NFD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A",
        pair="<bos> $A <eos> $B:1",
        special_tokens=[("<bos>", ids["<bos>"]), ("<eos>", ids["<eos>"])],
    )
    # No word starts with this prefix: the decoder is used for its spacing, which
    # puts "." and "," right behind the word before them.
    spacing = decoders.WordPiece(prefix="##", cleanup=True)
    closer = ((" ' ", "'"), ("( ", "("), (" )", ")"), (" :", ":"))
    tokenizer.decoder = decoders.Sequence(
        [spacing, decoders.Fuse(), *(decoders.Replace(*pair) for pair in closer)]
    )
    tokenizer.add_special_tokens(list(words.SPECIAL))
    return tokenizer
