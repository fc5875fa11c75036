"""A decoder whose every answer takes real work: its states follow from one another by products that nothing shortens.

What a worker says of its own work counts for nothing, since code in it can reach whatever keeps the account. But the
kernel counts its CPU time. So one search runs on a model of which each state costs a fifth of a millisecond, and can
be had from the state before it, which the caches hold, or from the whole past, at the cost of all of it. Behind some
hundred tokens that is the difference between 0.1 and 10 CPU seconds, whatever is patched, reset or called by another
name. The numbers are whole and below 2^53, so they are exact in float64, in any order of addition, here and in torch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.random import Generator

from autograder.core import Array, Values

PAD, BOS, EOS = 0, 1, 2
VOCAB, STATES, LIKELY = 48, 1024, 3
KEY, WIDTH, PRIME = 4, 256, 2**20 - 3
"""A state is KEY numbers below PRIME. A round makes products of WIDTH numbers below 2^20 and of entries below 2^8,
which sum up to less than 2^36, and squares below 2^40; a state's sum is below 2^26."""
ROUNDS = 4
PRICED = 24
RAMP = np.arange(1.0, WIDTH + 1)
NEVER, FAVOURITE = -60.0, 6.0
"""Logits of what no search may end with, and what the likeliest token has more than the others."""


def _rest(x: Array) -> Array:
    """x modulo PRIME, in place, for whole numbers from 0 to 2^41: a tenth of what % costs.

    The quotient is below 2^22, where float64's numbers are 2^-31 apart, and it is a whole number or more than 2^-20
    below the next one: so rounding never lifts it to that.
    """
    x -= np.floor(x / PRIME) * PRIME
    return x


@dataclass(frozen=True, eq=False)
class StateChain:
    """The model's numbers: mix (WIDTH, WIDTH), and logits (sources, STATES, VOCAB)."""

    mix: Array
    tables: Array

    @cached_property
    def _mix(self) -> Array:
        return self.mix.astype(np.float64)

    def begin(self, sources: Sequence[int]) -> Array:
        """The states (rows, KEY) before the first token."""
        return np.repeat(np.asarray(sources, float)[:, None] + 1, KEY, axis=1)

    def advance(self, keys: Array, tokens: Array) -> Array:
        """The states (rows, KEY) behind these and the tokens (rows,)."""
        x = _rest(np.tile(keys, (1, WIDTH // KEY)) * RAMP + 31 * tokens[:, None])
        for _ in range(ROUNDS):
            x = _rest(x @ self._mix)
            x *= x
            x += 1
            x = _rest(x)
        found: Array = _rest(x.reshape(len(x), WIDTH // KEY, KEY).sum(1))
        return found

    def at(self, sources: Array, keys: Array) -> Array:
        """The logits (rows, VOCAB) in these states."""
        found: Array = self.tables[sources, keys.sum(1).astype(int) % STATES]
        return found


def drawn(rng: Generator, sources: int) -> StateChain:
    """In every state some words are likely, each time others, and one of them is by far the likeliest; none ends."""
    logits = np.full((sources, STATES, VOCAB), NEVER)
    words = np.argsort(rng.random((sources, STATES, VOCAB - 3)), axis=2)[:, :, :LIKELY] + 3
    values = rng.standard_normal(words.shape)
    values[:, :, 0] += FAVOURITE
    np.put_along_axis(logits, words, values, axis=2)
    return StateChain(rng.integers(0, 256, (WIDTH, WIDTH), dtype=np.uint8), logits.astype(np.float32))


def ended(chain: StateChain, lengths: Sequence[int]) -> StateChain:
    """The same where the likeliest sequence of source i ends after lengths[i] tokens, or soon after them."""
    sources, tables = np.arange(len(lengths)), chain.tables.copy()
    keys, tokens = chain.begin(sources.tolist()), np.full(len(lengths), BOS)
    passed = np.zeros(tables.shape[:2], bool)
    open_ = np.ones(len(lengths), bool)
    for step in range(1, max(lengths) + STATES):
        keys = chain.advance(keys, tokens)
        places = keys.sum(1).astype(int) % STATES
        ends = open_ & (step >= np.asarray(lengths)) & ~passed[sources, places]
        tables[sources[ends], places[ends], EOS] = 2 * FAVOURITE + 6
        open_ &= ~ends
        passed[sources, places] = True
        tokens = tables[sources, places].argmax(1)
        if not open_.any():
            break
    return StateChain(chain.mix, tables)


@dataclass(frozen=True)
class Walk:
    """Along rows of tokens: which of them were likely where they came."""

    likely: Array  # (rows, longest), False behind a row's end and behind that of the walk

    @property
    def most(self) -> int:
        """How many were likely of the row that has most."""
        return int(self.likely.sum(1).max(initial=0))


def walked(
    chain: StateChain, sources: Sequence[int], rows: Sequence[Sequence[int]], *, first: Array | int, enough: int = 0
) -> Walk:
    """Follows the rows' tokens, each behind the token `first` or its own of these (rows,), to where one has `enough`.

    What is no token, whatever a worker may send, is as unlikely as padding.
    """
    longest = max(map(len, rows), default=0)
    tokens = np.full((len(rows), longest), PAD)
    for place, row in enumerate(rows):
        tokens[place, : len(row)] = [int(one) if one in range(VOCAB) else PAD for one in row]
    lengths, of = np.array([len(row) for row in rows]), np.asarray(sources)
    keys, before = chain.begin(sources), np.broadcast_to(np.asarray(first), len(rows))
    likely = np.zeros((len(rows), longest), bool)
    for step in range(longest):
        keys = chain.advance(keys, before)
        before = tokens[:, step]
        seen = chain.at(of, keys)[np.arange(len(rows)), before] > NEVER
        likely[:, step] = seen & (step < lengths)
        if enough and step + 1 >= enough and likely.sum(1).max() >= enough:
            break
    return Walk(likely)


def price(chain: StateChain, rows: int) -> float:
    """The CPU seconds that a state of so many rows costs here, to the judge."""
    keys, tokens = chain.begin(range(rows)), np.full(rows, BOS)
    keys = chain.advance(keys, tokens)  # what is done once, too
    begun = time.process_time()
    for _ in range(PRICED):
        keys = chain.advance(keys, tokens)
    return (time.process_time() - begun) / PRICED


def given(chain: StateChain) -> Values:
    """What the probe is given of it."""
    return {"mix": chain.mix, "tables": chain.tables}


def of(values: dict[str, Any] | Values) -> StateChain:
    return StateChain(np.asarray(values["mix"]), np.asarray(values["tables"]))
