"""Parts of a homework: what a selector names, what belongs to a part, one line for a question that is not there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from autograder.__main__ import main
from autograder.authoring import bundle
from autograder.classroom import jobs, records
from autograder.classroom.jobs import Task
from autograder.core import Assignment, CheckFailed, Result, Verdict
from autograder.hw11 import ASSIGNMENT
from autograder.intake import parts
from autograder.output import gradescope
from tests import helpers, small

ROOT = Path(__file__).resolve().parents[2]


def numbers(assignment: Assignment) -> list[str]:
    return [number for question in assignment.questions for number, _ in question.numbered]


def question(name: str) -> list[str]:
    return [number for one in ASSIGNMENT.questions if one.id == name for number, _ in one.numbered]


SELECTED = {
    "summarization,vae": [*question("summarization"), *question("vae")],
    "VAE": question("vae"),
    "4": question("vae"),
    "5.3": ["5.3"],
    "4.10": ["4.10"],
    "4.1": ["4.1"],
    "summarization.log*": ["1.14", "1.15", "1.16"],
    "vae.sample": [f"4.{place}" for place in range(1, 8)],
    "vae.bound.kl, 4.3 ,5.10": ["4.3", "4.9", "5.10"],
    "*.written": ["1.19", "3.8", "5.11", "6.10"],
    "*.1": [f"{one}.1" for one in range(1, 8)],
    "gan,policy*": [*question("gan"), *question("policy_gradient")],
    "*": numbers(ASSIGNMENT),
}


@pytest.mark.parametrize("only", SELECTED)
def test_a_part_is_named_by_ids_numbers_and_stars_and_keeps_its_numbers(only: str) -> None:
    part = parts.selected(ASSIGNMENT, parts.split([only]))
    assert numbers(part) == SELECTED[only]
    checks = {number: check for one in ASSIGNMENT.questions for number, check in one.numbered}
    assert [check for one in part.questions for _, check in one.numbered] == [checks[one] for one in SELECTED[only]]
    assert part.points + part.extra == sum(checks[one].points for one in SELECTED[only])
    results = [Result(one, check, Verdict(1.0, "Fine.")) for one in part.questions for check in one.checks]
    assert [result.number for result in results] == SELECTED[only]
    document = gradescope.document(part, results)
    assert [test["number"] for test in document["tests"]] == SELECTED[only]
    assert document["score"] == part.points + part.extra


@pytest.mark.parametrize(
    ("only", "sentence"),
    [
        ("sumarization", 'Did you mean "summarization"?'),
        ("vea", 'Did you mean "vae"?'),
        ("vae.smaple", 'Did you mean "vae.sample"?'),
        ("gan.picturs", 'Did you mean "gan.picture"?'),
        ("4.99", '"4.99" names no part.'),
        ("8", "The parts are: summarization (1), distributions (2),"),
        ("vae.", '"vae." names no part.'),
        ("(", '"(" names no part.'),
        ("vae,,gan", "an empty entry"),
        ("", "empty entry"),
    ],
)
def test_what_names_nothing_is_told_with_what_there_is(only: str, sentence: str) -> None:
    with pytest.raises(CheckFailed) as told:
        parts.selected(ASSIGNMENT, parts.split([only]))
    assert sentence in str(told.value) and "\n" not in str(told.value)


FILES = {
    "summarization.log*": ("submission_log.json",),
    "summarization.layer": ("summarization.ipynb",),
    "summarization.t5": ("answers.toml",),
    "summarization": ("summarization.ipynb", "submission_log.json", "answers.toml"),
    "vae.sample": ("gan_vae/utils.py", "gan_vae/models/vae.py"),
    "vae.picture,gan.picture": ("gan_vae/vae_samples.png", "gan_vae/gan_samples.png"),
    "distributions": ("comparing_distributions.ipynb", "answers.toml"),
    "process": ("answers.toml",),
    "policy_gradient.notebook": ("policy_gradient.ipynb",),
}


@pytest.mark.parametrize("only", FILES)
def test_a_part_expects_the_files_that_its_checks_need(only: str) -> None:
    assert parts.selected(ASSIGNMENT, parts.split([only])).graded == FILES[only]


def test_the_whole_expects_what_it_did_before() -> None:
    assert ASSIGNMENT.graded == tuple(dict.fromkeys(file for one in ASSIGNMENT.questions for file in one.files))
    assert parts.selected(ASSIGNMENT, ()) is ASSIGNMENT
    assert parts.selected(ASSIGNMENT, ("*",)).title == ASSIGNMENT.title


@pytest.mark.parametrize(
    ("only", "title"),
    [
        ("vae", "Homework 11: VAE"),
        ("vae,gan", "Homework 11: VAE; GAN"),
        ("summarization.log*", "Homework 11 (Code) (Summarization)"),
        ("1.14,1.15,1.16", "Homework 11 (Code) (Summarization)"),
        ("4.3,process", "Homework 11: VAE 4.3; Process"),
    ],
)
def test_a_part_says_which_it_is(only: str, title: str) -> None:
    assert parts.selected(ASSIGNMENT, parts.split([only])).title == title


def test_a_class_without_notebooks_runs_keeps_the_numbers_of_a_part() -> None:
    part = jobs.narrowed(parts.selected(ASSIGNMENT, ("6.7", "6.8", "6.10")), runs=False)
    assert numbers(part) == ["6.7", "6.10"]


HANDED_OUT = {
    "vae": ("answers.toml", "gan_vae/utils.py", "gan_vae/models/gan.py", "gan_vae/experiment.py"),
    "summarization.log*": ("summarization.ipynb",),
    "policy_gradient": ("policy_gradient.ipynb", "answers.toml"),
    "distributions.discrete": ("comparing_distributions.ipynb",),
}


@pytest.mark.parametrize("only", HANDED_OUT)
def test_students_get_the_files_of_the_part(only: str) -> None:
    template = ASSIGNMENT.template
    part = parts.selected(ASSIGNMENT, (only,))
    every = bundle.below(template, bundle.LEFT_BY_RUNS)
    names = {path.relative_to(template).as_posix() for path in parts.handed_out(ASSIGNMENT, part, template, every)}
    assert names >= set(HANDED_OUT[only])
    tops = {name.partition("/")[0] for name in HANDED_OUT[only]}
    extra = {name for name in names if name.partition("/")[0] not in tops}
    assert not extra & {name for one in ASSIGNMENT.questions for name in one.files}


# ------------------------------------------------------------------------------------ what is not there


def missing(absent: set[str], part: Assignment = ASSIGNMENT) -> dict[str, str]:
    """The lines of results.json for questions whose files are not there."""
    results = [Result(one, check, Verdict(1.0, "Fine.")) for one in part.questions for check in one.checks]
    document = gradescope.document(part, results, absent=absent)
    lines = [test for test in document["tests"] if "checks" in test["extra_data"]]
    for test in lines:
        assert test["status"] == "failed" and test["score"] == 0 and test["tags"] == [test["extra_data"]["check"]]
        assert test["max_score"] == sum(points or 0 for points in test["extra_data"]["checks"].values())
    told = {check for test in lines for check in test["extra_data"]["checks"]}
    shown = {test["extra_data"]["check"] for test in document["tests"]} - {one.id for one in part.questions}
    assert not told & shown and len(told | shown) == len(parts.checks(part)), "each check stands in it once"
    return {test["number"]: helpers.said(test) for test in lines}


def test_a_question_of_which_no_file_is_there_is_one_line() -> None:
    assert missing({"comparing_distributions.ipynb"}) == {
        "2": "comparing_distributions.ipynb is not in the upload: 0 of 7."
    }
    assert missing({"comparing_distributions.ipynb", "answers.toml"}) == {
        "2": "comparing_distributions.ipynb is not in the upload, nor is answers.toml: 0 of 10.",
        "7": "answers.toml is not in the upload: 0 of 5.",
    }
    vae = {"gan_vae/utils.py", "gan_vae/models/vae.py"}
    assert missing(vae) == {"4": "gan_vae/utils.py is not in the upload, nor is gan_vae/models/vae.py: 0 of 25."}
    gan = parts.selected(ASSIGNMENT, ("gan",))
    assert missing(set(gan.graded), gan) == {
        "5": "gan_vae/models/gan.py is not in the upload, nor are gan_vae/gan_samples.png and answers.toml: 0 of 15."
    }
    assert missing({"summarization.ipynb"}) == {"1": "summarization.ipynb is not in the upload: 0 of 30."}
    log = parts.selected(ASSIGNMENT, ("summarization.log*",))
    assert missing({"submission_log.json"}, log) == {"1": "submission_log.json is not in the upload: 0 of 3."}


def test_a_question_that_is_there_in_part_is_graded_check_by_check() -> None:
    for absent in ("submission_log.json", "gan_vae/utils.py", "gan_vae/vae_samples.png", "gan_vae/gan_samples.png"):
        assert missing({absent}) == {}
    assert missing(set()) == {}


def test_a_class_counts_what_is_not_there_check_by_check_and_shows_one_line(tmp_path: Path) -> None:
    """In the book every check has its line, so that figures stay what they were; on the page the question has one."""
    from autograder.classroom import gradebook, report
    from autograder.classroom.gradebook import Gradebook
    from autograder.classroom.roster import Upload

    results = [Result(one, check, Verdict(1.0, "Fine.")) for one in ASSIGNMENT.questions for check in one.checks]
    content = gradescope.document(ASSIGNMENT, results, absent={"comparing_distributions.ipynb"})
    content["extra_data"] |= {"grader": "abc", "content": "x", "outcome": "graded"}
    with Gradebook(tmp_path / "gradebook.sqlite").open() as book:
        run = gradebook.begin(book, ASSIGNMENT, grader="abc", jobs="here", question="", now="2026-11-23")
        gradebook.record(book, Upload("ada", Path("x.zip")), content, run)
        rows = book.execute(
            "SELECT check_id, score, points, message FROM verdicts WHERE check_id LIKE 'distributions.%' ORDER BY rowid"
        ).fetchall()
        gradebook.grades(book, ASSIGNMENT, tmp_path / "grades.csv")
        report.write(book, ASSIGNMENT, tmp_path)
    lost = {"discrete": 2, "gaussian": 1, "forward": 2, "reverse": 2}
    assert {row["check_id"]: row["points"] for row in rows if row["score"] == 0} == {
        f"distributions.{name}": points for name, points in lost.items()
    }
    assert [row["check_id"] for row in rows if row["score"]] == ["distributions.example", "distributions.plots"]
    page = (tmp_path / "students" / "ada.html").read_text()
    assert page.count("<code>comparing_distributions.ipynb</code> is not in the upload: 0 of 7.") == 1
    assert "0 of 7" in page and "93 " in page and "of 100 points, and 25 of 25 optional" in page
    assert ",118.0,100," in (tmp_path / "grades.csv").read_text()


# ------------------------------------------------------------------------------------ through the front door


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from autograder.sandbox import confine

    monkeypatch.setattr(confine, "shield", lambda: None)  # it would be pytest that is shielded
    monkeypatch.setattr(confine, "shield", lambda: None)


def test_one_question_of_a_homework_alone(tmp_path: Path, alone: None, capsys: pytest.CaptureFixture[str]) -> None:
    upload = tmp_path / "upload"
    upload.mkdir()
    (upload / "answer.py").write_text("def hello():\n    return 'hello'\n")
    out = tmp_path / "results.json"
    done = main(["grade", str(upload), "--homework", "tests.small", "--only", "words", "--out", str(out)])
    document, printed = json.loads(out.read_text()), capsys.readouterr().out
    assert (done, document["score"], [test["number"] for test in document["tests"]]) == (0, 1, ["2.1"])
    assert "twice" not in out.read_text() + printed and "1 of 1 points" in printed


def test_a_part_that_is_none_is_refused_before_anything_is_graded(
    tmp_path: Path, alone: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.json"
    upload = shutil.copytree(small.HERE / "reference", tmp_path / "upload")
    for command in (["grade", str(upload)], ["class", str(tmp_path)], ["doctor"]):
        more = [] if command == ["doctor"] else ["--out", str(out)]
        assert main([*command, "--homework", "tests.small", "--only", "wrods", *more]) == 2
        said = capsys.readouterr().err
        assert 'Did you mean "words"?' in said and said.count("\n") == 1
        assert not out.exists()


def test_an_upload_without_anything_graded_is_one_entry_for_each_question(
    tmp_path: Path, alone: None, capsys: pytest.CaptureFixture[str]
) -> None:
    upload = tmp_path / "upload"
    upload.mkdir()
    (upload / "notes.txt").write_text("see the other zip")
    out = tmp_path / "results.json"
    assert main(["grade", str(upload), "--homework", "tests.small", "--out", str(out)]) == 2
    document = json.loads(out.read_text())
    assert "The upload contains none of the graded files (answer.py)." in document["output"]
    assert {test["number"]: helpers.said(test) for test in document["tests"]} == {
        "1": "answer.py is not in the upload: 0 of 2.",
        "2": "answer.py is not in the upload: 0 of 1.",
    }
    assert document["score"] == 0 and document["extra_data"]["complete"] is False


# ------------------------------------------------------------------------------------ some checks anew


def record(absent: set[str], checks: tuple[str, ...] = (), grader: str = "old", said: str = "Fine.") -> dict[str, Any]:
    """A class's record of an upload that lacks these files, of all checks or of some."""
    own = jobs.narrowed(ASSIGNMENT, checks=checks)
    results = [Result(one, check, Verdict(1.0, said)) for one in own.questions for check in one.checks]
    content = gradescope.document(own, results, absent=absent)
    content["extra_data"] |= {"grader": grader, "outcome": "graded", "upload": "x", "runs": True}
    return content


NOTEBOOK = "comparing_distributions.ipynb"


def test_what_is_graded_anew_takes_its_place_beside_what_is_not_there() -> None:
    whole, absent = record({NOTEBOOK}), {NOTEBOOK}
    lines = [test for test in whole["tests"] if test["tags"] == ["distributions"]]
    assert [test["number"] for test in lines] == ["2", "2.5", "2.6"]
    # A check that is not there: the line stays, and the check is the new grader's word.
    merged = records.merged(whole, record(absent, ("distributions.discrete",), "new"))
    assert merged["tests"] == whole["tests"] and merged["score"] == whole["score"]
    task = Task("autograder.hw11", "new", checks=("distributions.discrete",))
    assert merged["extra_data"]["regraded"]["distributions.discrete"] == "new"
    assert records.holds(merged, task, "x") and not records.holds(whole, task, "x")
    # One that is there.
    merged = records.merged(whole, record(absent, ("distributions.example",), "new", "Other words."))
    assert {test["number"]: helpers.said(test) for test in merged["tests"] if test["tags"] == ["distributions"]} == {
        "2": f"{NOTEBOOK} is not in the upload: 0 of 7.", "2.5": "Other words.", "2.6": "Fine.",
    }  # fmt: skip
    # A record of a grader that told each check by itself.
    old = record(set())
    merged = records.merged(old, record(absent, tuple(check.id for check in ASSIGNMENT.questions[1].checks), "new"))
    assert [test["number"] for test in merged["tests"] if test["tags"] == ["distributions"]] == ["2", "2.5", "2.6"]
    assert merged["score"] == old["score"] - 7
    # And the other way.
    merged = records.merged(whole, record(set(), ("distributions.discrete",), "new"))
    numbers = {test["number"]: helpers.said(test) for test in merged["tests"] if test["tags"] == ["distributions"]}
    assert numbers == {"2.1": "Fine.", "2": f"{NOTEBOOK} is not in the upload: 0 of 5.", "2.5": "Fine.", "2.6": "Fine."}
    assert merged["score"] == whole["score"] + 2
