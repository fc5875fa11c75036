"""The audit command: parts are measured, kept, shown, and gone on with; a promise that is missed is told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from autograder import version
from autograder.audit import bench, casefiles, class_bench, command, documents, figures, homework, parallel, section
from autograder.audit.figures import Figure
from autograder.audit.homework import HomeworkAudit
from autograder.audit.section import AuditPart, Claim, Promise, Section, SectionForm, Table, TableForm
from autograder.hw11 import ASSIGNMENT
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


@pytest.mark.slow
def test_results_come_as_they_end_and_with_their_place() -> None:
    arguments = [(number, 2) for number in range(5)]
    assert list(parallel.each(pow, arguments, 1)) == [(number, number**2) for number in range(5)]
    assert sorted(parallel.each(pow, arguments, 2)) == [(number, number**2) for number in range(5)]
    with pytest.raises(TypeError):
        list(parallel.each(pow, [("a", 2), (1, 2)], 2))


class Measured:
    """A part that counts how often it is measured."""

    def __init__(self, name: str) -> None:
        self.name, self.holds, self.stops, self.lacks = name, True, False, ""
        self.calls: list[tuple[Any, int, int]] = []

    def measured(self, homework, out, *, every, jobs, tell):
        if self.stops:
            raise KeyboardInterrupt
        tell(1, 2)
        self.calls.append((homework, every, jobs))

    @property
    def part(self) -> AuditPart[object]:
        promises = (lambda _found: part(holds=self.holds).promises,)
        form = SectionForm[object](
            "any",
            "Any part",
            "What it is for.",
            promises,
            tuple(lambda _, t=t: t for t in part().tables),  # type: ignore[misc]
        )
        return AuditPart(f"about {self.name}", 7, self.measured, form, lambda _assignment: self.lacks)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Measured]:
    made = {name: Measured(name) for name in ("one", "two")}
    monkeypatch.setattr(command, "PARTS", tuple(made))
    monkeypatch.setattr(command, "part_of", lambda name: made[name].part)
    return made


def run(out: Path, *only: str, quick: bool = True, write_to: Path | None = None) -> int:
    return command.run("autograder.hw11", out, quick=quick, only=only, jobs=3, write_to=write_to)


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


def test_every_part_is_a_module_of_its_name() -> None:
    for name in command.PARTS:
        one = command.part_of(name)
        assert one.form.id == name
        assert one.about and one.slice > 1
        assert callable(one.measured)


@pytest.mark.slow
def test_the_front_door_runs_one_part(tmp_path) -> None:
    program = [sys.executable, "-m", "autograder", "audit", "--homework", "tests.small", "--part", "mutants"]
    program += ["--part", "attacks", "--part", "falsefails"]
    done = subprocess.run([*program, "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"every mutant that is a mistake loses points: (\d\d+) of \1;", done.stdout)
    assert "Attacks\n  – left out: the homework has no attacks of its own." in done.stdout
    assert "False fails\n  – left out: the homework has no statistical check." in done.stdout
    assert "Every promise holds" in done.stdout
    assert version.of(small.ASSIGNMENT) in (tmp_path / "report.html").read_text()


def test_a_part_that_a_homework_lacks_something_for_is_left_out(parts, tmp_path, capsys) -> None:
    parts["one"].lacks = "it has none."
    assert run(tmp_path) == 0
    assert "Any part\n  – left out: it has none." in capsys.readouterr().out
    assert parts["one"].calls == []
    assert "Not measured: about one (it has none.)." in (tmp_path / "report.html").read_text()
    assert run(tmp_path, "one") == 0
    assert "Nothing was measured." in capsys.readouterr().out


def test_a_homework_that_gives_something_else_is_told_so() -> None:
    assert homework.of(small.ASSIGNMENT) == HomeworkAudit()
    with pytest.raises(TypeError, match="Expected: a HomeworkAudit"):
        homework.of(replace(small.ASSIGNMENT, audit=lambda: "all"))


def test_a_form_makes_its_section_of_what_is_found() -> None:
    form = SectionForm[list[int]](
        *("any", "Any part", "What it is for."),
        (  # type: ignore[arg-type]
            Claim("none is odd", lambda found: f"{len(found)} numbers", lambda found: not any(n % 2 for n in found)),  # type: ignore[var-annotated]
            Claim("left out", str, bool, when=lambda found: len(found) > 9),  # type: ignore[arg-type]
            lambda found: [Promise("one more", "", True) for _ in found],
        ),
        (TableForm("Squares", lambda found: found, {"n": int, "n n": lambda n: n * n}, folded=True),),
    )
    made = form.filled([2, 3])
    assert [(one.what, one.measured, one.holds) for one in made.promises] == [
        ("none is odd", "2 numbers", False), ("one more", "", True), ("one more", "", True),
    ]  # fmt: skip
    assert made.tables == (Table("Squares", ("n", "n n"), ((2, 4), (3, 9)), folded=True),)
    assert form.filled([]).promises[0].holds
    assert section.but(1, 3, ["a", "b"]) == "1 of 3: not a, b"


# ------------------------------------------------------------------------------------------- documents


def document(folder: Path, name: str) -> Path:
    path = folder / "document.md"
    begin, end = documents.BEGIN.format(name), documents.END.format(name)
    path.write_text(f"# Title\n\nBefore.\n\n{begin}\nold figures\n{end}\n\nAfter.\n")
    return path


def rows_of(text: str) -> list[list[str]]:
    """The rows of the table of Markdown in the text, below its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert set(lines[1]) <= set("| -")
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_the_table_in_a_document_is_that_of_the_sections(parts, tmp_path, capsys) -> None:
    path = document(tmp_path, command.COMMAND)
    parts["two"].holds = False
    assert run(tmp_path / "out", write_to=path) == 1
    text = path.read_text()
    assert text.startswith("# Title\n\nBefore.\n") and text.endswith("\n\nAfter.\n")
    assert "old figures" not in text
    assert f"Grader `{version.of(ASSIGNMENT)}`, a slice of each part" in text
    kept = json.loads((tmp_path / "out" / command.SECTIONS).read_text())
    wanted = [
        [one["section"]["title"] if place == 0 else "", promise["what"], promise["measured"],
         "yes" if promise["holds"] else "**no**"]
        for one in kept.values()
        for place, promise in enumerate(one["section"]["promises"])
    ]  # fmt: skip
    assert rows_of(documents.read(path, command.COMMAND)) == wanted
    assert all(one["when"] in text for one in kept.values())
    assert run(tmp_path / "out", quick=False, write_to=path) == 1
    assert "all of each part" in path.read_text()
    assert path.read_text().count("Grader `") == 1


@pytest.mark.parametrize(
    "text",
    [None, "", "{end}\n{begin}\n", "{begin}\n", "{begin}\n{end}\n{begin}\n{end}\n", "x {begin}\n{end}\n"],
)
def test_a_document_without_a_place_is_left_alone_and_nothing_is_measured(parts, tmp_path, capsys, text) -> None:
    path, markers = tmp_path / "document.md", {"begin": documents.BEGIN, "end": documents.END}
    if text is not None:
        path.write_text(text.format(**{name: one.format(command.COMMAND) for name, one in markers.items()}))
    before = path.read_bytes() if text is not None else None
    assert run(tmp_path / "out", write_to=path) == 2
    assert str(path) in capsys.readouterr().err
    assert parts["one"].calls == []
    assert (path.read_bytes() if text is not None else None) == before


def test_a_homework_that_names_no_document(parts, tmp_path, capsys, monkeypatch) -> None:
    assert command.run("tests.small", tmp_path, quick=True, only=(), jobs=1, write_to=True) == 2
    assert bench.run("tests.small", quick=True, question="numbers", write_to=True) == 2
    assert capsys.readouterr().err.count("Expected: --write FILE.") == 2
    named = HomeworkAudit(audit_document=document(tmp_path, command.COMMAND))
    monkeypatch.setattr(small, "ASSIGNMENT", replace(small.ASSIGNMENT, audit=lambda: named))
    assert command.run("tests.small", tmp_path / "out", quick=True, only=(), jobs=1, write_to=True) == 0
    assert "Any part" in (tmp_path / "document.md").read_text()


def test_what_stands_in_a_cell_ends_no_cell_and_no_document(tmp_path) -> None:
    path = document(tmp_path, "any")
    hostile = f"a | b\n{documents.END.format('any')} <b>"
    documents.write(path, "any", documents.table(("what",), [(hostile,)]))
    documents.write(path, "any", documents.table(("what",), [(hostile,)]))
    assert "a \\| b &lt;!-- figures of `any`: end --> &lt;b>" in documents.read(path, "any")


@pytest.mark.slow
def test_the_bench_writes_what_it_prints(tmp_path, capsys) -> None:
    path = document(tmp_path, bench.ONE_QUESTION.format("numbers"))
    assert bench.run("tests.small", quick=True, question="numbers", times=2, write_to=path) == 0
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("ok ")]
    written = rows_of(path.read_text())
    assert len(printed) == len(written) == 3
    for line, (name, measured, promised, kept) in zip(printed, written, strict=True):
        assert line == Figure(name, measured, promised, {"yes": True, "**no**": False, "": None}[kept]).line
    assert f"Grader `{version.of(small.ASSIGNMENT)}`" in path.read_text()
    assert "busy" not in path.read_text()  # no seconds are among them
    told = json.loads(path.with_suffix(".json").read_text())[bench.ONE_QUESTION.format("numbers")]
    assert [(one["name"], one["measured"]) for one in told["figures"]] == [(row[0], row[1]) for row in written]


def test_seconds_are_not_measured_on_a_busy_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "getloadavg", lambda: (2.1, 0.0, 0.0))
    assert bench.run("tests.small", quick=True) == class_bench.run("tests.small", 2) == 2
    shown = capsys.readouterr()
    assert not shown.out
    assert shown.err.count("its load is 2.1, and up to 2 is quiet for 4 cores. Figures measured now") == 2
    assert "--anyway" in shown.err
    monkeypatch.setattr(bench, "_figures", lambda *_given: iter([figures.median("start", [1.0, 3.0, 2.0], 1.5)]))
    path = document(tmp_path, bench.COMMAND)
    assert bench.run("tests.small", quick=True, write_to=path, anyway=True) == 1
    assert "So these figures are too large (--anyway).**" in path.read_text()
    told = json.loads(path.with_suffix(".json").read_text())[bench.COMMAND]
    assert (told["busy"], told["figures"][0]["samples"]) == (True, [1.0, 3.0, 2.0])
    monkeypatch.setattr(os, "getloadavg", lambda: (2.0, 0.0, 0.0))
    assert bench.run("tests.small", quick=True, write_to=path) == 1
    assert "too large" not in path.read_text()
    path.with_suffix(".json").write_text("[")
    assert bench.run("tests.small", quick=True, write_to=path) == 2


def test_a_missed_figure_says_where_to_look() -> None:
    missed = figures.median("start", [1.0, 3.0, 2.0], 1.5, look="Look there.")
    assert (missed.measured, missed.promised, missed.kept) == ("2.00 s (1.00 to 3.00)", "at most 1.5 s", False)
    kept = figures.median("start", [1.0, 3.0, 1.5], 1.5, look="Look there.")
    assert figures.looks([missed, kept, Figure("a", "b", "c")]) == [
        "Missed: start: 2.00 s (1.00 to 3.00), promised at most 1.5 s. Look there."
    ]


def test_a_figure_in_a_terminal_and_a_missed_one() -> None:
    long = Figure("n" * 70, "1 s", "at most 2 s", True)
    assert long.line.split() == ["ok", "n" * 70, "1", "s", "at", "most", "2", "s"]
    assert Figure("a", "b", "c", False).line.startswith("MISS  a")
    assert Figure("a", "b", "c").line.startswith("----  a")
    assert Figure("a", "b").line.startswith("      a")
    wordy = Figure("five words " * 12, "1 s", "at most 2 s", True).line.splitlines()
    assert len(wordy) == 3 and wordy[0].startswith("ok    five")
    assert wordy[-1].index("1 s") == Figure("a", "1 s").line.index("1 s")
    assert figures.kept([long, Figure("a", "b", "c")])
    assert not figures.kept([long, Figure("a", "b", "c", False)])


def test_the_documents_have_a_place_for_every_table() -> None:
    given, bank = homework.of(ASSIGNMENT), casefiles.bank_of(ASSIGNMENT)
    solved = {solution.file for solution in bank.everything}
    questions = [one.id for one in ASSIGNMENT.questions if solved & set(one.files)]
    assert given.audit_document and given.bench_document
    assert documents.read(given.audit_document, command.COMMAND)
    for one in (bench.COMMAND, class_bench.COMMAND, *map(bench.ONE_QUESTION.format, questions)):
        assert documents.read(given.bench_document, one), one


@pytest.mark.slow
def test_the_bank_is_measured_and_kept(tmp_path, monkeypatch, capsys) -> None:
    def bench_small() -> list[str]:
        assert bench.run("tests.small", quick=True, question="numbers", times=2, out=tmp_path) == 0
        return capsys.readouterr().out.splitlines()

    told = bench_small()
    assert told[0].startswith("Measuring on ")
    assert [line[:4].strip() for line in told[1:]] == ["ok"] * 3
    assert "1 right solutions, fresh seeds: failed" in told[1]
    assert "2 wrong solutions, 2 times each: missed" in told[3]
    monkeypatch.setattr(bench, "_tally", None)  # whoever calls it fails: all stands in the journal
    assert bench_small()[1:] == told[1:]


@pytest.mark.parametrize(
    ("text", "question", "said"),
    [
        ("# file: answer.py\n# %% sum\n", "numbers", "some.cases:2: A case begins with `# %% id: sentence`"),
        ("", "numbers", "numbers lacks right or wrong solutions"),
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


@pytest.mark.slow
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
