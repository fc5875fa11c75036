"""A class through the front door: what is read, what is graded, what survives a kill, what is told."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import yaml

from autograder.__main__ import main
from autograder.classroom import batch, cells, records, roster
from autograder.classroom.jobs import Task
from autograder.core import CheckFailed
from autograder.intake.metadata import RosterStudent
from autograder.sandbox import confine
from tests import helpers
from tests.small import killed
from tests.small.killed import here

RIGHT = "def twice(x):\n    return x + x\n\n\ndef hello():\n    return 'hello'\n"
THRICE = RIGHT.replace("x + x", "3 * x")
LOOPS = RIGHT.replace("return 'hello'", "while True: pass")
SILENT = RIGHT.replace("'hello'", "'hullo'")
CLASS = {"ada": RIGHT, "bert": THRICE, "cleo": SILENT, "dora": RIGHT + "\n# the same\n", "emil": "x = ("}


def command(*arguments: object, **options: object) -> list[str]:
    return [sys.executable, "-I", "-B", str(helpers.ROOT / "autograder" / "__main__.py"), *map(str, arguments)]


def run(path: Path, out: Path, *more: object) -> subprocess.CompletedProcess[str]:
    """`autograder class` to its end, in this process, whose one zygote serves all of them."""
    said, errors = io.StringIO(), io.StringIO()
    arguments = ["class", path, "--out", out, "--homework", "tests.small", "--jobs", 1, *more]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(errors):
        patch.setattr(confine, "shield", lambda: None)  # it would hide this process from the tests of other files
        if "--scheduler" not in more:
            patch.setattr(batch, "_executor", here)
        status = main(list(map(str, arguments)))
    return subprocess.CompletedProcess(list(map(str, arguments)), status, said.getvalue(), errors.getvalue())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of folders, with a zip and things that are no submissions among them."""
    place = tmp_path_factory.mktemp("class")
    for name, text in CLASS.items():
        (place / name).mkdir()
        (place / name / "answer.py").write_text(text)
    with zipfile.ZipFile(place / "frida.zip", "w") as archive:
        archive.writestr("homework/answer.py", RIGHT)
    (place / "gus").mkdir()
    (place / ".hidden").mkdir()
    (place / "notes.txt").write_text("no work")
    return place


@pytest.fixture(scope="module")
def graded(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an undisturbed run makes of that folder."""
    out = tmp_path_factory.mktemp("out")
    done = subprocess.run(
        command("class", folder, "--out", out, "--homework", "tests.small", "--jobs", 2),
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "8 submissions" in done.stdout
    assert str(out / "report.html") in done.stdout
    return out


def results(out: Path) -> dict[str, dict]:
    """The result files, less what is different in every run: times, memory, and the id of an --again."""
    found = {}
    for path in sorted((out / "results").glob("*.json")):
        content = json.loads(path.read_text())
        content.pop("execution_time")
        for name in ("again", "cpu", "memory"):
            content["extra_data"].pop(name, None)
        for test in content["tests"]:
            test["extra_data"].pop("seconds", None)
        found[path.stem] = content
    return found


def rows(out: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(out / "gradebook.sqlite")) as book:
        return book.execute(query).fetchall()


# ------------------------------------------------------------------------------------------- grading


@pytest.mark.slow
def test_every_submission_has_its_results(graded: Path) -> None:
    scores = {name: content["score"] for name, content in results(graded).items()}
    assert scores == {"ada": 3, "bert": 1, "cleo": 2, "dora": 3, "emil": 0, "frida": 3, "gus": 0, "notes.txt": 0}
    for path in (graded / "results").glob("*.json"):
        helpers.is_valid_results(path)


def test_the_book_says_the_same(graded: Path) -> None:
    assert rows(graded, "SELECT id, score FROM submissions WHERE outcome = 'graded' ORDER BY id")[:2] == [
        ("ada", 3.0),
        ("bert", 1.0),
    ]
    assert rows(graded, "SELECT submission, check_id FROM diagnoses WHERE diagnosis = 'not_twice'") == [
        ("bert", "numbers.twice")
    ]
    assert rows(graded, "SELECT outcome FROM submissions WHERE id = 'gus'") == [("not gradable",)]
    assert rows(graded, "SELECT graded, question FROM runs") == [(8, "")]
    assert rows(graded, "SELECT COUNT(*) FROM fingerprints WHERE submission = 'ada'") == [(1,)]
    same = rows(graded, "SELECT hashes FROM fingerprints WHERE submission IN ('ada', 'dora')")
    assert same[0] == same[1], "a comment makes no other code"


def test_what_is_there_is_not_graded_again(folder: Path, graded: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (graded / "results").iterdir()}
    done = run(folder, graded)
    assert "Grading 0" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in (graded / "results").iterdir()} == before


@pytest.mark.slow
def test_a_changed_submission_is_graded_anew_and_one_question_by_itself(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "class"
    for name in ("ada", "bert"):
        (place / name).mkdir(parents=True)
        (place / name / "answer.py").write_text(CLASS[name])
    out = tmp_path / "out"
    assert run(place, out).returncode == 0
    (place / "bert" / "answer.py").write_text(RIGHT)
    assert "Grading 1" in run(place, out).stdout
    assert results(out)["bert"]["score"] == 3
    # A record of an earlier check: --again with a question replaces that question's tests only.
    path = out / "results" / "ada.json"
    old = json.loads(path.read_text())
    for test in old["tests"]:
        test["output"] = "an earlier grader's word"
    path.write_text(json.dumps(old))
    done = run(place, out, "--again", "words")
    assert done.returncode == 0, done.stderr
    said = {test["tags"][0]: test["output"] for test in json.loads(path.read_text())["tests"]}
    assert said["numbers"] == "an earlier grader's word"
    assert said["words"].startswith("hello() was called")
    assert results(out)["ada"]["score"] == 3
    assert "--again nothing: no submission has this id" in run(place, out, "--again", "nothing").stderr
    assert run(place, out, "--again").returncode == 0
    assert "an earlier" not in path.read_text()


@pytest.mark.slow
def test_a_loop_and_a_broken_zip_do_not_stop_the_others(tmp_path: Path) -> None:
    for name, text in (("one", LOOPS), ("two", RIGHT)):
        (tmp_path / "class" / name).mkdir(parents=True)
        (tmp_path / "class" / name / "answer.py").write_text(text)
    (tmp_path / "class" / "three.zip").write_bytes(b"PK\x03\x04 no zip")
    assert run(tmp_path / "class", tmp_path / "out").returncode == 0
    assert {name: found["score"] for name, found in results(tmp_path / "out").items()} == {
        "one": 2,
        "two": 3,
        "three": 0,
    }


@pytest.mark.slow
def test_killed_at_any_moment_of_grading_anew(folder: Path, graded: Path, tmp_path: Path) -> None:
    """SIGKILL at 12 random moments, spread over what a run takes: what is there is whole, and the end is the same.

    For a first run, test_everybody does it with more submissions.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-B", killed.__file__, folder, graded, tmp_path, "12", "--again"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    kills = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(kills) == 12
    assert all(kill["whole"] and not kill["marker"] for kill in kills)
    whole, book = results(graded), "SELECT id, score, outcome FROM submissions ORDER BY id"
    for kill in range(12):
        out = tmp_path / str(kill)
        assert results(out) == whole
        assert rows(out, book) == rows(graded, book)
        assert (out / "grades.csv").read_text() == (graded / "grades.csv").read_text()


@pytest.mark.slow
def test_killed_while_it_grades_and_started_again(folder: Path, graded: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        command("class", folder, "--out", out, "--homework", "tests.small", "--jobs", 1),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while len(list(out.glob("results/*.json"))) < 2:
        time.sleep(0.01)
        assert process.poll() is None
    process.kill()
    process.wait()
    done = run(folder, out)
    assert (done.returncode, "Grading 8" in done.stdout) == (0, False), done.stderr
    assert results(out) == results(graded)


@pytest.mark.slow
def test_stopped_politely_it_says_how_to_go_on_and_leaves_no_process(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        command("class", folder, "--out", out, "--homework", "tests.small", "--jobs", 1),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not list(out.glob("results/*.json")):
        time.sleep(0.05)
        assert process.poll() is None
    below = descendants(process.pid)
    assert below
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert "The same command continues from here" in errors
    assert "Traceback" not in errors
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in below):
        assert time.monotonic() < deadline, "processes were left behind"
        time.sleep(0.05)


def descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *descendants(child)]
    return found


# -------------------------------------------------------------------------------------------- tables


@pytest.mark.slow
def test_tables_hold_no_formulas(tmp_path: Path) -> None:
    hostile = [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        " =1",
        "＝1",
        "Ann",
        "=cmd|' /C calc'!A0",
        "O'Neil",
        "x\n=1",
    ]
    place = tmp_path / "class"
    tree = {}
    for index, name in enumerate(hostile):
        tree[f"submission_{index}"] = {
            ":submitters": [{":name": name, ":sid": name, ":email": name}],
            ":created_at": name,
        }
        (place / f"submission_{index}").mkdir(parents=True)
        (place / f"submission_{index}" / "answer.py").write_text("x = (")
    (place / roster.METADATA).write_text(yaml.safe_dump(tree, allow_unicode=True))
    assert run(place, tmp_path / "out").returncode == 0
    for table in ("grades.csv", "grades-canvas.csv"):
        with (tmp_path / "out" / table).open(newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                for value in row:
                    assert not value.startswith(cells.FORMULA)
                    assert not set(value) & {"\n", "\r", "\t", "\0"}
    with (tmp_path / "out" / "grades.csv").open(newline="", encoding="utf-8") as file:
        assert {row["Name"] for row in csv.DictReader(file)} >= {"Ann", "O'Neil", "'=1+1", "'@SUM(A1)"}


def test_numbers_stay_numbers() -> None:
    assert [cells.cell(value) for value in (-1.5, 0, None, "-1", "1 - 1")] == [-1.5, 0, None, "'-1", "1 - 1"]


# -------------------------------------------------------------------------------------------- rosters


def export(place: Path, *, top: str = "", extra: dict[str, bytes] | None = None) -> Path:
    """A class as Gradescope exports it, as a zip."""
    tree = {
        f"submission_{number}": {
            ":submitters": [{":name": f"Student {number}", ":sid": number, ":email": f"{number}@school.edu"}],
            ":created_at": "2026-11-20 12:00:00",
            ":score": 0.0,
        }
        for number in (11, 12)
    }
    tree["submission_13"] = {":submitters": None}
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr(f"{top}{roster.METADATA}", yaml.safe_dump(tree))
        archive.writestr(f"{top}submission_11/hw/answer.py", RIGHT)
        archive.writestr(f"{top}submission_12/answer.py", THRICE)
        archive.writestr(f"{top}submission_12/data/big.bin", b"0" * 1000)
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return place


@pytest.mark.parametrize("top", ["", "assignment_7_export/"])
def test_an_export_is_graded_as_it_was_downloaded(tmp_path: Path, top: str) -> None:
    zipped = export(tmp_path / "export.zip", top=top)
    assert run(zipped, tmp_path / "out").returncode == 0
    assert {name: found["score"] for name, found in results(tmp_path / "out").items()} == {
        "submission_11": 3,
        "submission_12": 1,
        "submission_13": 0,
    }
    with (tmp_path / "out" / "grades.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["Name"], first["SID"], first["Email"]) == ("Student 11", "11", "11@school.edu")
    assert (first["Total Score"], first["Submission Time"]) == ("3.0", "2026-11-20 12:00:00")
    if not top:
        with zipfile.ZipFile(zipped) as archive:
            archive.extractall(tmp_path / "unpacked")
        uploads = roster.read(tmp_path / "unpacked")
        assert [upload.id for upload in uploads] == ["submission_11", "submission_12", "submission_13"]
        assert uploads[0].students == (RosterStudent("Student 11", "11", "11@school.edu"),)


def badly_named(data: bytes) -> bytes:
    """The zip with the first letter u-umlaut of each name in code page 1252, and still said to be UTF-8."""
    assert "ü".encode() in data
    return data.replace("ü".encode(), "ü_".encode("cp1252"))


@pytest.mark.parametrize("name", ["hw/grün.py", "hw/ü/helper.py", "readme-ü.txt"])
def test_a_bad_name_in_an_export_costs_itself(tmp_path: Path, name: str) -> None:
    """And a zip within the export, whose own names are no better, keeps its bytes."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("helper_ü.py", "x = 1")
    within = badly_named(inner.getvalue())
    zipped = export(
        tmp_path / "export.zip", extra={f"submission_12/{name}": b"y = 2", "submission_12/hw/within.zip": within}
    )
    zipped.write_bytes(badly_named(zipped.read_bytes()))
    with pytest.raises(UnicodeDecodeError), zipfile.ZipFile(zipped):
        pass
    upload = next(upload for upload in roster.read(zipped) if upload.id == "submission_12")
    (tmp_path / "scratch").mkdir()
    fetched = upload.fetch(tmp_path / "scratch")
    assert (fetched / "hw" / "within.zip").read_bytes() == within
    assert (fetched / "answer.py").read_text() == THRICE
    assert run(zipped, tmp_path / "out").returncode == 0
    scores = {id: found["score"] for id, found in results(tmp_path / "out").items()}
    assert (scores["submission_11"], scores["submission_12"]) == (3, 1)


HOSTILE = {
    "exits": "import os\nos._exit(0)\n",
    "ends-its-parent": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n",
    "ends-all": "import os, signal\nos.kill(-1, signal.SIGKILL)\n",
    "forges-a-frame": "import os\nos.write(3, b'x' * 64)\n",
    "fills-memory": "kept = [bytes(1 << 30) for _ in range(64)]\n",
    "writes-results": "open('/tmp/results.json', 'w').write('{}')\nraise SystemExit(0)\n",
}


def test_hostile_uploads_stop_nobody_and_earn_nothing(tmp_path: Path) -> None:
    for name, text in {**HOSTILE, "good": ""}.items():
        (tmp_path / "class" / name).mkdir(parents=True)
        (tmp_path / "class" / name / "answer.py").write_text(text + (RIGHT if name == "good" else THRICE))
    (tmp_path / "class" / "links").mkdir()
    (tmp_path / "class" / "links" / "answer.py").symlink_to(
        helpers.ROOT / "tests" / "small" / "reference" / "answer.py"
    )
    assert run(tmp_path / "class", tmp_path / "out").returncode == 0
    found = results(tmp_path / "out")
    # Code of theirs that fails at its first line costs what stands behind it at most: hello() is right.
    assert found.pop("good")["score"] == 3
    assert set(found) == {*HOSTILE, "links"}
    assert all(one["score"] <= 1 and one["extra_data"]["outcome"] != "grader error" for one in found.values())
    assert found["links"]["score"] == 0


WATCHED = """
import sys
from autograder.classroom import jobs
jobs.GRACE = 0.1
with jobs._deadline(0.1):
    pass
print("an upload in time", flush=True)
with jobs._deadline(0.2):
    3 ** (10 ** 9)  # in C, which hears no signal
print("never", flush=True)
"""


def test_the_watchdog_ends_what_no_limit_reaches() -> None:
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", WATCHED], cwd=helpers.ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.split("\n") == ["an upload in time", ""]
    assert done.returncode == 1, done.stderr
    assert time.monotonic() - begun < 60


def test_names_that_lead_out_of_an_export_lead_nowhere(tmp_path: Path) -> None:
    hostile = {
        "submission_11/../../escaped.py": b"x",
        "submission_11//tmp/escaped.py": b"x",
        "submission_11/a\\..\\..\\escaped.py": b"x",
    }
    upload = roster.read(export(tmp_path / "export.zip", extra=hostile))[0]
    (tmp_path / "scratch").mkdir()
    fetched = upload.fetch(tmp_path / "scratch")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.zip", "scratch"]
    inside = {path.relative_to(fetched).as_posix() for path in fetched.rglob("*") if path.is_file()}
    assert inside == {"hw/answer.py", "tmp/escaped.py", "escaped.py", "a/escaped.py"}


def test_ids_are_safe_and_each_once(tmp_path: Path) -> None:
    for name in ("Ann Lee", "ann_lee", "..", "a/b", "Ünï", "x" * 200):
        (tmp_path / name.replace("/", "∕")).mkdir(exist_ok=True)
    names = [upload.id for upload in roster.read(tmp_path)]
    assert len({name.casefold() for name in names}) == len(names) >= 4
    assert all(name.replace("_", "").replace("-", "").replace(".", "").isalnum() and len(name) < 100 for name in names)
    assert all(name.isascii() and not name.startswith(".") for name in names)


@pytest.mark.parametrize(
    "content", [b"", b"[1, 2]", b"a: [", b"\xff\xfe", b"? [a]: b", b"!!python/object/apply:os.system ['true']\n"]
)
def test_metadata_that_is_none_is_told_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / roster.METADATA).write_bytes(content)
    with pytest.raises(CheckFailed, match="submi"):
        roster.read(tmp_path)


def test_where_no_class_is_the_command_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("no zip")
    for path in (tmp_path / "empty", tmp_path / "nowhere", tmp_path / "text.zip"):
        done = run(path, tmp_path / "out")
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
        assert str(path.name) in done.stderr


def test_two_runs_do_not_share_a_folder(folder: Path, tmp_path: Path) -> None:
    import fcntl

    out = tmp_path / "out"
    out.mkdir()
    with (out / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run(folder, out)
    assert done.returncode == 2
    assert "Another run" in done.stderr


# -------------------------------------------------------------------------------------------- records


def test_a_record_holds_for_this_grader_and_this_upload_only() -> None:
    task = Task("tests.small", "abc")
    tests = [{"extra_data": {"check": "a.one"}, "tags": ["a"]}]
    record = {"extra_data": {"upload": "1", "grader": "abc", "outcome": "graded", "runs": True}, "tests": tests}

    def but(**fields: object) -> dict:
        return {**record, "extra_data": {**record["extra_data"], **fields}}  # type: ignore[dict-item]

    assert records.holds(record, task, "1")
    assert records.holds(but(again="x"), task, "1", "x")
    assert not records.holds(record, task, "1", "x")
    assert not records.holds(None, task, "1")
    for changed in (but(upload="2"), but(grader="abd"), but(outcome="grader error"), but(runs=False)):
        assert not records.holds(changed, task, "1")


def test_a_question_graded_anew_by_a_changed_grader_leaves_the_others_to_be_graded() -> None:
    def record(grader: str) -> dict:
        tests = [{"extra_data": {"check": f"{q}.one"}, "tags": [q], "output": grader, "score": 1} for q in "ab"]
        extra = {"upload": "1", "grader": grader, "outcome": "graded", "runs": True}
        return {"tests": tests, "output": "", "score": 2, "extra_data": extra}

    new = {**record("new"), "tests": record("new")["tests"][1:]}
    mixed = records.merged(record("old"), new)
    assert [test["output"] for test in mixed["tests"]] == ["old", "new"]
    assert records.said_by(mixed["extra_data"]) == "old (b by new)"
    assert records.holds(mixed, Task("tests.small", "new", checks=("b.one",)), "1")
    for task in (Task("tests.small", "new"), Task("tests.small", "old"), Task("tests.small", "new", checks=("a.one",))):
        assert not records.holds(mixed, task, "1")
    again = records.merged(mixed, {**record("old"), "tests": record("old")["tests"][1:]})
    assert records.said_by(again["extra_data"]) == "old"
    assert records.holds(again, Task("tests.small", "old"), "1")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"tests": 1}', b'{"tests": [], "extra_data": []}', b"[" * 10**5]
)
def test_a_damaged_record_is_graded_anew(tmp_path: Path, content: bytes) -> None:
    kept = records.Records(tmp_path)
    kept.path("ada").parent.mkdir()
    kept.path("ada").write_bytes(content)
    assert kept.load("ada") is None


# -------------------------------------------------------------------------------------------- compare


@pytest.mark.slow
def test_compare_says_who_lost_what_and_why(folder: Path, graded: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    place = tmp_path / "class"
    for name in CLASS:
        (place / name).mkdir(parents=True)
        (place / name / "answer.py").write_text({"ada": THRICE, "bert": RIGHT}.get(name, CLASS[name]))
    assert run(place, out).returncode == 0
    told = subprocess.run(
        command("compare", graded, out), capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}
    )
    assert told.returncode == 0, told.stderr
    assert "1 gained points, 1 lost points, 3 kept theirs" in told.stdout
    assert "3 only in the old grading: frida, gus, notes.txt" in told.stdout
    assert "2 handed in again" in told.stdout
    lines = told.stdout.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("-2.00  ada"))
    assert "2/2" in lines[at + 1]
    assert "0/2  The value returned is not twice x" in lines[at + 2]
    same = subprocess.run(command("compare", graded, graded), capture_output=True, text=True)
    assert "No check has different points or diagnoses" in same.stdout
    none = subprocess.run(command("compare", tmp_path, out), capture_output=True, text=True)
    assert (none.returncode, "no gradebook" in none.stderr) == (2, True)
