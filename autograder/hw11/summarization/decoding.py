"""Asks and judges greedy_decode and beam_search, on a model of ours whose logits are looked up in a table.

The judge runs the same searches on the same tables. There are several right ways to keep a beam; the tables are drawn
such that all of them find the same sequence, and clearly, so that float32 cannot change a choice; and such that
each known mistake finds another one in some case. So no luck is left in comparing tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.random import Generator
from scipy.special import log_softmax

from autograder.core import Array, Ask, Reject, Spec, Specs, Trial, Values, Verdict
from autograder.judges import array, passed, whole
from autograder.returns import count, numbers
from autograder.sections import take

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
class Source:
    """One source's table: logits (states, vocabulary), its number, and log-probabilities."""

    number: int
    logits: Array

    @cached_property
    def logp(self) -> Array:
        found: Array = log_softmax(self.logits.astype(float), axis=1)
        return found

    def state(self, tokens: Sequence[int]) -> int:
        """The automaton's state (see the probe) after BOS and these tokens."""
        state = self.number
        for token in (BOS, *tokens):
            state = (31 * state + 17 * token + 5) % STATES
        return state


@dataclass(frozen=True)
class Search:
    """A beam search: how many, how long, and how a sequence's length counts."""

    width: int
    most: int
    penalty: float

    def score(self, logp: float, length: int) -> float:
        return float(logp / length**self.penalty)


class Unclear(Exception):
    """Two candidates are so close that rounding could choose."""


def _best(scored: Sequence[tuple[float, Any]], count: int) -> list[tuple[float, Any]]:
    """The `count` best of (score, what). Raises `Unclear` where the cut is not clear."""
    ranked = sorted(scored, key=lambda pair: -pair[0])
    if len(ranked) > count and ranked[count - 1][0] - ranked[count][0] < CLEAR:
        raise Unclear
    return ranked[:count]


def greedy(source: Source, most: int, *, stops: bool = True) -> Tokens:
    """The likeliest token at each step up to the end, or to `most`; past the end where nothing `stops` it there."""
    tokens: Tokens = ()
    logp = source.logp
    while len(tokens) < most and (tokens[-1:] != (EOS,) or not stops):
        row = logp[source.state(tokens)]
        (_, token), *_ = _best([(float(value), index) for index, value in enumerate(row)], 1)
        tokens += (token,)
    return tokens


def beam(source: Source, search: Search, *, table: Array | None = None) -> Tokens:
    """Beams that have ended stay in the beam; the search is over when all have."""
    logp = source.logp if table is None else table
    beams: list[tuple[float, Tokens]] = [(0.0, ())]
    for _ in range(search.most):
        grown: list[tuple[float, Tokens]] = []
        for value, tokens in beams:
            grown += [(value, tokens)] if tokens[-1:] == (EOS,) else _continued(source, logp, value, tokens)
        beams = _best(grown, search.width)
        if all(tokens[-1] == EOS for _, tokens in beams):
            break
    return _winner(beams, search)


def refilled(source: Source, search: Search, *, early: bool) -> Tokens:
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


def exhaustive(source: Source, search: Search) -> Tokens:
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


def _continued(source: Source, table: Array, value: float, tokens: Tokens) -> list[tuple[float, Tokens]]:
    row = table[source.state(tokens)]
    return [(value + float(row[token]), (*tokens, token)) for token in (EOS, *WORDS)]


def _winner(beams: Sequence[tuple[float, Tokens]], search: Search) -> Tokens:
    ((_, tokens),) = _best([(search.score(value, len(tokens)), tokens) for value, tokens in beams], 1)
    found: Tokens = tokens
    return found


# ---------------------------------------------------------------------------------------- known mistakes


def _as_greedy(source: Source, search: Search) -> Tokens:
    return greedy(source, search.most)


def _inverted(source: Source, search: Search) -> Tokens:
    return beam(source, Search(search.width, search.most, -search.penalty))


def _unpenalised(source: Source, search: Search) -> Tokens:
    """Also what counting padding in the length amounts to: all beams are equally long then."""
    return beam(source, Search(search.width, search.most, 0.0))


def _of_logits(source: Source, search: Search) -> Tokens:
    return beam(source, search, table=source.logits.astype(float))


def _first_ended(source: Source, search: Search) -> Tokens:
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


def _unended(source: Source, search: Search) -> Tokens:
    """Beams that end are thrown away."""
    logp = source.logp
    beams: list[tuple[float, Tokens]] = [(0.0, ())]
    for _ in range(search.most):
        grown = [one for value, tokens in beams for one in _continued(source, logp, value, tokens)]
        beams = _best([one for one in grown if one[1][-1] != EOS], search.width)
    return _winner(beams, search)


def _not_reordered(source: Source, search: Search) -> Tokens:
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


@dataclass(frozen=True)
class Mistake:
    """A known way to search wrongly."""

    id: str
    sentence: str
    search: Callable[[Source, Search], Tokens]


MISTAKES = (
    Mistake("sum_greedy", "It is what greedy decoding finds: only the likeliest beam was followed.", _as_greedy),
    Mistake(
        "sum_penalty_inverted",
        "The length penalty works the wrong way: log p is divided by n ** length_penalty.",
        _inverted,
    ),
    Mistake(
        "sum_penalty_ignored",
        "It is what length_penalty = 0 finds: log p was not divided by a power of each beam's own length, in which "
        "padding does not count.",
        _unpenalised,
    ),
    Mistake("sum_logits", "Logits were added up where log-probabilities belong (log_softmax).", _of_logits),
    Mistake(
        "sum_first_finished",
        "The search ended with the first beam that ended; others can still become better.",
        _first_ended,
    ),
    Mistake("sum_finished_lost", "Beams that ended were lost; they compete at the end.", _unended),
    Mistake(
        "sum_not_reordered",
        "The caches did not follow their beams: row k of the caches must be that of the beam that row k continues.",
        _not_reordered,
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
TARGETS: dict[int, tuple[int, ...]] = {1: (0, 6), 2: (1, 2), 4: (2, 6), 5: (3, 4), 7: (4, 5, 6), 6: (0,)}
"""Which mistakes each case must tell from right searches, by their place in MISTAKES."""
LENGTHS = (8, 7, 40)
"""max_length of the cases of greedy decoding; in the second all rows end early, in the last none ends."""
BATCH = 3


def _table(rng: Generator, ends: float) -> Array:
    """Logits (states, vocabulary); a larger `ends` makes the end likelier."""
    logits = np.full((STATES, VOCAB), NEVER)
    logits[:, WORDS] = 1.5 * rng.standard_normal((STATES, len(WORDS)))
    if ends > NEVER:
        logits[:, EOS] = 1.5 * rng.standard_normal(STATES) + ends
    return logits.astype(np.float32)


def right(source: Source, search: Search) -> Tokens:
    """What every right search finds. Raises `Unclear` where they differ or where it is close."""
    found = {beam(source, search), refilled(source, search, early=True), refilled(source, search, early=False)}
    if search == SEARCHES[WHOLE]:
        found.add(exhaustive(source, search))
    if len(found) > 1:
        raise Unclear
    return found.pop()


def _draw(rng: Generator, number: int, ends: float, suits: Callable[[Source], bool]) -> Source:
    """A source whose table suits; the last one tried, should none of many do so."""
    for _ in range(TRIES):
        source = Source(number, _table(rng, ends))
        try:
            if suits(source):
                break
        except Unclear:
            continue
    return source


def _suits(search: Search, mistakes: Sequence[int]) -> Callable[[Source], bool]:
    def differs(source: Source, want: Tokens, place: int) -> bool:
        try:
            return MISTAKES[place].search(source, search) != want
        except Unclear:
            return False

    def suits(source: Source) -> bool:
        want = right(source, search)
        return all(differs(source, want, place) for place in mistakes)

    return suits


def _case(sources: Sequence[Source], rng: Generator) -> dict[str, Any]:
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
    cases: dict[str, Any] = {"cases": len(LENGTHS)}
    for case, most in enumerate(LENGTHS):
        ends = (0.0, 1.5, NEVER)[case]

        def lasts(source: Source, most: int = most, case: int = case) -> bool:
            length = len(greedy(source, most))
            if case == 0 and source.number == 1:  # who writes on behind this row's end writes words
                return any(token in WORDS for token in greedy(source, most, stops=False)[length:])
            return (length == most, length < most, True)[case] if source.number == 0 else case != 1 or length < most

        sources = [_draw(rng, number, ends, lasts) for number in range(BATCH)]
        cases |= {f"{case}.{name}": value for name, value in {**_case(sources, rng), "most": most}.items()}
    return cases


def _beam(rng: Generator) -> Values:
    cases: dict[str, Any] = {"cases": len(SEARCHES)}
    for case, search in enumerate(SEARCHES):
        ends, count = (NEVER, 1) if case == LONG else (0.0, BATCH)
        sources = [
            _draw(rng, number, ends, _suits(search, TARGETS.get(case, ()) if number == 0 else ()))
            for number in range(count)
        ]
        values = {**_case(sources, rng), "width": search.width, "most": search.most, "penalty": search.penalty}
        cases |= {f"{case}.{name}": value for name, value in values.items()}
    return cases


LONGEST_ROW, MOST_CALLS = 2048, 10_000
"""Tokens of a row, with its padding (the model of ours has 512 positions), and calls of the model."""


def _returns(given: Values) -> Specs:
    specs: dict[str, Spec] = {}
    for case in range(int(given["cases"])):
        calls = numbers(None, most=MOST_CALLS, dtypes="i", what="the calls of the model")
        rows = len(np.asarray(given[f"{case}.ids"]))
        specs |= {
            f"{case}.ids": numbers(most=LONGEST_ROW * rows, what="the tokens that came back"),
            f"{case}.encoded": count(),
            f"{case}.lengths": calls,
            f"{case}.rows": calls,
        }
    return specs


GREEDY = Ask("summarization:greedy", _greedy, seconds=20.0, returns=_returns)
BEAM = Ask("summarization:beam", _beam, seconds=20.0, returns=_returns)

# ------------------------------------------------------------------------------------------- the judges


def _sources(values: Values) -> list[Source]:
    """The source of each row, in the rows' order."""
    ids, tables = (np.asarray(values[name]) for name in ("ids", "tables"))
    numbers = (np.where(ids == PAD, 0, ids - 3).sum(1) % len(tables)).tolist()
    return [Source(number, tables[number]) for number in numbers]


@dataclass(frozen=True)
class Row:
    """One row that came back: its tokens up to the end, and what is wrong with its form, if anything."""

    tokens: Tokens
    fault: str = ""


def _rows(one: Trial, name: str, most: int) -> list[Row]:
    """The rows of the ids that came back, without a leading BOS. Raises `Reject` where these are no ids."""
    batch = len(np.asarray(one.given["ids"]))
    ids = array(one.got, "ids", what=f"What {name} returned")
    if ids.ndim != 2 or len(ids) != batch or (ids != np.round(ids)).any():
        raise Reject(
            f"{name} returned an array of shape {list(ids.shape)}; expected ids of shape ({batch}, n), n at most "
            "max_length."
        )
    found = []
    for row in ids.astype(int).tolist():
        tokens: list[int] = row[1:] if row[:1] == [BOS] else row
        end = tokens.index(EOS) + 1 if EOS in tokens else len(tokens)
        behind, fault = set(tokens[end:]) - {PAD, EOS}, ""
        while tokens and tokens[-1] == PAD:
            tokens = tokens[:-1]
        end = min(end, len(tokens))
        if behind:
            fault = "behind"
        elif end > most:
            fault = "long"
        found.append(Row(tuple(tokens[:end]), fault))
    return found


@lru_cache(maxsize=4)
def _cases(trial: Trial) -> tuple[Trial, ...]:
    count = whole(trial.given, "cases", least=1, most=100)
    return tuple(Trial(take(trial.given, str(case)), take(trial.got, str(case))) for case in range(count))


def greedily(trial: Trial) -> Verdict:
    for one in _cases(trial):
        most = whole(one.given, "most", least=1, most=100)
        wants = [greedy(source, most) for source in _sources(one.given)]
        rows = _rows(one, "greedy_decode", most)
        _whole(one, "greedy_decode")
        _form("greedy_decode", rows, most)
        for row, want in zip(rows, wants, strict=True):
            if row.tokens == want:
                continue
            shortest = min(map(len, wants))
            if all(each.tokens == want[:shortest] for each, want in zip(rows, wants, strict=True)):
                raise Reject(
                    f"All rows ended after {shortest} tokens, when the first of them had ended. Expected: each row "
                    "goes on to its own end.",
                    diagnosis="sum_first_finished",
                )
            raise Reject(_difference("greedy_decode", row.tokens, want, "the likeliest token at each step"))
    return passed("Greedy decoding finds the likeliest token at each step, up to each row's end.")


def _whole(one: Trial, name: str) -> None:
    """Raises `Reject` where what came back are numbers, but no ids."""
    kind = np.asarray(one.got["ids"]).dtype
    if kind.kind not in "iu":
        raise Reject(
            f"{name} returned numbers of type {kind}; expected ids, which are integers: others cannot be looked up.",
            diagnosis="dtype",
        )


def _form(name: str, rows: Sequence[Row], most: int) -> None:
    faults = {row.fault for row in rows}
    if "behind" in faults:
        raise Reject(
            f"{name} returned tokens behind the end of a row. Expected: config.pad_token_id behind "
            "config.eos_token_id.",
            diagnosis="sum_no_stop",
        )
    if "long" in faults:
        longest = max(len(row.tokens) for row in rows)
        raise Reject(f"{name} returned {longest} tokens in a row; expected at most max_length = {most}.")


def _difference(name: str, got: Tokens, want: Tokens, what: str) -> str:
    at = next((index for index, pair in enumerate(zip(got, want, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        where = f"ended after {len(got)} tokens where {len(want)} were expected"
    else:
        where = f"differs from token {at + 1} on"
    return f"On a model whose logits are looked up in a table, a row of {name} {where}. Expected: {what}."


def beamed(trial: Trial) -> Verdict:
    cases = _cases(trial)
    found: list[tuple[Source, Search, Tokens, Tokens]] = []
    for one, search in zip(cases, SEARCHES, strict=True):
        rows = _rows(one, "beam_search", search.most)
        _whole(one, "beam_search")
        _form("beam_search", rows, search.most)
        for source, row in zip(_sources(one.given), rows, strict=True):
            found.append((source, search, row.tokens, beam(source, search)))
    wrong = next(((search, got, want) for _, search, got, want in found if got != want), None)
    if wrong is None:
        return passed(
            "Beam search finds what every right beam search finds, and the best of all where it is wide enough."
        )
    known = next((one for one in MISTAKES if _explains(one, found)), None)
    search, got, want = wrong
    told = _difference("beam_search", got, want, "what every right beam search finds there")
    raise Reject(
        f"{told} Here num_beams = {search.width}, max_length = {search.most}, length_penalty = {search.penalty:g}. "
        + (known.sentence if known else "Tokens, scores, ends and caches must all follow their beams."),
        diagnosis=known.id if known else "",
    )


def _explains(mistake: Mistake, found: Sequence[tuple[Source, Search, Tokens, Tokens]]) -> bool:
    """Whether every row is what the mistake finds, where rounding decides nothing.

    Not where the beam is wider than there are continuations: what else is in it then, nobody can say.
    """
    for source, search, got, _ in found:
        if search == SEARCHES[WHOLE]:
            continue
        try:
            if mistake.search(source, search) != got:
                return False
        except Unclear:
            continue
    return True


def greedy_work(trial: Trial) -> Verdict:
    """The encoder once, one new token a row and step, and an early end."""
    _economical(trial, "greedy_decode")
    one = _cases(trial)[1]  # where all rows end early
    wants = [greedy(source, LENGTHS[1]) for source in _sources(one.given)]
    longest = max(map(len, wants))
    calls = array(one.got, "lengths", what="How the model was called").size
    right = [row.tokens for row in _rows(one, "greedy_decode", LENGTHS[1])] == wants
    if right and (BATCH * longest < calls or longest < calls <= LENGTHS[1]):
        raise Reject(
            f"All rows had ended after {longest} tokens, but greedy_decode called model.decode {calls} times. "
            "Expected: it ends once all rows have ended.",
            diagnosis="sum_no_stop",
        )
    return passed(ECONOMICAL)


def beam_work(trial: Trial) -> Verdict:
    """The encoder once, and one new token a beam and step."""
    _economical(trial, "beam_search")
    return passed(ECONOMICAL)


ECONOMICAL = "The encoder runs once, and the model gets one new token a row and step."


def _economical(trial: Trial, name: str) -> None:
    """Raises `Reject` where tokens or documents are given to the model several times."""
    for one in _cases(trial):
        batch, most = len(np.asarray(one.given["ids"])), whole(one.given, "most", least=1, most=100)
        width = whole(one.given, "width", least=1, most=100) if "width" in one.given else 1
        lengths = array(one.got, "lengths", what="How the model was called")
        rows = array(one.got, "rows", shape=lengths.shape, what="How the model was called")
        if not lengths.size:
            raise Reject(f"{name} did not call model.decode, which was expected for each token.")
        if (lengths > 1).any():
            raise Reject(
                f"For {most} tokens {name} gave model.decode {lengths.sum():.0f} positions in {lengths.size} calls, "
                f"up to {lengths.max():.0f} at once. Expected: one new token a row in each call, and the cache; else "
                "the work for n tokens grows like n^2.",
                diagnosis="sum_recomputed",
            )
        encoded = whole(one.got, "encoded", least=0, most=10**6)
        if encoded > batch:  # once for all rows, or once for each
            raise Reject(
                f"{name} ran the encoder {encoded} times for {batch} rows. Expected: once, before the first token.",
                diagnosis="sum_encoder_repeated",
            )
        if rows.sum() > batch * width * (most + 1):
            raise Reject(
                f"{name} gave model.decode {rows.sum():.0f} tokens in all for {batch} rows, beams {width} wide, of at "
                f"most {most} tokens; expected: one a beam and token, and no past that is replayed.",
                diagnosis="sum_recomputed",
            )
