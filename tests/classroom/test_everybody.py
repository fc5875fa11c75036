"""A class of 60 with every oddity that uploads come with: each is a row, and stays the same person's."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from autograder.classroom import compare, jobs, roster
from autograder.core import CheckFailed
from autograder.intake import metadata
from tests import small
from tests.classroom.test_class import RIGHT, SILENT, THRICE, results, rows, run
from tests.small import killed

NFC, NFD = (unicodedata.normalize(form, "José") for form in ("NFC", "NFD"))
SEVEN, RAR = b"7z\xbc\xaf\x27\x1c" + bytes(90), b"Rar!\x1a\x07\x01\x00" + bytes(90)


def tar_of(text: str, name: str = "hw/answer.py") -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(text.encode())
        archive.addfile(entry, io.BytesIO(text.encode()))
    return held.getvalue()


def zip_of(text: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("hw/answer.py", text)
    return held.getvalue()


FOLDERS = {  # by name: what is handed in, and its points; a folder's name is a student's
    "ada": (RIGHT, 3), "bert": (THRICE, 1), "cleo": (SILENT, 2), "wandb": (RIGHT, 3), "data": (THRICE, 1),
    "王伟": (RIGHT, 3), "李娜": (THRICE, 1), "Иван Петров": (SILENT, 2), "مریم میرزاخانی": (RIGHT, 3),
    "Σωκράτης": (RIGHT, 3), "देवी": (RIGHT, 3), NFC: (RIGHT, 3), NFD: (THRICE, 1), "Ada": (SILENT, 2),
    "O'Neil, Ann": (RIGHT, 3), "=1+1": (RIGHT, 3), "bob": (SILENT, 2), "x" * 200: (RIGHT, 3), "a b": (RIGHT, 3),
    "a_b": (RIGHT, 3), "-dash": (RIGHT, 3), "..dots": (RIGHT, 3), ".hidden": (RIGHT, 3), "Zoë 🎓": (RIGHT, 3),
    "env": (RIGHT, 3), "tab\tand\nline": (RIGHT, 3), "submission-2": (RIGHT, 3), "a.b.c": (RIGHT, 3),
}  # fmt: skip
FILES = {
    "bob.zip": (zip_of(THRICE), 1), "dave.tar.gz": (gzip.compress(tar_of(RIGHT)), 3), "iris.zip": (zip_of(RIGHT), 3),
    "erin.tgz": (gzip.compress(tar_of(THRICE)), 1), "fay.tar.xz": (lzma.compress(tar_of(RIGHT)), 3),
    "gil.tar.bz2": (bz2.compress(tar_of(SILENT)), 2), "hal.tar": (tar_of(RIGHT), 3), "Jo.py": (RIGHT.encode(), 0),
    "answer.py": (RIGHT.encode(), 3), "王芳.zip": (zip_of(RIGHT), 3), "kim.zip": (gzip.compress(tar_of(RIGHT)), 3),
    "lee.ZIP": (zip_of(RIGHT), 3),
}  # fmt: skip
NOT_GRADABLE = {  # and a part of the reason
    "bob.7z": (SEVEN, "is packed by 7z, which the grader cannot read. Please unpack it, zip the folder"),
    "carol.rar": (RAR, "is packed by rar, which the grader cannot read. Please unpack it, zip the folder"),
    "mia.zip": (RAR, "is packed by rar"),
    "grace.ipynb.txt": (b"{}", "none of the graded files"),
    "ned.docx": (b"\xd0\xcf\x11\xe0", "is not a valid zip archive"),
    "oli.pdf": (b"%PDF-1.7", "is not a valid zip archive"),
    "pat.zip": (b"", "is empty or larger than 200 MB"),
    "quin.zip": (zip_of(RIGHT)[:60], "is not a valid zip archive"),
    "rob.tgz": (gzip.compress(tar_of(RIGHT))[:60], "is incomplete"),
    "sue.gz": (gzip.compress(b"print()"), "holds no tar archive"),
    "notes.txt": (b"no work", "none of the graded files"),
    "tim.tar.zst": (b"\x28\xb5\x2f\xfd" + bytes(9), "is packed by zstd"),
    "no suffix": (b"what is this", "is not a valid zip archive"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("everybody") / "class"
    for name, (text, _) in FOLDERS.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "answer.py").write_text(text)
    for name, (data, _) in (*FILES.items(), *NOT_GRADABLE.items()):
        (folder / name).write_bytes(data)
    (folder / "empty").mkdir()
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "a.pt").write_bytes(b"x")
    (folder / "deep" / "hw" / "data" / "wandb").mkdir(parents=True)
    (folder / "deep" / "hw" / "data" / "wandb" / "answer.py").write_text(RIGHT)
    (folder / "linked").symlink_to(folder / "ada")
    (folder / "nowhere").symlink_to(folder / "gone")
    os.mkfifo(folder / "pipe")
    (folder / os.fsdecode(b"latin-\xe9")).mkdir()
    for litter in ("__MACOSX/._ada", ".git/config", "venv/pyvenv.cfg", "old run/gradebook.sqlite"):
        (folder / litter).parent.mkdir(parents=True, exist_ok=True)
        (folder / litter).write_bytes(b"")
    (folder / ".DS_Store").write_bytes(b"")
    (folder / "Thumbs.db").write_bytes(b"")
    return folder


OTHERS = {"empty": 0, "checkpoints": 0, "deep": 3, "linked": 0, "nowhere": 0, "pipe": 0, os.fsdecode(b"latin-\xe9"): 0}


@pytest.fixture(scope="module")
def out(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graded")
    done = run(place, folder)
    assert done.returncode == 0, done.stderr
    assert "60 submissions" in done.stdout
    assert "To grade: 60 new." in done.stdout
    assert "3 of these cannot be graded, as their rows say: linked, nowhere, pipe." in done.stdout
    told = next(line for line in done.stdout.splitlines() if line.startswith("Skipped"))
    for litter in (".DS_Store", ".git", "Thumbs.db", "__MACOSX", "old run", "venv"):
        assert f'"{litter}"' in told
    return folder


def ids(place: Path) -> dict[str, str]:
    return {upload.entry: upload.id for upload in roster.read(place)}


@pytest.mark.slow
def test_each_entry_is_a_row_with_its_points(place: Path, out: Path) -> None:
    wanted = {name: points for name, (_, points) in (*FOLDERS.items(), *FILES.items())}
    wanted |= dict.fromkeys(NOT_GRADABLE, 0) | OTHERS
    assert len(wanted) == 60
    by_id, scores = ids(place), {name: content["score"] for name, content in results(out).items()}
    assert {name: scores[by_id[name]] for name in by_id} == wanted
    assert len(scores) == len(rows(out, "SELECT id FROM submissions")) == 60
    with (out / "grades.csv").open(newline="", encoding="utf-8") as file:
        table = {row["Submission ID"]: row for row in csv.DictReader(file)}
    assert {name: float(table[by_id[name]]["Total Score"]) for name in by_id} == wanted


@pytest.mark.slow
def test_who_cannot_be_graded_is_told_why_and_what_to_do(place: Path, out: Path) -> None:
    by_id, found = ids(place), results(out)
    for name, (_, reason) in NOT_GRADABLE.items():
        content = found[by_id[name]]
        assert reason in content["output"], name
        assert content["extra_data"]["outcome"] == "not gradable"
    assert "is a link, which the command does not follow" in found["linked"]["output"]
    assert "is a link, which the command does not follow" in found["nowhere"]["output"]
    assert "is neither a file nor a folder" in found["pipe"]["output"]


@pytest.mark.slow
def test_names_are_kept_in_the_book_the_tables_and_the_report(place: Path, out: Path) -> None:
    known = {name for (name,) in rows(out, "SELECT name FROM students")}
    with (out / "grades.csv").open(newline="", encoding="utf-8") as file:
        table = {row["Name"] for row in csv.DictReader(file)}
    report = (out / "report.html").read_text(encoding="utf-8")
    for name in ("王伟", "李娜", "Иван Петров", NFC, NFD, "مریم میرزاخانی", "Σωκράτης", "देवी", "Zoë 🎓", "王芳", "Ada"):
        assert name in known, name
        assert name in table, name
        assert name in report, name
    assert {"'=1+1", "O'Neil, Ann", "tab and line", "latin-�", "'-dash"} <= table
    assert {"ada", "bert", "dave", "erin"} <= table


def test_ids_are_safe_and_nobody_elses(place: Path) -> None:
    by_id = ids(place)
    assert len({one.casefold() for one in by_id.values()}) == 60
    for name, one in by_id.items():
        assert one.isascii()
        assert one.replace("_", "").replace("-", "").replace(".", "").isalnum(), name
        assert one[0].isalnum()
        assert len(one) <= 81
    assert [by_id[name] for name in ("ada", "iris.zip", "bob.7z", "dave.tar.gz", "a.b.c")] == [
        *("ada", "iris", "bob.7z", "dave.tar.gz", "a.b.c")
    ]
    assert by_id[NFC].startswith("Jose-")
    assert by_id[NFC] != by_id[NFD]
    assert by_id["bob"] != "bob" != by_id["bob.zip"]


def test_an_id_stays_when_others_come_and_go(tmp_path: Path) -> None:
    """Whoever is added, alone or with all others: nobody's id changes, and compare pairs nobody with anybody else."""
    names = [*FOLDERS, "Jose", "jose", "submission", "ADA"]
    alone: dict[str, Any] = {}
    for number, name in enumerate(names):
        (tmp_path / str(number) / name / "hw.py").mkdir(parents=True)
        alone |= ids(tmp_path / str(number))
    for name in names:
        (tmp_path / "all" / name / "hw.py").mkdir(parents=True)
    assert ids(tmp_path / "all") == alone


def test_what_is_in_an_export_and_what_its_list_says(tmp_path: Path) -> None:
    """A folder that is missing, one that is not listed, one that is a link; as a folder and as a zip."""
    listed = {
        f"submission_{number}": {":submitters": [{":name": name, ":email": f"{number}@x.edu", ":sid": None}],
                                 ":created_at": None}
        for number, name in ((1, "王伟"), (2, "Missing"), (3, "Linked"))
    }  # fmt: skip
    export = tmp_path / "export"
    for name in ("submission_1", "submission_9"):
        (export / name).mkdir(parents=True)
        (export / name / "answer.py").write_text(RIGHT)
    (export / metadata.NAMES[0]).write_text(yaml.safe_dump(listed, allow_unicode=True))
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for path in export.rglob("*.*"):
            archive.write(path, path.relative_to(export))
        archive.writestr("stray.py", "x = 1")
    (export / "submission_3").symlink_to(export / "submission_1")
    for path, more in ((export, {}), (tmp_path / "export.zip", {"stray.py": 0})):
        out = tmp_path / f"out {path.suffix}"
        assert run(path, out).returncode == 0
        found = results(out)
        scores = {"submission_1": 3, "submission_2": 0, "submission_3": 0, "submission_9": 3}
        assert {name.replace("stray", "stray.py"): one["score"] for name, one in found.items()} == scores | more
        assert 'lists "submission_2", but the export has no such folder' in found["submission_2"]["output"]
        assert rows(out, "SELECT name, email, sid FROM students WHERE submission = 'submission_2'") == [
            ("Missing", "2@x.edu", "")
        ]
        with (out / "grades.csv").open(newline="", encoding="utf-8") as file:
            first = next(row for row in csv.DictReader(file) if row["Submission ID"] == "submission_1")
        assert (first["Name"], first["Submission Time"], first["SID"]) == ("王伟", "", "")
    assert "is a link, which the command does not follow" in results(tmp_path / "out ")["submission_3"]["output"]


def listed(*names: str, json: bool) -> str:
    """An export's list, as it is written; each name has a submitter of its own."""
    if json:
        rows = (f'"{name}": {{"submitters": [{{"name": "S{at}"}}], "created_at": "2026-11-2{9 - at} 04:00:00"}}'
                for at, name in enumerate(names))  # fmt: skip
        return "{" + ",".join(row.replace("\\", "\\\\") for row in rows) + "}"
    rows = (f"'{name}':\n  :submitters:\n  - :name: S{at}\n  :created_at: 2026-11-2{9 - at} 04:00:00\n"
            for at, name in enumerate(names))  # fmt: skip
    return "".join(rows)


@pytest.mark.parametrize("json", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_list_that_names_a_folder_twice_or_in_another_form_loses_nobody(
    tmp_path: Path, json: bool, zipped: bool
) -> None:
    """One row for each folder, of all who are listed with it, by the earliest time; and a line of the command."""
    export = tmp_path / "export"
    for name in ("submission_1", "submission_2", "submission_3", f"submission_{NFC}"):
        (export / name).mkdir(parents=True)
        (export / name / "answer.py").write_text(RIGHT)
    names = ("submission_1", "submission_1", " submission_2 ", "submission_3/", f"submission_{NFD}")
    text, name = listed(*names, json=json), metadata.NAMES[2 if json else 0]
    (export / name).write_text(text, encoding="utf-8")
    if zipped:
        with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
            for path in export.rglob("*.*"):
                archive.write(path, path.relative_to(export))
        export = tmp_path / "export.zip"
    uploads = {upload.entry: upload for upload in roster.read(export)}
    assert {entry: [one.name for one in upload.students] for entry, upload in uploads.items()} == {
        "submission_1": ["S0", "S1"], "submission_2": ["S2"], "submission_3": ["S3"], f"submission_{NFC}": ["S4"]
    }  # fmt: skip
    assert [upload.reason for upload in uploads.values()] == [""] * 4
    assert uploads["submission_1"].created_at == "2026-11-28 04:00:00"
    done = run(export, tmp_path / "out")
    told = f'{name} lists "submission_1" more than once: it counts for all who stand there, by the earliest time.'
    assert done.stdout.count("more than once") == 1 and told in done.stdout
    assert {one["score"] for one in results(tmp_path / "out").values()} == {3}
    assert len(rows(tmp_path / "out", "SELECT name FROM students")) == 5


def test_what_no_folder_can_be_called_is_a_row_that_says_so(tmp_path: Path) -> None:
    """Nothing outside of the export is read, whatever the list says."""
    export = tmp_path / "export"
    (export / "ann").mkdir(parents=True)
    (export / "ann" / "answer.py").write_text(RIGHT)
    (tmp_path / "bo").mkdir()
    (tmp_path / "bo" / "answer.py").write_text(RIGHT)
    odd = ("../bo", str(tmp_path / "bo"), "ann/answer.py", "..", ".", "", "a\\b", "gone")
    (export / metadata.NAMES[0]).write_text(listed(*odd, "ann", json=False))
    out = tmp_path / "out"
    done = run(export, out)
    assert (done.returncode, "9 submissions" in done.stdout) == (0, True), done.stdout + done.stderr
    told = {name: one["output"] for name, one in results(out).items() if one["score"] == 0}
    assert len(told) == 8
    assert sum("which no folder of an export is called" in one for one in told.values()) == 7
    assert sum("the export has no such folder" in one for one in told.values()) == 1
    assert {name for (name,) in rows(out, "SELECT name FROM students")} == {f"S{at}" for at in range(9)}


@pytest.mark.parametrize("null", ["null", "~", "", "Null", "!!null null", "!!null ''", "!!null ~"])
def test_a_time_that_is_null_is_empty(null: str) -> None:
    (one,) = metadata.read(f"s:\n  :created_at: {null}\n  :submitters: []\n".encode())
    assert one.created_at == ""


@pytest.mark.slow
def test_killed_24_times_it_loses_nobody(place: Path, out: Path, tmp_path: Path) -> None:
    """SIGKILL at 24 random moments of a run over the 60, each started again: the same rows and the same table."""
    done = subprocess.run(
        [sys.executable, "-I", "-B", killed.__file__, place, out, tmp_path, "24"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    kills = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(kills) == 24
    assert all(kill["whole"] and not kill["marker"] for kill in kills)
    assert len({kill["files"] for kill in kills}) > 4, "kills fell at different moments"
    whole, book = results(out), "SELECT id, score, outcome FROM submissions ORDER BY id"
    for kill in range(24):
        assert results(tmp_path / str(kill)) == whole
        assert rows(tmp_path / str(kill), book) == rows(out, book)
        assert (tmp_path / str(kill) / "grades.csv").read_text() == (out / "grades.csv").read_text()


# --------------------------------------------------------------------------------------- grading anew


@pytest.fixture(scope="module")
def graded_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a class of four and what grading it left, with the words of an earlier grader in its records."""
    folder = tmp_path_factory.mktemp("four")
    place, out = folder / "class", folder / "out"
    for name in ("ada", "bert", "cleo", "王伟"):
        (place / name).mkdir(parents=True)
        (place / name / "answer.py").write_text(RIGHT)
    assert run(place, out).returncode == 0
    for path in (out / "results").iterdir():
        content = json.loads(path.read_text())
        for test in content["tests"]:
            test["output"] = "before"
        path.write_text(json.dumps(content))
    return folder


@pytest.fixture
def four(graded_once: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of that class for a test alone, and of what grading it left."""
    for name in ("class", "out"):
        shutil.copytree(graded_once / name, tmp_path / name)
    return tmp_path / "class", tmp_path / "out"


def anew(out: Path) -> set[str]:
    """Which checks of whom were graded since."""
    return {
        f"{name} {test['extra_data']['check']}"
        for name, content in results(out).items()
        for test in content["tests"]
        if test["output"] != "before"
    }


@pytest.mark.parametrize(
    ("words", "wanted", "said"),
    [
        (["--again", "ada"], {"ada numbers.twice", "ada words.hello"}, "Only ada will be graded. The other 3 stay as "
                                                                       "they are."),
        (["--again", "words.hello", "ada", "bert"], {"ada words.hello", "bert words.hello"}, "Only ada, bert will"),
        (["--again", "words", "--only-student", "ADA"], {"ada words.hello"}, "Graded again, even if unchanged: words."),
        (["--again", "--only-student", "王伟"], {"王伟 numbers.twice", "王伟 words.hello"}, "1 graded before."),
        (["--only-student", "ada"], set(), "Grading 0"),
        (["--again", "numbers.twice"], {f"{name} numbers.twice" for name in ("ada", "bert", "cleo", "王伟")}, "ing 4"),
    ],
)  # fmt: skip
def test_grading_anew_touches_what_is_named_and_says_so_before(
    four: tuple[Path, Path], words: list[str], wanted: set[str], said: str
) -> None:
    place, out = four
    done = run(place, out, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.index(said) < done.stdout.index("Report:")
    by_id = {one: name for name, one in ids(place).items()}
    assert {f"{by_id[one.split()[0]]} {one.split()[1]}" for one in anew(out)} == wanted
    assert {content["score"] for content in results(out).values()} == {3}
    assert rows(out, "SELECT COUNT(*) FROM submissions") == [(4,)]
    numbers = [test["number"] for test in results(out)["ada"]["tests"]]
    assert numbers == ["1.1", "2.1"], "a check that is graded alone keeps its number"


def test_words_that_name_nobody(four: tuple[Path, Path]) -> None:
    place, out = four
    for words in (["--only-student", "adda"], ["--again", "adda"]):
        done = run(place, out, *words)
        assert done.returncode == 2
        assert f"{words[0]} adda: no submission has this id, name, email or student number." in done.stderr
        assert "Similar: ada" in done.stderr
    assert "numbers, words" in run(place, out, "--again", "nothing").stderr
    assert "no student is left to grade" in run(place, out, "--again", "ada", "--only-student", "bert").stderr
    assert not anew(out)


def test_a_changed_upload_is_graded_whole_whatever_was_named(four: tuple[Path, Path]) -> None:
    place, out = four
    (place / "ada" / "answer.py").write_text(THRICE)
    done = run(place, out, "--again", "words")
    assert "3 graded before, 1 changed since" in done.stdout
    assert results(out)["ada"]["score"] == 1
    assert {one for one in anew(out) if one.startswith("ada")} == {"ada numbers.twice", "ada words.hello"}


def test_results_under_the_ids_of_an_earlier_version_are_taken_over(four: tuple[Path, Path]) -> None:
    """王伟 was `submission` there: the result is found again by the upload's bytes, and nobody gets another's."""
    place, out = four
    own = ids(place)["王伟"]
    (place / "王伟" / "answer.py").write_text(SILENT)
    assert run(place, out).returncode == 0
    (out / "results" / f"{own}.json").rename(out / "results" / "submission.json")
    (out / "results" / "zoe.json").write_text((out / "results" / "ada.json").read_text())
    done = run(place, out)
    assert "Grading 0" in done.stdout
    assert f"2 results in {out} belong to no submission here and were moved to {out / 'results-former'}" in done.stdout
    assert "The results of 1 submission were taken over" in done.stdout
    assert results(out)[own]["score"] == 2
    assert sorted(path.name for path in (out / "results-former").iterdir()) == ["submission.json", "zoe.json"]
    assert set(results(out)) == {"ada", "bert", "cleo", own}


def test_an_unjudgeable_check_that_was_graded_alone_loses_no_other(
    four: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, out = four
    whole: Any = jobs.grade

    def odd(*arguments: object) -> dict:
        content: dict[str, Any] = whole(*arguments)
        content["extra_data"]["outcome"] = "unjudgeable"
        return content

    monkeypatch.setattr(jobs, "grade", odd)
    run(place, out, "--again", "words", "ada")
    assert [test["extra_data"]["check"] for test in results(out)["ada"]["tests"]] == ["numbers.twice", "words.hello"]
    assert results(out)["ada"]["extra_data"]["outcome"] == "unjudgeable"


# ------------------------------------------------------------------------------------------- compare


def line(score: float | None = 1.0, message: str = "", diagnoses: tuple[str, ...] = ()) -> compare.CheckLine:
    return compare.CheckLine("4.4", "cache", score, 2.0, "graded", message, diagnoses)


def book(lines: dict[tuple[str, str], compare.CheckLine]) -> compare.Book:
    names = {name for name, _ in lines}
    totals = {name: sum(one.score or 0 for key, one in lines.items() if key[0] == name) for name in names}
    return compare.Book("g", totals, dict.fromkeys(names, ""), lines)


def test_equal_changes_are_told_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    names = [f"student{number:02}" for number in range(21)]
    old = book({(name, "a.b"): line(0.0, f"{0.1 * at:.3f} is too large") for at, name in enumerate(names)})
    new = book({(name, "a.b"): line(2.0, "Right.") for name in names[:20]} | {("student20", "a.b"): line(1.0, "Half.")})
    compare.show(Path("old"), Path("new"), old, new)
    told = capsys.readouterr().out
    assert told.count("is too large") == 2
    assert "+2.00  20 students: 4.4 cache" in told
    assert "+1.00  student20  4.4 cache" in told
    assert "student09 and 10 more" in told
    assert "21 gained points, 0 lost points, 0 kept theirs" in told


def test_what_one_grading_left_out_is_no_change(capsys: pytest.CaptureFixture[str]) -> None:
    lines = {(name, check): line() for name in ("ada", "bert") for check in ("a.b", "a.run")}
    old, new = book(lines), book({key: one for key, one in lines.items() if key != ("ada", "a.run")})
    none = book({key: one for key, one in lines.items() if key[1] == "a.b"})
    for one, other, said in (
        (old, none, "the new grading left out 1 check, not compared: a.run"),
        (none, old, "the old grading left out 1 check, not compared: a.run"),
        (old, new, "the new grading left out 1 check, not compared: a.run (of 1)"),
    ):
        compare.show(Path("old"), Path("new"), one, other)
        told = " ".join(capsys.readouterr().out.split())
        assert said in told
        assert "0 gained points, 0 lost points, 2 kept theirs" in told
        assert "not there" not in told


def test_what_is_no_class_is_still_told(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").write_bytes(b"")
    with pytest.raises(CheckFailed, match="There is no submission"):
        roster.read(tmp_path)
    assert small.ASSIGNMENT.points == 3
