"""`same_random_numbers`: let several runs draw the same random numbers, and leave the generators as they were."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["same_random_numbers"]


@contextmanager
def same_random_numbers() -> Iterator[Callable[[], None]]:
    """Yield what puts the generators of torch, numpy and Python back to where they were; done at the end, too."""
    legacy = np.random.get_state()  # noqa: NPY002  what some models draw masks with in training
    python, cpu = random.getstate(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]

    def restart() -> None:
        np.random.set_state(legacy)  # noqa: NPY002
        random.setstate(python)
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)

    try:
        yield restart
    finally:
        restart()
