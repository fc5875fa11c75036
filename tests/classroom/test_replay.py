"""A check is repeated outside of the sandbox: the very inputs, the same verdict, a debugger that stops in the code."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest

from autograder.classroom import kept, replay
from autograder.classroom.kept import Store
from autograder.sandbox import confine
from tests.classroom.test_class import RIGHT, THRICE, run

PRINTS = RIGHT.replace("    return x + x", "    print('given', x)\n    return 3 * x")


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class of the small homework: one that is right, one that triples, one that prints."""
    place = tmp_path_factory.mktemp("class")
    for name, text in (("ada", RIGHT), ("bert", THRICE), ("berta", PRINTS)):
        (place / name).mkdir()
        (place / name / "answer.py").write_text(text)
    out = tmp_path_factory.mktemp("out")
    assert run(place, out).returncode == 0
    return out


def repeat(graded: Path, *arguments: object) -> tuple[int, str, str]:
    said, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(errors):
        patch.setattr(confine, "shield", lambda: None)
        student, check, to = arguments
        status = replay.run(graded, str(student), str(check), Path(str(to)))
    return status, said.getvalue(), errors.getvalue()


def script(
    folder: Path, *arguments: str, module: tuple[str, ...] = (), typed: str = ""
) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, *module, "replay.py", *arguments]
    return subprocess.run(program, cwd=folder, input=typed, capture_output=True, text=True, timeout=120, check=False)


def test_the_very_inputs_and_the_same_verdict(graded: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bert"
    status, said, errors = repeat(graded, "bert", "1.1", folder)
    assert (status, errors) == (0, "") and "outside the sandbox" in said
    held = Store(graded).load("bert")
    assert held is not None
    seed = held.seeds[next(iter(name for name in held.seeds if name.startswith("probes:twice")))][0]
    x = float(np.random.Generator(np.random.Philox(seed)).integers(1, 100))
    assert json.loads((folder / replay.ABOUT).read_text())["inputs"] == {"x": x}
    done = script(folder, "--yes")
    assert done.returncode == 0, done.stderr
    for line in (f"x = {x}", f"value = {3 * x}", f"value = {2 * x}", f"value: largest difference {x:g}"):
        assert line in done.stdout
    verdict = "points. The value returned is not twice x. Expected: 2 x."
    assert f"the judge says: 0 of 2 {verdict}" in done.stdout and f"earlier result: 0.0 of 2.0 {verdict}" in done.stdout
    assert "with your rights and without the sandbox" in done.stderr
    assert (folder / "files" / "answer.py").read_text() == THRICE
    assert folder.stat().st_mode & 0o077 == 0, "hidden inputs are in it"


def test_nothing_runs_before_somebody_says_so(graded: Path, tmp_path: Path) -> None:
    repeat(graded, "berta", "numbers.twice", tmp_path / "berta")
    for typed in ("", "\n", "n\n", "maybe\n"):
        done = script(tmp_path / "berta", typed=typed)
        assert done.returncode != 0 and "given" not in done.stdout
    done = script(tmp_path / "berta", typed="y\n")
    assert done.returncode == 0 and "given" in done.stdout


def test_a_debugger_stops_in_the_students_file(graded: Path, tmp_path: Path) -> None:
    repeat(graded, "bert", "1.1", tmp_path / "bert")
    typed = "b files/answer.py:2\nc\np 'at', x\nwhere\nc\nq\n"
    done = script(tmp_path / "bert", "--yes", module=("-m", "pdb"), typed=typed)
    assert "files/answer.py(2)twice()" in done.stdout and "('at', " in done.stdout
    assert "the judge says" in done.stdout


def test_what_a_student_changes_shows(graded: Path, tmp_path: Path) -> None:
    repeat(graded, "bert", "1.1", tmp_path / "bert")
    (tmp_path / "bert" / "files" / "answer.py").write_text(RIGHT)
    assert "the judge says: 2 of 2 points" in script(tmp_path / "bert", "--yes").stdout


@pytest.mark.parametrize(
    ("student", "check", "told"),
    [
        ("nobody", "1.1", "No student in"),
        ("ber", "1.1", "can be bert, berta. Give the id."),
        ("", "1.1", "No student in"),
        ("ada", "9.9", "There is no check 9.9. The checks are 1.1 to 2.1"),
        ("../ada", "1.1", "No student in"),
    ],
)
def test_what_is_not_there_is_told(graded: Path, tmp_path: Path, student: str, check: str, told: str) -> None:
    status, _, errors = repeat(graded, student, check, tmp_path / "x")
    assert status == 2 and told in errors and not (tmp_path / "x").exists()


def test_nothing_that_somebody_changed_is_written_over(graded: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("my notes")
    status, _, errors = repeat(graded, "ada", "1.1", tmp_path)
    assert status == 2 and "Give another folder with --to" in errors and (tmp_path / "mine").read_text() == "my notes"


def test_what_was_printed_is_on_the_staffs_page_alone(graded: Path, tmp_path: Path) -> None:
    from autograder.classroom.review import command

    page = (graded / "students" / "berta.html").read_text()
    assert "What it printed" in page and "given " in page and "3 * x" in page
    assert command.again(graded, "", tmp_path / "handout") == 0
    handed = (tmp_path / "handout" / "berta.html").read_text()
    assert "What it printed" not in handed and "3 * x" not in handed and "<code" not in handed and "<ol" not in handed
    results = (graded / "results" / "berta.json").read_text()
    assert "given " not in results and str(next(iter(Store(graded).load("berta").seeds.values()))[0]) not in results  # type: ignore[union-attr]


def test_what_is_kept_is_read_as_it_was_written_and_no_other_file() -> None:
    held = kept.Kept(
        "d",
        {"a.py": b"x\xff", "b/c.png": b"\0"},
        ("n.ipynb",),
        ("hw",),
        ("big.bin",),
        {"c": "é"},
        {"a": (2**127, 3)},
        {"c": 2},
    )
    assert kept.read(held.packed()) == held


def test_a_second_grading_of_one_question_keeps_what_the_first_said(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save("x", kept.Kept("d", {}, printed={"a": "1", "b": "2"}, seeds={"a": (1, 2)}).packed())
    store.save("x", kept.Kept("d", {}, printed={"b": "3"}, seeds={"b": (5, 6)}).packed())
    found = store.load("x")
    assert found is not None and found.printed == {"a": "1", "b": "3"} and found.seeds == {"a": (1, 2), "b": (5, 6)}
    store.save("x", kept.Kept("another", {}, printed={}).packed())
    found = store.load("x")
    assert found is not None and found.printed == {} and found.seeds == {}
    store.path("x").write_bytes(b"PK broken")
    assert store.load("x") is None


def test_files_that_lead_out_of_the_folder_are_not_written(graded: Path, tmp_path: Path) -> None:
    store = Store(graded)
    whole = store.path("ada").read_bytes()
    held = kept.read(whole)
    try:
        store.path("ada").write_bytes(kept.Kept(held.digest, {"../escaped.py": b"x"}, seeds=held.seeds).packed())
        status, _, errors = repeat(graded, "ada", "1.1", tmp_path / "ada")
        assert status == 2 and "leads out" in errors and not (tmp_path / "ada" / "escaped.py").exists()
    finally:
        store.path("ada").write_bytes(whole)
