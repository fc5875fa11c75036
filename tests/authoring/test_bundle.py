"""The two zips: what is in them, when they are refused, and Gradescope's zip at work as on Gradescope's machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from autograder.audit.levels import DOCKER
from autograder.authoring import bundle, template
from autograder.hw11 import ASSIGNMENT
from autograder.intake import places
from tests.helpers import ROOT, reachable_folder

SCHEMA = json.loads(Path(__file__).parents[1].joinpath("gradescope_schema.json").read_text())
POINTS = sum(question.points for question in ASSIGNMENT.questions)


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[Path, subprocess.CompletedProcess[str]]]:
    """The folder with both zips, and what the command said."""
    with reachable_folder() as out:
        command = [sys.executable, "-m", "autograder", "bundle", "--out", str(out)]
        yield out, subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def unpack(archive: Path, folder: Path) -> Path:
    """Unpacks as the usual programs do, with the right to execute (which Python's own extractall drops)."""
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            Path(opened.extract(entry, folder)).chmod(stat.S_IMODE(entry.external_attr >> 16))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ------------------------------------------------------------------------------------ the zips


def test_the_command_ends_with_paths_sizes_and_digests(made):
    out, done = made
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == [bundle.GRADESCOPE, bundle.STUDENTS]
    first, *said, _ = done.stdout.splitlines()
    assert str(ROOT) in first and str(out) in first
    for line, name in zip(said, (bundle.GRADESCOPE, bundle.STUDENTS), strict=True):
        content = (out / name).read_bytes()
        assert line == f"{out / name}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}"


def test_the_students_zip_is_what_the_reference_gives(made, tmp_path):
    template.generate(ROOT / "reference", tmp_path / "generated")
    assert contents(unpack(made[0] / bundle.STUDENTS, tmp_path / "students")) == contents(tmp_path / "generated")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a copy without its history: git cannot say what belongs")
def test_gradescopes_zip_holds_what_git_tracks_of_the_rooms_that_grade(made):
    rooms = ("setup.sh", "run_autograder", "autograder", "reference", "student_template")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *rooms]
    tracked = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]
    staffs = ("audit/", "classroom/", "hw11/audit/", "hw11/solutions/", "output/pages/", "authoring/starter/")
    with zipfile.ZipFile(made[0] / bundle.GRADESCOPE) as archive:
        entries = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert list(entries) == sorted(
        name for name in tracked if not name.startswith(tuple(f"autograder/{room}" for room in staffs))
    )
    assert [name for name, mode in entries.items() if mode == 0o100755] == ["run_autograder", "setup.sh"]
    assert set(entries.values()) == {0o100755, 0o100644}


def test_another_place_and_time_and_what_runs_leave_change_no_byte(made, tmp_path, capsys):
    """Also what Gradescope's zip itself holds is enough to make both zips again."""
    copy = unpack(made[0] / bundle.GRADESCOPE, tmp_path / "copy")
    for path in copy.rglob("*.py"):
        os.utime(path, (1e9, 1e9))
        path.chmod(0o600)
    rooms = ("autograder", "autograder/hw11/vae", "reference", "reference/gan_vae", "student_template")
    for place in (copy / room for room in rooms):
        clutter = [place / "__pycache__" / "a.cpython-311.pyc", place / ".git" / "config", place / ".canary-1"]
        if place.parts[-1] != "vae" and place != copy / "autograder":
            clutter += [place / "data" / "mnist.gz", place / "results" / "model.pt"]
        for path in clutter:
            path.parent.mkdir(exist_ok=True)
            path.write_text("left by a run")
    (copy / "student_template" / "submission_log.json").write_text("{}")
    (copy / "tests").mkdir()
    (copy / "tests" / "a.py").write_text("")
    (copy / "autograder" / "audit").mkdir()
    (copy / "autograder" / "audit" / "bank.py").write_text("")
    assert bundle.run(copy, tmp_path / "again") == 0, capsys.readouterr().err
    assert contents(tmp_path / "again") == contents(made[0])


def test_the_leaderboard_is_one_empty_file_more(made, tmp_path):
    assert bundle.run(ROOT, tmp_path, leaderboard=True) == 0
    with (
        zipfile.ZipFile(tmp_path / bundle.GRADESCOPE) as archive,
        zipfile.ZipFile(made[0] / bundle.GRADESCOPE) as usual,
    ):
        assert set(archive.namelist()) - set(usual.namelist()) == {places.LEADERBOARD}
        assert archive.read(places.LEADERBOARD) == b""


def test_to_pack_the_whole_homework_nothing_but_python_is_needed(made, tmp_path):
    code = (
        "import sys; from pathlib import Path; sys.modules['numpy'] = sys.modules['pydantic'] = None\n"
        "from autograder.authoring import bundle; sys.exit(bundle.run(Path.cwd(), Path(sys.argv[1])))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path) == contents(made[0])


# ------------------------------------------------------------------------------------ refusals


@pytest.fixture
def small(tmp_path) -> Path:
    """A repository in small, which can be packed."""
    root = tmp_path / "repository"
    for name in ("autograder/core.py", "setup.sh", "run_autograder", "reference/a.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("def f():\n    # BEGIN SOLUTION one\n    return 1\n    # END SOLUTION\n")
    template.run(root / "reference", root / "student_template")
    return root


def make_stale(root: Path) -> None:
    (root / "student_template" / "a.py").write_text("def f():\n    return 1\n")
    (root / "student_template" / "notes.txt").write_text("")


REFUSED = {
    # what is wrong: (how it came about, the folder asked for, what the sentence says)
    "a template that was edited": (
        make_stale, "out", "in 2 of its files: a.py differs from the file that the reference generates. Run `python3 "
                           "-m autograder t"),
    "a marker that is not closed": (
        lambda root: (root / "reference" / "a.py").write_text("# BEGIN SOLUTION x\n"), "out", "has no END SOLUTION"),
    "a script that is not there": (lambda root: (root / "setup.sh").unlink(), "out", "setup.sh cannot be read: "),
    "a file for a folder": (lambda root: (root.parent / "out").write_text(""), "out", "cannot be written: "),
    "a folder for a file": (
        lambda root: (root.parent / "out" / bundle.GRADESCOPE).mkdir(parents=True), "out", "cannot be written: Is a"),
    "a folder that nobody may write": (lambda root: None, "/proc", "cannot be written: "),
    "a folder that is packed": (lambda root: None, "repository/reference/new", "Give another --out."),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_packed_is_refused_with_a_sentence(small, capsys, name):
    spoil, out, sentence = REFUSED[name]
    assert bundle.run(small, small.parent / "fine") == 0
    spoil(small)
    before = sorted(small.parent.rglob("*"))
    assert bundle.run(small, small.parent / out) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1 and said.endswith(".\n")
    assert sorted(small.parent.rglob("*")) == before


def test_scripts_that_git_on_windows_changed_are_mended(small, capsys):
    """And only scripts: of a data file every byte counts."""
    (small / "setup.sh").write_bytes(b"#!/bin/sh\r\necho 1\r\n")
    (small / "run_autograder").write_bytes(b"#!/bin/sh\necho 1\n")
    (small / "autograder" / "data.bin").write_bytes(b"1\r\n")
    assert bundle.run(small, small.parent / "out") == 0
    assert "Packed with Linux line ends, which they need to run there: setup.sh.\n" in capsys.readouterr().out
    with zipfile.ZipFile(small.parent / "out" / bundle.GRADESCOPE) as archive:
        assert archive.read("setup.sh") == b"#!/bin/sh\necho 1\n"
        assert archive.read("autograder/data.bin") == b"1\r\n"


def test_git_keeps_the_line_ends_of_scripts():
    """Whatever a machine's git is set to."""
    told = subprocess.run(
        ["git", "check-attr", "eol", "run_autograder", "setup.sh", "run_tests", "autograder/__main__.py"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert [line.rpartition(": ")[2] for line in told.splitlines()] == ["lf"] * 4


def test_the_zips_are_written_by_rename(small):
    """Whoever has the old one open keeps it whole."""
    new, old = small.parent / "out" / bundle.GRADESCOPE, small.parent / "old.zip"
    assert bundle.run(small, new.parent) == 0
    os.link(new, old)
    before = old.read_bytes()
    (small / "autograder" / "core.py").write_text("a = 1\n")
    assert bundle.run(small, new.parent) == 0
    assert old.read_bytes() == before != new.read_bytes()


# ------------------------------------------------------------------------------------ as Gradescope has it


@pytest.mark.parametrize(
    "wrong",
    [
        {"tests": []},
        {"tests": [{"name": "one", "max_score": 1}]},
        {"score": "3"},
        {"score": 3, "visibility": "secret"},
        {"score": 3, "tests": [{"status": "error"}]},
        {"score": 3, "tests": [{"number": 4.1}]},
        {"score": 3, "tests": [{"points": 1}]},
        {"score": 3, "leaderboard": [{"name": "accuracy"}]},
    ],
    ids=str,
)
def test_the_schema_refuses_what_gradescope_does_not_document(wrong):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)


BARE = f"""
set -eu
root=$1; shift
for place in $1; do # read-only, so that nothing here can harm this machine; a link such as /lib stays one
  [ -e "$place" ] || continue
  mkdir -p "$root${{place%/*}}"
  if [ -L "$place" ]; then ln -sfn "$(readlink "$place")" "$root$place"; continue; fi
  mkdir -p "$root$place"
  mount --bind "$place" "$root$place"
  mount -o remount,bind,ro "$root$place"
done
shift
mkdir -p "$root/dev" "$root/proc"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
for place in /tmp /var/tmp /run /dev/shm; do # the grader changes the rights of these
  mkdir -p "$root$place"
  mount -t tmpfs -o mode=1777 tmpfs "$root$place"
done
mkdir -m 1777 "$root/run/lock"
exec setpriv --bounding-set "-all,+{DOCKER.replace(",", ",+")}" chroot "$root" "$@"
"""
"""Runs a command in a root folder that has this machine's programs and /autograder, and with a container's rights.

The mounts are those of a namespace, and go with it; so do all processes.
"""
NAMESPACE = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
CLEAN = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root")


@cache
def without_a_root() -> str:
    """Why no bare root can be made here; empty where it can."""
    if os.geteuid() != 0:
        return "only root may make a root folder with mounts of its own"
    if not all(map(shutil.which, ("unshare", "setpriv", "chroot"))):
        return "unshare, setpriv or chroot is not there"
    mounting = [*NAMESPACE, "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    refused = subprocess.run(mounting, capture_output=True, text=True, check=False)
    return refused.stderr.strip() and f"mounts are refused here: {refused.stderr.strip()}"


@pytest.fixture(scope="module")
def machine(made) -> Iterator[Path]:
    """Gradescope's folder /autograder after the image was built, in a bare root; else one in a temporary folder."""
    with reachable_folder() as folder:
        folder.chmod(0o755)
        autograder = folder / "autograder"
        source = unpack(made[0] / bundle.GRADESCOPE, autograder / "source")
        for name in ("submission", "results", "../root"):
            (autograder / name).mkdir()
        (autograder / "submission_metadata.json").write_text(
            json.dumps({"id": 1, "created_at": "2026-11-23T07:00:00Z", "users": [{"id": 2, "name": "Ada Lovelace"}]})
        )
        shutil.copy(source / "run_autograder", autograder)
        if os.geteuid() != 0:  # where setup.sh looks for the environment, which it need not make again
            (source / ".venv").symlink_to(python().parents[1])
        done = called(autograder, "bash", f"{place(autograder)}/source/setup.sh")
        assert done.returncode == 0 and "ready: " in done.stderr, done.stderr
        assert "making" not in done.stderr
        yield autograder


@cache
def python() -> Path:
    """The interpreter of the environment, whose pins are the bundle's."""
    command = ["bash", str(ROOT / "setup.sh"), "--python"]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def place(autograder: Path) -> str:
    return str(autograder) if without_a_root() else "/autograder"


def called(autograder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as Gradescope does: as root in /autograder, with next to nothing in its environment."""
    clean = ("env", "-i", "-C", place(autograder), *CLEAN, *command)
    if not without_a_root():
        own = (python().parents[1], python().resolve().parents[1])  # the environment, and what it was made with
        seen = dict.fromkeys(("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", *map(str, own)))
        clean = (*NAMESPACE, "sh", "-c", BARE, "bare", str(autograder.parent), " ".join(seen), *clean)
    return subprocess.run(clean, capture_output=True, text=True, timeout=300, check=False)


def graded(autograder: Path, homework: Path) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Puts the homework where Gradescope puts it, and grades it."""
    results = autograder / "results" / "results.json"
    with contextlib.suppress(FileNotFoundError):
        results.unlink()
    shutil.rmtree(autograder / "submission")
    shutil.copytree(homework, autograder / "submission", ignore=shutil.ignore_patterns("__pycache__", "data"))
    if without_a_root():  # where PATH must be given, since there is no /autograder
        run = (str(autograder / "source" / "run_autograder"), str(autograder / "submission"), "--out", str(results))
    else:
        run = ("/autograder/run_autograder",)  # type: ignore[assignment]
    done = called(autograder, *run)
    assert results.exists(), done.stderr
    document = json.loads(results.read_text())
    jsonschema.validate(document, SCHEMA)
    assert [path.name for path in results.parent.iterdir()] == ["results.json"]
    assert document["score"] == pytest.approx(sum(test.get("score", 0.0) for test in document["tests"]))
    assert "Lovelace" not in results.read_text()
    return done, document


@pytest.mark.slow
def test_the_bundle_gives_the_reference_every_point(machine):
    done, document = graded(machine, ROOT / "reference")
    assert (done.returncode, document["score"]) == (0, POINTS), done.stderr + document["output"]
    assert len(document["tests"]) == sum(len(question.checks) for question in ASSIGNMENT.questions)
    assert all(test.get("status", "passed") == "passed" for test in document["tests"])
    assert document["extra_data"]["complete"] is True
    assert "isolation: " in done.stdout


@pytest.mark.slow
def test_the_bundle_gives_the_template_nothing_and_says_why(machine):
    done, document = graded(machine, ROOT / "student_template")
    assert (done.returncode, document["score"]) == (0, 0), done.stderr + document["output"]
    assert document["extra_data"]["complete"] is True
    reasons = ("NotImplementedError", "is not in the upload", "not filled in", "nothing", "no picture", "no answer")
    for test in document["tests"]:
        assert any(reason in test["output"] for reason in reasons), test["output"]


def test_the_bundle_graded_in_gradescopes_places(machine):
    """What only a machine with /autograder shows: nothing is given, and students' code cannot enter what is ours."""
    if reason := without_a_root():
        pytest.skip(f"graded in a temporary folder only: {reason}")
    shutil.rmtree(machine / "submission")
    (machine / "submission").mkdir()
    done = called(machine, "/autograder/run_autograder")
    assert done.returncode == 2, done.stderr
    document = json.loads((machine / "results" / "results.json").read_text())
    jsonschema.validate(document, SCHEMA)
    assert document["score"] == 0
    assert "/autograder/results/results.json" in done.stdout.split()
    modes = {name: stat.S_IMODE((machine / name).stat().st_mode) for name in ("source", "submission_metadata.json")}
    assert modes == {"source": 0o700, "submission_metadata.json": 0o600}
