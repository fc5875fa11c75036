"""Seeds every generator of a worker from Philox, again after each piece of the submission's code that was loaded.

A module that seeds itself (`torch.manual_seed(0)` at its top) would otherwise bring the same noise to both looks at it
and to every upload. And torch's own seeding takes a seed modulo 2^32, of which a class and a semester draw the same one
now and then: here the whole state is filled, 624 words of 32 bits, as a Mersenne Twister's state may be any.
"""

from __future__ import annotations

import contextlib
import random
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from autograder.sandbox.guest import optional

WORDS = 624
"""Of the state of MT19937 (Matsumoto and Nishimura 1998), which torch, numpy's old interface and Python all use."""
Words = npt.NDArray[np.uint32]

# Bound before any of the submission's code is there to replace them.
_set_numpy, _set_python = np.random.set_state, random.setstate


class Noise:
    """Streams of words that follow from `seed` and from how often they were renewed.

    `modules` gives the submission's, which alone are looked through for generators: to look at all that are loaded
    would copy their memory in every worker.
    """

    def __init__(self, seed: int, modules: Callable[[], Iterable[types.ModuleType]] = tuple) -> None:
        self.seed, self.modules = seed, modules
        self.renewals = 0

    def renew(self, space: Mapping[str, Any] | None = None) -> None:
        """Fills the states of the global generators of torch, numpy and Python anew, and of those that the submission
        has made for itself in the top level of its modules or of `space`."""
        philox = np.random.Philox(key=[self.seed % 2**64, self.renewals])
        self.renewals += 1

        def words() -> Words:
            return philox.random_raw(WORDS // 2).view(np.uint32)

        first, tensors = words(), optional.tensors()  # drawn either way: who imports torch changes no other noise
        if tensors is not None:
            tensors.fill(first, self.seed)
        _set_numpy(("MT19937", words(), WORDS, 0, 0.0))
        _set_python((3, (*words().tolist(), WORDS), None))
        for own in self._own(space):
            with contextlib.suppress(Exception):  # a generator of theirs may be of any make
                reseed(own, words())

    def _own(self, space: Mapping[str, Any] | None) -> Sequence[Any]:
        """The submission's own generators, each once, in the order of their names."""
        spaces = [space] if space is not None else []
        spaces += [vars(module) for module in self.modules()]
        named = [(name, value) for one in spaces for name, value in list(one.items()) if _seeded(value)]
        found = {id(value): value for _, value in sorted(named, key=lambda pair: str(pair[0]))}
        tensors = optional.tensors()
        return [one for one in found.values() if tensors is None or one is not tensors.DEFAULT]


GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)


def _seeded(value: Any) -> bool:
    kind, tensors = type(value), optional.tensors()  # isinstance() would wake a package that waits
    return kind in GENERATORS or (tensors is not None and issubclass(kind, tensors.GENERATOR))


def reseed(generator: Any, words: Words) -> None:
    """Gives a generator of one of these kinds another state."""
    tensors = optional.tensors()
    if tensors is not None and isinstance(generator, tensors.GENERATOR):
        tensors.refill(generator, words)
    elif type(generator) is np.random.Generator:
        old = generator.bit_generator
        old.state = type(old)(np.random.SeedSequence(words[:8].tolist())).state
    elif type(generator) is np.random.RandomState:
        generator.set_state(("MT19937", words, WORDS, 0, 0.0))
    elif type(generator) is random.Random:
        generator.setstate((3, (*words.tolist(), WORDS), None))
