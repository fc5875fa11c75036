"""The document with every message: what it holds, that it is the same twice, and the older messages next to the new."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autograder.__main__ import main
from autograder.audit import casefiles, documents, messages
from autograder.audit.messages import ListedMessage
from autograder.audit.solutions import Solution
from autograder.core import CheckFailed
from tests import small
from tests.solutions import WRONG

OWN = [
    ListedMessage("numbers.twice", messages.REFERENCE, "", "Twice x was returned."),
    ListedMessage("numbers.twice", "thrice", "not_twice", "It was 3 | 4 <b>; expected 2."),
    ListedMessage("numbers.twice", "five", "not_twice", "It was 3 | 4 <b>; expected 2."),
    ListedMessage("words.hello", messages.REFERENCE, "", "hello() was called; expected: the text hello."),
]


def rows(text: str) -> list[tuple[str, ...]]:
    """The cells of all tables' lines."""
    return [cells for line in text.splitlines() if (cells := documents.cells(line)) and cells[0] != "---"]


def saved(folder: Path, text: str, name: str = "messages.md") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_each_check_has_a_table_and_equal_messages_share_a_row() -> None:
    text = messages.document(small.ASSIGNMENT, OWN)
    assert "## 1. Numbers\n\n### 1.1 twice\n\n`numbers.twice`\n" in text
    assert rows(text) == [
        messages.HEAD,
        (messages.REFERENCE, "", "Twice x was returned."),
        ("thrice, five", "not_twice", "It was 3 | 4 <b>; expected 2."),
        messages.HEAD,
        (messages.REFERENCE, "", "hello() was called; expected: the text hello."),
    ]


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    assert messages.read(saved(tmp_path, messages.document(small.ASSIGNMENT, OWN))) == OWN
    with_older = messages.document(small.ASSIGNMENT, OWN, OWN[:1])
    assert messages.read(saved(tmp_path, with_older)) == OWN, "the column of older ones is not read"


def test_older_messages_stand_beside_the_new_ones() -> None:
    older = [OWN[0], replace(OWN[1], text="Thrice."), replace(OWN[3], text="Said.")]
    found = rows(messages.document(small.ASSIGNMENT, OWN, older))
    assert found[0] == (*messages.HEAD, messages.BEFORE)
    assert [(row[0], row[3]) for row in found if row[0] not in messages.HEAD] == [
        (messages.REFERENCE, messages.SAME),
        ("thrice", "Thrice."),
        ("five", messages.NEW),  # which has the same message now, but had none before
        (messages.REFERENCE, "Said."),
    ]


@pytest.mark.parametrize("text", ["", "# A text\n", "| a | b | c |\n", None])
def test_another_document_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "other.md" if text is None else saved(tmp_path, text)
    with pytest.raises(CheckFailed, match="Expected: a file"):
        messages.read(path)


def run(folder: Path, *more: str) -> tuple[int, str]:
    """The command on the small homework: its exit status, and the document."""
    to = folder / "messages.md"
    out = folder / "out"
    status = main(
        ["audit", "--homework", "tests.small", "--out", str(out), "--jobs", "1", "--messages", str(to), *more]
    )
    return status, to.read_text() if to.exists() else ""


@pytest.mark.sandbox
def test_the_command_grades_the_bank_and_goes_on_from_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, text = run(tmp_path)
    assert status == 0
    assert rows(text) == [
        messages.HEAD,
        (messages.REFERENCE, "", "Twice x was returned."),
        ("thrice", "not_twice", "The value returned is not twice x. Expected: 2 x."),
        messages.HEAD,
        (messages.REFERENCE, "", "hello() was called; expected: the text hello."),
        ("silent", "", "hello() was called; expected: the text hello."),
    ]
    assert "4 messages in" in capsys.readouterr().out
    journal = tmp_path / "out" / "messages.jsonl"
    lines = journal.read_text().splitlines()
    assert len(lines) == 3  # the reference, and two wrong solutions
    journal.write_text("".join(f"{line}\n" for line in lines[:2]))
    asked: list[str] = []
    graded = messages.to_solution

    def to_solution(solution: Any, own: Any) -> Any:
        asked.append(solution.id)
        return graded(solution, own)

    monkeypatch.setattr(messages, "to_solution", to_solution)
    assert run(tmp_path) == (0, text)
    assert asked == [json.loads(lines[2])["key"][0]]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--before", "nowhere.md"), "cannot be read (FileNotFoundError)"),
        (("--part", "feedback"), "cannot be combined"),
        (("--quick",), "cannot be combined"),
        (("--write",), "cannot be combined"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_graded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: Sequence[str], told: str
) -> None:
    assert run(tmp_path, *more) == (2, "")
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_only_the_checks_that_a_solution_names_are_asked_and_always_the_same_of_it() -> None:
    from autograder.hw11 import ASSIGNMENT

    solution: Solution = next(one for one in WRONG if one.id == "sample-variance-as-std")
    first = messages.to_solution(solution, ASSIGNMENT)
    assert {one.check for one in first} <= {*solution.fails, *solution.sometimes}
    assert {one.check for one in first} >= set(solution.fails)
    assert any("v is the variance" in one.text for one in first)
    assert first == messages.to_solution(solution, ASSIGNMENT)


def test_the_document_of_this_homework_has_every_wrong_solution_and_every_check() -> None:
    """Whether the sentences are those of today is seen by writing it anew, which takes minutes."""
    from autograder.hw11 import ASSIGNMENT

    found = messages.read(Path(__file__).resolve().parents[2] / "docs" / "messages.md")
    bank = casefiles.bank_of(ASSIGNMENT)
    checks = {check.id for question in ASSIGNMENT.questions for check in question.checks}
    told = {one.solution for one in found}
    assert {one.check for one in found if one.solution == messages.REFERENCE} == checks
    assert [one.id for one in bank.wrong + bank.half_right if one.fails and one.id not in told] == []
