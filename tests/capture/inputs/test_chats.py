"""Chats: options of the template, whose message each token is, and special tokens that are there already."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import builders, words, zoo

import attnwidget as aw
from attnwidget.capture.positions.chat_roles import chat_roles
from attnwidget.recordings import capture, recording

LINES = (
    "<bos>{% for m in messages %}{{ m.role }} : {{ m.content }} .\n{% endfor %}"
    "{% if add_generation_prompt %}assistant : {% endif %}{% if aloud %}the {% endif %}"
)
CHATML = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
INSTRUCTIONS = (
    "{% for m in messages %}{% if m.role == 'user' %}<s>[INST] {{ m.content }} [/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content }} </s>{% else %}{{ raise_exception('no') }}"
    "{% endif %}{% endfor %}"
)
SHARED = (
    "{% for m in messages %}{% if m.role == 'assistant' %} {{ m.content }}</s>"
    "{% elif m.role == 'system' %}[INST] {{ m.content }}\n\n{% else %}"
    "{% if loop.index0 != 1 or messages[0].role != 'system' %}[INST] {% endif %}"
    "{{ m.content }} [/INST]{% endif %}{% endfor %}"
)
QUESTION = [{"role": "user", "content": "the cat sat"}]
TALK = [
    {"role": "system", "content": "\nBe brief. "},
    {"role": "user", "content": "Why? [x]\n\nSo"},
    {"role": "assistant", "content": "Because.\n"},
    {"role": "user", "content": "Ah"},
]


def pocket(template: str) -> tuple[Any, Any]:
    model, tokenizer = aw.pocket()
    tokenizer.chat_template = template
    return model, tokenizer


def with_marks(template: str) -> Any:
    tokenizer = words.byte_level()
    marks = ["<|im_start|>", "<|im_end|>"]
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    tokenizer.add_special_tokens({**names, "additional_special_tokens": marks})
    tokenizer.chat_template = template
    return tokenizer


def turns(roles: Any, pieces: list[str]) -> list[tuple[str | None, str]]:
    """Join the pieces of tokens that follow each other with one role."""
    found: list[tuple[str | None, str]] = []
    for role, piece in zip(roles, pieces, strict=True):
        if found and found[-1][0] == role:
            found[-1] = role, found[-1][1] + piece
        else:
            found.append((role, piece))
    return found


def roles_of(attention: Any) -> list[tuple[str | None, str]]:
    positions = attention["decoder"].key_positions
    return turns([p.role for p in positions], [f"{p.label} " for p in positions])


USER = ("user", "<bos> <unk> : the cat sat . ")


@pytest.mark.parametrize("show", [False, True])
def test_a_prompt_for_the_answer(show: bool) -> None:  # noqa: FBT001
    model, tokenizer = pocket(LINES)
    options = {"add_generation_prompt": True}
    if show:
        attention = aw.view(model, QUESTION, tokenizer, layer=1, **options).attention
    else:
        attention = capture(model, QUESTION, tokenizer, **options)
    assert roles_of(attention) == [USER, ("assistant", "<unk> : ")]


def test_other_options_of_a_template() -> None:
    model, tokenizer = pocket(LINES)
    begun = [*QUESTION, {"role": "assistant", "content": "the dog"}]
    attention = capture(model, begun, tokenizer, continue_final_message=True)
    assert roles_of(attention) == [USER, ("assistant", "<unk> : the dog ")]
    attention = capture(model, QUESTION, tokenizer, aloud=True)  # a variable of this template
    assert attention.text is not None
    assert attention.text.endswith("the ")
    tokenizer.chat_template = None
    own = "{% for m in messages %}{{ m.content }} !{% endfor %}"
    attention = capture(model, QUESTION, tokenizer, chat_template=own)
    assert roles_of(attention) == [("user", "the cat sat ! ")]


def test_options_that_no_template_has() -> None:
    model, tokenizer = pocket(LINES)
    with pytest.raises(TypeError, match="Unknown option 'alound'"):
        capture(model, QUESTION, tokenizer, alound=True)
    with pytest.raises(TypeError, match=r"add_generation_prompt .* inputs are no chat: call"):
        capture(model, "the cat", tokenizer, add_generation_prompt=True)


def test_what_a_template_made() -> None:
    """Text, ids with the tokenizer's account of them, and what is generated after them."""
    model, tokenizer = pocket(LINES)
    options = {"add_generation_prompt": True}
    expected = [USER, ("assistant", "<unk> : ")]
    text = tokenizer.apply_chat_template(QUESTION, tokenize=False, **options)
    assert roles_of(capture(model, text, tokenizer)) == expected
    made = tokenizer.apply_chat_template(QUESTION, return_tensors="pt", **options)
    assert roles_of(capture(model, made, tokenizer)) == expected
    # All roles are unknown words of this vocabulary: ids alone do not tell them apart.
    (only,) = roles_of(capture(model, made["input_ids"], tokenizer))
    assert only[0] is None


def test_what_a_model_writes_is_the_assistants() -> None:
    tokenizer, model = with_marks(CHATML), zoo.wake(builders.with_vocabulary(270))
    made = tokenizer.apply_chat_template(TALK[1:2], add_generation_prompt=True, return_tensors="pt")
    with recording(model, tokenizer) as attention:
        written = model.generate(**made, max_new_tokens=4, do_sample=False)
    roles = [position.role for position in attention["decoder"].key_positions]
    count = made["input_ids"].shape[1]
    assert written.shape[1] > count
    assert set(roles[count - 3 :]) == {"assistant"}
    assert list(dict.fromkeys(roles)) == ["system", "user", "assistant"]


def test_roles_of_ids_alone() -> None:
    tokenizer = with_marks(CHATML)
    for talk, answer in ((TALK, False), (TALK, True), (TALK[1:], False), (TALK[:3], True)):
        ids = tokenizer.apply_chat_template(talk, add_generation_prompt=answer, return_dict=False)
        expected = [] if talk[0]["role"] == "system" else [("system", "system\nYou help.")]
        expected += [(m["role"], f"{m['role']}\n{m['content']}") for m in talk]
        parts = [(role, f"<|im_start|>{text}<|im_end|>\n") for role, text in expected]
        if answer and parts[-1][0] == "assistant":
            parts[-1] = "assistant", parts[-1][1] + "<|im_start|>assistant\n"
        elif answer:
            parts.append(("assistant", "<|im_start|>assistant\n"))
        roles = chat_roles(ids, tokenizer)
        assert turns(roles, [tokenizer.decode([token]) for token in ids]) == parts
        padded = [tokenizer.pad_token_id] * 2 + ids
        assert chat_roles(padded, tokenizer) == (None, None, *(roles or ()))


def test_roles_that_come_by_turns() -> None:
    tokenizer = with_marks(INSTRUCTIONS)
    ids = tokenizer.apply_chat_template(TALK[1:], return_dict=False)
    assert turns(chat_roles(ids, tokenizer), [tokenizer.decode([token]) for token in ids]) == [
        ("user", "<s>[INST] Why? [x]\n\nSo [/INST]"),
        ("assistant", " Because.\n </s>"),
        ("user", "<s>[INST] Ah [/INST]"),
    ]


def test_a_system_message_that_is_part_of_the_users_is_not_told_apart() -> None:
    tokenizer = with_marks(SHARED)
    for talk in (TALK, TALK[1:]):
        ids = tokenizer.apply_chat_template(talk, return_dict=False)
        roles = list(dict.fromkeys(chat_roles(ids, tokenizer) or ()))
        assert roles == [None, "assistant", "user"]


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{{ m.content }}</s>{% endfor %}",
        "<s>{% for m in messages %}{{ m.content }} {% endfor %}",
    ],
)
def test_a_template_that_does_not_name_roles(template: str) -> None:
    tokenizer = with_marks(template)
    ids = tokenizer.apply_chat_template(TALK, return_dict=False)
    assert chat_roles(ids, tokenizer) is None


def test_no_chat_has_no_roles() -> None:
    tokenizer = with_marks(CHATML)
    assert chat_roles(tokenizer("Why?")["input_ids"], tokenizer) is None
    strange = tokenizer("<|im_start|>user\nWhy?<|im_end|><|im_end|> so")["input_ids"]
    assert chat_roles(strange, tokenizer) is None
    assert chat_roles([1, 2], words.byte_level()) is None


@pytest.mark.parametrize("template", [CHATML, INSTRUCTIONS])
def test_messages_and_what_the_template_makes_of_them_agree(template: str) -> None:
    tokenizer, model = with_marks(template), zoo.wake(builders.with_vocabulary(270))
    talk = [{"role": "user", "content": "Why"}, {"role": "assistant", "content": "So"}]
    made = tokenizer.apply_chat_template(talk, return_tensors="pt")
    expected = capture(model, talk, tokenizer)["decoder"].key_positions
    for inputs in (made, made["input_ids"], dict(made)):
        assert capture(model, inputs, tokenizer)["decoder"].key_positions == expected


def test_special_tokens_that_a_text_has_already() -> None:
    model, tokenizer = aw.pocket()
    shown = [p.label for p in capture(model, "the cat", tokenizer)["decoder"].key_positions]
    again = capture(model, "<bos> the cat", tokenizer)["decoder"].key_positions
    assert [p.label for p in again] == shown == ["<bos>", "the", "cat"]
    bert, pieces = zoo.build("bert"), words.word_piece(["the", "cat"])
    whole = ["[CLS]", "the", "cat", "[SEP]"]
    for text in ("the cat", "[CLS] the cat [SEP]"):
        positions = capture(bert, text, pieces)["encoder"].key_positions
        assert [p.label for p in positions] == whole
    pair = capture(bert, ("the cat", "the"), pieces)["encoder"].key_positions
    assert [p.label for p in pair] == [*whole, "the", "[SEP]"]
    spelled, t5 = words.sentence_piece(["▁the", "▁cat"]), zoo.build("t5-4-2")
    for text in ("the cat", "the cat</s>"):
        positions = capture(t5, text, spelled, target=[3])["encoder"].key_positions
        assert [p.label for p in positions] == ["the", "cat", "</s>"]


def test_a_prompt_for_the_answer_about_a_picture() -> None:
    """The processor is handed the options; what it adds is the assistant's."""
    seen: list[dict[str, Any]] = []

    class Processor:
        chat_template = "{{ messages }}{{ loudness }}"

        def apply_chat_template(self, messages: Any, **options: Any) -> dict[str, torch.Tensor]:
            seen.append(options)
            ids = [5, *range(6, 6 + 2 * len(messages)), *[7] * options.get("more", 0)]
            extra = [8, 9] if options.get("add_generation_prompt") else []
            return {"input_ids": torch.tensor([ids + extra])}

    part = {"type": "image", "url": "none"}
    chat = [{"role": "user", "content": [part, {"type": "text", "text": "what"}]}]
    given = {"add_generation_prompt": True, "loudness": 3}
    attention = capture(zoo.build("llama"), chat, Processor(), **given)
    assert [p.role for p in attention["decoder"].key_positions] == ["user"] * 3 + ["assistant"] * 2
    assert seen[0] == {**given, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
