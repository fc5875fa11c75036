"""answers.toml: files of every kind, what their judges say, and how answers for a person are shown."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from autograder.audit import bank, casefiles
from autograder.audit.inprocess import InProcess
from autograder.audit.solutions import Bank, Solution
from autograder.authoring import template
from autograder.core import (
    LEFT_EMPTY,
    Assignment,
    Check,
    CheckFailed,
    Question,
    Result,
    Submission,
    Trial,
    Value,
    Verdict,
)
from autograder.grade import Grading
from autograder.hw11 import ASSIGNMENT, SOLUTIONS, process
from autograder.hw11.answers import fields, written
from autograder.hw11.answers import probes as probe
from autograder.hw11.distributions import example
from autograder.hw11.policy_gradient import answers as policy_gradient
from autograder.hw11.policy_gradient import training
from autograder.hw11.summarization import answers as summarization
from autograder.hw11.vae import answers as vae
from autograder.intake import submission
from autograder.output import gradescope, terminal
from autograder.sandbox import wire
from autograder.sandbox.guest.student import Missing, Student
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig
from tests import helpers

FILE, LOG = "answers.toml", "submission_log.json"
BANK = Bank.of(casefiles.read(SOLUTIONS / "answers.cases"))
LOGGED: dict[str, Any] = {
    "scratch.rouge": {"rouge1": 10.2193, "rouge2": 1.1906, "rougeL": 9.5808},
    "t5.rouge": {"rouge1": 16.2411, "rouge2": 1.8504, "rougeL": 13.8739},
}
"""The log that is uploaded beside these files."""
REFERENCE = (helpers.REFERENCE / FILE).read_text()
FINAL = replace(policy_gradient.FINAL, request=fields.REQUEST)
"""Without the notebook's run, which test_notebook_runs.py is for: the judge has a range for that."""


def question(id: str, number: int, *checks: Check) -> Question:
    return Question(id, number, id, (FILE, LOG), checks)


OWN = replace(
    ASSIGNMENT,
    questions=(
        question("summarization", 1, *summarization.CHECKS),
        question("continual_learning", 3, *written.CONTINUAL_LEARNING),
        question("vae", 4, *vae.CHECKS),
        question("gan", 5, *written.GAN),
        question("policy_gradient", 6, FINAL, policy_gradient.WRITTEN),
        process.QUESTION,
    ),
)
CHECKS = {check.id: check for one in OWN.questions for check in one.checks}
SCORED = {id: check for id, check in CHECKS.items() if not check.manual}
MANUAL = CHECKS.keys() - SCORED.keys()


def answered(source: str, text: str = REFERENCE) -> str:
    """The file with the lines of `source` in place of those of the same name below the same [section]."""
    section = ""
    for line in source.splitlines():
        if line.startswith("["):
            section = line
            continue
        name = line.partition(" = ")[0]
        start = text.index(f"\n{section}\n")
        own = re.compile(rf"^{name} = (\"\"\".*?\"\"\"|.*?)$", re.M | re.S)
        assert own.search(text, start), line
        text = text[:start] + own.sub(lambda _: line, text[start:], count=1)  # noqa: B023
    return text


ROUGE_OF_LOG = "[summarization]\n" + "\n".join(
    f"{ours}_{name} = {round(value, 2)}"
    for ours, model in summarization.MODELS.items()
    for name, value in LOGGED[f"{model}.rouge"].items()
)
SOLVED = answered(ROUGE_OF_LOG)
"""The reference's file with the figures of the tests' own log."""


@contextmanager
def received(text: str | bytes, log: bytes | None, assignment: Assignment = OWN) -> Iterator[Submission]:
    with TemporaryDirectory(prefix="answers-") as folder:
        upload, workspace = Path(folder, "upload"), Path(folder, "workspace")
        upload.mkdir()
        workspace.mkdir()
        (upload / FILE).write_bytes(text.encode() if isinstance(text, str) else text)
        if log is not None:
            (upload / LOG).write_bytes(log)
        yield submission.receive(upload, assignment, workspace)


def graded(text: str | bytes, log: bytes | None = json.dumps(LOGGED).encode()) -> bank.Outcome:
    with received(text, log) as taken:
        return bank.outcome(taken, OWN)


def verdict(outcome: bank.Outcome, check: str) -> Verdict:
    return next(result.verdict for result in outcome.results if result.check.id == check)


def assert_helpful(message: str) -> None:
    assert 20 < len(message) < 600, message
    assert message.isprintable()
    assert "xpected" in message, message


def named(solution: Solution) -> str:
    return solution.id


# ------------------------------------------------------------------------------------------- the bank


def test_points() -> None:
    assert {id: check.points for id, check in SCORED.items()} == {
        "summarization.t5": 1, "summarization.rouge": 1, "vae.numbers": 2, "policy_gradient.answer": 1,
        "process.sources": 2, "process.collaborators": 1, "process.hours": 2,
    }  # fmt: skip
    assert all(CHECKS[id].points == 0 for id in MANUAL)
    assert {check.judge.alpha for check in CHECKS.values()} == {0}


def test_the_reference_has_all_points_with_its_own_log() -> None:
    outcome = graded(REFERENCE, (helpers.REFERENCE / LOG).read_bytes())
    assert outcome.failed == set(), [verdict(outcome, id).message for id in outcome.failed]


def test_the_template_is_cut_from_the_reference_and_unfilled_in_every_check() -> None:
    text = (ASSIGNMENT.template / FILE).read_text()
    assert text == template.cut_toml(REFERENCE, FILE)[0]
    outcome = graded(text)
    assert outcome.failed == SCORED.keys()
    assert outcome.diagnoses == {"unfilled"}
    for id in SCORED:
        assert verdict(outcome, id).score == 0
        assert_helpful(verdict(outcome, id).message)


@pytest.mark.parametrize("solution", BANK.right, ids=named)
def test_right_files(solution: Solution) -> None:
    outcome = graded(answered(solution.source, SOLVED))
    assert outcome.failed == set(), [verdict(outcome, id).message for id in outcome.failed]


@pytest.mark.parametrize("solution", BANK.wrong, ids=named)
def test_wrong_files(solution: Solution) -> None:
    outcome = graded(answered(solution.source, SOLVED))
    assert outcome.failed == set(solution.fails), outcome.results
    assert outcome.diagnoses == {solution.diagnosis}
    for id in outcome.failed:
        assert_helpful(verdict(outcome, id).message)


@pytest.mark.parametrize("solution", BANK.half_right, ids=named)
def test_half_right_files(solution: Solution) -> None:
    outcome = graded(answered(solution.source, SOLVED))
    assert outcome.failed == set(solution.fails)
    assert solution.diagnosis in outcome.diagnoses
    assert outcome.score == pytest.approx(sum(check.points for check in SCORED.values()) - solution.lost, abs=1e-3)
    for id in outcome.failed:
        assert_helpful(verdict(outcome, id).message)


def test_every_scored_check_is_the_only_one_to_catch_something() -> None:
    assert {solution.fails for solution in BANK.wrong} == {(id,) for id in SCORED}
    assert len(BANK.everything) > 40


# ------------------------------------------------------------------------------------- numbers as given


@pytest.mark.parametrize(
    ("given_as", "value", "unit"),
    [
        ("102.30", "102.30", "0.01"),
        ("102", "102", "1"),
        ("-3.5", "-3.5", "0.1"),
        ("+7", "7", "1"),
        (".5", "0.5", "0.1"),
        ("1e-3", "0.001", "0.001"),
        ("1.0E-2", "0.010", "0.001"),
        ("10^-3", "0.001", "0.001"),
        ("10**-2", "0.01", "0.01"),
        ("2.5·10^{−4}", "0.00025", "0.00001"),
        ("1 x 10^(-3)", "0.001", "0.001"),
        ("12,5", "12.5", "0.1"),
        ("about 12 hours", "12", "1"),
        ("12h", "12", "1"),
        ("~3.5h (two evenings)", "3.5", "0.1"),
        ("ROUGE-1: 18.8", "18.8", "0.1"),
        ("1_000.5", "1000.5", "0.1"),
    ],
)
def test_a_number_keeps_its_digits(given_as: str, value: str, unit: str) -> None:
    first = fields.figures(given_as)[0]
    assert (first.value, first.unit) == (Decimal(value), Decimal(unit))


@pytest.mark.parametrize("given_as", ["", "nan", "inf", "1e400", "9" * 30, "1.2.3", "x1", "ten", "٣٤" * 20])
def test_what_is_no_number(given_as: str) -> None:
    assert fields.figures(given_as) == []


def test_a_percent_sign_is_seen() -> None:
    assert [one.percent for one in fields.figures("18.8 % or 0.188")] == [True, False]


@settings(max_examples=300)
@given(st.integers(10, 9999), st.integers(0, 4))
def test_rounded_and_cut_off_parts_add_up(total: int, decimals: int) -> None:
    """Whatever the digits: the exact parts are drawn, then rounded or cut off to as many decimals."""
    rng = np.random.Generator(np.random.Philox(total))
    kl, rec = (Decimal(float(part)) for part in rng.uniform(1, 100, 2))
    step = Decimal(1).scaleb(-decimals)
    for mode in ("ROUND_HALF_EVEN", "ROUND_DOWN"):
        shown = [fields.WrittenNumber(one.quantize(step, mode), step) for one in (kl + rec, kl, rec)]
        assert vae._adds_up(*shown)
        off = fields.WrittenNumber(shown[0].value + 4 * step, step)
        assert not vae._adds_up(off, *shown[1:])


# ------------------------------------------------------------------------------------------- the file


def over_the_wire(values: Mapping[str, Any]) -> Mapping[str, Any]:
    frame = wire.encode(wire.Frame("test", values=values))
    header, body = wire.lengths(frame[: wire.PREFIX.size])
    cut = wire.PREFIX.size + header
    return wire.decode(frame[wire.PREFIX.size : cut], frame[cut : cut + body]).values


def trial_of(data: bytes | str, folder: Path) -> Trial:
    (folder / FILE).write_bytes(data.encode() if isinstance(data, str) else data)
    return Trial({}, over_the_wire(probe.answers({}, Student(folder))))


RULES = {**{id: check.judge for id, check in CHECKS.items()}, "example": example.example, "plots": example.plots}


def judged(trial: Trial) -> dict[str, Verdict]:
    """Every judge's verdict; a `CheckFailed` counts as 0, as it does in a grading."""
    found = {}
    for id, rule in RULES.items():
        try:
            found[id] = rule(trial)  # type: ignore[operator]
        except CheckFailed as fault:
            found[id] = Verdict(0.0, str(fault), fault.diagnosis)
        assert 0 <= found[id].score <= 1
        assert len(found[id].message) < (600 if id not in MANUAL else 20_000)
    return found


SHAPES: dict[str, Any] = {
    "byte order mark": b"\xef\xbb\xbf" + SOLVED.encode(),
    "UTF-16": SOLVED.encode("utf-16"),
    "Windows": SOLVED.replace("\n", "\r\n"),
    "old Macintosh": SOLVED.replace("\n", "\r"),
    "curly quotation marks": re.sub(r'"([^"\n]+)"', "“\\1”", re.sub(r"(?m)^#.*$", "", SOLVED)),
    "other case": re.sub(r"(?m)^\w+ =", lambda name: name[0].upper(), SOLVED).replace("[process]", "[Process]"),
    "no sections": re.sub(r"(?m)^\[(?!distributions).*$", "", SOLVED).replace("comparison =", "comparison6 =", 1),
    "tables of a model": SOLVED.replace("scratch_rouge", "scratch.rouge").replace("finetuned_rouge", "finetuned.rouge"),
    "dotted keys": answered("[vae]\nnelbo = 102.23", SOLVED).replace("[vae]\n", "\n").replace(
        "\nnelbo", "\nvae.nelbo").replace("\nkl", "\nvae.kl").replace("\nrec ", "\nvae.rec "),
    "numbers as texts": re.sub(r"(?m)^(\w+) = (\d[\d.]*)$", r'\1 = "\2"', SOLVED),
    "a filled name behind an empty one": SOLVED.replace("\nkl =", '\nkl = ""\nKL ='),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_the_shape_of_the_file_costs_nothing(name: str) -> None:
    text = SHAPES[name]
    if name in ("no sections", "dotted keys"):  # there the order of TOML asks for plain names first
        text = _plain_first(str(text))
    outcome = graded(text)
    assert outcome.failed == set(), [verdict(outcome, id).message for id in outcome.failed]


def _plain_first(text: str) -> str:
    """The file with what stands below [distributions] and its tables at its end."""
    start = text.index("[distributions]")
    end = text.index("# Question 3")
    lines = text[:start] + text[end:]
    if "vae.nelbo" in lines:
        vae_lines = "\n".join(re.findall(r"(?m)^vae\..*$", lines))
        lines = vae_lines + "\n" + re.sub(r"(?m)^vae\..*$", "", lines)
    return lines + text[start:end]


UNREADABLE: dict[str, Any] = {
    "prose": ("I used Adam.", "line 1"),
    "JSON": ('{"vae": {"kl": 24}}', "line 1"),
    "bytes": (bytes(range(256)), "not valid TOML"),
    "too large": (SOLVED + "# " + "x" * 2**16, "64 KB"),
    "nested": ("a = " + "[" * 30 + "]" * 30, "too deep"),
    "very nested": ("a = " + "[" * 60_000, "too deep"),
    "very nested tables": ("a = " + "{a = " * 10_000 + "1" + "}" * 10_000, "too deep"),
    "a bomb of dotted keys": ("a." * 3000 + "a = 1", "too deep"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read_is_told_as_such(name: str, tmp_path: Path) -> None:
    data, words = UNREADABLE[name]
    found = judged(trial_of(data, tmp_path))
    for one in found.values():
        assert (one.score, one.diagnosis) == (0, "answers_unreadable")
        assert words in one.message
        assert_helpful(one.message)


BROKEN: dict[str, Any] = {
    "no quotation marks": ('"AdaFactor"', "AdaFactor", {"summarization.t5": 2 / 3}),
    "a unit": ("kl = 24.37", "kl = 24.37 nats", {"vae.numbers": 2 / 3}),
    "a decimal comma": ("kl = 24.37", "kl = 24,37", {"vae.numbers": 2 / 3}),
    "a name twice": ("\nkl =", "\nkl = 1\nkl =", {"vae.numbers": 2 / 3}),
    "two lines, one without a key": ("\nkl = 24.37", "\nkl = 24.37 %\nrec: 77.86", {"vae.numbers": 2 / 3}),
    "no value": ("kl = 24.37", "kl =", {"vae.numbers": 2 / 3}),
    "a text without an end": ('collaborators = "none"', 'collaborators = "none', {"process.collaborators": 0}),
    "a long text without an end": ('collaborators = "none"', 'collaborators = """none\nor so', {
        "process.collaborators": 0}),
    "a section without an end": ("[vae]", "[vae", {}),
    "a section twice": ("[vae]", "[vae]\n[vae]", {}),
    "a line of prose": ("[vae]", "These are my numbers.\n[vae]", {}),
    "many digits": ("hours = 12", "hours = " + "9" * 5000, {"process.hours": 0}),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_line_that_is_no_toml_costs_its_own_key_alone(name: str) -> None:
    before, after, expected = BROKEN[name]
    assert before in SOLVED, before
    outcome = graded(SOLVED.replace(before, after, 1))
    lost = {result.check.id: result.verdict.score for result in outcome.results if result.verdict.score < 1}
    assert lost == pytest.approx(expected)
    told = " ".join(verdict(outcome, id).message for id in lost if id == "vae.numbers")
    if lost and after.startswith("kl = 24"):
        assert told.count("24") == 1  # the line is quoted, once
        assert f"is not valid TOML: {after.splitlines()[0]}" in told


NUMBERS: dict[str, Any] = {
    "1/100": ["0.01"], "1%": ["1"], "0.1 %": ["0.1"], "1/sqrt(10^4) = 0.01": ["0.01"], "1 × 10⁻³": ["0.001"],
    "1 / sqrt(10000)": ["0.01"], "so 0.01": ["0.01"], "10⁻²": ["0.01"], "1e-3 (constant)": ["0.001"],
    "inverse square root schedule, 1/sqrt(max(n, 10^4)), so 0.01": ["0.01"], "lr = 1/√10000 = 1e-2": ["0.01"],
    "1,5": ["1.5"], "ROUGE-1: 16,24": ["16.24"],
}  # fmt: skip


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_are_read_in_usual_spellings(text: str) -> None:
    found = fields.outcome(text)
    assert [str(one.value.normalize()) for one in found[:1]] == [str(Decimal(one).normalize()) for one in NUMBERS[text]]


RATES = {
    ('"1/100"', '"1/1000"'): 1, ('"1%"', '"0.1%"'): 1, ('"1/sqrt(10^4) = 0.01"', '"1 × 10⁻³"'): 1,
    ('"inverse square root schedule 1/sqrt(max(n, 10^4)), so 0.01"', '"a constant 0.001"'): 1,
    ('"1e-2 at first, then 1/sqrt(n)"', '"10**-3"'): 1, ('"1/√10000"', "1e-3"): 1,
    ('"1/1000"', '"1/100"'): 1 / 3, ('"1/10"', '"1e-3"'): 2 / 3,
}  # fmt: skip


@pytest.mark.parametrize("rates", RATES, ids=str)
def test_rates_are_read_as_people_write_them(rates: tuple[str, str]) -> None:
    lines = f"[summarization]\nt5_peak_lr_pretraining = {rates[0]}\nt5_peak_lr_finetuning = {rates[1]}"
    assert verdict(graded(answered(lines, SOLVED)), "summarization.t5").score == pytest.approx(RATES[rates])


OPTIMIZERS: dict[str, Any] = {
    "Adam or AdaFactor": 2 / 3, "AdaFactor/Adam": 2 / 3, "adafactor, sgd": 2 / 3, "Ada-Factor & AdamW": 2 / 3,
    "AdaFactor": 1, "AdaFactor instead of Adam": 1, "AdaFactor (not Adam)": 1, "Ada factor": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_alternatives_are_not_one_answer(name: str) -> None:
    found = verdict(graded(answered(f'[summarization]\nt5_optimizer = "{name}"', SOLVED)), "summarization.t5")
    assert found.score == pytest.approx(OPTIMIZERS[name])


MISSING = {"kl": ("102.23", '""', "77.86"), "nelbo": ('""', "24.37", "77.86"), "rec": ("102.23", "24.37", '""')}


@pytest.mark.parametrize("name", MISSING)
def test_one_empty_number_costs_its_share(name: str) -> None:
    given = "[vae]\nnelbo = {}\nkl = {}\nrec = {}".format(*MISSING[name])
    found = verdict(graded(answered(given, SOLVED)), "vae.numbers")
    assert (found.score, found.diagnosis) == (pytest.approx(2 / 3), "unfilled")  # type: ignore[comparison-overlap]
    assert found.message.count("not filled in yet") == 1
    assert name in found.message


EXAMPLES: dict[str, Any] = {
    'family = "uniform"\nlow = "0"\nhigh = "1"': 'family = "normal"\nmean = "0"\nstd = "1/3"',
    'family = "U(0, 1)"': 'family = "N(0, 1)"',
    'family = "Bernoulli(50%)"': 'family = "Poisson(2)"',
    'family = "bernoulli"\np = "0.5"': 'family = "table"\noutcomes = [0, 1, 2]\nprobabilities = ["1/3", "1/3", "1/3"]',
    'family = "Unif(0, 1/2)"': 'family = "Exp(rate = 1)"',
    'family = "beta"\na = "1"\nb = "1"': 'family = "Laplace(0, 1)"',
}


@pytest.mark.parametrize("p", EXAMPLES)
def test_an_examples_parameters_may_be_texts_and_formulas(p: str, tmp_path: Path) -> None:
    text = f"[distributions.P]\n{p}\n[distributions.Q]\n{EXAMPLES[p]}\n"
    found = judged(trial_of(text, tmp_path))["example"]
    assert found.score == 1, found.message


PLOTS: dict[str, Any] = {
    "KL(P||Q)": "forward", "KL(Q||P)": "reverse", "D(Q || P)": "reverse", "D_KL(p|q)": "forward",
    "exclusive": "reverse",
    "inclusive": "forward", "mode-seeking": "reverse", "mass covering": "forward", "zero forcing": "reverse",
    "zero-avoiding": "forward", "reverse KL, D(q‖p)": "reverse", "KL(P,Q)": "forward", "KL": "",
    "forward KL(Q||P)": "",
}  # fmt: skip


@pytest.mark.parametrize("text", PLOTS)
def test_a_plots_direction_may_be_a_formula_or_a_word(text: str) -> None:
    assert example.direction(text) == PLOTS[text]


LISTS = b"".join(b"f%d = [%s]\n" % (index, b",".join([b'"' + b"\xff" * 50 + b'"'] * 30)) for index in range(12))
BOMBS: dict[str, Any] = {
    "empty": "",
    "comments": "# nothing\n" * 6000,
    "9,000 tables": "".join(f"[a{index}]\n" for index in range(6000)),
    "an array of tables": "[[process]]\n" * 5000,
    "a long text": f'[process]\nsources = "{"x" * 65_000}"',
    "emoji": '[gan]\nvanishing = "' + "😀" * 16_000 + '"',
    "invalid bytes": b'[gan]\nvanishing = "' + b"\xff" * 60_000 + b'"',
    "every field full": "".join(
        f"[{section}]\n" + "".join(f'{name} = """{"ж" * 1500}"""\n' for name in names)
        for section, names in probe.FIELDS.items() if section not in ("summarization", "process")
    ),
    "lists of invalid bytes": b"".join(b"[distributions.%s]\n%s" % (name, LISTS) for name in (b"P", b"Q")),
    "huge in base 16": "[process]\nhours = 0x" + "f" * 65_000,
    "infinite": "[vae]\nnelbo = inf\nkl = -inf\nrec = nan\n[policy_gradient]\nfinal_accuracy = 1e999",
    "large exponents": "[vae]\nnelbo = 1e99\nkl = 1e-99\nrec = 9e99999999999999999999",
    "dates": "[vae]\nnelbo = 2026-11-23\nkl = 07:32:00\nrec = 1979-05-27T07:32:00Z",
    "tables in place of fields": "[vae.nelbo]\na = 1\n[process.hours]\nb = 2",
    "a field in place of the section": "vae = 3\nprocess = [1, 2]\nsummarization = true\ngan = 2026-11-23",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_whatever_the_file_holds_it_is_told_within_the_limits(name: str, tmp_path: Path) -> None:
    for id, one in judged(trial_of(BOMBS[name], tmp_path)).items():
        if id in SCORED and not (name == "a long text" and id == "process.sources"):
            assert one.score == 0 or (name == "a field in place of the section" and one.score < 1), (id, one)
            assert_helpful(one.message)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("true", "true or false"),
        ("2026-11-23", "a date"),
        ("07:32:00", "a time"),
        ("{ a = 1 }", "a table"),
        ("[[1]]", "a list"),
        ("0x" + "f" * 100, "too large"),
        ("nan", '"nan"'),
        ("-inf", '"-inf"'),
        ('"many"', '"many"'),
        ('"<b>\\u001bred</b>"', "‹b›"),
    ],
)
def test_a_wrong_type_is_told_by_its_name(value: str, words: str, tmp_path: Path) -> None:
    found = judged(trial_of(f"[vae]\nnelbo = 102.0\nkl = {value}\nrec = 78.0\n", tmp_path))["vae.numbers"]
    assert (found.score, found.diagnosis) == (pytest.approx(2 / 3), "answers_type")  # type: ignore[comparison-overlap]
    assert words in found.message
    assert_helpful(found.message)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="not in the upload"):
        probe.answers({}, Student(tmp_path, (FILE,)))
    found = judged(Trial({}, over_the_wire(probe.held(Student(tmp_path, (FILE,))))))
    assert all("not in the upload" in one.message for one in found.values())


TOML_VALUE = st.recursive(
    st.none().map(lambda _: "nan")
    | st.integers().map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.booleans().map(lambda truth: str(truth).lower())
    | st.text(max_size=30).map(lambda text: json.dumps(text, ensure_ascii=False))
    | st.sampled_from(["inf", "-inf", "1979-05-27", "07:32:00", "0xff", "1e-3", '"1e-3"', '"12 %"', "102.23", '""']),
    lambda below: st.lists(below, max_size=3).map(lambda many: f"[{', '.join(many)}]"),
    max_leaves=4,
)
"""TOML, since JSON escapes a text as TOML does, but for the character 127."""
NAMES = sorted({name for names in probe.FIELDS.values() for name in names} | {"P", "Q", "seed", "plot_A"})
SECTION = st.tuples(
    st.sampled_from([*probe.FIELDS, "distributions", "distributions.P", "other"]),
    st.dictionaries(st.sampled_from(NAMES), TOML_VALUE, max_size=6),
)


@pytest.mark.slow
@settings(max_examples=300)
@given(st.lists(SECTION, max_size=4, unique_by=lambda pair: pair[0]))
def test_every_toml_gets_verdicts(tables: list[tuple[str, dict[str, str]]]) -> None:
    lines = [f"[{section}]\n" + "".join(f"{k} = {v}\n" for k, v in fields.items()) for section, fields in tables]
    with TemporaryDirectory() as folder:
        judged(trial_of("".join(lines).encode("utf-8", "replace"), Path(folder)))


@settings(max_examples=150)
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: f"[process]\nhours = {text}".encode()))
def test_all_bytes_get_verdicts(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        judged(trial_of(data, Path(folder)))


@settings(max_examples=300)
@given(st.text(alphabet="0123456789.,eE+-*^x %{}()_\u2212 10", max_size=60))
def test_no_text_is_too_much_for_the_numbers(text: str) -> None:
    for one in fields.figures(text):
        assert one.value.is_finite()
        assert one.unit > 0


# -------------------------------------------------------------------------------------------- the log


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (None, "not in the upload"),
        (b"", "could not be read"),
        (b"[1, 2]", "could not be read"),
        (b'{"time": 0}', "does not hold rouge1"),
        (json.dumps({**LOGGED, "t5.rouge": {"rouge1": "16"}}).encode(), "does not hold rouge1"),
        (b"[" * 100_000, "could not be read"),
        (b" " * (8 * 2**20 + 1), "could not be read"),
    ],
)
def test_without_the_logs_figures_there_is_no_comparison(log: bytes | None, words: str) -> None:
    outcome = graded(SOLVED, log)
    assert outcome.failed == {"summarization.rouge"}
    found = verdict(outcome, "summarization.rouge")
    assert (found.score, found.diagnosis) == (0, "rouge_no_log")
    assert words in found.message
    assert_helpful(found.message)


@pytest.mark.parametrize(
    ("figure", "score"), [("16.24", 1), ("16.2", 1), ("16.3", 0), ("16", 1), ("0.162", 1), ("16.26", 0), ("0.2", 0),
                          ("20", 0), ('"16.24 %"', 1), ('"0.1624 %"', 0), ('"16.2411"', 1), ("1624", 0)]
)  # fmt: skip
def test_the_digits_that_are_given_say_how_near_a_score_must_be(figure: str, score: int) -> None:
    outcome = graded(answered(f"[summarization]\nfinetuned_rouge1 = {figure}", SOLVED))
    assert verdict(outcome, "summarization.rouge").score == pytest.approx(1 if score else 5 / 6)


# ---------------------------------------------------------------------------------- the notebook's run


def run_of(share: float, claim: str, *, number: int = 1000) -> Trial:
    """What comes back of a run whose network is right on this share of the notebook's test points."""
    rng = np.random.Generator(np.random.Philox(3))
    shapes = ((32, 8), (32,), (4, 32), (4,))
    weights = tuple(rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    x = training.points(rng, 60_000)
    scores = np.maximum(x @ weights[0].T + weights[1], 0) @ weights[2].T + weights[3]
    right = scores.argmax(1) == training.labels(x)
    count = round(share * number)
    chosen = np.concatenate([x[right][:count], x[~right][: number - count]])
    assert len(chosen) == number
    told = {
        "file.kind": "",
        "policy_gradient.final_accuracy": np.frombuffer(claim.encode(), np.uint8),
        "points": chosen,
    }
    return Trial({}, {**told, **{f"weights.{index}": weight for index, weight in enumerate(weights)}})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("share", "claim", "score"),
    [
        (0.752, "75.2", 1),
        (0.752, "0.752", 1),
        (0.752, "75", 1),
        (0.752, "82.9", 1),
        (0.752, "84.8", 1),  # of the network that learned from drawn actions
        (0.848, "84.8", 1),
        (0.88, "75", 0.5),  # the handout's figure
        (0.752, "64", 0.5),
        (0.752, "25", 0),
        (0.752, "99", 0),
        (0.30, "75", 0),
        (0.30, "30.2", 1),
        (0.30, "85", 0),
    ],
)
def test_the_accuracy_is_that_of_the_notebooks_own_run(share: float, claim: str, score: float) -> None:
    found = policy_gradient.final(run_of(share, claim))
    assert found.score == score, found
    assert f"{100 * share:.1f} %" in found.message
    if score < 1:
        assert_helpful(found.message)


@pytest.mark.parametrize(
    "change",
    [
        {"points": None},
        {"points": np.zeros((0, 8))},
        {"points": np.zeros((5, 7))},
        {"points": np.zeros((5000, 8))},
        {"points": "x"},
        {"weights.0": None},
        {"weights.0": np.zeros(8)},
        {"weights.0": np.zeros((5000, 8))},
        {"weights.2": np.zeros((4, 31))},
    ],
)
def test_a_run_without_a_network_leaves_the_range(change: dict[str, object]) -> None:
    for claim, score in (("75", 1), ("25", 0), ("0.8", 1)):
        trial = run_of(0.3, claim)
        values = {name: value for name, value in {**trial.got, **change}.items() if value is not None}
        found = policy_gradient.final(Trial({}, values))  # type: ignore[arg-type]
        assert found.score == score
        assert "left no network" in found.message


@pytest.mark.parametrize("name", ["points", "weights.1", "weights.3"])
def test_a_network_of_nans_does_not_leave_the_range(name: str) -> None:
    trial = run_of(0.752, "75.2")
    with pytest.raises(CheckFailed, match="Expected: finite numbers"):
        policy_gradient.final(Trial({}, {**trial.got, name: trial.got[name] * np.nan}))  # type: ignore[operator]


JUNK = st.one_of(
    st.booleans(),
    st.integers(-(2**62), 2**62),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    arrays.arrays(st.sampled_from([np.dtype(code) for code in ("f4", "f8", "i8", "u1", "?")]),
                  arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)),
)  # fmt: skip


@functools.cache
def right_values() -> dict[str, Value]:
    """What a worker says of a right file and a right run."""
    with received(SOLVED, json.dumps(LOGGED).encode()) as taken:
        return {**run_of(0.75, "75").got, **probe.answers({}, Student(taken.workspace))}


@settings(max_examples=300)
@given(data=st.data())
def test_junk_in_place_of_values_raises_nothing_but_reject(data: st.DataObject) -> None:
    """What a worker says is a stranger's word."""
    right = right_values()
    names = data.draw(st.lists(st.sampled_from(sorted(right)), max_size=3))
    judged(Trial({}, over_the_wire({**right, **{name: data.draw(JUNK) for name in names}})))


# --------------------------------------------------------------------------------- answers for a person


HOSTILE = "1 < 2 <script>alert(1)</script>\n\x1b[31mred\x07 =cmd()|'x' \u202eevil 3.14159265 naïve 😀"
TEXTS = f"""[policy_gradient]
comparison = {json.dumps(HOSTILE, ensure_ascii=False)}
[summarization]
llm_model = "a model"
llm_output = \"\"\"one

two\"\"\"
llm_comparison = 2026-11-23
[continual_learning]
lambdas = [0.1, 1, 100]
observations = "{"x" * 5000}"
"""


def results_of(trial: Trial) -> tuple[Result, ...]:
    pairs = [(one, check) for one in OWN.questions for check in one.checks]
    found = judged(trial)
    return tuple(Result(one, check, found[check.id]) for one, check in pairs)


def test_answers_for_a_person_have_no_score(tmp_path: Path) -> None:
    results = results_of(trial_of(TEXTS, tmp_path))
    content = gradescope.document(OWN, results)
    tests = {test["extra_data"]["check"]: test for test in content["tests"]}
    for id, test in tests.items():
        assert ("score" in test) == ("max_score" in test) == ("status" in test) == (id in SCORED)
        assert ("(for manual grading)" in test["name"]) == (id in MANUAL)
    gradescope.write(tmp_path / "results.json", content)
    shown = tests["policy_gradient.written"]["output"]
    assert "\x1b" not in shown and "\x07" not in shown and "\u202e" not in shown
    assert "naïve 😀" in shown and "1 < 2" in shown
    assert tests["policy_gradient.written"]["output_format"] == "text"
    assert tests["summarization.written"]["output"] == (
        "Comparison of both models: no answer was given.\n\nThe language model:\na model\n\nThe prompt: no answer was "
        "given.\n\n"
        "Its summaries:\none\n\ntwo\n\n"
        "Comparison with the language model: llm_comparison in [summarization] is a date or a time. Expected: a text "
        "or a number."
    )
    learning = tests["continual_learning.written"]["output"]
    assert "0.1, 1, 100" in learning
    assert "x" * 4000 in learning and "x" * 4001 not in learning
    assert "of 5000" in learning
    assert tests["gan.written"]["output"].count("no answer was given") == 3


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("", MANUAL),
        ('[gan]\nvanishing = " \\n\\t "', MANUAL),
        ('[gan]\ndivergence = "Jensen and Shannon: no answer was given."', MANUAL - {"gan.written"}),
        ("[continual_learning]\nlambdas = [1, 10]", MANUAL - {"continual_learning.written"}),
        ('[summarization]\nllm_model = "x"', MANUAL - {"summarization.written"}),
    ],
)
def test_an_answer_in_which_nothing_stands_is_noted(source: str, left: set[str]) -> None:
    outcome = graded(answered(source, (ASSIGNMENT.template / FILE).read_text()))
    noted = {check for check in MANUAL if LEFT_EMPTY in verdict(outcome, check).notes}
    assert noted == left and all(verdict(outcome, check).diagnosis == "" for check in MANUAL)


def test_answers_for_a_person_change_no_total() -> None:
    with received(SOLVED, json.dumps(LOGGED).encode()) as taken:
        results = tuple(Grading(helpers_asker(), taken, OWN).results())
    content = gradescope.document(OWN, results)
    assert content["score"] == sum(check.points for check in SCORED.values())
    unfinished = gradescope.document(OWN, ())
    assert unfinished["score"] == 0
    assert not any("score" in test for test in unfinished["tests"] if test["extra_data"]["check"] in MANUAL)


def helpers_asker() -> InProcess:
    return InProcess(OWN.probes)


def test_the_table_shows_them_briefly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = results_of(trial_of(TEXTS, tmp_path))
    report = SimpleNamespace(line=lambda: "isolation: ...", strong=True)
    terminal.show(OWN, list(results), [], report, 1.0, tmp_path / "results.json")  # type: ignore[arg-type]
    shown = capsys.readouterr().out
    assert shown.count("for manual grading") == len(MANUAL)
    assert "x" * 100 not in shown
    assert "\x1b[31m" not in shown and "\u202e" not in shown
    assert "0/0" not in shown


# ------------------------------------------------------------------------------------- through the sandbox


def test_through_the_wall() -> None:
    """One worker reads the file for all checks; a long text in any alphabet comes through."""
    long = "ж" * 4000
    text = answered(f'[process]\nsources = "{long}"', SOLVED)
    text = answered(f'[gan]\nvanishing = "{long}"', text)
    with Sandbox(SandboxConfig(OWN.probes)) as sandbox:
        graded = helpers.grade(sandbox, {FILE: text.encode(), LOG: json.dumps(LOGGED).encode()}, assignment=OWN)
    assert graded.scores() == {id: check.points for id, check in CHECKS.items()}, graded.messages()
    assert long in graded.messages("gan.written")[0]
