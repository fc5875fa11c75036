"""A course's own settings: what is refused and how, points, what counts, and what each command makes of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder import homeworks, version
from autograder.__main__ import main
from autograder.authoring import bundle
from autograder.classroom import byhand, publish
from autograder.core import Assignment, CheckFailed, Result, Verdict
from autograder.hw11 import ASSIGNMENT
from autograder.intake import chosen, coursefile, late, parts
from autograder.intake.course_command import described, example_of, flat
from autograder.intake.late import HandedIn
from autograder.intake.points import shared
from autograder.intake.settings import Settings
from autograder.intake.tomllines import line_of
from autograder.output import gradescope, terminal
from autograder.sandbox import confine
from tests import small

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "tests" / "gradescope_schema.json").read_text())
DUE = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)
DAY = timedelta(days=1)


def settings(text: str) -> Settings:
    return coursefile.parsed(text.encode())


def points(assignment: Assignment) -> dict[str, float]:
    return {check.id: check.points for question in assignment.questions for check in question.checks}


# ------------------------------------------------------------------------------------ wrong files

WRONG = {
    # the file: (lines that are named, what the sentences say)
    "totl = 100": (1, "totl is not a key of the file. Did you mean total?"),
    "x = 1": (1, "Expected: title, only, total, points, optional, visibility, late, limits, hints, words."),
    'total = "100"': (1, 'total is "100". Expected: a number above 0, at most 10000.'),
    "\n# ours\ntotal = 0": (3, "total is 0. Expected: a number above 0"),
    "total = -5": (1, "total is -5."),
    "total = nan": (1, "total is nan."),
    "total = inf": (1, "total is inf."),
    "total = true": (1, "total is true."),
    "total = 1e9": (1, "total is 1000000000.0."),
    "total =": (1, "is not valid TOML: Invalid value"),
    "total = 100\ntotal = 200": (2, "is not valid TOML: Cannot overwrite a value"),
    "total = 100\nwords]\n": (2, "is not valid TOML"),
    'title = "a\nb"': (1, "is not valid TOML"),
    'title = "a\\nb"': (1, 'title is "a b". Expected: a text of one line'),
    "title = 7": (1, "title is 7."),
    "total = 0.3": (1, "total: total is 0.3, which leaves a check with less than 0.01"),
    'only = "vae"': (1, 'only is "vae". Expected: a list of parts in quotes.'),
    "only = [4.3]": (1, "entry 1 of only is 4.3. Expected: a list of parts in quotes. Put a number in quotes"),
    'only = [\n  "vae",\n  "",\n]': (1, "entry 2 of only is empty."),
    'only = ["vea"]': (1, 'only: "vea" names no part. Did you mean "vae"?'),
    'only = ["4.77"]': (1, '"4.77" names no part.'),
    "points = 3": (1, "points is 3. Expected: a table, [points], and in each of its lines a part and a number"),
    "[points]\nvae = -1": (2, "vae in [points] is -1. Expected: a number of points from 0 to 10000."),
    '[points]\nvae = "many"': (2, 'vae in [points] is "many".'),
    "[points]\nvae.sample.noise = true": (2, '"vae.sample.noise" in [points] is true.'),
    '[points]\n"vae.sampel" = 1': (2, '"vae.sampel" names no part. Did you mean "vae.sample"?'),
    "[points]\nvae = 30\nvae.sample = 40": (3, "Cannot overwrite a value. Put texts and names with a dot"),
    '[points]\nvae = 30\n"vae.sample" = 40': (2, '"vae" is 30, but its parts with points of their own already have '
                                                 '40.'),
    '[points]\nvae = 30\n"4" = 20': (3, '"4" and "vae" name the same checks.'),
    '[points]\n"vae.*" = 30\n"*.contract" = 2': (3, "name some of the same checks, but neither contains the other"),
    '[points]\n"gan.written" = 3': (2, '"gan.written" is read by a person'),
    "[points]\nsummarization = 0.05": (2, "which leaves a check with less than 0.01"),
    'only = ["vae"]\n[points]\ngan = 3': (3, '"gan" is outside the part that `only` selects.'),
    "optional = true": (1, "optional is true. Expected: a table, [optional], with any of questions, count, most."),
    '[optional]\ncount = "none"': (2, 'count in [optional] is "none". Expected: "beside", "capped" or "no".'),
    '[optional]\nquestions = ["vae", "nae"]': (2, '"nae" names no question. The questions are: "summarization" (1)'),
    '[optional]\nquestions = ["1","2","3","4","5","6","7"]\n': (None, ""),
    'total = 9\n[optional]\nquestions = ["1","2","3","4","5","6","7"]\n': (1, "no required question"),
    '[visibility]\nvae = "secret"': (2, 'Expected: "visible" or "hidden" or "after_due_date" or "after_published".'),
    '[visibility]\n"vea" = "hidden"': (2, '"vea" names no part.'),
    "[late]\n": (1, "[late] deducts nothing. Expected: percent, last_days or late_due in it."),
    "[late]\npercent = 10\ngrace = 5": (3, "grace is not a key of [late]. Did you mean grace_minutes?"),
    "[late]\npercent = 10\ngrace_minutes = 2.5": (3, "grace_minutes in [late] is 2.5. Expected: a whole number"),
    "[late]\npercent = 110": (2, "percent in [late] is 110. Expected: a number from 0 to 100."),
    "[late]\npercent = 10\nevery_hours = 0": (3, "every_hours in [late] is 0."),
    "[late]\npercent = 10\ndue = 2026-11-23": (3, "due in [late] is 2026-11-23. Expected: a time with its offset"),
    "[late]\npercent = 10\ndue = 2026-11-23T23:59:00": (3, "Expected: a time with its offset, such as 2026-"),
    '[late]\npercent = 10\ndue = "2026-11-23T23:59:00Z"': (3, "Expected: a time with its offset"),
    "[late]\npercent = 10\ndue = 2026-11-23T23:59:00Z\nlate_due = 2026-11-22T23:59:00Z": (4, "is before due"),
    "[late]\nlast_days = 3\nlate_due = 2026-11-22T23:59:00Z": (3, "both late_due and last_days"),
    "[late]\npercent = 10\nat_most_percent = 5": (3, "at_most_percent in [late] is 5, less than percent."),
    '[late]\npercent = 10\nextensions = "../x.csv"': (3, "Expected: the name of a CSV file beside course.toml."),
    '[late]\npercent = 10\nextensions = "none.csv"': (3, "none.csv cannot be read: No such file"),
    "[limits]\nsubmissions_a_day = 0": (2, "Expected: a whole number from 1 to 1000."),
    "[limits]\nseconds = 5": (2, "seconds in [limits] is 5. Expected: a number of seconds from 10 to 2400."),
    '[limits]\nleaderboard = "yes"': (2, 'leaderboard in [limits] is "yes". Expected: true or false.'),
    "grace_minutes = 5": (1, "grace_minutes is not a key of the file. It belongs to [late]."),
    "[words]\ntotal = 5": (2, "total is not a key of [words]. It belongs to the top of the file."),
    '[words]\n\ntop = """\na\n"""\nbottom = "x"': (6, "bottom is not a key of [words]."),
    "[words]\ntop = 3": (2, "top in [words] is 3."),
    "[[late]]\npercent = 10": (1, "late is a list. Expected: a table, [late]"),
}  # fmt: skip


@pytest.mark.parametrize("text", [text for text, (line, _) in WRONG.items() if line])
def test_a_wrong_file_is_told_with_key_line_and_what_is_allowed(text: str, tmp_path: Path) -> None:
    line, sentence = WRONG[text]
    path = tmp_path / "course.toml"
    path.write_text(text)
    with pytest.raises(CheckFailed) as told:
        coursefile.read(path).applied(ASSIGNMENT)
    said = str(told.value)
    assert sentence in said, said
    assert said.startswith(f"course.toml, line {line}"), said
    assert "\n" not in said and said.endswith(".") and said.isprintable(), said


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    with pytest.raises(CheckFailed) as told:
        settings('total = "a"\nonly = [3, "x", 4]\n[late]\npercent = -1\nx = 2\n')
    assert [int(re.findall(r"line (\d+)", line)[0]) for line in str(told.value).split("\n")] == [1, 2, 2, 4, 5]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"total = 1\n\xff", "course.toml, line 2, is not UTF-8."),
        (b"#" * 70_000, "larger than 64"),
        (None, "cannot be"),
    ],
    ids=["bytes", "size", "nothing"],
)
def test_what_is_no_text_file_is_told(data: bytes | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "course.toml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(CheckFailed, match=sentence):
        coursefile.read(path)


@given(st.binary(max_size=200) | st.text(alphabet="[]\"=.\n#abtolate123{},'\\ ", max_size=80).map(str.encode))
def test_no_file_breaks_the_reader(data: bytes) -> None:
    try:
        settings_of = coursefile.parsed(data)
        settings_of.applied(ASSIGNMENT)
    except CheckFailed as fault:
        assert all(line.startswith("course.toml") for line in str(fault).split("\n"))


def test_the_line_of_a_value() -> None:
    text = 'a = 1\n\n# b\nb = [\n 1,\n]\n[t]\n"x.y" = 3\nz.w = 4\n[[u]]\n[v]\nw = """\nx = 1\n"""\nx = 2\n'
    places = {("a",): 1, ("b",): 4, ("t",): 7, ("t", "x.y"): 8, ("t", "z", "w"): 9, ("v", "x"): 15, ("none",): 1}
    assert {path: line_of(text, path) for path in places} == places


# ------------------------------------------------------------------------------------ points


def test_points_of_a_question_a_group_and_a_check() -> None:
    own = points(settings('[points]\nvae = 60\n"vae.sample" = 20\n"4.3" = 10\n"gan.picture" = 0\n').applied(ASSIGNMENT))
    before = points(ASSIGNMENT)
    assert own["vae.sample.noise"] == 10 and own["gan.picture"] == 0
    sample = {name: value for name, value in own.items() if name.startswith("vae.sample.")}
    assert sum(sample.values()) == pytest.approx(20)
    assert sample["vae.sample.parameters"] == pytest.approx(10 * 2 / 8, abs=0.01)
    assert sum(value for name, value in own.items() if name.startswith("vae.")) == pytest.approx(60)
    assert own["vae.bound.kl"] == pytest.approx(40 * 3 / 20, abs=0.01)
    assert {name: value for name, value in own.items() if name[:3] not in ("vae", "gan")} == {
        name: value for name, value in before.items() if name[:3] not in ("vae", "gan")
    }


def test_a_total_rescales_and_a_part_of_it_keeps_its_share() -> None:
    made = settings("total = 40").applied(ASSIGNMENT)
    assert (made.points, made.extra) == (40, 10)
    assert [question.points for question in made.questions] == [14, 4, 4, 12, 6, 8, 2]
    assert parts.selected(made, ("vae",)).points == 12
    assert settings('total = 50\nonly = ["vae"]').applied(ASSIGNMENT).points == 50


def test_other_questions_may_be_optional() -> None:
    made = settings('[optional]\nquestions = ["6", "process"]').applied(ASSIGNMENT)
    assert [question.id for question in made.questions if question.optional] == ["policy_gradient", "process"]
    assert (made.points, made.extra) == (100, 25)
    assert settings("[optional]\nquestions = []").applied(ASSIGNMENT).extra == 0


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=4), st.floats(0.5, 50), min_size=1, max_size=80),
    st.integers(100, 100_000),
)
def test_shared_out_points_add_up_exactly_as_gradescope_shows_them(weights: dict[str, float], cents: int) -> None:
    own = shared(cents / 100, weights)
    assert sum(round(value * 100) for value in own.values()) == cents
    assert all(f"{value:.2f}" == f"{value:.10f}"[:-8] for value in own.values()), "hundredths, so nothing is rounded"
    whole = sum(weights.values())
    for name, value in own.items():
        assert value >= 0 and abs(value - cents / 100 * weights[name] / whole) < 0.01 + 1e-9
    for one in own:
        for other in own:
            assert weights[one] <= weights[other] or own[one] >= own[other] - 0.01 - 1e-9


@given(st.integers(1000, 50_000), st.lists(st.floats(0, 1), min_size=80, max_size=80))
def test_what_students_see_adds_up(cents: int, fractions: list[float]) -> None:
    """The points of the checks, rounded as they are shown, are the score; full marks are the total."""
    made = settings(f"total = {cents / 100}").applied(ASSIGNMENT)
    checks = [(question, check) for question in made.questions for check in question.checks]
    scores = [Result(q, c, Verdict(fraction, "")).score for (q, c), fraction in zip(checks, fractions, strict=False)]
    assert all(round(score, 2) == score for score in scores)
    seen = dict(zip((check.id for _, check in checks), scores, strict=False))
    tally = settings(f"total = {cents / 100}").tally(made, seen, HandedIn())
    assert tally.score == pytest.approx(sum(float(f"{score:.2f}") for score in scores), abs=1e-9)
    full = settings(f"total = {cents / 100}").tally(made, points(made), HandedIn())
    assert full.required == pytest.approx(cents / 100, abs=1e-9)


# ------------------------------------------------------------------------------------ what counts


def graded(share: float = 1.0, assignment: Assignment = ASSIGNMENT, optional: float = 1.0) -> list[Result]:
    """A result for each check: that share of the required points and of the optional ones."""
    return [
        Result(question, check, Verdict(optional if question.optional else share, "Fine."))
        for question in assignment.questions
        for check in question.checks
    ]


def document(text: str, share: float = 1.0, optional: float = 1.0, handed_in: HandedIn | None = None) -> dict[str, Any]:
    own = settings(text)
    made = own.applied(ASSIGNMENT)
    content = gradescope.document(made, graded(share, made, optional), settings=own, handed_in=handed_in)
    jsonschema.validate(content, SCHEMA)
    again = gradescope.settled(content, made, own, handed_in)
    assert again == content, "settling anew gives the same"
    return content


@pytest.mark.parametrize(
    ("rule", "share", "optional", "score"),
    [
        ("", 0.8, 0.96, 104),
        ('count = "beside"', 1, 1, 125),
        ('count = "capped"', 0.8, 0.96, 100),
        ('count = "capped"', 0.6, 0.4, 70),
        ('count = "capped"', 1, 1, 100),
        ('count = "no"', 0.8, 0.96, 80),
        ("most = 10", 0.8, 0.96, 90),
        ('most = 10\ncount = "capped"', 0.95, 0.96, 100),
        ('most = 10\ncount = "no"', 0.8, 0.96, 80),
    ],
)
def test_optional_questions_count_as_the_course_says(rule: str, share: float, optional: float, score: float) -> None:
    content = document(f"[optional]\n{rule}", share, optional)
    assert content["score"] == score
    said = f"{100 * share:g} of 100 points, and {25 * optional:g} of 25 optional"
    assert content["output"].startswith(said)
    told = [test["output"] for test in content["tests"] if test["tags"] == ["course"]]
    assert bool(told) == (score != 100 * share + 25 * optional)
    assert sum(test.get("score", 0) for test in content["tests"]) == pytest.approx(100 * share + 25 * optional)


def by_hand(text: str, given: dict[str, float], share: float = 0.5, late: float = 0) -> dict[str, Any]:
    """A result at half of all points, so many days late, with points that people give; what was graded is in it."""
    own = settings(text)
    made = own.applied(ASSIGNMENT)
    handed_in = HandedIn(DUE + late * DAY, DUE, None, ())
    content = gradescope.document(made, graded(share, made, share), settings=own, handed_in=handed_in)
    marks = {check: byhand.Mark(points, "", "", "", "", 1) for check, points in given.items()}
    put = byhand.put(content, marks, points(made), made)
    jsonschema.validate(put, SCHEMA)
    assert byhand.taken(put) == content, "what was graded comes back as it was"
    assert byhand.put(put, marks, points(made), made) == put, "twice is once"
    return put


@pytest.mark.parametrize(
    ("text", "given", "late", "score", "sums"),
    [
        # 50 of 100 and 12.5 of 25; vae.sample.noise is worth 2 and has 1, gan.g.value 3 and has 1.5
        ("", {"vae.sample.noise": 2}, 0, 63.5, (51, 12.5)),
        ("", {"gan.generator": 3}, 0, 64, (50, 14)),
        ('[optional]\ncount = "no"', {"gan.generator": 3}, 0, 50, (50, 14)),
        ('[optional]\ncount = "no"', {"vae.sample.noise": 2}, 0, 51, (51, 12.5)),
        ("[optional]\nmost = 13", {"gan.generator": 3}, 0, 63, (50, 14)),
        ("total = 200", {"vae.sample.noise": 4}, 0, 127, (102, 25)),
        ("[late]\npercent = 10", {"vae.sample.noise": 2}, 0.5, 57.15, (51, 12.5)),
        ("[late]\npercent = 10", {"vae.sample.noise": 0}, 0.5, 55.35, (49, 12.5)),
        ("[late]\npercent = 10\nlast_days = 1", {"vae.sample.noise": 2}, 2, 0, (51, 12.5)),
        ('total = 200\n[optional]\ncount = "no"\n[late]\npercent = 50', {"vae.sample.noise": 4}, 0.5, 51, (102, 25)),
    ],
)
def test_points_by_hand_count_by_the_rules_of_the_course(
    text: str, given: dict[str, float], late: float, score: float, sums: tuple[float, float]
) -> None:
    """They are points of the rescaled checks, optional where the question is, and lateness takes its share of them."""
    put = by_hand(text or "total = 100", given, late=late)
    told = put["extra_data"]["points"]
    assert (put["score"], told["required"], told["optional"]) == (pytest.approx(score), *sums)
    total = 200 if "200" in text else 100
    assert put["output"].startswith(f"{sums[0]:g} of {total} points, and {sums[1]:g} of {total // 4} optional")
    if "late" in text and score:
        said = next(test["output"] for test in put["tests"] if test["extra_data"]["check"] == "course.late")
        assert said.endswith(f"Before: {told['before']:g} points. Now: {score:g}.")
        assert told["late"] == pytest.approx(score - told["before"])


def test_points_by_hand_never_lift_a_capped_score_above_the_total() -> None:
    put = by_hand('[optional]\ncount = "capped"', {"vae.sample.noise": 2, "gan.generator": 3}, share=0.95)
    assert put["score"] == 100


def test_lateness_is_a_line_of_its_own_and_before_and_after_can_be_told() -> None:
    handed_in = HandedIn(DUE + 1.5 * DAY, DUE)
    content = document("[late]\npercent = 10", 0.7, 0, handed_in)
    assert content["score"] == 56
    assert content["extra_data"]["points"] == {
        "required": 70, "optional": 0, "counted": 0, "before": 70, "late": -14, "score": 56,
        "kept": 0.8, "count": "beside", "most": None,
    }  # fmt: skip
    (line,) = [test for test in content["tests"] if test["tags"] == ["course"]]
    assert line["name"] == "Time of submission" and "score" not in line and "status" not in line
    assert line["output"].endswith("The deduction is 20 %. Before: 70 points. Now: 56.")
    (line,) = [
        test
        for test in document("[late]\npercent = 10", 0.7, 0, HandedIn(DUE, DUE))["tests"]
        if test["tags"] == ["course"]
    ]
    assert "on time" in line["output"]


def test_what_is_hidden_is_told_by_no_sum() -> None:
    text = '[visibility]\n"vae.bound*" = "after_published"\n"vae.bound.kl" = "hidden"\n[late]\npercent = 10\n'
    content = document(text, 0.7, 0.4, HandedIn(DUE + DAY, DUE))
    seen = {test["extra_data"]["check"]: test["visibility"] for test in content["tests"]}
    assert seen["vae.bound.sum"] == "after_published" and seen["vae.bound.kl"] == "hidden"
    assert seen["vae.sample.noise"] == "visible"
    told = " ".join([content["output"], *(test["output"] for test in content["tests"])])
    assert "The deduction is 10 %." in told and "Before" not in told and "of 100" not in told
    warnings = settings(text).warnings(settings(text).applied(ASSIGNMENT))
    assert "1 check is hidden, so Gradescope never shows students their total." in warnings[0]
    assert "8 checks are shown later" in warnings[1]
    assert "`class` cannot grade without one" in warnings[2]


def test_a_question_that_is_not_there_is_seen_when_its_checks_are() -> None:
    own = settings('[visibility]\n"*" = "after_due_date"\n"gan.fresh" = "hidden"')
    made = own.applied(ASSIGNMENT)
    content = gradescope.document(made, [], absent=made.graded, settings=own)
    seen = {test["number"]: test["visibility"] for test in content["tests"]}
    assert seen == {**dict.fromkeys("123467", "after_due_date"), "5": "hidden"}


def test_the_course_has_the_first_word() -> None:
    content = document('[words]\ntop = "Office hours: Monday at 10."', 1, 0)
    assert content["output"].startswith("Office hours: Monday at 10.\n100 of 100 points, and 0 of 25 optional\n")


def test_a_submission_beyond_the_days_limit_keeps_the_score_and_the_entries_of_the_last_one() -> None:
    own = settings('[limits]\nsubmissions_a_day = 2\n[words]\ntop = "Forum: piazza."')
    made = own.applied(ASSIGNMENT)
    last = document("", 0.7, 0)
    previous = tuple(
        {"submission_time": (DUE - timedelta(hours=hours)).isoformat(), "score": 70.0, "results": last}
        for hours in (3, 1)
    )
    kept = late.beyond(2, HandedIn(DUE, previous=previous))
    assert kept is not None
    content = gradescope.standing(made, kept, own)
    jsonschema.validate(content, SCHEMA)
    assert (content["score"], content["tests"]) == (70, last["tests"])
    assert "so this one was not" in content["output"] and "Forum: piazza." in content["output"]
    again = {"submission_time": DUE.isoformat(), "score": 70.0, "results": content}
    assert late.beyond(3, HandedIn(DUE, previous=(*previous, again))) is None


@pytest.mark.parametrize("tests", [[3], [{"name": "x", "evil": 1, "tags": []}], "x", [{"tags": "x"}], None])
def test_odd_entries_of_an_earlier_result_are_left_out(tests: object) -> None:
    previous = ({"submission_time": DUE.isoformat(), "score": 1, "results": {"tests": tests}},)
    kept = late.beyond(1, HandedIn(DUE, previous=previous))
    assert kept is not None
    content = gradescope.standing(ASSIGNMENT, kept, settings(""))
    jsonschema.validate(content, SCHEMA)
    assert content["tests"] == []


# ------------------------------------------------------------------------------------ the example, the documents


def in_force(example: str, *without: str) -> str:
    """The example with every key's # taken away, but for those keys."""
    lines = [line[1:] if re.match(r"#\S", line) else line for line in example.splitlines()]
    return "\n".join(line for line in lines if not line.startswith(without)) if without else "\n".join(lines)


@pytest.mark.parametrize("assignment", [ASSIGNMENT, small.ASSIGNMENT], ids=["hw11", "small"])
def test_the_example_shows_every_key_and_can_be_used(assignment: Assignment) -> None:
    example = example_of(assignment)
    plain = settings(example)
    assert flat(plain) == {}, "as it is it changes nothing"
    assert points(plain.applied(assignment)) == points(assignment)
    own = settings(in_force(example, "late_due"))
    own.applied(assignment)
    every = {f"late.{name}" for name in type(own.course.late).model_fields} if own.course.late else set()
    every |= {
        f"{table}.{name}"
        for table in ("optional", "limits", "hints", "words")
        for name in type(getattr(own.course, table)).model_fields
    }
    every |= {"title", "only", "total"}
    assert every - {"late.late_due"} <= flat(own).keys()
    assert {key.partition(".")[0] for key in flat(own)} == set(type(own.course).model_fields)


def test_the_document_holds_the_example_and_every_key() -> None:
    text = (ROOT / "docs" / "course.md").read_text()
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert example_of(ASSIGNMENT) in blocks, "python3 -m autograder course --example > the block in docs/course.md"
    for block in blocks:
        if block != example_of(ASSIGNMENT):
            settings(block).applied(ASSIGNMENT)


def test_the_digest_is_of_what_the_file_says() -> None:
    one, same, other = settings("total = 50"), settings("# half\ntotal = 50.0\n"), settings("total = 51")
    assert one.digest == same.digest != other.digest
    assert one.digest != replace(one, data=b"email,days\n").digest
    digests = [
        version.of(small.ASSIGNMENT, chosen.digest(*own))
        for own in ((None, ()), (one, ()), (other, ()), (None, ("words",)))
    ]
    assert len(set(digests)) == 4 and digests[0] == version.of(small.ASSIGNMENT)


def test_pydantic_is_imported_only_where_a_course_toml_is(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from autograder.intake import chosen; from autograder.output import gradescope\n"
        "own = chosen.chosen('tests.small', root=Path(sys.argv[1])); print(own.seconds, 'pydantic' in sys.modules)"
    )
    for text, said in ((None, "480.0 False"), ("[limits]\nseconds = 99", "99.0 True")):
        if text:
            (tmp_path / "course.toml").write_text(text)
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == said


# ------------------------------------------------------------------------------------ through the commands


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """A command in this process: exit status, stdout and stderr."""
    monkeypatch.setattr(confine, "shield", lambda: None)  # it would be pytest that is shielded

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


def test_the_command_checks_a_file_and_shows_an_example(call: Any, tmp_path: Path) -> None:
    status, said, _ = call("course", "--example", "--homework", "tests.small")
    assert (status, said) == (0, example_of(small.ASSIGNMENT))
    path = tmp_path / "course.toml"
    path.write_text('total = 30\n[visibility]\n"*" = "hidden"\n')
    status, said, _ = call("course", path, "--homework", "tests.small")
    assert status == 0
    assert "Small: 30 points (Numbers 20, Words 10)" in said and "total = 30.0" in said
    assert "note: 2 checks are hidden" in said
    path.write_text("total = 30\nx = 1\ny = 2\n")
    status, _, errors = call("course", path)
    assert status == 2 and errors.count("\n") == 2 and "line 2" in errors and "line 3" in errors
    assert call("course", tmp_path / "none.toml")[0] == 2


@pytest.mark.slow
def test_a_grading_by_settings_of_the_course(call: Any, tmp_path: Path) -> None:
    upload, out, course = tmp_path / "upload", tmp_path / "results.json", tmp_path / "course.toml"
    upload.mkdir()
    (upload / "answer.py").write_text("def twice(x):\n    return 2 * x\ndef hello():\n    return 'no'\n")
    course.write_text('total = 30\n[words]\ntop = "Hello."\n[optional]\nquestions = ["words"]\n[limits]\nseconds = 200')
    status, said, _ = call("grade", upload, "--homework", "tests.small", "--course", course, "--out", out)
    content = json.loads(out.read_text())
    assert (status, content["score"]) == (0, 30) and "30 of 30, and 0 of 15 optional points" in said
    assert content["output"].startswith("Hello.\n30 of 30 points, and 0 of 15 optional\n")
    course.write_text("total = [")
    status, _, errors = call("grade", upload, "--homework", "tests.small", "--course", course, "--out", out)
    assert status == 2 and "course.toml, line 1, is not valid TOML" in errors


def test_gradescope_shows_a_result_where_the_settings_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        terminal._unusable("course.toml, line 1: x is no key.", tmp_path / "results.json", True) == terminal.OUR_FAULT
    )
    content = json.loads((tmp_path / "results.json").read_text())
    jsonschema.validate(content, SCHEMA)
    assert content["score"] == 0 and "tell the course staff" in content["output"]
    assert "line 1" in capsys.readouterr().out, "stdout is for the staff"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A homework in a folder of its own."""
    return Path(shutil.copytree(ROOT / "tests" / "small", tmp_path / "own"))


def test_one_file_is_in_force_and_those_behind_it_are_named(own: Path, tmp_path: Path, call: Any) -> None:
    """--course, then beside run_autograder, then the homework's folder: nothing is taken from two of them."""
    asked, beside = tmp_path / "asked.toml", tmp_path / "beside"
    beside.mkdir()

    def force(*arguments: Path) -> tuple[float, list[str]]:
        made = chosen.chosen(str(own), chosen.Asked(course=arguments[0] if arguments else None), root=beside)
        return made.assignment.points, [path.parent.name for path in made.unread]

    assert force() == (3, [])
    (own / "course.toml").write_text('total = 30\n[words]\ntop = "Of the folder."')
    assert force() == (30, [])
    (beside / "course.toml").write_text("[limits]\nseconds = 77\n")
    assert force() == (3, ["own"]), "no total of the file behind it"
    asked.write_text("total = 50")
    assert force(asked) == (50, ["beside", "own"])
    lines = terminal.in_force(chosen.chosen(str(own), root=beside))
    assert lines[-1] == f"  note: {own / 'course.toml'} is not read, because course.toml takes precedence."
    status, said, _ = call("course", "--homework", own)
    assert (status, "total = 30.0" in said, "mind" in said) == (0, True, False)
    (own / "course.toml").unlink()
    status, _, errors = call("course", "--homework", own)
    assert (status, str(own / "course.toml") in errors) == (2, True)


def test_settings_beside_run_autograder_are_for_no_other_homework(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for a folder nor for a package: their checks have other names and points."""
    monkeypatch.setattr(homeworks, "ROOT", tmp_path)
    (tmp_path / "course.toml").write_text("total = 30\n")
    usual, _ = homeworks.places(homeworks.DEFAULT, tmp_path)
    assert usual == tmp_path
    assert homeworks.places(str(own), tmp_path) == (own,)
    assert homeworks.places("tests.small", tmp_path) == (ROOT / "tests" / "small",)
    assert chosen.chosen("tests.small").settings is None


def test_a_bundle_holds_the_settings_that_were_in_force_and_no_others(tmp_path: Path) -> None:
    own = Path(shutil.copytree(ROOT / "docs" / "examples" / "kmeans", tmp_path / "own"))
    (own / "course.toml").write_text("total = 30\n[late]\npercent = 10\nextensions = 'more.csv'\n")
    (own / "more.csv").write_text("email,days\nada@example.edu,2\n")
    (tmp_path / "asked.toml").write_text("total = 50\n")
    for course, total, extended in ((None, "total = 30", True), (tmp_path / "asked.toml", "total = 50", False)):
        assert bundle.run(
            ROOT, tmp_path / "dist", homework=str(own), asked=chosen.Asked(course=course),
            folders=(own / "reference", own / "student_template"),
        ) == 0  # fmt: skip
        with zipfile.ZipFile(tmp_path / "dist" / bundle.GRADESCOPE) as archive:
            held = [name for name in archive.namelist() if name.endswith((".toml", ".csv"))]
            assert archive.read("course.toml").startswith(total.encode())
        assert [name for name in held if "own/" not in name] == ["course.toml", *(["more.csv"] if extended else [])]
        assert "homework/own/course.toml" not in held
        assert ("homework/own/more.csv" in held) is not extended


def test_doctor_shows_what_is_in_force() -> None:
    own = chosen.chosen("tests.small", chosen.Asked(only=("words",)))
    assert terminal.in_force(own) == [
        "course settings: no course.toml, so the homework's own settings count; graded is the part words: 1 points"
    ]
    with_settings = replace(own, settings=settings("total = 30"), only=())
    lines = terminal.in_force(with_settings)
    assert "course.toml, digest" in lines[0] and "  total = 30.0" in lines


RIGHT = "def twice(x):\n    return x + x\n\n\ndef hello():\n    return 'hello'\n"
CLASS_TOML = """total = 30
[late]
percent = 10
due = 2026-11-23T23:59:00Z
extensions = "extensions.csv"
"""


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class as Gradescope exports it: in time, a day and a half late, and late with an extension."""
    place = tmp_path_factory.mktemp("export")
    lines = []
    for number, (name, time) in enumerate(
        {"ada": "2026-11-23 23:00:00 Z", "bo": "2026-11-25 11:00:00.5 Z", "cy": "2026-11-25 11:00:00 Z"}.items(), 1
    ):
        folder = place / f"submission_{number}"
        folder.mkdir()
        (folder / "answer.py").write_text(RIGHT + f"# {name}\n")
        lines += [
            f"{folder.name}:",
            "  :submitters:",
            f"  - :name: {name}",
            f"    :email: {name}@x.edu",
            f"  :created_at: {time}",
        ]
    (place / "submission_metadata.yml").write_text("\n".join(lines) + "\n")
    return place


@pytest.mark.slow
def test_a_class_by_settings_of_the_course(
    call: Any, export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autograder.classroom import batch
    from tests.small.killed import here

    monkeypatch.setattr(batch, "_executor", here)
    course, out, plain = tmp_path / "course.toml", tmp_path / "out", tmp_path / "plain"
    course.write_text(CLASS_TOML)
    (tmp_path / "extensions.csv").write_text("email,days\nCY@x.edu,2\n")
    usual = ["class", export, "--homework", "tests.small", "--jobs", "1"]
    assert call(*usual, "--out", out, "--course", course)[0] == 0
    scores = {path.stem: json.loads(path.read_text())["score"] for path in (out / "results").iterdir()}
    assert scores == {"submission_1": 30, "submission_2": 24, "submission_3": 30}
    table = (out / "grades.csv").read_text()
    assert (
        "Before Lateness,Lateness,Why" in table and ",24.0,30.0,Graded," in table and ',30.0,-6.0,"Handed in' in table
    )
    page = (out / "students" / "submission_2.html").read_text()
    assert "6 taken off for lateness" in page and "The deduction is 20 %" in page
    assert "with your extension" in (out / "students" / "submission_3.html").read_text()
    # A person takes 10 of the 30 points away: lateness takes a fifth of what is left, in every table.
    opened = publish.opened(out)
    (check,) = (one for one in opened.assignment.questions[0].checks if one.points == 20)
    with opened.book.open() as book:
        with byhand.writing(book):
            byhand.save(
                book, "submission_2", check, points=10, comment="", version=0, author="TA", now="2026-12-01", most=20
            )
        assert byhand.settled(book, opened.assignment)["submission_2"].score == 16
    assert publish.written(opened)
    assert json.loads((out / "results" / "submission_2.json").read_text())["score"] == 16
    assert ",16.0,30.0,Graded," in (out / "grades.csv").read_text()
    assert ',20.0,-4.0,"Handed in' in (out / "grades.csv").read_text()
    assert "Before: 20 points. Now: 16." in (out / "students" / "submission_2.html").read_text()
    with opened.book.open() as book, byhand.writing(book):
        byhand.save(book, "submission_2", check, points=None, comment="", version=1, author="", now="", most=20)
    assert publish.written(opened)
    # One question anew: the same points, lateness and all.
    before = {path.name: path.read_bytes() for path in (out / "results").iterdir()}
    assert call(*usual, "--out", out, "--course", course, "--again", "words")[0] == 0
    again = {path.name: json.loads(path.read_text()) for path in (out / "results").iterdir()}
    for name, content in again.items():
        old = json.loads(before[name])
        assert (content["score"], content["output"]) == (old["score"], old["output"])
        assert [test["output"] for test in content["tests"]] == [test["output"] for test in old["tests"]]
    # The settings are a part of what decides about grading anew.
    assert "Grading 0" in call(*usual, "--out", out, "--course", course)[1]
    course.write_text(CLASS_TOML.replace("30", "60"))
    assert "Grading 3" in call(*usual, "--out", out, "--course", course)[1]
    assert call(*usual, "--out", plain)[0] == 0
    assert "Lateness" not in (plain / "grades.csv").read_text()
    said = call("compare", plain, out)[1]
    assert "settings differ" in said and "total: not set -> 60.0" in said and "late.percent: not set -> 10.0" in said
    assert "settings differ" not in call("compare", plain, plain)[1]


def test_a_class_with_a_late_policy_needs_a_due_date(call: Any, export: Path, tmp_path: Path) -> None:
    (tmp_path / "course.toml").write_text("[late]\npercent = 10\n")
    command = [
        "class",
        export,
        "--homework",
        "tests.small",
        "--out",
        tmp_path / "out",
        "--course",
        tmp_path / "course.toml",
    ]
    status, _, errors = call(*command)
    assert status == 2 and "Expected: due in [late]" in errors and errors.count("\n") == 1


def test_what_is_in_force_is_described() -> None:
    own = settings('total = 50\nonly = ["vae"]\n[points]\n"vae.sample" = 20')
    lines = described(own, own.applied(ASSIGNMENT))
    assert lines == [
        "Homework 11: VAE: 50 points (VAE 50)",
        'only = ["vae"]',
        "total = 50.0",
        'points."vae.sample" = 20.0',
    ]
