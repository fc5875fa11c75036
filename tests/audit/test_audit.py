"""The audit command: parts are measured, kept, shown, and gone on with; a promise that is missed is told."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from autograder import version
from autograder.audit import bench, command, parallel, section
from autograder.audit.section import Promise, Section, Table
from autograder.output import pages
from autograder.storage import alone
from tests import small
from tests.helpers import ROOT

HOSTILE = "<script>alert(1)</script> & \x1b[31m‮"


def part(*, holds: bool = True) -> Section:
    rows = (("one", 1, 0.123456), (HOSTILE, 12_345, 1e-9))
    tables = (Table("Shown", ("what", "count", "share"), rows), Table("Hidden", ("what",), (("x",),), folded=True))
    return Section(
        "any", "Any part", "What it is for.", (Promise("Errors", "0 of 7", holds), Promise("b", "c", True)), tables
    )


def test_a_section_in_a_terminal_is_its_promises() -> None:
    assert section.text(part(holds=False)).splitlines() == ["Any part", "  ✗ Errors: 0 of 7", "  ✓ b: c"]
    assert [section.plain(cell) for cell in (HOSTILE, 12_345, 0.123456)] == [HOSTILE, "12,345", "0.1235"]


def test_results_come_as_they_end_and_with_their_place() -> None:
    arguments = [(number, 2) for number in range(5)]
    assert list(parallel.each(pow, arguments, 1)) == [(number, number**2) for number in range(5)]
    assert sorted(parallel.each(pow, arguments, 2)) == [(number, number**2) for number in range(5)]
    with pytest.raises(TypeError):
        list(parallel.each(pow, [("a", 2), (1, 2)], 2))


class Measured:
    """A part that counts how often it is measured."""

    def __init__(self, *, holds: bool = True, stops: bool = False) -> None:
        self.holds, self.stops, self.calls = holds, stops, []

    def measured(self, homework, out, *, every, jobs, tell):
        if self.stops:
            raise KeyboardInterrupt
        tell(1, 2)
        self.calls.append((homework, every, jobs))

    def section(self, _found):
        return part(holds=self.holds)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Measured]:
    made = {name: Measured() for name in ("one", "two")}
    monkeypatch.setattr(command, "PARTS", {name: command.Part(name, f"about {name}", 7) for name in made})
    for name, fake in made.items():
        monkeypatch.setitem(sys.modules, f"autograder.audit.{name}", fake)
    return made


def run(out: Path, *only: str, quick: bool = True) -> int:
    return command.run("autograder.hw11", out, quick=quick, only=only, jobs=3)


def test_parts_are_measured_kept_and_shown(parts, tmp_path, capsys) -> None:
    assert run(tmp_path, "one") == 0
    assert parts["one"].calls == [("autograder.hw11", 7, 3)]
    assert parts["two"].calls == []
    assert "Not measured: about two." in (tmp_path / "report.html").read_text()
    assert run(tmp_path, "two") == 0
    text = (tmp_path / "report.html").read_text()
    assert text.count("What it is for.") == 2, "the first part stays"
    assert "Not measured" not in text
    assert "A slice only" in text
    assert run(tmp_path, quick=False) == 0
    assert parts["one"].calls[1:] == [("autograder.hw11", 1, 3)]
    assert "A slice only" not in (tmp_path / "report.html").read_text()
    assert "Every promise holds" in capsys.readouterr().out


def test_what_another_grader_measured_is_not_shown(parts, tmp_path, monkeypatch) -> None:
    assert run(tmp_path, "one") == 0
    monkeypatch.setattr(version, "of", lambda _assignment: "another")
    assert run(tmp_path, "two") == 0
    assert "Not measured: about one." in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"one": 1}', b'{"one": {"section": {}}}', b"\xff"])
def test_damaged_sections_are_measured_again(parts, tmp_path, content) -> None:
    (tmp_path / command.SECTIONS).write_bytes(content)
    assert run(tmp_path) == 0
    assert len(json.loads((tmp_path / command.SECTIONS).read_bytes())) == 2


def test_a_missed_promise_and_a_stop_are_told(parts, tmp_path, capsys) -> None:
    parts["two"].holds = False
    assert run(tmp_path) == 1
    assert "1 promise missed" in capsys.readouterr().out
    assert "Promises that do not hold" in (tmp_path / "report.html").read_text()
    parts["two"].stops = True
    assert run(tmp_path) == 130
    assert "goes on from here" in capsys.readouterr().err
    assert run(tmp_path, "three") == 2
    assert "names no part. There are: one, two." in capsys.readouterr().err


def test_two_runs_do_not_share_a_folder(parts, tmp_path, capsys) -> None:
    with alone(tmp_path):
        assert run(tmp_path, "one") == 2
        assert bench.run("tests.small", quick=True, question="numbers", out=tmp_path) == 2
    assert capsys.readouterr().err.count(f"Another run is writing to {tmp_path}") == 2
    assert parts["one"].calls == []
    assert run(tmp_path, "one") == 0


def test_the_report_shows_whatever_it_is_given_as_text(parts, tmp_path) -> None:
    run(tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert text.count("<script") == 1
    assert not {"\x1b", "\u202e"} & set(text)
    open_tags: list[str] = []

    class Nesting(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "link", "br"):
                open_tags.append(tag)

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

    Nesting().feed(text)
    assert open_tags == []
    script = text.split("<script>")[1].split("</script>")[0]
    assert pages.digest(script) in text


def test_every_part_is_there_and_the_front_door_runs_one(tmp_path) -> None:
    for name, one in command.PARTS.items():
        module = __import__(f"autograder.audit.{one.module}", fromlist=["measured", "section"])
        assert callable(module.measured), name
        assert callable(module.section), name
    program = [sys.executable, "-m", "autograder", "audit", "--homework", "tests.small", "--part", "mutants"]
    done = subprocess.run([*program, "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every promise holds" in done.stdout
    assert version.of(small.ASSIGNMENT) in (tmp_path / "report.html").read_text()


def test_the_bank_is_measured_and_kept(tmp_path, monkeypatch, capsys) -> None:
    def bench_small() -> list[str]:
        assert bench.run("tests.small", quick=True, question="numbers", times=2, out=tmp_path) == 0
        return capsys.readouterr().out.splitlines()

    told = bench_small()
    assert [line[:4].strip() for line in told] == ["ok"] * 3
    assert "1 right solutions, fresh seeds: failed" in told[0]
    assert "2 wrong solutions, 2 times each: missed" in told[2]
    monkeypatch.setattr(bench, "_tally", None)  # whoever calls it fails: all stands in the journal
    assert bench_small() == told


@pytest.mark.parametrize(
    ("text", "question", "said"),
    [
        ("# file: answer.py\n# %% sum\n", "numbers", "some.cases:2: A case begins with `# %% id: sentence`"),
        ("", "numbers", "numbers lacks right or wrong solutions"),
        ("", "", "The homework lacks right or wrong solutions"),
        ("", "none", "There is no question none; there are: numbers, words."),
    ],
)
def test_solutions_that_cannot_be_graded(tmp_path, monkeypatch, capsys, text: str, question: str, said: str) -> None:
    path = tmp_path / "some.cases"
    path.write_text(text)
    monkeypatch.setattr(small, "ASSIGNMENT", replace(small.ASSIGNMENT, solutions=(path,)))
    assert bench.run("tests.small", quick=True, question=question) == 2
    told = capsys.readouterr()
    assert said in told.out + told.err


def test_a_wrong_solution_that_passes_is_a_miss(tmp_path, monkeypatch, capsys) -> None:
    case = "# %% {id}: A sum.\n{fails}def twice(x):\n    return x + x\n"
    path = tmp_path / "some.cases"
    path.write_text(
        "# file: answer.py\n"
        + case.format(id="sum", fails="")
        + case.format(id="wrong", fails="# fails: numbers.twice\n")
    )
    monkeypatch.setattr(small, "ASSIGNMENT", replace(small.ASSIGNMENT, solutions=(path,)))
    assert bench.run("tests.small", quick=True, question="numbers", times=2) == 1
    assert "wrong passed numbers.twice" in capsys.readouterr().out
