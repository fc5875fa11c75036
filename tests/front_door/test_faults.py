"""The seven faults of GRADESCOPE.md and other misfortunes: each costs its own check and is told in a sentence."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import types
import zipfile
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from autograder.core import Verdict
from autograder.intake.chosen import Asked
from autograder.output import terminal
from autograder.sandbox import confine
from autograder.sandbox.host import canary
from autograder.sandbox.host.sandbox import Sandbox
from tests import helpers
from tests.helpers import UTILS, VAE, VAE_ONLY, solved, with_seconds, zip_of

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

ENDLESS, FULL, BOUND = 1.0, 25, 15


class FrontDoor:
    """`./run_autograder PATH --out FILE` in this process, so that one zygote serves all tests."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch
        self.out = ""
        self.err = ""

    def __call__(
        self, path: Path, out: Path, *, seconds: float = 300.0, limit: float = 30.0
    ) -> tuple[int, dict[str, Any]]:
        homework = types.ModuleType("homework_of_this_test")
        homework.__dict__["ASSIGNMENT"] = with_seconds(VAE_ONLY, limit)
        homework.__spec__ = ModuleSpec(homework.__name__, None, is_package=True)  # so that it has a folder of settings
        homework.__spec__.submodule_search_locations = [str(out.parent)]
        self.monkeypatch.setitem(sys.modules, homework.__name__, homework)
        before = set(Path("/tmp").glob("autograder-*"))
        self.capsys.readouterr()
        status = terminal.grade(path, out, homework.__name__, Asked(seconds=seconds))
        self.out, self.err = self.capsys.readouterr()
        assert "Traceback" not in self.out + self.err
        ours = {left for left in set(Path("/tmp").glob("autograder-*")) - before if _made_by_us(left)}
        assert not ours
        return status, helpers.is_valid_results(out)


def _made_by_us(folder: Path) -> bool:
    """Others may grade on this machine at the same time: only folders that hold our workspace count."""
    with contextlib.suppress(OSError):
        return (folder / "workspace").stat().st_gid == terminal_uid()
    return False


def terminal_uid() -> int:
    return 0x10000000 + os.getpid()


@pytest.fixture
def front_door(sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> FrontDoor:
    monkeypatch.setattr(terminal, "Sandbox", lambda _config, **_runs: contextlib.nullcontext(sandbox))
    monkeypatch.setattr(confine, "shield", lambda: None)  # it would be pytest that is shielded
    # The canary has tests of its own; here it would take half of the time.
    monkeypatch.setattr(canary, "inspect", lambda *_a, **_k: canary.Report(dict.fromkeys(canary.ASPECTS, "")))
    return FrontDoor(capsys, monkeypatch)


def points(content: dict[str, Any], part: str) -> float:
    return sum(test.get("score", 0.0) for test in content["tests"] if test["extra_data"]["check"].startswith(part))


def told(content: dict[str, Any], part: str = "") -> set[str]:
    return {helpers.said(test) for test in content["tests"] if test["extra_data"]["check"].startswith(part)}


# ---------------------------------------------------------------------------------- the seven faults

IN_FUNCTION = "def sample_gaussian(m, v):\n    import ctypes, os, sys\n    {}\n"
FAULTS = {
    # name: (behind utils.py, points of sample_gaussian's ten, words that must be there)
    "endless loop": (IN_FUNCTION.format("while True: pass"), 0, "still running"),
    "os._exit": (IN_FUNCTION.format("os._exit(0)"), 0, "stopped before the code returned"),
    "sys.exit": (IN_FUNCTION.format("sys.exit(0)"), 0, "SystemExit"),
    "KeyboardInterrupt": (IN_FUNCTION.format("raise KeyboardInterrupt"), 0, "KeyboardInterrupt"),
    "sys.exit at the end of the file": ("import sys\nsys.exit('done')", 10, ""),
    "50 MB printed": (
        "right = sample_gaussian\ndef sample_gaussian(m, v):\n    print('x' * 50_000_000)\n    return right(m, v)\n",
        10,
        "",
    ),
    "segmentation fault": (IN_FUNCTION.format("ctypes.string_at(0)"), 0, "SIGSEGV"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault(fault: str, front_door: FrontDoor, tmp_path: Path) -> None:
    source, sample, words = FAULTS[fault]
    limit = ENDLESS if fault == "endless loop" else 30.0
    upload = zip_of(solved(utils=source), tmp_path / "submission.zip")
    status, content = front_door(upload, tmp_path / "results.json", limit=limit)
    assert status == terminal.GRADED
    assert content["extra_data"]["complete"]
    assert points(content, "vae.bound") == BOUND, told(content, "vae.bound")
    assert points(content, "vae.sample") == sample, told(content, "vae.sample")
    assert content["score"] == BOUND + sample
    assert len(content["tests"]) == len(VAE_ONLY.questions[0].checks)
    if words:
        assert all(words in sentence for sentence in told(content, "vae.sample"))


def test_fault_through_the_script_itself(tmp_path: Path) -> None:
    """One of the seven by way of the shell script, the real canary and a zygote of its own."""
    upload = zip_of(solved(utils=FAULTS["segmentation fault"][0]), tmp_path / "submission.zip")
    done = run(upload, tmp_path / "results.json")
    _, errors = done.communicate(timeout=280)
    assert done.returncode == 0, errors
    assert "Traceback" not in errors
    content = helpers.is_valid_results(tmp_path / "results.json")
    assert points(content, "vae") == BOUND
    assert "-> STRONG" in content["extra_data"]["isolation"] or os.geteuid() != 0


def run(upload: Path, out: Path) -> subprocess.Popen[str]:
    """The command as the shell script runs it, with the interpreter that runs these tests."""
    return subprocess.Popen(
        [sys.executable, "-I", "-B", str(helpers.ROOT / "autograder" / "__main__.py"), "grade",
         str(upload), "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


# ------------------------------------------------------------------------------- stopped on the way


def test_time_used_up_leaves_the_earlier_points(front_door: FrontDoor, tmp_path: Path) -> None:
    """The bound loops: sample_gaussian's points stay, what was not reached says so."""
    endless = "VAE.negative_elbo_bound = lambda self, x: any(iter(int, 1))"
    upload = zip_of(solved(vae=endless), tmp_path / "submission.zip")
    started = time.monotonic()
    front_door(zip_of(solved(), tmp_path / "right.zip"), tmp_path / "right.json")
    usual = time.monotonic() - started  # on this machine, at this moment
    status, content = front_door(upload, tmp_path / "results.json", seconds=4.0 + 2 * usual)
    assert time.monotonic() - started < 60 + 4 * usual
    assert status == terminal.GRADED
    assert points(content, "vae.sample") == 10, told(content, "vae.sample")
    assert points(content, "vae.bound") == 0
    assert "time for the whole submission" in " ".join(told(content, "vae.bound.posterior"))
    assert any("still running" in sentence for sentence in told(content, "vae.bound"))


SLOW = """
import time
right = sample_gaussian
def sample_gaussian(m, v):
    time.sleep(0.04)
    return right(m, v)
"""


def _descendants(pid: int) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            if int((process / "stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found += [int(process.name), *_descendants(int(process.name))]
    return found


def _alive(pid: int) -> bool:
    with contextlib.suppress(OSError, IndexError):
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_stopped_at_any_moment(number: signal.Signals, tmp_path: Path) -> None:
    """Three judges are stopped, each a random while after its results.json first appeared."""
    upload = zip_of(solved(utils=SLOW), tmp_path / "submission.zip")
    drawn = random.Random(int(number))
    outs = [tmp_path / f"results-{index}" / "results.json" for index in range(3)]
    judges = [run(upload, out) for out in outs]
    try:
        for judge, out in zip(judges, outs, strict=True):
            give_up = time.monotonic() + 120
            while not out.exists() and time.monotonic() < give_up:
                assert judge.poll() is None, judge.communicate()
                time.sleep(0.01)
        stops = sorted((time.monotonic() + drawn.uniform(0, 2.5), index) for index in range(3))
        family: dict[int, list[int]] = {}
        for moment, index in stops:
            while time.monotonic() < moment:
                helpers.is_valid_results(outs[index])  # whoever reads meanwhile finds a whole file
                time.sleep(0.01)
            family[index] = _descendants(judges[index].pid)
            judges[index].send_signal(number)
        for index, judge in enumerate(judges):
            _, errors = judge.communicate(timeout=60)
            assert judge.returncode in (-number, 128 + number, 0)  # 0: it was just done
            assert "Traceback" not in errors, errors
            content = helpers.is_valid_results(outs[index])
            known = [test for test in content["tests"] if "status" in test["extra_data"]]
            assert content["extra_data"]["complete"] == (len(known) == len(content["tests"]))
            assert content["score"] <= sum(test.get("max_score", 0.0) for test in content["tests"])
            give_up = time.monotonic() + 30  # a zygote dies of its parent's death, a moment later
            while any(map(_alive, family[index])) and time.monotonic() < give_up:
                time.sleep(0.02)
            assert not any(map(_alive, family[index])), "a process outlived the judge"
            if number == signal.SIGTERM:
                uid = 0x10000000 + judge.pid
                left = [p for p in Path("/tmp").glob("autograder-*/workspace") if p.stat().st_gid == uid]
                assert not left
                assert [path.name for path in outs[index].parent.iterdir()] == ["results.json"]
    finally:
        for judge in judges:
            if judge.poll() is None:
                judge.kill()
            judge.wait()
            for workspace in Path("/tmp").glob("autograder-*/workspace"):
                with contextlib.suppress(OSError):
                    if workspace.stat().st_gid == 0x10000000 + judge.pid:
                        shutil.rmtree(workspace.parent)
        for canaries in helpers.REFERENCE.glob(".canary-*"):
            canaries.unlink()


# ------------------------------------------------------------------------------ what cannot be graded


def zip_bomb(path: Path) -> Path:
    """Files that are zeros, together more than 200 MB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for index in range(6):
            archive.writestr(f"gan_vae/{index}.py", bytes(40 * 1024**2))
    return path


NOT_GRADABLE = {
    "not a zip": (lambda path: path.write_bytes(b"\x89PNG" * 100), "is not a valid zip archive"),
    "a text": (lambda path: path.write_text("def sample_gaussian(m, v): ..."), "is not a valid zip archive"),
    "an empty file": (lambda path: path.write_bytes(b""), "is empty"),
    "an empty zip": (lambda path: zip_of({}, path), "none of the graded files"),
    "half a zip": (
        lambda path: path.write_bytes(zip_of(solved(), path).read_bytes()[:-200]),
        "is not a valid zip archive",
    ),
    "no graded file": (lambda path: zip_of({"notes.md": b"x", "a\nb.py": b""}, path), "notes.md"),
    "a zip bomb": (zip_bomb, "more than 200 MB"),
    "a control character": (lambda path: zip_of({"gan_vae/\x1b[2Jutils.py": b""}, path), "control characters"),
}


@pytest.mark.parametrize("row", NOT_GRADABLE)
def test_cannot_be_graded(row: str, front_door: FrontDoor, tmp_path: Path) -> None:
    make, words = NOT_GRADABLE[row]
    make(tmp_path / "submission.zip")
    status, content = front_door(tmp_path / "submission.zip", tmp_path / "results.json")
    assert status == terminal.NOT_GRADABLE
    assert content["score"] == 0
    assert not content["extra_data"]["complete"]
    assert words in content["output"] or row == "a control character", content["output"]
    assert "none of the graded files" in content["output"] or words in content["output"]
    assert words in front_door.out or "none of the graded files" in front_door.out


@pytest.mark.parametrize("path", ["nowhere.zip", "fifo.zip", "linked.zip", "closed"])
def test_no_such_submission(path: str, front_door: FrontDoor, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.zip")
    (tmp_path / "linked.zip").symlink_to(tmp_path / "linked.zip")
    (tmp_path / "closed").mkdir(mode=0o000 if os.geteuid() else 0o700)
    status, content = front_door(tmp_path / path, tmp_path / "results.json")
    assert status == terminal.NOT_GRADABLE
    assert content["score"] == 0


WITHOUT_UTILS = {name: data for name, data in solved().items() if name != UTILS}
PARTLY = {
    # name: (files, points of sample_gaussian and of the bound, words for what was lost)
    "utils.py is missing": (WITHOUT_UTILS, 0, 15, f"{UTILS} is not in the upload"),
    "vae.py is missing": ({UTILS: solved()[UTILS]}, 10, 0, f"{VAE} is not in the upload"),
    "does not parse": (solved(utils="def f(:\n"), 10, 15, ""),
    "a tab among spaces": (solved(utils="if 1:\n\tx = 1\n        y = 2\n"), 10, 15, ""),
    "the function does not parse": (solved(utils="del sample_gaussian\ndef sample_gaussian(m, v:\n    return m"),
                                    0, 15, "gan_vae/utils.py, line"),
    "function missing": (solved(utils="del sample_gaussian"), 0, 15, "defines no sample_gaussian"),
    "not a function": (solved(utils="sample_gaussian = 3"), 0, 15, "Expected: a function or class"),
    "wrong signature": (solved(utils="def sample_gaussian(m): return m"), 0, 15, "TypeError"),
    "returns nothing": (solved(utils="def sample_gaussian(m, v): m + v"), 0, 15, "is a return missing?"),
    "import that fails": (
        solved(more={UTILS: b"import no_such_package_xyz.x as n\nn.f()\n" + solved()[UTILS]}), 10, 15, "",
    ),
    "import that fails where it is needed": (
        solved(utils="import no_such_package_xyz.x as n\nn.f()\ndef sample_gaussian(m, v): return m + n.f(v)"),
        0, 15, "no_such_package",
    ),
    "import that fails in the file itself": (
        solved(more={UTILS: b"from models import no_such_file\n" + solved()[UTILS]}), 10, 15, "",
    ),
    "absent packages that are never used": (
        solved(more={UTILS: (
            b"import no_such_package\nimport no_such_package.sub as n, tensorflow, google.colab\n"
            b"from no_such_package.other import a, b\nfrom google.colab import drive\n" + solved()[UTILS]
        )}), 10, 15, "",
    ),
    "links and special files": (solved(), 10, 15, ""),
}  # fmt: skip


@pytest.mark.parametrize("row", PARTLY)
def test_costs_only_its_own_checks(row: str, front_door: FrontDoor, tmp_path: Path) -> None:
    files, sample, bound, words = PARTLY[row]
    upload = zip_of(files, tmp_path / "submission.zip")
    if row == "links and special files":
        with zipfile.ZipFile(upload, "a") as archive:
            link = zipfile.ZipInfo("gan_vae/link.py")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
            archive.writestr("gan_vae/\x07bell.py", "x")
    status, content = front_door(upload, tmp_path / "results.json")
    assert status == terminal.GRADED
    assert points(content, "vae.sample") == sample, told(content, "vae.sample")
    assert points(content, "vae.bound") == bound, told(content, "vae.bound")
    if words:
        lost = "vae.sample" if sample == 0 else "vae.bound"
        assert all(words in sentence for sentence in told(content, lost)), told(content, lost)
    if row == "links and special files":
        assert "link.py" in content["output"]
        assert "is a link" in content["output"]
        assert "control characters" in content["output"]


def test_prints_reach_the_staff_and_not_the_student(sandbox: Sandbox) -> None:
    graded = helpers.grade(sandbox, solved(utils="print('a word of mine')"))
    assert graded.document["score"] == FULL
    assert all("a word of mine" in result.log for result in graded.results)
    assert "a word of mine" not in graded.text


def test_a_fault_of_ours_is_told_and_keeps_the_points(
    front_door: FrontDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: Any, **_named: Any) -> Any:
        raise RuntimeError("the canary could not run")

    monkeypatch.setattr(canary, "inspect", broken)
    upload = zip_of(solved(), tmp_path / "submission.zip")
    status, content = front_door(upload, tmp_path / "results.json")
    assert status == terminal.OUR_FAULT
    assert "not in the submission" in content["output"]


def test_a_judge_that_stumbles_costs_nothing(sandbox: Sandbox) -> None:
    def stumbles(_trial: Any) -> Any:
        raise ZeroDivisionError

    judge: Any = stumbles
    judge.alpha = 0.0
    question = VAE_ONLY.questions[0]
    checks = (replace(question.checks[0], judge=judge), *question.checks[1:2])
    graded = helpers.grade(
        sandbox, solved(), assignment=replace(VAE_ONLY, questions=(replace(question, checks=checks),))
    )
    assert [result.status for result in graded.results] == ["grader error", "graded"]
    assert graded.results[0].score == checks[0].points
    assert "fault in the grader" in graded.results[0].verdict.message


def test_values_that_break_a_judge_end_with_a_person(
    front_door: FrontDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No points, exit status 3, and the staff reads it first; the other checks are judged as ever."""

    def divides(trial: Any) -> Any:
        spread = float(trial.got["noise.standard"].std())
        return Verdict(1.0, f"The spread is {1 // spread if spread else 1 // 0}.")

    judge: Any = divides
    judge.alpha = 0.0
    question = VAE_ONLY.questions[0]
    checks = (replace(question.checks[0], judge=judge), *question.checks[1:])
    monkeypatch.setattr(
        sys.modules[__name__], "VAE_ONLY", replace(VAE_ONLY, questions=(replace(question, checks=checks),))
    )
    right = front_door(zip_of(solved(), tmp_path / "right.zip"), tmp_path / "right.json")
    assert right[0] == terminal.GRADED
    assert right[1]["score"] == FULL
    flat = "def sample_gaussian(m, v):\n    return m * 1.0"
    status, content = front_door(zip_of(solved(utils=flat), tmp_path / "flat.zip"), tmp_path / "flat.json")
    assert status == terminal.OUR_FAULT
    first = content["tests"][0]
    assert first["score"] == 0
    assert first["extra_data"]["status"] == "unjudgeable"
    assert first["extra_data"]["diagnoses"] == ["unjudgeable"]
    assert "could not be judged" in first["output"]
    assert "ZeroDivisionError" not in first["output"]
    (told,) = content["extra_data"]["for_the_staff"]
    assert told.startswith("4.1 ")
    assert "ZeroDivisionError" in told
    assert told in " ".join(front_door.out.split())
    assert points(content, "vae.bound") == BOUND


def test_results_are_never_half_written(tmp_path: Path) -> None:
    """Scores that are not numbers cannot be written as JSON: the file before stays."""
    from autograder.output import gradescope

    path = tmp_path / "results.json"
    gradescope.write(path, {"score": 1})
    with pytest.raises(ValueError, match="JSON"):
        gradescope.write(path, {"score": float("nan")})
    assert json.loads(path.read_text()) == {"score": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]
