"""A small generated English in which attention has something to do.

Every passage is built so that its later words can be told from its earlier
ones, and each kind needs another sort of look back: a pronoun at the one it
stands for, a verb at its distant subject, a repeated span at its first copy.
Generation draws on nothing but the `random.Random` it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from attnwidget.pocket import words as w

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

RANDOM_TOKENS: Final = w.VOCABULARY[len(w.SPECIAL) :]
RANDOM_WORDS: Final = RANDOM_TOKENS[len(w.PUNCTUATION) :]


@dataclass(frozen=True, slots=True)
class Passage:
    """A few sentences, with what is known about them.

    Attributes:
        words: The tokens, punctuation included.
        links: Pairs (pronoun, antecedent) of indices into `words`.
        unpredictable: The number of leading words that were drawn at random,
            which no model could foresee.
    """

    words: tuple[str, ...]
    links: tuple[tuple[int, int], ...] = ()
    unpredictable: int = 0


@dataclass(frozen=True, slots=True)
class Actor:
    """Someone or something that a pronoun can stand for."""

    noun: w.Noun
    article: tuple[str, ...]
    pronoun: str
    possessive: str

    @property
    def phrase(self) -> tuple[str, ...]:
        """The words that name the actor: "the cat", "anna"."""
        return (*self.article, self.noun.word)


def _actor(noun: w.Noun) -> Actor:
    if noun in w.FEMALE or noun in w.MALE:
        named = noun.plural == "-" and noun not in (*w.FEMALE[8:], *w.MALE[8:])
        pronoun, possessive = ("she", "her") if noun in w.FEMALE else ("he", "his")
        return Actor(noun, () if named else ("the",), pronoun, possessive)
    return Actor(noun, ("the",), "it", "its")


def _person(rng: Random) -> Actor:
    return _actor(rng.choice(rng.choice((w.FEMALE, w.MALE))))


def _being(rng: Random) -> Actor:
    return _actor(rng.choice(w.ANIMALS)) if rng.random() < 0.65 else _person(rng)


def _pair(rng: Random) -> tuple[Actor, Actor]:
    """Two people whose pronouns differ."""
    pair = [_actor(rng.choice(w.FEMALE)), _actor(rng.choice(w.MALE))]
    rng.shuffle(pair)
    return pair[0], pair[1]


def _reason(rng: Random, actor: Actor) -> list[str]:
    """What follows the pronoun; it nearly always tells who the pronoun is."""
    if rng.random() < 0.55:
        return [actor.noun.verb]
    very = ["so"] if rng.random() < 0.1 else ["too"] if rng.random() < 0.15 else []
    return ["was", *very, rng.choice(actor.noun.adjectives)]


def _afterwards(rng: Random, actor: Actor, reason: list[str]) -> list[str]:
    """A sentence that says again who was meant, or nothing."""
    kind = rng.random()
    if kind < 0.3:
        return [*actor.phrase, *reason, "."]
    if kind < 0.5:
        who = "what" if actor.pronoun == "it" else "who"
        return [who, *reason, "?", *actor.phrase, "."]
    return []


def _link(text: list[str], actor: Actor) -> tuple[int, int]:
    """The link from the last word of `text`, a pronoun, to the actor's last mention."""
    last = len(text) - 1
    return last, max(i for i in range(last) if text[i] == actor.noun.word)


def _scene(rng: Random) -> tuple[list[str], Actor, Actor]:
    """A main clause, its subject, and the other party."""
    kind = rng.random()
    subject = _being(rng)
    if kind < 0.35:
        thing = _actor(rng.choice(w.THINGS))
        text = [*subject.phrase, rng.choice(w.INTRANSITIVE), rng.choice(w.PLACES), *thing.phrase]
        return text, subject, thing
    if kind < 0.55:
        thing = _actor(rng.choice(w.THINGS))
        negation = ["did", "not"] if rng.random() < 0.5 else ["didn", "'", "t"]
        verb = rng.choice((["cross"], ["fit", "in"], ["go", "to"], ["sit", "on"], ["see"]))
        subject = _actor(rng.choice(w.THINGS)) if verb[0] == "fit" else subject
        while subject == thing:
            thing = _actor(rng.choice(w.THINGS))
        return [*subject.phrase, *negation, *verb, *thing.phrase], subject, thing
    if kind < 0.8:
        other = _being(rng)
        while other == subject:
            other = _being(rng)
        return [*subject.phrase, rng.choice(w.TRANSITIVE), *other.phrase], subject, other
    giver, taker = _pair(rng)
    gift = ["the" if rng.random() < 0.7 else "a", rng.choice(w.GIFTS)]
    return [*giver.phrase, rng.choice(w.GIVING), *gift, "to", *taker.phrase], giver, taker


def coreference(rng: Random) -> Passage:
    """A clause, a pronoun that refers back, and words that depend on to whom."""
    text: list[str] = []
    links: list[tuple[int, int]] = []
    for _ in range(rng.randint(1, 3)):
        clause, subject, other = _scene(rng)
        text += clause
        # The subject is the likelier antecedent, unless the pronouns differ.
        clear = subject.pronoun != other.pronoun
        actor = subject if rng.random() < (0.6 if clear else 0.88) else other
        text += rng.choice((["because"], ["because"], ["because"], ["and"], ["."], [",", "but"]))
        text.append(actor.pronoun)
        links.append(_link(text, actor))
        reason = _reason(rng, actor)
        text += [*reason, "."]
        if rng.random() < 0.3:
            text.append(actor.pronoun)
            links.append(_link(text, actor))
            text += [*_reason(rng, actor), "."]
        text += _afterwards(rng, actor, reason)
    return Passage(tuple(text), tuple(links))


def giving(rng: Random) -> Passage:
    """Two people meet; one gives to the other, who is then named again."""
    text: list[str] = []
    for _ in range(rng.randint(1, 2)):
        first, second = rng.sample((*w.FEMALE[:8], *w.MALE[:8]), 2)
        giver, taker = rng.sample((first.word, second.word), 2)
        text += ["when"] if rng.random() < 0.6 else ["then"]
        text += [first.word, "and", second.word, "went", "to", "the", rng.choice(w.TOWNS), ","]
        text += [giver, rng.choice(w.GIVING), rng.choice(("a", "the")), rng.choice(w.GIFTS)]
        text += ["to", taker, "."]
    return Passage(tuple(text))


def agreement(rng: Random) -> Passage:
    """A subject and its verb, with nouns of the other number between them."""
    text: list[str] = []
    for _ in range(rng.randint(1, 3)):
        number = rng.randrange(2)
        subject, near = rng.sample((*w.ANIMALS, *w.THINGS), 2)
        text += ["the", subject.plural if number else subject.word]
        for _ in range(rng.randint(0, 2)):
            between = near.word if rng.random() < 0.3 + 0.4 * number else near.plural
            text += [rng.choice(w.PLACES), "the", between]
            near = rng.choice(w.THINGS)
        if subject in w.ANIMALS and rng.random() < 0.5:
            like = ("likes", "like")[number]
            text += ["that", like, "the", rng.choice(w.ANIMALS).plural]
        verb = rng.choice(w.PRESENT[:2] if subject in w.THINGS else w.PRESENT)[number]
        text.append(verb)
        if verb in ("is", "are", "was", "were"):
            text.append(rng.choice(subject.adjectives))
        elif verb in ("has", "have", "likes", "like", "sees", "see", "eats", "eat"):
            text.append(rng.choice(w.FOODS))
        text.append(".")
    return Passage(tuple(text))


def _enumerated(items: list[str]) -> list[str]:
    text: list[str] = []
    for item in items[:-1]:
        text += [item, ","]
    return [*text[:-1], "and", items[-1]]


def shopping(rng: Random) -> Passage:
    """A list, and the same list again, in the same or in another order."""
    items = rng.sample(rng.choice((w.FOODS, w.COLOURS, w.NUMBERS)), rng.randint(3, 6))
    one, two = _pair(rng)
    text = [*one.phrase, rng.choice(("bought", "sold", "wanted")), *_enumerated(items), "."]
    again = list(items)
    if rng.random() < 0.4:
        rng.shuffle(again)
    teller = rng.random()
    if teller < 0.5:
        text += [*two.phrase, "also", "wanted", *_enumerated(again), "."]
    else:
        text += [one.pronoun, "loved", *_enumerated(again), "."]
    return Passage(tuple(text))


def quotation(rng: Random) -> Passage:
    """Something is said, and said again by someone else, word for word."""
    one, two = _pair(rng)
    said = ["i", "am", rng.choice(one.noun.adjectives)]
    if rng.random() < 0.6:
        noun = rng.choice((*w.ANIMALS, *w.THINGS))
        said = ["the", noun.word, rng.choice((noun.verb, "is " + rng.choice(noun.adjectives)))]
        said = " ".join(said).split()
    text = ['"', *said, ",", '"', "said", *one.phrase, "."]
    if rng.random() < 0.6:
        text += [*two.phrase, "asked", ":", '"', *said, "?", '"']
        text += ['"', "yes", ",", *said, "!", '"', "said", *one.phrase, "."]
    else:
        text += [*one.phrase, "said", "again", ":", '"', *said, ".", '"']
    return Passage(tuple(text))


def roll_call(rng: Random) -> Passage:
    """Words are called out; each that was called before is followed by "again".

    The calls are many, because a short list can be told from its mere mixture
    of words, without looking back at the earlier call of the same word.
    """
    if rng.random() < 0.4:
        pool: tuple[str, ...] = tuple(n.word for n in (*w.FEMALE[:8], *w.MALE[:8]))
        start = ["names", ":"]
    else:
        pool, start = RANDOM_WORDS, ["words", ":"]
    pool = tuple(rng.sample(pool, min(len(pool), rng.randint(4, 30))))
    text, seen = start, set[str]()
    for _ in range(rng.randint(8, 40)):
        word = rng.choice(pool)
        text += [word, "again", ","] if word in seen else [word, ","]
        seen.add(word)
    return Passage((*text[:-1], "."))


def there_and_back(rng: Random) -> Passage:
    """Random words, then the same words backwards.

    The next word is the one *before* the earlier copy of this word, so looking
    at the earlier copy itself pays, where a plain repetition rewards looking
    one word past it.
    """
    span = rng.sample(RANDOM_WORDS, rng.randint(4, 24))
    text = ("go", ":", *span, ".", "come", ":", *reversed(span), ".")
    return Passage(text, unpredictable=len(span) + 2)


def repetition(rng: Random) -> Passage:
    """A span of random words, then the same span once or twice more."""
    length = rng.randint(4, 36)
    span = tuple(rng.choice(RANDOM_TOKENS) for _ in range(length))
    copies = rng.choice((2, 2, 3))
    return Passage(span * copies, unpredictable=length)


KINDS: Final[tuple[tuple[Callable[[Random], Passage], float], ...]] = (
    (coreference, 33),
    (giving, 11),
    (agreement, 9),
    (shopping, 8),
    (quotation, 8),
    (roll_call, 6),
    (there_and_back, 9),
    (repetition, 16),
)
"""Each kind of passage with its share, in percent of the passages."""


def passages(rng: Random) -> Iterator[Passage]:
    """An endless stream of passages of every kind.

    Args:
        rng: The only source of chance; equal states give equal streams.

    Yields:
        Passages, each kind in proportion to its share in `KINDS`.

    Example:
        >>> from itertools import islice
        >>> from random import Random
        >>> stream = islice(passages(Random(0)), 3)
    """
    makers, shares = zip(*KINDS, strict=True)
    while True:
        yield rng.choices(makers, shares)[0](rng)
