# ruff: noqa: SIM905 - a table of words is easier to read and to edit without the quotes
"""The words of the pocket model, and what goes with what.

Everything the grammar can say is listed here, so that the vocabulary is known
before a single sentence is generated. Each animal, thing and person carries
its own verbs and adjectives: they are what makes a pronoun worth resolving,
because the word after "it" or "she" then depends on who is meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun with what it typically does and is."""

    word: str
    plural: str
    verb: str
    adjectives: tuple[str, ...]


def _nouns(table: str) -> tuple[Noun, ...]:
    rows = (line.split() for line in table.strip().splitlines())
    return tuple(Noun(row[0], row[1], row[2], tuple(row[3:])) for row in rows)


ANIMALS: Final = _nouns("""
    cat     cats     purred    tired sleepy
    dog     dogs     barked    hungry happy
    bird    birds    sang      little afraid
    horse   horses   galloped  strong thirsty
    cow     cows     mooed     slow hungry
    fox     foxes    sneaked   quick clever
    mouse   mice     squeaked  small afraid
    rabbit  rabbits  hopped    quick little
    bear    bears    growled   angry big
    frog    frogs    croaked   green wet
    duck    ducks    quacked   wet happy
    lion    lions    roared    hungry strong
    animal  animals  slept     tired afraid
""")

# The third column is what a thing "did": the word after "it" for that thing.
THINGS: Final = _nouns("""
    mat       mats       lay       soft warm
    rug       rugs       lay       soft old
    book      books      opened    long good
    box       boxes      closed    heavy empty
    cup       cups       broke     empty full
    key       keys       turned    small lost
    ball      balls      rolled    round red
    lamp      lamps      glowed    bright broken
    door      doors      creaked   open closed
    car       cars       stopped   new fast
    boat      boats      floated   wet old
    tree      trees      grew      tall green
    hat       hats       fit       black new
    letter    letters    came      long late
    trophy    trophies   shone     big heavy
    suitcase  suitcases  closed    small full
    table     tables     stood     long clean
    chair     chairs     stood     broken old
    street    streets    ended     wide dark
    river     rivers     flowed    deep cold
    house     houses     stood     big white
    garden    gardens    grew      green quiet
""")

FEMALE: Final = _nouns("""
    anna   -  painted   kind clever
    mary   -  sang      happy kind
    emma   -  read      busy clever
    lucy   -  danced    happy late
    sara   -  cooked    hungry busy
    nina   -  swam      strong cold
    julia  -  wrote     sad quiet
    alice  -  dreamed   sleepy lost
    girl   girls   laughed  young happy
    woman  women   worked   tall busy
    queen  queens  smiled   rich kind
    mother mothers waited   tired kind
""")

MALE: Final = _nouns("""
    tom    -  fished    hungry slow
    john   -  worked    busy tired
    paul   -  sang      sad kind
    peter  -  ran       quick late
    david  -  wrote     clever quiet
    leo    -  cooked    thirsty happy
    max    -  laughed   angry young
    ben    -  slept     sleepy ill
    boy    boys    played   young happy
    man    men     waited   old tall
    king   kings   shouted  rich angry
    father fathers cooked   tired strong
""")

# Verbs of the present tense, singular and plural, for agreement.
PRESENT: Final = (
    ("is", "are"), ("was", "were"), ("has", "have"), ("runs", "run"),
    ("sleeps", "sleep"), ("likes", "like"), ("sees", "see"), ("waits", "wait"),
    ("jumps", "jump"), ("eats", "eat"),
)  # fmt: skip
TRANSITIVE: Final = tuple("chased saw followed found liked heard met helped watched".split())
INTRANSITIVE: Final = tuple("sat slept ran walked jumped waited stood lay".split())
GIVING: Final = tuple("gave sent showed brought".split())
PLACES: Final = tuple("on in under near behind by over".split())
TOWNS: Final = tuple("store school park city church".split())
FOODS: Final = tuple(
    "apples pears bread milk cheese eggs soup rice tea water honey nuts cake salt fish wine".split()
)
GIFTS: Final = tuple("book cup key ball lamp hat letter box drink".split())
COLOURS: Final = tuple("red blue green white black brown yellow".split())
NUMBERS: Final = tuple("one two three four five six seven eight nine ten".split())
DAYS: Final = tuple("monday tuesday wednesday thursday friday saturday sunday".split())

# Words that the sentences need, and words that people are likely to type.
OTHER: Final = tuple(
    """the a an and or but because so when while if then that this who which what where why how
    to of from with for at not no yes i you he she it they we me him her us them my your his its
    their our himself herself itself themselves do does did didn don t s am be been will would can
    could must very too also again always never every all some many both first last next there here
    now today soon went go came come said asked answered told bought sold wanted loved took made
    cross lazy over quickly slowly hello world friend friends children child people time
    flies arrow question thing things word words name names home food crossed lamb had
    attention model head think know love help good bad all need once sit
    doctor teacher cabinet turtle crawled floor wall window kitchen fence hill sofa""".split()
)
PUNCTUATION: Final = (".", ",", "?", "!", ":", ";", '"', "'", "-", "(", ")")
SPECIAL: Final = ("<pad>", "<unk>", "<bos>", "<eos>")


def _vocabulary() -> tuple[str, ...]:
    nouns = [*ANIMALS, *THINGS, *FEMALE, *MALE]
    words = [w for n in nouns for w in (n.word, n.plural, n.verb, *n.adjectives) if w != "-"]
    words += [form for pair in PRESENT for form in pair]
    for group in (
        TRANSITIVE, INTRANSITIVE, GIVING, PLACES, TOWNS, FOODS, GIFTS, COLOURS, NUMBERS, DAYS,
        OTHER,
    ):  # fmt: skip
        words += group
    # dict.fromkeys drops repeats and keeps the order, so ids are stable.
    return tuple(dict.fromkeys([*SPECIAL, *PUNCTUATION, *words]))


VOCABULARY: Final = _vocabulary()
"""Every token, in id order: special tokens, punctuation, words."""
