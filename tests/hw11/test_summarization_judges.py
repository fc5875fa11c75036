"""Question 1's judges on values that no right answer has, and on many draws: only `CheckFailed` is raised, and soon."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from autograder.audit.inprocess import InProcess
from autograder.core import Check, CheckFailed, Observation, Request, Submission, Trial, Value, Values, Verdict
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.summarization import decoding, layer, probes, stack, work
from autograder.sandbox import returns
from autograder.sandbox.parts import items
from tests import helpers

QUESTION = next(question for question in ASSIGNMENT.questions if question.id == "summarization")
REQUESTS = (layer.REQUEST, work.REQUEST, stack.REQUEST, decoding.GREEDY, decoding.BEAM)
CHECKS = [check for check in QUESTION.checks if check.request in REQUESTS]


class Recorder(InProcess):
    """Keeps what the reference answers to each request."""

    def __init__(self, seen: dict[str, tuple[Values, Values]]) -> None:
        super().__init__(ASSIGNMENT.probes)
        self.seen = seen

    def ask(self, submission: Any, request: Request, given: Values, *, seed: int, seconds: float) -> Observation:
        found = super().ask(submission, request, given, seed=seed, seconds=seconds)
        assert found.values is not None
        self.seen[request.name] = given, found.values
        return found


@cache
def answers() -> dict[str, tuple[Values, Values]]:
    """Of each request what was given, and what the reference made of it."""
    seen: dict[str, tuple[Values, Values]] = {}
    recorder = Recorder(seen)
    reference = Submission(ASSIGNMENT.reference, "reference")
    for request in REQUESTS:
        given = request.inputs(np.random.Generator(np.random.Philox(5)))
        recorder.ask(reference, request, given, seed=5, seconds=60)
    return seen


def judged(check: Check, given: Values, got: Values) -> Verdict | str:
    """The verdict, or the sentence of a `CheckFailed`; None of this may raise anything else."""
    admitted = returns.admitted(check.request, given, Observation(dict(got)))
    if admitted.values is None:
        return admitted.error
    try:
        return check.judge(Trial(given, admitted.values, {}, 0.1, 0.1))
    except CheckFailed as fault:
        return str(fault)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_the_references_own_values_pass(check: Check) -> None:
    verdict = judged(check, *answers()[check.request.name])
    assert isinstance(verdict, Verdict), verdict
    assert verdict.score == 1


def strange(rng: np.random.Generator, value: Value) -> Iterator[Value]:
    """Values in the place of this one: extremes, other ranks, dtypes, sizes and types."""
    if isinstance(value, np.ndarray):
        flat: np.ndarray[Any, Any] = value.copy()
        numbers = (
            (0, -1, 2**40, -(2**40)) if value.dtype.kind in "iu" else (-0.0, 5e-324, 1e-320, 1e308, np.inf, np.nan)
        )
        if value.size and value.dtype.kind != "b":
            with np.errstate(all="ignore"):
                flat.flat[int(rng.integers(value.size))] = numbers[int(rng.integers(len(numbers)))]
        yield flat
        yield value.reshape(-1)
        yield value[..., None]
        yield value[:0]
        yield value[..., :0]
        yield np.zeros((), value.dtype)
        yield value.astype(np.float64)
        yield value.astype(np.uint8) if value.dtype.kind in "iub" else value.astype(np.float16)
        yield value > 0
        yield np.concatenate([value, value], axis=-1) if value.ndim else value
        yield np.zeros((3, 500_000), np.uint8)
        yield "a text"
    else:
        yield from (True, False, 0, -1, 2**40, 1e300, "", "again", "a" * 10_000, np.zeros(3), np.array(np.nan))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_strange_values_raise_nothing_but_a_sentence_and_soon(check: Check) -> None:
    """Each key of the reference's answer in turn, in twelve ways, then some three of them at once; or not there."""
    rng = np.random.Generator(np.random.Philox(7))
    given, right = answers()[check.request.name]
    names = sorted(right)
    rng.shuffle(names)
    tried = 0
    for name in names[:40]:
        others = [{name: each} for each in strange(rng, right[name])]
        mixed = {key: list(strange(rng, right[key]))[int(rng.integers(10))] for key in rng.choice(names, 3)}
        for change in (*others, mixed):
            tried += 1
            with helpers.judgement():
                judged(check, given, {**right, **change})
        judged(check, given, {key: value for key, value in right.items() if key != name})
    assert tried > 40 * 8 or len(names) < 40


def test_a_room_full_of_padding_is_refused_at_once() -> None:
    """Millions of tokens of padding were cut one by one: hours."""
    given, right = answers()[decoding.GREEDY.name]
    check = next(check for check in CHECKS if check.id == "summarization.greedy")
    with helpers.judgement():
        found = judged(check, given, {**right, "tokens.cases.0.ids": np.zeros((3, 4_000_000), np.uint8)})
    with pytest.raises(
        CheckFailed, match=r"shape \[3, 4000000\]\. Expected: ids of shape \(3, n\), where n is at most max_length = 8"
    ):
        check.judge(Trial(given, {**right, "tokens.cases.0.ids": np.zeros((3, 4_000_000), np.uint8)}))
    assert isinstance(found, str)


def test_outputs_of_one_dimension_are_refused_in_a_sentence() -> None:
    given, right = answers()[layer.REQUEST.name]
    check = next(check for check in CHECKS if check.id == "summarization.layer_cache")
    caches = {
        name: np.asarray(value) + 1 for name, value in right.items() if ".x.steps." in name and name.endswith(".cache")
    }
    flat = {name: np.asarray(value).reshape(-1) for name, value in right.items() if name.endswith("x.out")}
    with pytest.raises(CheckFailed, match="the inputs of the layer so far"):
        check.judge(Trial(given, {**right, **caches, **flat}))


# ------------------------------------------------------------------------------------------- many draws


def logp(logits: torch.Tensor, how: str) -> torch.Tensor:
    """The logarithm of the softmax by several sound methods."""
    ways: Mapping[str, Callable[[], torch.Tensor]] = {
        "log_softmax": lambda: logits.log_softmax(-1),
        "float64": lambda: logits.double().log_softmax(-1),
        "log of softmax": lambda: logits.softmax(-1).log(),
        "logsumexp": lambda: logits - logits.logsumexp(-1, keepdim=True),
    }
    return ways[how]()


def searched(model: Any, case: Mapping[str, Any], how: str, keeps: str) -> torch.Tensor:
    """A right beam search, each row by itself, that keeps beams in one of the right ways."""
    rows = []
    width, alpha, most, eos = case["width"], case["penalty"], case["most"], model.config.eos_token_id
    for ids in case["ids"].split(1):
        encoder = model.encode(ids)
        beams: list[tuple[Any, list[int], Any]] = [(0.0, [], None)]
        done: list[tuple[Any, list[int], Any]] = []

        def score(beam: tuple[Any, list[int], Any]) -> float:
            return float(beam[0]) / max(len(beam[1]), 1) ** alpha

        def grown(beam: tuple[Any, list[int], Any], encoder: Any = encoder) -> list[tuple[Any, list[int], Any]]:
            newest = torch.tensor([[(beam[1] or [model.config.bos_token_id])[-1]]])
            logits, past = model.decode(newest, *encoder, use_cache=True, past_key_values=beam[2])
            step = logp(logits[0, -1], how)
            return [(beam[0] + step[token], [*beam[1], token], past) for token in step.topk(6).indices.tolist()]

        for _ in range(most):
            open_beams = [beam for beam in beams if beam[1][-1:] != [eos]]
            if not open_beams:
                break
            found = [one for beam in open_beams for one in grown(beam)]
            if keeps == "apart":
                done += [one for one in sorted(found, key=lambda one: -one[0])[:width] if one[1][-1] == eos]
                beams = sorted((one for one in found if one[1][-1] != eos), key=lambda one: -one[0])[:width]
            else:
                found += [beam for beam in beams if beam[1][-1:] == [eos]]
                beams = sorted(found, key=score if keeps == "score" else lambda one: one[0], reverse=True)[:width]
        rows.append(torch.tensor(max(done + beams, key=score)[1]))
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


WAYS = [("log_softmax", "log p"), ("float64", "score"), ("log of softmax", "apart"), ("logsumexp", "log p")]


def missed(draws: range, how: str, keeps: str) -> int:
    """In how many draws a right beam search found other tokens than are expected."""
    count = 0
    for draw in draws:
        given = decoding.BEAM.inputs(np.random.Generator(np.random.Philox(draw)))
        tensors = {name: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for name, v in given.items()}
        got: dict[str, Value] = {}
        for case, values in enumerate(items(tensors, "cases")):
            model = probes.Automaton(values["tables"])
            # Neither the case that nothing ends in nor the widest one is quick, and both are as clear as the others.
            if case in (decoding.LONG, decoding.WHOLE) and draw % 10:
                sources = decoding._sources(items(given, "cases")[case])
                wants = [decoding.beam(source, decoding.SEARCHES[case]) for source in sources]
                ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(want) for want in wants], batch_first=True)
            else:
                ids = searched(model, values, how, keeps)
            got |= {f"tokens.cases.{case}.ids": ids.numpy(), f"tokens.cases.{case}.widest": 0}
        try:
            count += decoding.beamed(Trial(given, got)).score < 1
        except CheckFailed:
            count += 1
    return count


@pytest.mark.parametrize(("how", "keeps"), WAYS)
def test_right_beam_searches_agree_on_what_is_drawn(how: str, keeps: str) -> None:
    assert missed(range(1000, 1003), how, keeps) == 0


LATER = ("sum_first_taken", "sum_penalty_each_step")
"""Where one of these finds the same as another mistake, the other one is named."""


def test_every_known_mistake_of_a_beam_search_is_known_for_what_it_is() -> None:
    """On three draws: what each mistake finds differs from what is right, and explains itself."""
    for draw in range(3):
        given = decoding.BEAM.inputs(np.random.Generator(np.random.Philox(draw)))
        cases = [Trial(case, {}) for case in items(given, "cases")]
        for mistake in decoding.MISTAKES:
            found = []
            for one, search in zip(cases, decoding.SEARCHES, strict=True):
                sources = decoding._sources(one.given)
                for row, source in enumerate(sources):
                    want = decoding.beam(source, search)
                    try:
                        found.append((sources, row, search, mistake.finds(sources, row, search), want))
                    except decoding.Unclear:
                        continue
            known = decoding._known(found, cases)
            assert known is not None
            alike = decoding._explained(known, found) == decoding._explained(mistake, found)  # both find the same there
            assert known.id == mistake.id or (alike and mistake.id in LATER), draw
