"""What is said of a VAE's or a GAN's code is true; tiny constants and hostile values change no verdict."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autograder.audit import bank
from autograder.audit.inprocess import InProcess
from autograder.audit.solutions import Solution
from autograder.core import CheckFailed, Request, Trial, Values, Verdict
from autograder.hw11 import ASSIGNMENT, epsilon
from autograder.hw11.gan import loss as gan
from autograder.hw11.vae import bound, interpretation, sample
from autograder.judging import stats
from autograder.judging.judges import Misconception, parts_of
from autograder.sandbox.parts import each, section
from tests import helpers
from tests.solutions import BANK

CHECKS = {check.id: check for question in ASSIGNMENT.questions for check in question.checks}


def verdicts(solution: Solution, *, salt: str = "") -> dict[str, Verdict]:
    """By the check's id, for the checks of the solution's own function."""
    prefix = {"gan_vae/utils.py": "vae.sample", "gan_vae/models/vae.py": "vae.bound", "gan_vae/models/gan.py": "gan."}
    chosen = [id for id in CHECKS if id.startswith(prefix[solution.file]) and not CHECKS[id].request.file]
    assignment = bank.terse(bank.only(bank.of(ASSIGNMENT, solution), chosen))
    with bank.submitted(solution, ASSIGNMENT) as received:
        return {one.check.id: one.verdict for one in bank.outcome(received, assignment, salt=salt).results}


def failed(found: dict[str, Verdict]) -> dict[str, Verdict]:
    return {id: verdict for id, verdict in found.items() if verdict.score < 1}


# ------------------------------------------------------------------------------------ tiny constants

TINY = (
    "sample-epsilon-beside-the-variance",
    "sample-epsilon-beside-the-root",
    "sample-epsilon-under-the-logarithm",
    "sample-epsilon-twice",
    "bound-kl-epsilon-under-the-logarithm",
    "bound-kl-epsilon-beside-both-variances",
    "bound-kl-epsilon-beside-the-root",
    "bound-probabilities-with-epsilon",
    "bound-probabilities-squeezed",
    "bound-sampled-with-epsilon",
    "bound-sampled-with-epsilon-beside-the-root",
)


@pytest.mark.parametrize("id", TINY)
def test_a_millionth_is_right_whatever_is_drawn(id: str) -> None:
    """Before it was allowed for, sqrt(v + 1e-6) failed in 54 of 60 draws, log(v + 1e-6) in 3 of 150."""
    for draw in range(12):
        found = verdicts(BANK[id], salt=f"draw {draw}")
        assert not failed(found), (draw, failed(found))
        assert all(verdict.tolerance_used is None or verdict.tolerance_used <= 0.2 for verdict in found.values())


def test_a_constant_is_said_to_be_allowed_and_a_large_one_named() -> None:
    allowed = [verdict.message for verdict in verdicts(BANK["sample-epsilon-beside-the-variance"]).values()]
    assert sum(epsilon.ALLOWED in message for message in allowed) == 2
    for verdict in failed(verdicts(BANK["sample-epsilon-of-a-thousandth"])).values():
        assert verdict.diagnosis == "epsilon_too_large"
        assert "about 0.001 is added" in verdict.message


def test_what_a_constant_changes_is_within_what_is_allowed() -> None:
    e, v = epsilon.EPSILON, np.geomspace(1e-4, 50, 1000)
    for spread in (np.sqrt(v + e), np.sqrt(v) + e, np.exp(np.log(v + e) / 2), np.sqrt(v + e) + e):
        assert (spread**2 - v <= epsilon.of_variance(v) * (1 + 1e-9) + 1e-15).all()
    noise = 1.3
    for z, slope in (
        (np.sqrt(v + e) * noise, noise / (2 * np.sqrt(v + e))),
        ((np.sqrt(v) + e) * noise, noise / (2 * np.sqrt(v))),
    ):
        assert (np.abs(slope / (z / (2 * v)) - 1) <= epsilon.of_root_slope(v)).all()
    p = np.linspace(0.01, 0.99, 99)
    for changed in (p + e, p * (1 - 2 * e) + e):
        assert (np.abs(np.log(changed) - np.log(p)) <= epsilon.of_log_probability(-np.log(p)) * (1 + 1e-9)).all()


def test_the_bound_of_the_reconstruction_holds_for_two_separate_sums() -> None:
    """sum log(1 + exp(l)) - sum l x: rounding follows the size of what is added up, 1.4 times that of the terms."""
    given, got = asked(bound.REQUEST, "bound-prior-unpacked")
    (seen,) = interpretation.readings(each(section(Trial(given, got), "values"))[2], *interpretation.CASES[2])
    softplus = np.log1p(np.exp(-np.abs(seen.logits))) + np.maximum(seen.logits, 0)
    apart = float((softplus + np.abs(seen.logits) * seen.x).sum())
    assert apart > 1.2 * float(seen.rec.sum())
    assert seen.rec_bound >= stats.gamma(1000) * apart


def test_doubt_never_makes_a_right_answer_less_likely() -> None:
    """With entries too far from 0 by any share up to the doubt, p is at least that of the entries as they should be."""
    rng = np.random.default_rng(0)
    m, v = rng.normal(size=(8, 16)), np.exp(rng.uniform(-9, 4, (8, 16)))
    for _ in range(200):
        doubt = rng.uniform(0, 0.05, (8, 16))
        right = rng.standard_normal((4, 8, 16)) * rng.choice([1.0, 1.5], (8, 16))
        seen = right / (1 - doubt * rng.uniform(0, 1, right.shape))
        for one, other in zip(stats.parameters(seen, m, v, doubt=doubt), stats.parameters(right, m, v), strict=True):
            assert one.p >= other.p * (1 - 1e-9), one.what
    spread = rng.standard_normal((4, 8, 16)) * v**0.3
    assert stats.smallest_p(stats.parameters(spread, m, v, doubt=0.005)).p < 1e-11


# ------------------------------------------------------------------------------------ what is said is true

SAID = (
    ("sample-normal-shifted-again", "vae.sample.parameters", "already had mean m and the spread of v", "squared"),
    ("sample-mean-and-std-swapped", "vae.sample.noise", "With m = 0 and v = 1 every sample", "set a seed"),
    ("bound-prior-sample-z", "vae.bound.gradient_encoder", "comes from the prior", "detached"),
    ("bound-decodes-prior", "vae.bound.gradient_encoder", "comes from the prior", "detached"),
    ("bound-z-detached", "vae.bound.gradient_encoder", "z was detached", "prior"),
    ("bound-kl-log-q-alone", "vae.bound.kl", "The prior's log p(z), which must be subtracted, is missing", "sign"),
    ("bound-kl-first", "vae.bound.gradient_encoder", "Training minimises the first value", "is missing"),
    ("bound-sampled-pixels", "vae.bound.reconstruction", "It changes from call to call", "sign"),
    ("bound-sampled-pixels-as-targets", "vae.bound.reconstruction", "It changes from call to call", "sign"),
    ("bound-x-and-probabilities-swapped", "vae.bound.reconstruction", "are swapped", "squared"),
    ("bound-kl-weighted", "vae.bound.sum", "The KL term has the weight 0.5; expected 1.", "subtracted"),
    ("bound-dictionary", "vae.bound.contract", "a dict of 3, but three scalars were expected", "tensor was expected"),
    ("bound-one-tensor", "vae.bound.contract", "one tensor, but three scalars were expected", "a tensor was"),
    ("bound-returns-nothing", "vae.bound.contract", "None (is a return missing?), but three scalars", "a tensor was"),
    ("gan-dictionary", "gan.contract", "a dict of 2, but two scalars were expected: d_loss, g_loss", "tensor was"),
    ("gan-both-labels-and-order-swapped", "gan.contract", "returned (g_loss, d_loss)", "raised"),
    ("gan-both-labels-and-order-swapped", "gan.discriminator", "Real and generated images are swapped", "is missing"),
    ("gan-both-labels-and-order-swapped", "gan.generator", "the term of the discriminator", "It also contains"),
    ("gan-both-labels-and-order-swapped", "gan.gradient_generator", "matches the generator's loss that", "detached"),
    ("gan-d-one-minus-logit", "gan.discriminator", "1 - h was used in place of -h", "sign"),
    ("gan-g-one-minus-logit", "gan.generator", "1 - h was used in place of -h", "sign"),
    (
        "gan-d-gradient-penalty",
        "gan.discriminator",
        "5 times the squared gradient norm at the real images was added",
        "sign",
    ),
    (
        "gan-d-gradient-penalty-on-fakes",
        "gan.discriminator",
        "0.5 times the squared gradient norm at the generated images",
        "sign",
    ),
    (
        "gan-g-uses-real",
        "gan.gradient_generator",
        "computed from the real images, which do not depend on the generator",
        "?",
    ),
    ("gan-d-fake-logits-detached", "gan.gradient_discriminator", "logits of the generated images detached?", "zero"),
    ("gan-cross-entropy-of-sigmoid-for-g", "gan.stable", "The sigmoid rounded to 0 or 1", "half precision"),
    ("gan-cross-entropy-of-sigmoid-for-real", "gan.stable", "The sigmoid rounded to 0 or 1", "half precision"),
    ("gan-half-logits", "gan.stable", "half precision", "sigmoid rounded"),
)


@pytest.mark.parametrize(("id", "check", "said", "unsaid"), SAID)
def test_what_is_said_is_true(id: str, check: str, said: str, unsaid: str) -> None:
    message = verdicts(BANK[id])[check].message
    assert said in message
    assert unsaid not in message


EXACTLY = {
    # One error, charged once: with its KL wrong and log p(x|z) subtracted, the sum is the sum of the terms.
    "bound-kl-log-q-alone-and-log-likelihood": {
        "vae.bound.kl", "vae.bound.closed_form", "vae.bound.reconstruction",
    },
    "gan-d-gradient-penalty": {"gan.discriminator"},
    "gan-d-gradient-penalty-on-fakes": {"gan.discriminator"},
    "gan-cross-entropy-of-sigmoid-for-g": {"gan.stable"},
    "bound-rec-first": {"vae.bound.contract", "vae.bound.gradient_encoder"},
    "bound-sigmoid-bce-by-function": set(),
    "bound-attributes-of-the-networks": set(),
    "bound-layers-of-the-networks": set(),
    "bound-slope-looked-at": set(),
    "gan-layers-of-the-networks": set(),
    "gan-slope-looked-at": set(),
}  # fmt: skip


def test_a_name_holds_for_every_example_whatever_is_drawn() -> None:
    """In one example of six a value may fit another order or another mistake by chance: that is no reason to say so."""
    solution = BANK["bound-importance-weighted"]
    own = bank.terse(bank.only(ASSIGNMENT, [id for id in CHECKS if id.startswith("vae.bound.")]))
    with bank.submitted(solution, own) as received:
        for draw in range(8):  # of which three were named otherwise
            assert bank.outcome(received, own, salt=str(draw)).diagnoses == {"log_of_average"}


def test_nothing_is_named_where_two_mistakes_explain() -> None:
    given, got = asked(bound.REQUEST, "bound-prior-unpacked")
    seen = interpretation.read(section(Trial(given, got), "values")).cases[1]
    ids = (("a", 5.0), ("b", 5.0), ("c", 5.0 + 1e-7))
    one, same, other = (Misconception(id, "", lambda _, value=value: value) for id, value in ids)
    found = [
        interpretation.explanation(mistakes, [(5.0, seen)])
        for mistakes in ((one,), (one, same), (one, other), (other,))
    ]
    assert found == [one, one, None, other]


@pytest.mark.parametrize("id", EXACTLY)
def test_an_error_costs_what_it_touches_and_no_more(id: str) -> None:
    assert set(failed(verdicts(BANK[id]))) == EXACTLY[id]


def test_two_numbers_that_are_told_differ() -> None:
    """A weight of 1.05 changes 1,100 by less than four digits may show."""
    slightly = replace(
        BANK["bound-kl-weighted"],
        source=BANK["bound-kl-weighted"].source.replace("beta = 0.5", "beta = 1.05"),
    )
    message = verdicts(slightly)["vae.bound.sum"].message
    was, expected = message.split("the negative ELBO was ")[1].split("; expected their sum, ")
    assert was != expected.split(". ")[0]
    assert "The KL term has the weight 1.05; expected 1." in message


def test_a_sigmoid_and_its_cross_entropy_are_said_to_be_allowed() -> None:
    message = verdicts(BANK["bound-sigmoid-bce-by-function"])["vae.bound.reconstruction"].message
    assert "from a sigmoid and its cross entropy" in message


def test_what_the_students_network_lacks_too_is_told_with_its_line() -> None:
    """What the exception says is for the staff: the worker holds a sampler, and could spell it out."""
    lacking = replace(
        BANK["bound-attributes-of-the-networks"],
        source=BANK["bound-attributes-of-the-networks"].source.replace("self.enc.z_dim", "self.enc.latent"),
    )
    told = verdicts(lacking)["vae.bound.contract"].message
    assert re.fullmatch(r"The code raised an exception at gan_vae/models/vae.py, line \d+: AttributeError", told)


def test_an_encoder_that_is_not_used_is_told() -> None:
    own = replace(
        BANK["bound-layers-of-the-networks"],
        source=BANK["bound-layers-of-the-networks"].source.replace("self.enc.net(x)", "self.enc.net[0:5](x)"),
    )
    assert "without calling self.enc.encode(x)" in verdicts(own)["vae.bound.kl"].message


# ------------------------------------------------------------------------------------ whatever is sent


def asked(request: Request, id: str) -> tuple[Values, dict[str, Any]]:
    """What was given, and what a solution of the bank answered."""
    given = request.inputs(np.random.Generator(np.random.Philox(7)))
    with bank.submitted(BANK[id], ASSIGNMENT) as received:
        seen = InProcess(ASSIGNMENT.probes).ask(received, request, given, seed=7, seconds=9)
    assert seen.values is not None
    return given, dict(seen.values)


ROWS = (
    np.zeros(0, np.int64),
    np.zeros(()),
    np.array([0, 48]),
    np.array([96, -48]),
    np.array([2**63 - 1, 2**63 - 1, 50]),  # they add up to 48, as 64 bits count
    np.array([48.0]),
    np.array([47.5, 0.5]),
    np.array([np.nan]),
    np.ones(2**20, np.int8),
    np.array([[48]]),
)


@pytest.mark.parametrize("rows", ROWS, ids=lambda rows: f"{rows.dtype}{list(rows.shape)}")
def test_counts_that_make_no_sense_are_refused(rows: np.ndarray) -> None:
    assert parts_of({"rows": rows}, "rows", total=48) is None
    given, got = asked(gan.REQUEST, "gan-two-noises")
    with pytest.raises(CheckFailed):
        gan.noise(Trial(given, got | {"noise.rows": rows}), 1e-11)
    with pytest.raises(CheckFailed):
        gan.fresh(Trial(given, got | {"noise.z": got["noise.z"][:, :0], "noise.rows": rows}), 1e-11)
    with pytest.raises(CheckFailed):
        gan.discriminator(Trial(given, got | {"values.cases.1.rows": rows}))
    given, got = asked(bound.REQUEST, "bound-prior-unpacked")
    with pytest.raises(CheckFailed):
        bound.kl(Trial(given, got | {"values.cases.4.rows": rows}))


def test_as_many_z_as_are_allowed_are_judged_within_the_limit() -> None:
    """Every case with 64 z for each example and three values that are wrong: all readings, orders and mistakes."""
    given, got = asked(bound.REQUEST, "bound-prior-unpacked")
    rng = np.random.default_rng(0)
    for case, (batch, dim) in enumerate(interpretation.CASES):
        m, v = (given[f"values.cases.{case}.{name}"] for name in "mv")
        got[f"values.cases.{case}.z"] = (
            np.tile(m, (64, 1)) + np.tile(np.sqrt(v), (64, 1)) * rng.standard_normal((64 * batch, dim))
        ).astype(np.float32)
        got[f"values.cases.{case}.rows"] = np.array([64 * batch])
        values = {part: np.float32(1.5 + part) * np.ones((), np.float32) for part in range(3)}
        got |= {f"values.cases.{case}.parts.{part}": value for part, value in values.items()}
    for judge in (bound.kl, bound.reconstruction, bound.gradient_encoder):
        with helpers.judgement(), contextlib.suppress(CheckFailed):
            assert judge(Trial(given, got)).score == 0


def test_values_are_compared_with_many_z_within_the_limit() -> None:
    """64 copies of each z: their average is the same, so that the values fit."""
    given, got = asked(bound.REQUEST, "bound-prior-unpacked")
    with helpers.judgement():
        found = bound.posterior(Trial(given, got | {"noise.z": np.tile(got["noise.z"], (1, 64, 1))}), 1e-10)
    assert found.score == 1
    with pytest.raises(CheckFailed, match="does not match the z") as caught:
        bound.posterior(Trial(given, got | {"noise.z": got["noise.z"] + 0.01}), 1e-10)
    assert caught.value.diagnosis == "z_exchanged"


def test_far_too_many_numbers_are_refused_before_they_are_copied() -> None:
    given, got = asked(sample.REQUEST, "sample-randn-like-mean")
    with pytest.raises(CheckFailed, match="holds 8388608 numbers"):
        sample.noise(Trial(given, got | {"noise.standard": np.zeros(2**23, np.int8)}), 1e-11)


def test_a_weight_is_found_only_where_it_explains_every_case() -> None:
    assert interpretation.weight([(1.0, 2.0, 1e-6), (2.0, 4.0, 1e-6)]) == 0.5
    assert interpretation.weight([(1.0, 2.0, 1e-6), (2.1, 4.0, 1e-6)]) is None
    assert interpretation.weight([(1.0, 0.0, 1e-6)]) is None
