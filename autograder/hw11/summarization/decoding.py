"""Asks and judges greedy_decode and beam_search, on a model of ours whose logits are looked up in a table.

The judge runs the same searches on the same tables. There are several right ways to keep a beam; the tables are drawn
such that all of them find the same sequence, and clearly, so that float32 cannot change a choice; and such that
each known mistake finds another one in some case. So no luck is left in comparing tokens. Whether work is wasted
shows in the CPU time of a search on a model that costs time: see chain.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
from numpy.random import Generator
from scipy.special import log_softmax

from autograder.core import Array, CheckFailed, Counterexample, Request, Spec, Specs, Trial, Values, Verdict
from autograder.hw11.summarization import chain
from autograder.judging.judges import passed, shown, whole
from autograder.sandbox.parts import each, items, pack, section, take
from autograder.sandbox.returns import count as calls
from autograder.sandbox.returns import declared, flag, numbers, parts, word

PAD, BOS, EOS = 0, 1, 2
VOCAB, STATES = 48, 101
WORDS = (3, 4, 5)
NEVER = -60.0
"""The logit of all tokens but EOS and the words: no search may end with one. They are there because some searches
want a vocabulary that is larger than the beam is wide."""
CLEAR = 1e-3
"""Least distance of two scores that a choice depends on. Sums of at most 40 float32 logarithms, each below 40 in
size, are off by at most 40 * 40 * 2^-24 + 40 gamma(8) = 2e-4 in any order."""
TRIES = 400

Tokens = tuple[int, ...]

# --------------------------------------------------------------------------------------------- searches


@dataclass(frozen=True, eq=False)
class SourceTable:
    """One source's table: logits (states, vocabulary), its number, and log-probabilities."""

    number: int
    logits: Array

    @cached_property
    def logp(self) -> Array:
        found: Array = log_softmax(self.logits.astype(float), axis=1)
        return found

    def state(self, tokens: Sequence[int], *, first: int = BOS) -> int:
        """The automaton's state (see the probe) after the first token and these."""
        state = self.number
        for token in (first, *tokens):
            state = (31 * state + 17 * token + 5) % STATES
        return state


@dataclass(frozen=True)
class Search:
    """A beam search: how many, how long, and how a sequence's length counts."""

    width: int
    most: int
    penalty: float

    def score(self, logp: float, length: int) -> float:
        return float(logp / max(length, 1) ** self.penalty)


class Unclear(Exception):
    """Two candidates are so close that rounding could choose."""


def _best(scored: Sequence[tuple[float, Any]], count: int) -> list[tuple[float, Any]]:
    """The `count` best of (score, what). Raises `Unclear` where the cut is not clear."""
    ranked = sorted(scored, key=lambda pair: -pair[0])
    if len(ranked) > count and ranked[count - 1][0] - ranked[count][0] < CLEAR:
        raise Unclear
    return ranked[:count]


def greedy(source: SourceTable, most: int, *, stops: bool = True, first: int = BOS) -> Tokens:
    """The likeliest token at each step up to the end, or to `most`; past the end where nothing `stops` it there."""
    tokens: Tokens = ()
    logp = source.logp
    while len(tokens) < most and (tokens[-1:] != (EOS,) or not stops):
        row = logp[source.state(tokens, first=first)]
        (_, token), *_ = _best([(float(value), index) for index, value in enumerate(row)], 1)
        tokens += (token,)
    return tokens


def beam(source: SourceTable, search: Search, *, table: Array | None = None) -> Tokens:
    """Beams that have ended stay in the beam; the search is over when all have."""
    return _winner(_beams(source, search, table=table), search)


def scored(source: SourceTable, search: Search) -> Tokens:
    """The same with beams that are kept by their score, log p by a power of the length: allowed, too."""
    return _winner(_beams(source, search, by_score=True), search)


def _beams(
    source: SourceTable, search: Search, *, table: Array | None = None, by_score: bool = False
) -> list[tuple[float, Tokens]]:
    """(log p, tokens) of the beams at the end."""
    logp = source.logp if table is None else table
    beams: list[tuple[float, Tokens]] = [(0.0, ())]
    for _ in range(search.most):
        grown: list[tuple[float, Tokens]] = []
        for value, tokens in beams:
            grown += [(value, tokens)] if tokens[-1:] == (EOS,) else _continued(source, logp, value, tokens)
        ranked = [(search.score(value, len(tokens)) if by_score else value, (value, tokens)) for value, tokens in grown]
        beams = [one for _, one in _best(ranked, search.width)]
        if all(tokens[-1] == EOS for _, tokens in beams):
            break
    return beams


def refilled(source: SourceTable, search: Search, *, early: bool) -> Tokens:
    """A beam that ends leaves, and the next best takes its place (as in Hugging Face's generate).

    With `early` the search is over as soon as `width` of them have ended, else at full length.
    """
    logp = source.logp
    beams: list[tuple[float, Tokens]] = [(0.0, ())]
    done: list[tuple[float, Tokens]] = []
    for _ in range(search.most):
        grown = [one for value, tokens in beams for one in _continued(source, logp, value, tokens)]
        first = _best(grown, search.width)
        done += [one for one in first if one[1][-1] == EOS]
        if early and len(done) >= search.width:
            break
        beams = _best([one for one in grown if one[1][-1] != EOS], search.width)
    return _winner(done + beams if not (early and len(done) >= search.width) else done, search)


def exhaustive(source: SourceTable, search: Search) -> Tokens:
    """The best of all sequences there are."""
    logp, words = source.logp, WORDS
    found = []
    for length in range(1, search.most + 1):
        for body in itertools.product(words, repeat=length - 1):
            for last in (EOS, *words) if length == search.most else (EOS,):
                tokens = (*body, last)
                value = sum(float(logp[source.state(tokens[:at]), token]) for at, token in enumerate(tokens))
                found.append((value, tokens))
    return _winner(found, search)


def _continued(source: SourceTable, table: Array, value: float, tokens: Tokens) -> list[tuple[float, Tokens]]:
    row = table[source.state(tokens)]
    return [(value + float(row[token]), (*tokens, token)) for token in (EOS, *WORDS)]


def _winner(beams: Sequence[tuple[float, Tokens]], search: Search) -> Tokens:
    ((_, tokens),) = _best([(search.score(value, len(tokens)), tokens) for value, tokens in beams], 1)
    found: Tokens = tokens
    return found


# ---------------------------------------------------------------------------------------- known mistakes


def _as_greedy(source: SourceTable, search: Search) -> Tokens:
    return greedy(source, search.most)


def _inverted(source: SourceTable, search: Search) -> Tokens:
    return beam(source, Search(search.width, search.most, -search.penalty))


def _unpenalised(source: SourceTable, search: Search) -> Tokens:
    """Also what counting padding in the length amounts to: all beams are equally long then."""
    return beam(source, Search(search.width, search.most, 0.0))


def _of_logits(source: SourceTable, search: Search) -> Tokens:
    return beam(source, search, table=source.logits.astype(float))


def _of_probabilities(source: SourceTable, search: Search) -> Tokens:
    return beam(source, search, table=np.exp(source.logp))


def _first_token_counted(source: SourceTable, search: Search) -> Tokens:
    """The penalty's length is one too large."""
    beams = _beams(source, search)
    ((_, tokens),) = _best([(search.score(value, len(tokens) + 1), tokens) for value, tokens in beams], 1)
    found: Tokens = tokens
    return found


def _end_not_counted(source: SourceTable, search: Search) -> Tokens:
    """The penalty's length is one too small where a beam has ended."""
    beams = _beams(source, search)
    lengths = [len(tokens) - (tokens[-1] == EOS) for _, tokens in beams]
    scores = [(search.score(value, length), tokens) for (value, tokens), length in zip(beams, lengths, strict=True)]
    ((_, tokens),) = _best(scores, 1)
    found: Tokens = tokens
    return found


def _first_ended(source: SourceTable, search: Search) -> Tokens:
    """The search is over once one beam has ended."""
    logp = source.logp
    beams: list[tuple[float, Tokens]] = [(0.0, ())]
    for _ in range(search.most):
        grown = [one for value, tokens in beams for one in _continued(source, logp, value, tokens)]
        beams = _best(grown, search.width)
        ended = [one for one in beams if one[1][-1] == EOS]
        if ended:
            return _winner(ended, search)
    return _winner(beams, search)


def _grown(source: SourceTable, beams: Sequence[tuple[float, Tokens]]) -> list[tuple[float, Tokens]]:
    """All continuations of the beams; those that have ended stay as they are."""
    grown: list[tuple[float, Tokens]] = []
    for value, tokens in beams:
        grown += [(value, tokens)] if tokens[-1:] == (EOS,) else _continued(source, source.logp, value, tokens)
    return grown


def _likeliest(beams: Sequence[tuple[float, Tokens]]) -> Tokens:
    ((_, tokens),) = _best(beams, 1)
    found: Tokens = tokens
    return found


def _first_done(source: SourceTable, search: Search) -> Tokens:
    """The beam that ends first is taken, the likelier one of several, whatever the others would come to."""
    beams: list[tuple[float, Tokens]] = [(0.0, ())]
    for _ in range(search.most):
        beams = _best(_grown(source, beams), search.width)
        ended = [one for one in beams if one[1][-1] == EOS]
        if ended:
            return _likeliest(ended)
    return _winner(beams, search)


def _done_of_each_row(sources: Sequence[SourceTable], row: int, search: Search, *, by_score: bool = False) -> Tokens:
    """The search is over once every row has a beam that has ended, and the best of these is taken."""
    beams: list[list[tuple[float, Tokens]]] = [[(0.0, ())] for _ in sources]
    for _ in range(search.most):
        beams = [_best(_grown(source, each), search.width) for source, each in zip(sources, beams, strict=True)]
        if all(any(tokens[-1] == EOS for _, tokens in each) for each in beams):
            break
    ended = [one for one in beams[row] if one[1][-1] == EOS] or beams[row]
    return _winner(ended, search) if by_score else _likeliest(ended)


def _penalised_steps(source: SourceTable, search: Search, *, again: bool = False) -> Tokens:
    """The sum so far is divided by the length's power at each step, and the next log-probability added to that.

    With `again` once more at the end.
    """
    beams: list[tuple[float, Tokens]] = [(0.0, ())]
    for _ in range(search.most):
        over = {tokens for _, tokens in beams if tokens[-1:] == (EOS,)}
        beams = [
            (value if tokens in over else search.score(value, len(tokens)), tokens)
            for value, tokens in _best(_grown(source, beams), search.width)
        ]
        if all(tokens[-1] == EOS for _, tokens in beams):
            break
    return _winner(beams, search) if again else _likeliest(beams)


def _penalised_together(sources: Sequence[SourceTable], row: int, search: Search, *, again: bool = False) -> Tokens:
    """The same, also of beams that have ended, as long as any row goes on."""
    beams: list[list[tuple[float, Tokens]]] = [[(0.0, ())] for _ in sources]
    for _ in range(search.most):
        beams = [
            [(search.score(value, len(tokens)), tokens) for value, tokens in _best(_grown(source, each), search.width)]
            for source, each in zip(sources, beams, strict=True)
        ]
        if all(tokens[-1] == EOS for each in beams for _, tokens in each):
            break
    return _winner(beams[row], search) if again else _likeliest(beams[row])


def _penalised_candidates(source: SourceTable, search: Search) -> Tokens:
    """The same, but divided before the beams are chosen."""
    beams: list[tuple[float, Tokens]] = [(0.0, ())]
    for _ in range(search.most):
        over = {tokens for _, tokens in beams if tokens[-1:] == (EOS,)}
        grown = [
            (value if tokens in over else search.score(value, len(tokens)), tokens)
            for value, tokens in _grown(source, beams)
        ]
        beams = _best(grown, search.width)
        if all(tokens[-1] == EOS for _, tokens in beams):
            break
    return _likeliest(beams)


def _unended(source: SourceTable, search: Search) -> Tokens:
    """Beams that end are thrown away."""
    logp = source.logp
    beams: list[tuple[float, Tokens]] = [(0.0, ())]
    for _ in range(search.most):
        grown = [one for value, tokens in beams for one in _continued(source, logp, value, tokens)]
        beams = _best([one for one in grown if one[1][-1] != EOS], search.width)
    return _winner(beams, search)


def _not_reordered(source: SourceTable, search: Search) -> Tokens:
    """Tokens follow their beams, caches do not: each row goes on with what was fed to that row."""
    logp = source.logp
    states = [source.state(())] * search.width
    beams: list[tuple[float, Tokens]] = [(0.0, ())]
    for _ in range(search.most):
        grown: list[tuple[float, tuple[Tokens, int]]] = []
        for row, (value, tokens) in enumerate(beams):
            if tokens[-1:] == (EOS,):
                grown.append((value, (tokens, PAD)))
                continue
            of = logp[states[row]]
            grown += [(value + float(of[token]), ((*tokens, token), token)) for token in (EOS, *WORDS)]
        best = _best(grown, search.width)
        for row, (_, (_, token)) in enumerate(best):
            states[row] = (31 * states[row] + 17 * token + 5) % STATES
        beams = [(value, tokens) for value, (tokens, _) in best]
        if all(tokens[-1] == EOS for _, tokens in beams):
            break
    return _winner(beams, search)


def _any_ended(sources: Sequence[SourceTable], row: int, search: Search) -> Tokens:
    """The search is over for all rows once a beam of any has ended."""
    beams: list[list[tuple[float, Tokens]]] = [[(0.0, ())] for _ in sources]
    for _ in range(search.most):
        for place, source in enumerate(sources):
            grown = [one for each in beams[place] for one in _continued(source, source.logp, *each)]
            beams[place] = _best(grown, search.width)
        if any(tokens[-1] == EOS for each in beams for _, tokens in each):
            break
    return _winner(beams[row], search)


def _side_by_side(sources: Sequence[SourceTable], row: int, search: Search) -> Tokens:
    """The beams of a row see other rows' documents: those of slot k that of row k modulo the number of rows."""
    of = [sources[(row * search.width + slot) % len(sources)] for slot in range(search.width)]
    beams: list[tuple[float, Tokens]] = [(0.0, ())]
    for _ in range(search.most):
        grown: list[tuple[float, Tokens]] = []
        for source, (value, tokens) in zip(of, beams, strict=False):
            grown += [(value, tokens)] if tokens[-1:] == (EOS,) else _continued(source, source.logp, value, tokens)
        beams = _best(grown, search.width)
        if all(tokens[-1] == EOS for _, tokens in beams):
            break
    return _winner(beams, search)


@dataclass(frozen=True)
class SearchMistake:
    """A known way to search wrongly: what it finds for a source, or for one row among others, `beside`."""

    id: str
    sentence: str
    search: Callable[[SourceTable, Search], Tokens] = beam
    beside: Callable[[Sequence[SourceTable], int, Search], Tokens] | None = None

    def finds(self, sources: Sequence[SourceTable], row: int, search: Search) -> Tokens:
        return self.beside(sources, row, search) if self.beside else self.search(sources[row], search)


MISTAKES = (
    SearchMistake(
        "sum_greedy", "It is the result of greedy decoding: only the likeliest beam was followed.", _as_greedy
    ),
    SearchMistake(
        "sum_penalty_inverted",
        "The length penalty is inverted. Expected: log p divided by n ** length_penalty.",
        _inverted,
    ),
    SearchMistake(
        "sum_penalty_ignored",
        "It is the result for length_penalty = 0. Expected: log p divided by a power of each beam's own length, in "
        "which padding does not count.",
        _unpenalised,
    ),
    SearchMistake("sum_logits", "Logits were added. Expected: the sum of log-probabilities (log_softmax).", _of_logits),
    SearchMistake(
        "sum_probabilities",
        "Probabilities were added. Expected: the sum of log-probabilities (log_softmax in place of softmax).",
        _of_probabilities,
    ),
    SearchMistake(
        "sum_first_finished",
        "The search ended with the first finished beam, but other beams can still become better.",
        _first_ended,
    ),
    SearchMistake("sum_finished_lost", "Finished beams were lost, but they compete at the end.", _unended),
    SearchMistake(
        "sum_not_reordered",
        "The caches did not follow their beams. Expected: row k of the caches belongs to the beam that row k "
        "continues.",
        _not_reordered,
    ),
    SearchMistake(
        "sum_penalty_length",
        "The length in the penalty is one too large. The first token, config.bos_token_id, does not count.",
        _first_token_counted,
    ),
    SearchMistake(
        "sum_penalty_length",
        "The length in the penalty is one too small. The token config.eos_token_id counts.",
        _end_not_counted,
    ),
    SearchMistake(
        "sum_encoder_order",
        "Beams saw the documents of other rows. repeat_interleave puts the copies of a document next to each other, "
        "but repeat does not.",
        beside=_side_by_side,
    ),
    SearchMistake(
        "sum_first_finished",
        "The search ended for all rows when one row had a finished beam, but other beams can still become better.",
        beside=_any_ended,
    ),
    *(
        SearchMistake(
            "sum_first_taken",
            "The first finished beam of a row was returned. Expected: all finished beams compete by their scores, "
            "log p divided by a power of the length.",
            search,
            beside,
        )
        for search, beside in (
            (_first_done, None),
            (beam, _done_of_each_row),
            (beam, partial(_done_of_each_row, by_score=True)),
        )
    ),
    *(
        SearchMistake(
            "sum_penalty_each_step",
            "The length penalty was applied in every step. Expected: log p is summed without it and divided by the "
            "power of the length once, when beams are compared.",
            search,
            beside,
        )
        for search, beside in (
            (_penalised_steps, None),
            (partial(_penalised_steps, again=True), None),
            (_penalised_candidates, None),
            (beam, _penalised_together),
            (beam, partial(_penalised_together, again=True)),
        )
    ),
)

# ---------------------------------------------------------------------------------------- what is asked

SEARCHES = (
    Search(1, 6, 1.0),  # width 1 is greedy decoding
    Search(3, 5, 1.0),
    Search(3, 6, 1.5),
    Search(2, 6, 0.0),
    Search(4, 5, 2.0),
    Search(3, 6, 0.5),
    Search(40, 4, 1.0),  # wide enough for the whole tree
    Search(3, 6, 1.0),
    Search(2, 40, 1.0),
)
LONG = len(SEARCHES) - 1
"""The case in which nothing ends."""
WHOLE = 6
RIGHT = -1
TARGETS: dict[tuple[int, int], tuple[tuple[int, int], ...]] = {
    (1, 0): ((0, RIGHT), (6, RIGHT)),
    (1, 1): ((5, RIGHT),),
    (2, 0): ((1, RIGHT), (2, RIGHT)),
    (2, 1): ((1, 2),),
    (2, 2): ((8, RIGHT),),
    (4, 0): ((2, RIGHT), (6, RIGHT)),
    (5, 0): ((3, RIGHT), (4, RIGHT)),
    (5, 1): ((7, RIGHT),),
    (6, 0): ((0, RIGHT),),
    (7, 0): ((4, RIGHT), (5, RIGHT), (6, RIGHT)),
    (7, 1): ((1, 4),),
}
"""Which searches each source of a case must tell apart: mistakes by their place in MISTAKES, or the right one."""
WIDER = 4
"""Ids are read up to as many times max_length columns: padding behind that costs nothing, a room full of it does."""
LENGTHS = (8, 7, 40)
"""max_length of the cases of greedy decoding; in the second all rows end early, in the last none ends."""
BATCH = 3
THRIFTY = Search(3, 280, 1.0)
"""The beam search with the model that costs work; nothing ends in it."""
ENDS = (300, 280, 290)
"""Behind how many tokens the rows of the greedy search with that model end."""
THRIFTY_MOST = 600


def _table(rng: Generator, ends: float) -> Array:
    """Logits (states, vocabulary); a larger `ends` makes the end likelier."""
    logits = np.full((STATES, VOCAB), NEVER)
    logits[:, WORDS] = 1.5 * rng.standard_normal((STATES, len(WORDS)))
    if ends > NEVER:
        logits[:, EOS] = 1.5 * rng.standard_normal(STATES) + ends
    return logits.astype(np.float32)


def right(source: SourceTable, search: Search) -> Tokens:
    """What every right search finds. Raises `Unclear` where they differ or where it is close."""
    found = beam(source, search)
    others: tuple[Callable[[], Tokens], ...] = (  # called one after the other, and no more once one differs
        lambda: scored(source, search),
        lambda: refilled(source, search, early=True),
        lambda: refilled(source, search, early=False),
        lambda: exhaustive(source, search) if search == SEARCHES[WHOLE] else found,
    )
    if any(other() != found for other in others):
        raise Unclear
    return found


def _draw(
    rng: Generator,
    number: int,
    ends: float,
    suits: Callable[[SourceTable], bool],
    *,
    clear: Callable[[SourceTable], bool],
) -> SourceTable:
    """A source whose table suits. Should none of many do so, which has a probability below 1e-5, the last clear one.

    `clear` says that all right searches agree there, so that nobody fails by this; it, too, may raise `Unclear`.
    """
    found = None
    for turn in itertools.count():
        source = SourceTable(number, _table(rng, ends))
        try:
            if suits(source):
                return source
            found = source if clear(source) else found
        except Unclear:
            continue
        if turn > TRIES and found is not None:
            return found
    raise AssertionError


def _suits(search: Search, pairs: Sequence[tuple[int, int]]) -> Callable[[SourceTable], bool]:
    def suits(source: SourceTable) -> bool:
        def found(place: int) -> Tokens:
            return want if place == RIGHT else MISTAKES[place].search(source, search)

        want = right(source, search)
        return all(found(one) != found(other) for one, other in pairs)

    return suits


def _case(sources: Sequence[SourceTable], rng: Generator) -> dict[str, Any]:
    """Rows of ids (batch, m) with padding of different lengths, whose sums name the sources."""
    lengths = rng.permutation([2, 4, 5])[: len(sources)]
    ids = np.zeros((len(sources), int(lengths.max())), np.int64)
    for row, (source, length) in enumerate(zip(sources, lengths, strict=True)):
        words = rng.integers(3, 9, length)
        # The sum of (id - 3) over what is no padding is the source's number, modulo their count.
        words[0] += (source.number - (words - 3).sum()) % len(sources)
        ids[row, :length] = words
    return {"ids": ids, "tables": np.stack([source.logits for source in sources])}


def _greedy(rng: Generator) -> Values:
    cases: list[dict[str, Any]] = []
    for case, most in enumerate(LENGTHS):
        ends = (0.0, 1.5, NEVER)[case]

        def lasts(source: SourceTable, most: int = most, case: int = case) -> bool:
            length = len(greedy(source, most))
            if case == 0 and source.number == 1:  # who writes on behind this row's end writes words
                return any(token in WORDS for token in greedy(source, most, stops=False)[length:])
            # The first row of the second case goes on for some steps, for what is done again in each to show.
            return (length == most, 2 < length < most, True)[case] if source.number == 0 else case != 1 or length < most

        def clear(source: SourceTable, most: int = most) -> bool:
            return bool(greedy(source, most))

        sources = [_draw(rng, number, ends, lasts, clear=clear) for number in range(BATCH)]
        cases.append({**_case(sources, rng), "most": most})
    long = chain.ended(chain.drawn(rng, BATCH), ENDS)
    return pack(cases=cases, work={**_work(rng, long), "most": THRIFTY_MOST})


def _work(rng: Generator, long: chain.StateChain) -> dict[str, Any]:
    named = _case([SourceTable(number, table) for number, table in enumerate(long.tables)], rng)
    return {**named, **chain.given(long)}


def _beam(rng: Generator) -> Values:
    cases: list[dict[str, Any]] = []
    for case, search in enumerate(SEARCHES):
        ends, count = (NEVER, 1) if case == LONG else (0.0, BATCH)
        sources = [
            _draw(rng, number, ends, _suits(search, TARGETS.get((case, number), ())), clear=_suits(search, ()))
            for number in range(count)
        ]
        cases.append({**_case(sources, rng), "width": search.width, "most": search.most, "penalty": search.penalty})
    named = {"width": THRIFTY.width, "most": THRIFTY.most, "penalty": THRIFTY.penalty}
    return pack(cases=cases, work={**_work(rng, chain.drawn(rng, 1)), **named})


LONGEST_ROW = 2048
"""Tokens of a row, with its padding, for which there is a sentence of its own."""


def _returns(given: Values) -> Specs:
    def ids(case: Values) -> Spec:
        return numbers(most=LONGEST_ROW * len(np.asarray(case["ids"])), what="the returned tokens")

    tokens = [{"ids": ids(case), "widest": calls()} for case in items(given, "cases")]
    work = {"ids": ids(take(given, "work")), "refused": word(*REFUSALS)}
    return {**parts(tokens={"cases": tokens}, work=work), "neither": flag(), "library": flag()}


GREEDY = Request("summarization.probes:greedy", _greedy, seconds=20.0, returns=_returns, needs=("summarization.ipynb",))
BEAM = Request("summarization.probes:beam", _beam, seconds=20.0, returns=_returns, needs=("summarization.ipynb",))

# ------------------------------------------------------------------------------------------- the judges


def _sources(values: Values) -> list[SourceTable]:
    """The source of each row, in the rows' order."""
    ids, tables = (np.asarray(values[name]) for name in ("ids", "tables"))
    numbers = (np.where(ids == PAD, 0, ids - 3).sum(1) % len(tables)).tolist()
    return [SourceTable(number, tables[number]) for number in numbers]


@dataclass(frozen=True)
class DecodedRow:
    """One row that came back: its tokens up to the end, without a leading BOS, and what is wrong with its form.

    `first` says whether there was such a BOS.
    """

    tokens: Tokens
    fault: str = ""
    first: bool = False


def _rows(one: Trial, name: str, most: int, *, real: bool = False) -> list[DecodedRow]:
    """The rows of the ids that came back. Raises `CheckFailed` where these are no ids; with `real` floats are some."""
    batch, ids = len(np.asarray(one.given["ids"])), one.got.get("ids")
    expected = f"Expected: ids of shape ({batch}, n), where n is at most max_length = {most}."
    if not isinstance(ids, np.ndarray):
        raise CheckFailed(f"{name} returned no tensor. {expected}")
    if ids.ndim != 2 or len(ids) != batch or ids.shape[1] > WIDER * most:
        raise CheckFailed(f"{name} returned an array of shape {list(ids.shape)}. {expected}", diagnosis="shape")
    if ids.dtype.kind not in ("iuf" if real else "iu"):
        raise CheckFailed(
            f"{name} returned numbers of type {ids.dtype}. Expected: integer ids, because other numbers cannot be "
            "looked up.",
            diagnosis="dtype",
        )
    return [_row(row, most) for row in ids.tolist()]


def _row(row: Sequence[int], most: int) -> DecodedRow:
    first = row[:1] == [BOS]
    tokens = row[1:] if first else row
    end = tokens.index(EOS) + 1 if EOS in tokens else len(tokens)
    behind = set(tokens[end:]) - {PAD, EOS}
    while end and tokens[end - 1] == PAD:
        end -= 1
    fault = "behind" if behind else "long" if end > most else ""
    return DecodedRow(tuple(tokens[:end]), fault, first)


@lru_cache(maxsize=4)
def _cases(trial: Trial) -> tuple[Trial, ...]:
    """The cases with what came back for each.

    Raises `CheckFailed` where a function is missing or the part has a fault.
    """
    return tuple(each(Trial(trial.given, section(trial, "tokens").got)))


def _thrifty(trial: Trial) -> Trial:
    """What came of the model that refuses; raises `CheckFailed` as `_cases` does."""
    return Trial(take(trial.given, "work"), section(trial, "work").got)


MISSING = "missing"


def _there(trial: Trial, name: str) -> None:
    """Raises `CheckFailed` where the notebook has neither search; what that means is said once, by the first check."""
    if trial.got.get("neither") is not True:
        return
    if name:
        raise CheckFailed(
            f'The notebook does not define {name}. Expected: see the check "greedy_decode: tokens".', diagnosis=MISSING
        )
    words = (
        "Your model uses generate() of transformers, which is fine for the rest of the notebook"
        if trial.got.get("library") is True
        else "The notebook defines neither of them"
    )
    raise CheckFailed(
        f"greedy_decode and beam_search are missing. {words}. But the ten points of these four checks are for these "
        "two functions. Expected: both functions, as the template describes them. Nothing else depends on them.",
        diagnosis=MISSING,
    )


@dataclass(frozen=True)
class Slip:
    """A known way to decode greedily and wrongly: what a row of several sources becomes."""

    id: str
    sentence: str
    tokens: Callable[[Sequence[SourceTable], int, int], Tokens]


def _shortest(sources: Sequence[SourceTable], row: int, most: int) -> Tokens:
    length = min(len(greedy(source, most)) for source in sources)
    return greedy(sources[row], most)[:length]


def _forgetful(source: SourceTable, most: int) -> Tokens:
    """Each step sees the newest token alone, as if it were the first."""
    tokens: Tokens = ()
    while len(tokens) < most and tokens[-1:] != (EOS,):
        row = source.logp[source.state((), first=(BOS, *tokens)[-1])]
        (_, token), *_ = _best([(float(value), index) for index, value in enumerate(row)], 1)
        tokens += (token,)
    return tokens


SLIPS = (
    Slip(
        "sum_cache_lost",
        "Every step saw the newest token only. Pass the caches that model.decode returns to the next call.",
        lambda sources, row, most: _forgetful(sources[row], most),
    ),
    Slip(
        "sum_first_finished",
        "All rows ended when the first row ended. Each row must continue to its own end.",
        _shortest,
    ),
    Slip(
        "sum_wrong_start",
        "Decoding started with config.pad_token_id. Expected: it starts with config.bos_token_id.",
        lambda sources, row, most: greedy(sources[row], most, first=PAD),
    ),
    Slip(
        "sum_wrong_start",
        "Decoding started with config.eos_token_id. Expected: it starts with config.bos_token_id.",
        lambda sources, row, most: greedy(sources[row], most, first=EOS),
    ),
    Slip(
        "sum_one_too_few",
        "Rows that do not end have max_length - 1 tokens. The first token, config.bos_token_id, does not count "
        "towards max_length.",
        lambda sources, row, most: greedy(sources[row], most - 1),
    ),
)


def _known_slip(found: Sequence[tuple[Sequence[SourceTable], int, Sequence[DecodedRow]]]) -> Slip | None:
    """The slip that explains every row of these (sources, max_length, rows); the end may be cut, too."""

    def so(slip: Slip, sources: Sequence[SourceTable], most: int, rows: Sequence[DecodedRow]) -> bool:
        try:
            wants = [slip.tokens(sources, row, most) for row in range(len(sources))]
        except Unclear:
            return False
        return all(row.tokens in (want, _cut(want)) for row, want in zip(rows, wants, strict=True))

    return next((slip for slip in SLIPS if all(so(slip, *each) for each in found)), None)


def _cut(tokens: Tokens) -> Tokens:
    return tokens[:-1] if tokens[-1:] == (EOS,) else tokens


HALF = 0.5
"""Of the points for tokens that are right but for the first or the last one, which others can put right."""


def _right_but_for(name: str, rows: Sequence[DecodedRow], wants: Sequence[Tokens]) -> Verdict | None:
    """The verdict where all tokens are right but for the first one that was kept, or the end that was cut, if so."""
    if not all(row.tokens in (want, _cut(want)) for row, want in zip(rows, wants, strict=True)):
        return None
    if any(row.first for row in rows):
        return Verdict(
            HALF,
            f"{name} returned the right tokens with config.bos_token_id in front. Expected: ids without that first "
            "token.",
            "sum_first_token_kept",
        )
    if any(row.tokens != want for row, want in zip(rows, wants, strict=True)):
        return Verdict(
            HALF,
            f"{name} returned the right tokens without config.eos_token_id at the end. Expected: each row up to and "
            "including its end token.",
            "sum_end_cut",
        )
    return None


def greedily(trial: Trial) -> Verdict:
    """The tokens of each case."""
    _there(trial, "")
    found: list[tuple[list[SourceTable], int, list[DecodedRow]]] = []
    for one in _cases(trial):
        most = whole(one.given, "most", least=1, most=100)
        rows = _rows(one, "greedy_decode", most)
        _form("greedy_decode", rows, most)
        found.append((_sources(one.given), most, rows))
    wants = [greedy(source, most) for sources, most, _ in found for source in sources]
    rows = [row for _, _, each in found for row in each]
    slight = _right_but_for("greedy_decode", rows, wants)
    if slight is not None:
        return slight
    wrong = next(((row.tokens, want) for row, want in zip(rows, wants, strict=True) if row.tokens != want), None)
    if wrong is None:
        return passed("Greedy decoding finds the likeliest token at each step, up to the end of each row.")
    slip = _known_slip(found)
    told = _difference("greedy_decode", *wrong, "the likeliest token at each step")
    raise CheckFailed(f"{told} {slip.sentence}" if slip else told, diagnosis=slip.id if slip else "")


MIXED = " Was a finished beam continued, or do tokens and ends come from different beams or rows?"


def _form(name: str, rows: Sequence[DecodedRow], most: int) -> None:
    faults = {row.fault for row in rows}
    if "behind" in faults:
        raise CheckFailed(
            f"{name} returned tokens after the end of a row. Expected: config.pad_token_id after "
            f"config.eos_token_id.{MIXED if name == 'beam_search' else ''}",
            diagnosis="sum_no_stop",
        )
    if "long" in faults:
        longest = max(len(row.tokens) for row in rows)
        raise CheckFailed(f"{name} returned {longest} tokens in a row. Expected: at most max_length = {most}.")


def _difference(name: str, got: Tokens, want: Tokens, what: str) -> str:
    at = next((index for index, pair in enumerate(zip(got, want, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        where = f"ended after {len(got)} tokens instead of {len(want)}"
    else:
        where = f"is wrong from token {at + 1} on"
    return f"For a model that looks its logits up in a table, a row of {name} {where}. Expected: {what}."


Found = tuple[list[SourceTable], int, Search, Tokens, Tokens]
"""The sources of a case, a row, the search, what came back for the row, and what is right."""


def _beamed(one: Trial, search: Search) -> tuple[list[DecodedRow], list[Found]]:
    rows, sources = _rows(one, "beam_search", search.most), _sources(one.given)
    _form("beam_search", rows, search.most)
    found = [(sources, index, search, row.tokens, beam(sources[index], search)) for index, row in enumerate(rows)]
    return rows, found


def beamed(trial: Trial) -> Verdict:
    """The tokens of each search."""
    _there(trial, "beam_search")
    rows: list[DecodedRow] = []
    found: list[Found] = []
    cases = _cases(trial)
    for one, search in zip(cases, SEARCHES, strict=True):
        each = _beamed(one, search)
        rows, found = rows + each[0], found + each[1]
    slight = _right_but_for("beam_search", rows, [want for *_, want in found])
    if slight is not None:
        return slight
    wrong = next(((search, got, want) for _, _, search, got, want in found if got != want), None)
    if wrong is None:
        return passed(
            "Beam search finds what every correct beam search finds here, including the best sequence where "
            "num_beams is large enough. You may select beams by log p or by score, because both give the same "
            "result here."
        )
    search, got, want = wrong
    told = _difference("beam_search", got, want, "the row that every correct beam search finds")
    known = _known(found, cases)
    raise CheckFailed(
        (
            f"{told} Settings: num_beams = {search.width}, max_length = {search.most}, length_penalty = "
            f"{search.penalty:g}. "
        )
        + (known.sentence if known else "Tokens, scores, ends and caches must all follow their beams."),
        diagnosis=known.id if known else "",
    )


ALIKE = SearchMistake(
    "sum_beams_alike",
    "It is the result of greedy decoding, because all beams started equal and stayed equal. Only one beam may count "
    "in the first step.",
    _as_greedy,
)


def _known(found: Sequence[Found], cases: Sequence[Trial]) -> SearchMistake | None:
    """The mistake that explains all rows, and most of them where rounding decides nothing."""
    explaining = [(count, mistake) for mistake in MISTAKES if (count := _explained(mistake, found)) > 0]
    if not explaining:
        return None
    known = max(explaining, key=lambda pair: pair[0])[1]  # of several the first
    if known.search is not _as_greedy:
        return known
    # Only words depend on what the worker says of its own calls.
    widest = [one.got.get("widest") for one in cases]
    full = [len(np.asarray(one.given["ids"])) * search.width for one, search in zip(cases, SEARCHES, strict=True)]
    return ALIKE if widest == full else known


def _explained(mistake: SearchMistake, found: Sequence[Found]) -> int:
    """In how many rows the mistake finds clearly what came back, and not what is right; 0 if not in every clear one.

    Not where the beam is wider than there are continuations: what else is in it then, nobody can say.
    """
    count = 0
    for sources, row, search, got, want in found:
        if search == SEARCHES[WHOLE]:
            continue
        try:
            if mistake.finds(sources, row, search) != got:
                return 0
        except Unclear:
            continue
        count += got != want
    return count


def greedy_work(trial: Trial) -> Verdict:
    """The encoder once, one new token a row and step, and an early end, by the CPU time of a search that costs some."""
    return _economical(trial, "greedy_decode", min(ENDS))


def beam_work(trial: Trial) -> Verdict:
    """The encoder once, and one new token a beam and step."""
    return _economical(trial, "beam_search", THRIFTY.most - 1)


FOLLOWED = 320
"""Tokens of a row that are looked at: more than are expected, and no more than the judge has time for."""
ENOUGH = 0.9
"""Of the expected tokens; a search that ends sooner had less to waste. Tokens that are taken at random of 48, 3 of them
likely for each of three sources, are likely 56 times in 320; 252 times with a probability below 1e-100."""
ALLOWED, STATES_ALLOWED = 3.5, 12_000
"""CPU seconds of a worker that come with its start, the small cases and the notebook (to import transformers takes 2 to
3 s), and the price of so many states, which cost the judge half of what they cost the model. Chosen, not derived: the
reference takes 0.2 s where these are 4.4 s, and who computes every state anew at each of 280 steps needs 39,000 states,
10 s there."""


def _economical(trial: Trial, name: str, length: int) -> Verdict:
    """Tokens that came of the model which costs work, and the CPU time that the kernel counted.

    That the tokens are likely where they come shows that the model was asked for them, whether they are right or not.
    """
    _there(trial, name)
    one = _thrifty(trial)
    _refused(one, name)
    batch, ids = len(np.asarray(one.given["ids"])), one.got.get("ids")
    if (
        isinstance(ids, np.ndarray)
        and ids.size
        and ids.ndim > 1
        and ids.shape[0] != batch
        and ids.shape[0] % batch == 0
    ):
        # All beams, it may be; the first of each will do.
        one = Trial(one.given, {**one.got, "ids": ids.reshape(batch, -1, ids.shape[-1])[:, 0]})
    rows = _rows(one, name, whole(one.given, "most", least=1, most=1000), real=True)
    long = chain.of(one.given)
    walk, price = _walked(long, one, rows, int(ENOUGH * length)), chain.price(long, max(len(rows), 1))
    if walk.most < int(ENOUGH * length) and not _all_end(rows, walk):
        raise CheckFailed(UNJUDGED.format(name))
    if trial.got_cpu > ALLOWED + STATES_ALLOWED * price:
        raise CheckFailed(
            f"{name} took {trial.got_cpu:.1f} s of CPU time for searches that need {2 * price * length + 0.5:.1f} "
            "s. Expected: one encoder call, then one new token for each row in each call of model.decode, with the "
            "returned caches.",
            diagnosis="sum_recomputed",
        )
    return passed(ECONOMICAL)


def _walked(long: chain.StateChain, one: Trial, rows: Sequence[DecodedRow], enough: int) -> chain.Walk:
    """The walk along the rows from where most of their tokens are likely.

    To begin with another token, and to take one that is likely for another row, have cost their points elsewhere.
    The first row alone is nearly always enough.
    """
    tokens, ids = [row.tokens[:FOLLOWED] for row in rows], np.asarray(one.given["ids"])
    sources = [source.number for source in _sources(one.given)]
    walk = chain.walked(long, sources[:1], tokens[:1], first=BOS, enough=enough)
    if walk.most < enough:
        walk = chain.walked(long, sources[: len(rows)], tokens, first=BOS)
    for first in (BOS, PAD, EOS, ids[:, 0], ids[:, -1]) if rows else ():
        if walk.most >= enough:
            break
        firsts = np.repeat(np.broadcast_to(first, len(rows)), len(sources))
        others = chain.walked(long, sources * len(rows), [row for row in tokens for _ in sources], first=firsts)
        likely: Array = np.any(others.likely.reshape(len(rows), len(sources), -1), axis=1)
        walk = max(walk, chain.Walk(likely), key=lambda each: each.most)
    return walk


def _all_end(rows: Sequence[DecodedRow], walk: chain.Walk) -> bool:
    """Whether each row ended sooner, but where the model makes it end, and took likely tokens alone.

    It takes 8 tokens at least, which a chance of 0.18 each gives with a probability below 2e-6.
    """
    lengths = [len(row.tokens) for row in rows]
    ended = all(row.tokens[-1:] == (EOS,) for row in rows)
    return bool(rows) and ended and min(lengths) >= 8 and int(walk.likely.sum()) == sum(lengths)


ECONOMICAL = "The encoder runs once, and the model receives one new token for each row and step."
UNJUDGED = (
    "For a long input {0} returned too few tokens, or tokens that model.decode makes unlikely, so this check cannot "
    "measure the work. Expected: likely tokens up to the end of each row. Look at the check of its tokens first."
)
REFUSALS = {
    "encoded": (
        "{0} ran the encoder again for a document. Expected: one encoder call, before the first token.",
        "sum_encoder_repeated",
    ),
    "prefix": (
        "{0} passed several positions of a row to model.decode at once. Expected: one new token for each row in "
        "each call, and the cache. Otherwise the work for n tokens grows like n^2.",
        "sum_recomputed",
    ),
    "again": (
        "{0} passed more tokens for one position to model.decode than there are rows and beams. Expected: one token "
        "for each beam and position, with the returned cache, and no second pass over earlier tokens.",
        "sum_recomputed",
    ),
    "ended": (
        "{0} called model.decode after all its rows had ended. Expected: it stops once all rows have ended.",
        "sum_no_stop",
    ),
}
"""Why the thrifty model refused: a sentence, and the mistake's id."""


def _refused(one: Trial, name: str) -> None:
    """Raises `CheckFailed` where the thrifty model refused something."""
    if "refused" not in one.got:
        return
    sentence, diagnosis = REFUSALS.get(str(one.got["refused"]), REFUSALS["again"])
    raise CheckFailed(sentence.format(name), diagnosis=diagnosis)


# ------------------------------------------------------------------------------- the smallest example

TINY_VOCAB = 6
"""Padding, the first token, the end and the words; twice as many as the beam is wide at least."""
Tree = dict[Tokens, dict[int, float]]
"""The probability of each token behind some tokens; what has none is never taken."""


@dataclass(frozen=True)
class Tiny:
    """A tiny search: the model's probabilities for each row, and max_length. In greedy decoding a row is a script,
    each token of which is certain."""

    rows: tuple[Tree, ...]
    most: int
    width: int = 1
    penalty: float = 0.0


def _script(*tokens: int) -> Tree:
    return {tokens[:at]: {token: 1.0} for at, token in enumerate(tokens)}


TINY_GREEDY = (
    Tiny((_script(EOS),), 1),
    Tiny((_script(3, EOS),), 2),
    Tiny((_script(3, 4, EOS),), 3),
    Tiny((_script(3, 4, 3, 4),), 2),
    Tiny((_script(EOS, 4, 4), _script(3, EOS)), 3),
    Tiny((_script(3, EOS, 4), _script(3, 4, EOS)), 3),
)
SWAPPING: Tree = {
    (): {3: 0.6, 4: 0.4},
    (3,): {3: 0.4, 4: 0.3, EOS: 0.3},
    (4,): {3: 1.0},
    (3, 3): {4: 1.0},
    (4, 3): {EOS: 1.0},
}
"""The second beam overtakes the first, so that its tokens and its cache must change places."""
LATE: Tree = {
    (): {4: 0.7, 3: 0.3},
    (3,): {3: 1.0},
    (3, 3): {EOS: 1.0},
    (4,): {4: 1.0},
    (4, 4): {EOS: 0.55, 3: 0.45},
}
"""The better sequence has its unlikely token late: what is divided at each step weighs late tokens more."""
TINY_BEAM = (
    Tiny((_script(EOS),), 1, 2),
    Tiny((_script(3, EOS),), 2, 2),
    Tiny(({(): {3: 0.6, 4: 0.4}, (3,): {EOS: 0.4, 3: 0.35, 4: 0.25}, (4,): {EOS: 1.0}},), 2, 2),
    Tiny(({(): {EOS: 0.6, 3: 0.4}, (3,): {EOS: 1.0}},), 2, 2),
    Tiny(({(): {EOS: 0.6, 3: 0.4}, (3,): {EOS: 1.0}},), 2, 2, 1.0),
    Tiny(({(): {EOS: 0.6, 3: 0.4}, (3,): {4: 1.0}, (3, 4): {EOS: 1.0}},), 3, 2, 2.0),
    Tiny((SWAPPING,), 3, 2),
    Tiny((LATE,), 3, 2, 1.0),
    Tiny((_script(3, EOS), _script(4, EOS)), 2, 2),
)


def _tables(tiny: Tiny) -> Array:
    """Logits (rows, states, vocabulary). Behind tokens that are not in the tree 4 is likeliest.

    What is never taken differs a little, so that beams for which nothing else is left are clearly in order.
    """
    apart = 0.618 * np.arange(STATES)[:, None] + 0.414 * np.arange(TINY_VOCAB)
    logits = np.tile(NEVER - 5 * (apart % 1), (len(tiny.rows), 1, 1)).astype(np.float32)
    logits[:, :, 4] = 0
    for number, tree in enumerate(tiny.rows):
        source = SourceTable(number, logits[number])
        for tokens, likely in tree.items():
            row = logits[number, source.state(tokens)]
            row[4] = NEVER - 2.5
            for token, probability in likely.items():
                row[token] = np.log(probability)
    return logits


def _tiny(_rng: Generator, of: Sequence[Tiny]) -> Values:
    cases = [
        {
            "ids": np.arange(len(tiny.rows))[:, None] + 3,
            "tables": _tables(tiny),
            "most": tiny.most,
            "width": tiny.width,
            "penalty": tiny.penalty,
        }
        for tiny in of
    ]
    return pack(cases=cases)


def _tiny_greedy(rng: Generator) -> Values:
    return _tiny(rng, TINY_GREEDY)


def _tiny_beam(rng: Generator) -> Values:
    return _tiny(rng, TINY_BEAM)


def _tiny_returns(given: Values) -> Specs:
    most = [LONGEST_ROW * len(np.asarray(case["ids"])) for case in items(given, "cases")]
    return declared(cases=[{"ids": numbers(most=one, what="the returned tokens")} for one in most])


def wanted(tiny: Tiny, *, beams: bool) -> list[Tokens]:
    """What each row of a tiny search should find."""
    sources = [SourceTable(number, table) for number, table in enumerate(_tables(tiny))]
    if not beams:
        return [greedy(source, tiny.most) for source in sources]
    return [beam(source, Search(tiny.width, tiny.most, tiny.penalty)) for source in sources]


SHOWN_IDS = 12
"""Columns of a row that are shown of what came back."""


def _first_search(_failed: Trial, tiny: Trial, name: str) -> str:
    """The sentence for the first tiny search whose tokens are others."""
    beams = name == "beam_search"
    for one, part in zip(TINY_BEAM if beams else TINY_GREEDY, each(tiny), strict=True):
        rows, wants = _rows(part, name, one.most), wanted(one, beams=beams)
        if all(row.tokens == want and not row.fault and not row.first for row, want in zip(rows, wants, strict=True)):
            continue
        length = max(map(len, wants))
        expected = np.array([[*want, *[PAD] * (length - len(want))] for want in wants])
        got, given = np.asarray(part.got["ids"])[:, :SHOWN_IDS], shown(np.arange(len(wants))[:, None] + 3)
        if got.size == 0:
            return ""
        call = f"beam_search(model, {given}, {one.width}, {one.most}, {one.penalty:g})"
        if not beams:
            call = f"greedy_decode(model, {given}, {one.most})"
        return f"Smallest example: {_likely(one, beams)}, {call} gave {shown(got)}; expected {shown(expected)}."
    return ""


def _likely(one: Tiny, beams: bool) -> str:
    """What the model of a tiny search makes likely, in words."""
    if not beams:
        told = [", ".join(str(*likely) for likely in tree.values()) for tree in one.rows]
        rows = told if len(told) == 1 else [f"{tokens} for row {row + 1}" for row, tokens in enumerate(told)]
        return f"where the likeliest tokens are in turn {' and '.join(rows)}"
    told = [
        "; ".join(
            (f"after {', '.join(map(str, tokens))}: " if tokens else "")
            + ", ".join(f"p({token})={probability:g}" for token, probability in likely.items())
            for tokens, likely in tree.items()
        )
        for tree in one.rows
    ]
    rows = told if len(told) == 1 else [f"for row {row + 1} {tree}" for row, tree in enumerate(told)]
    return f"where {', and '.join(rows)}"


def _smallest(probe: str, inputs: Callable[[Generator], Values], name: str) -> Counterexample:
    needs = ("summarization.ipynb",)
    request = Request(
        f"summarization.probes:{probe}", inputs, seconds=3, deterministic=True, returns=_tiny_returns, needs=needs
    )
    return Counterexample(request, partial(_first_search, name=name))


SMALLEST_GREEDY = _smallest("tiny_greedy", _tiny_greedy, "greedy_decode")
SMALLEST_BEAM = _smallest("tiny_beam", _tiny_beam, "beam_search")
