"""Large runs of the fuzzers: ``python -m fuzz`` in ``tests``, with a seed of its own each time unless one is given."""

from __future__ import annotations

import argparse
import random
import sys

from fuzz.blocks import blocks
from fuzz.border import messages, traits
from fuzz.options import options
from fuzz.weights import weights

_FUZZERS = {
    "weights": (weights, 12_000),
    "options": (options, 12_110),
    "blocks": (blocks, 20_000),
    "traits": (traits, 12_000),
    "messages": (messages, 2_500),
}
# Errors of the caller's own functions pass as they are.
_MOST_KINDS = 10


def main() -> int:
    """Run the fuzzers that are named, print what they found, and return 1 if it is too much."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("fuzzers", nargs="*", help=f"of {', '.join(_FUZZERS)}; all when left out")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--cases", type=int, help="of each fuzzer")
    given = parser.parse_args()
    kinds, wrong = 0, 0
    for name in given.fuzzers or _FUZZERS:
        fuzzer, cases = _FUZZERS[name]
        tally = fuzzer(given.seed, given.cases or cases)
        sys.stdout.write(f"== {name}, seed {given.seed}: {tally.report()}\n")
        sys.stdout.flush()
        kinds, wrong = kinds + len(tally.kinds), wrong + len(tally.wrong)
    return int(bool(wrong) or kinds > _MOST_KINDS)


if __name__ == "__main__":
    sys.exit(main())
