"""What students of wrong solutions are told keeps the rules, and each rule finds what breaks it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autograder.audit import casefiles, feedback
from autograder.audit.feedback import Facts, Recognised, SeenMessage
from autograder.audit.journal import Journal
from autograder.audit.solutions import Bank, Solution
from autograder.hw11 import ASSIGNMENT
from tests.solutions import WRONG

GOOD = SeenMessage("v", "q", "q.check", "With m = 0 the KL term was 2.13; expected 0.8069.", "kl_sign")
FACTS = Facts({"q": frozenset({"kl", "m"})}, frozenset({"kl = ut.kl_normal(m, v, *self.z_prior).mean()"}))


def broken(message: str, *, shown: tuple[str, ...] = ()) -> set[str]:
    """The rules that a message breaks."""
    told = replace(GOOD, message=message, shown=shown)
    return {rule.id for rule in feedback.RULES if rule.broken(told, FACTS)}


def test_a_good_message_breaks_no_rule() -> None:
    assert broken(GOOD.message) == set()


@pytest.mark.parametrize(
    ("message", "rule"),
    [
        ("The outcome here was 2.13. Expected: 0.8069.", "asked"),
        ("Expected: a KL term of 0.8069.", "seen"),
        ("The KL term was 2.13, which is not right.", "expected"),
        ("With m = 0 the KL term was 2.12345; expected 0.8069.", "hidden"),
        ("With m = [0.125, 0.75] the KL term was 2.13; expected 0.8.", "hidden"),
        ("The KL is kl = ut.kl_normal(m, v, *self.z_prior).mean() as expected.", "solution"),
        ("The KL failed in /opt/autograder/judges.py. Expected: none of it.", "inner"),
        ("Traceback (most recent call last): the KL term. Expected: none.", "inner"),
        ("KL: expected 0.", "length"),
        (f"The KL term {'is wrong ' * 70}. Expected: 0.8069.", "length"),
        (f"The KL term {'is wrong ' * 44}. Expected: 0.8069.", "parts"),
        ("The KL term was 2. It is. It was. It has been. It goes on. It ends. Expected: 0.8069.", "sentences"),
        (f"The KL term of {'each of ' * 12}the {'examples and ' * 12}images was 2. Expected: 0.8069.", "long"),
        ("m was taken for v, which is squared and was not used by KL. Expected: m.", "passive"),
        ("The KL term has changed places with m. Expected: m first.", "riddle"),
        ("The KL term is a trick of its own. Expected: the closed form.", "riddle"),
        ("The KL term (with m = 0 was 2.13. Expected: 0.8069.", "brackets"),
        ("The KL term of [0, 1) was 2.13. Expected: 0.8069.", "brackets"),
        ("Measured along m, the KL term is 21.71 of it. Expected: all of it.", "unnamed"),
        ("The KL term is wrong. It was 2.13; expected 0.8069.", "unnamed"),
        ("the KL term was 2.13; expected 0.8069.", "form"),
        ("The KL term was 2.13; expected 0.8069", "form"),
    ],
)
def test_each_rule_finds_what_breaks_it(message: str, rule: str) -> None:
    assert rule in broken(message)


@pytest.mark.parametrize(
    ("message", "rule"),
    [
        ("The KL term is right. It is 2 times the expected value. Expected: 0.8069.", "unnamed"),
        ("The KL term is for `m[0] = (1, 2]`. Expected: 0.8069.", "brackets"),
        ("The code raised an exception at utils.py, line 3: ValueError: m (given twice, handed over", "brackets"),
        ("The code raised an exception at utils.py, line 3: ValueError: m has changed places", "riddle"),
        ("The KL term was computed from m, which was detached. Expected: 0.8069.", "passive"),
        ("The KL term was 1.7095; expected 1.7088.", "hidden"),  # 1.70949 and 1.70884, which round to the same 1.709
        ("The KL term was 2.1; expected 3. Was it squared?", "form"),
    ],
)
def test_no_rule_finds_what_is_right(message: str, rule: str) -> None:
    assert rule not in broken(message)


def test_an_exception_of_another_kind_must_say_what_was_expected() -> None:
    assert "expected" in broken("The KL term returned 2.13 for m = 0.")


def test_every_rule_is_tried() -> None:
    parameters = test_each_rule_finds_what_breaks_it.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {rule for _, rule in parameters} == {rule.id for rule in feedback.RULES}


def test_an_exception_tells_in_its_own_words() -> None:
    raised = "The code raised an exception at utils.py, line 3 (in sample): ValueError: no"
    assert broken(raised) == set()
    assert broken("d_loss is a plain number; expected a scalar tensor for the KL.") == set()  # a name of the code's


def test_the_smallest_example_may_show_its_inputs() -> None:
    assert broken(f"{GOOD.message} Smallest example: m = [0.125, 1] gave a KL term of 1; expected 2.") == set()


def test_as_many_digits_are_told_as_tell_two_numbers_apart() -> None:
    assert broken("For m = 0 the KL term was 2.8164; expected 2.8159.") == set()
    assert broken("For m = 0 the KL term was 2.8164; expected 2.9.") == {"hidden"}


def test_drawn_inputs_are_found_in_a_message() -> None:
    drawn: Any = {"ask": {"m": np.array([0.12345, 2.0], np.float32), "large": np.linspace(0, 1, 1000), "n": 3}}
    assert feedback._inputs_in("It was 0.123 and 0.456.", drawn) == ["0.123"]
    assert feedback._inputs_in("It was 0.12 and 2.0.", drawn) == []  # too short to tell anything
    assert feedback._inputs_in("It was 1.0. Smallest example: 0.123 gave 2.", drawn) == []
    assert broken(GOOD.message, shown=("0.123",)) == {"hidden"}


def test_a_message_that_shows_inputs_is_found_by_drawing_again() -> None:
    leak = Solution(
        "leak-input",
        "Raises an exception whose text holds an input; the engine masks its digits.",
        "gan_vae/utils.py",
        "def sample_gaussian(m, v):\n"
        '    raise ValueError(f"m is {m.flatten()[0].item():.3f} or {m.flatten()[0].item():.2f}")',
    )
    told = [one for one in feedback.told_by(leak, ASSIGNMENT) if "ValueError" in one.message]
    assert told
    assert all("m is # or " in one.message and one.shown == () for one in told)


def test_facts_are_read_from_the_homework() -> None:
    facts = feedback.facts_of(ASSIGNMENT)
    assert {"kl", "sample_gaussian", "m", "v"} <= facts.words["vae"]
    assert "kl = ut.kl_normal(m, v, *self.z_prior).mean()" in facts.solutions  # without the comment behind it
    assert not any(line.startswith("#") or len(line) <= 20 for line in facts.solutions)
    assert len(facts.solutions) > 100


@pytest.mark.parametrize(
    ("wanted", "named", "kind"),
    [("a", ("a", "b"), "right"), ("a", ("b",), "wrong"), ("a", (), "none"), ("", ("b",), "unasked")],
)
def test_what_was_recognised(wanted: str, named: tuple[str, ...], kind: str) -> None:
    assert Recognised("v", wanted, named).kind == kind


def test_an_exact_check_that_the_bank_does_not_name_is_found() -> None:
    wrong = Solution("v", "a mistake", "file.py", "pass", fails=("q.a",), sometimes=("q.b",))
    told = [replace(GOOD, check=check) for check in ("q.a", "q.b", "q.c", "q.drawn")]
    found = feedback.judged(told, [wrong], replace(FACTS, exact=frozenset({"q.a", "q.b", "q.c"})))
    assert [one.check for one in found.beside] == ["q.c"]
    assert [promise.holds for promise in feedback.section(found).promises][-1] is False
    assert feedback.section(replace(found, beside=())).promises[-1].holds
    exact = feedback.facts_of(ASSIGNMENT).exact
    assert "vae.bound.kl" in exact and not exact & {"vae.sample.noise", "policy_gradient.training"}


@pytest.mark.slow
def test_the_bank_keeps_the_rules_and_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice of all questions' wrong solutions; the audit takes all of them."""
    chosen = [solution for solution in WRONG if "summarization" not in solution.file][::40]
    monkeypatch.setattr(casefiles, "bank_of", lambda _: Bank.of(chosen))
    found = feedback.measured("autograder.hw11", tmp_path)
    assert [(breach.told.solution, breach.rule, breach.reason) for breach in found.breaches] == []
    assert found.kinds()["wrong"] == found.kinds()["none"] == 0
    assert {one.solution for one in found.told} == {solution.id for solution in chosen}
    assert feedback.section(found).holds
    odd = replace(found, recognised=(*found.recognised, Recognised("v", "a", ("b",))))
    assert not feedback.section(odd).holds

    graded: Counter[str] = Counter()
    monkeypatch.setattr(feedback, "told_by", lambda solution, _: graded.update([solution.id]) or [])
    assert feedback.measured("autograder.hw11", tmp_path) == found
    changed = replace(chosen[0], source=chosen[0].source + "\n")
    monkeypatch.setattr(casefiles, "bank_of", lambda _: Bank.of([changed, *chosen[1:]]))
    feedback.measured("autograder.hw11", tmp_path)
    assert graded == {chosen[0].id: 1}  # only what has changed


def test_a_journal_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "journal.jsonl"
    Journal(path).add(("a", "1"), {"score": 1})
    with path.open("a") as file:
        file.write('{"key": ["b", "1"], "row": {"sco')
    again = Journal(path)
    assert again.rows == {("a", "1"): {"score": 1}}
    again.add(("b", "1"), {"score": 2})
    again.add(("a", "1"), {"score": 3})
    assert Journal(path).rows == {("a", "1"): {"score": 3}, ("b", "1"): {"score": 2}}
