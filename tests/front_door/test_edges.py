"""What surrounds a run: streams that are closed or full, Ctrl-C, a full disk, narrow terminals, results on devices."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autograder import storage, text
from autograder.__main__ import entry, main
from autograder.core import Result, Verdict
from autograder.intake import submission
from autograder.output import gradescope, streams, terminal
from autograder.sandbox.host import canary
from tests import helpers, small
from tests.classroom.test_class import RIGHT, SILENT, command, results, run

pytestmark = pytest.mark.slow

SLEEPS = RIGHT.replace("return x + x", "import time; time.sleep(60)")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graded class of one, for commands that are quick."""
    place = tmp_path_factory.mktemp("one")
    (place / "class" / "ada").mkdir(parents=True)
    (place / "class" / "ada" / "answer.py").write_text(RIGHT)
    assert run(place / "class", place / "out").returncode == 0
    return place / "out"


def shell(line: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of bash in which "$@" is the program."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}", "bash", *command(*arguments)],
        capture_output=True, text=True, timeout=240, check=False, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "status", "errors"),
    [
        ('"$@" >&-', 0, ""),
        ('"$@" >&- 2>&-', 0, ""),
        ('"$@" <&- >&-', 0, ""),
        ('"$@" | head -0', 0, ""),
        ('"$@" >/dev/full', 3, "Some output could not be printed: No space left on device.\n"),
    ],
)
def test_who_reads_the_output_does_not_matter(out: Path, line: str, status: int, errors: str) -> None:
    """Of a comparison, which is nothing but what it prints, a full disk is told by the status, too."""
    done = shell(line, "compare", out, out)
    assert (done.returncode, done.stderr) == (status, errors)


def test_a_submission_is_graded_whoever_reads(tmp_path: Path) -> None:
    (tmp_path / "answer.py").write_text(SILENT)
    grade = ("grade", tmp_path / "answer.py", "--homework", "tests.small", "--out")
    done = shell('"$@" >/dev/full', *grade, tmp_path / "full.json")
    assert done.returncode == 0, "the result is there"
    assert done.stderr == "Some output could not be printed: No space left on device.\n"
    assert json.loads((tmp_path / "full.json").read_text())["score"] == 2
    done = shell('"$@" | head -1', *grade, "/dev/null")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Question 1: Numbers   2 of 2\n", "")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)  # noqa: PTH116
    done = shell('"$@" 2>&1 >/dev/null', *grade, "/dev/full")
    assert (done.returncode, done.stdout) == (3, "/dev/full cannot be written: No space left on device.\n")


def test_ctrl_c_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "answer.py").write_text(SLEEPS)
    place = tmp_path / "results.json"
    process = subprocess.Popen(
        command("grade", tmp_path / "answer.py", "--homework", "tests.small", "--out", place),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not place.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.2)  # a quick machine has graded it soon
    os.killpg(process.pid, signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert (process.returncode, printed) == (130, "")
    assert errors.strip() == f"Stopped. The results so far are in {place}"
    assert json.loads(place.read_text())["output"] == "The grading was stopped before its end."


def test_ctrl_c_anywhere_else(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def stopped(_options: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("autograder.__main__._run", stopped)
    before = signal.getsignal(signal.SIGINT)
    try:
        assert entry(["compare", "a", "b"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr() == ("", "\nStopped.\n")


def test_the_statuses_are_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "0 success, 2 the arguments or files cannot be used, 3 a fault of the grader" in told
    assert "130 stopped by Ctrl-C" in told


# -------------------------------------------------------------------------------------------- streams


def test_a_stream_that_fails_is_dropped_and_says_why() -> None:
    full = Path("/dev/full").open("w")  # noqa: SIM115 (its close fails, which is for the stream to bear)
    stream = streams.Forgiving(full)
    assert stream.write("x" * 100_000) == 100_000
    stream.flush()
    assert stream.fault == "No space left on device"
    stream.write("more")
    full.close()
    reader, writer = os.pipe()
    os.close(reader)
    pipe = os.fdopen(writer, "w")
    stream = streams.Forgiving(pipe)
    stream.write("x")
    stream.flush()
    assert stream.fault == "", "nobody is there to be told"
    pipe.close()
    streams.Forgiving(pipe).write("after it was closed")


def test_closed_streams_take_no_files_number() -> None:
    """Else what is printed would be written into the first file that is opened."""
    code = "from autograder.output import streams; streams.reserve(); import os; print(os.open('/dev/null', 0) > 2)"
    done = subprocess.run(
        ["bash", "-c", '"$@" <&- 2>&-', "bash", sys.executable, "-c", code],
        cwd=helpers.ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "True\n"


# -------------------------------------------------------------------------------------- a full disk


class Full:
    """Stands for `storage.save` on a disk that is full from its `after`th write on."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.save = storage.save

    def __call__(self, path: Path, content: str | bytes, *, links: bool = True) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        self.save(path, content, links=links)


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_disk_that_gets_full_while_a_class_is_graded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    for name in ("ada", "bert", "cleo"):
        (tmp_path / "class" / name).mkdir(parents=True)
        (tmp_path / "class" / name / "answer.py").write_text(RIGHT)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "save", Full(after))
        done = run(tmp_path / "class", tmp_path / "out")
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    left = 3 - len(list((tmp_path / "out" / "results").glob("*.json")))
    done = run(tmp_path / "class", tmp_path / "out")
    assert (done.returncode, f"Grading {left} " in done.stdout) == (0, True)
    assert len(results(tmp_path / "out")) == 3


def test_a_full_scratch_disk_is_no_fault_of_the_submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "answer.py").write_text(RIGHT)
    (tmp_path / "workspace").mkdir()

    def full(*_arguments: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(OSError, match="No space left"):
        submission.receive(tmp_path / "answer.py", small.ASSIGNMENT, tmp_path / "workspace")


# --------------------------------------------------------------------------------- what people read


def shown(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    question = small.ASSIGNMENT.questions[0]
    verdict = Verdict(0.5, "The value returned is not twice x, and this sentence is a long one. Expected: 2 x.")
    report = canary.Report(dict.fromkeys(canary.ASPECTS, ""))
    result = Result(question, question.checks[0], verdict)
    terminal.show(small.ASSIGNMENT, [result], ["A remark."], report, 1.0, Path("/x/results.json"))
    return capsys.readouterr().out.splitlines()


def verdict_words() -> list[str]:
    return ["The", "value", "returned", "is", "not", "twice", "x,", "and", "this", "sentence", "long", "one."]


@pytest.mark.parametrize("width", [20, 30, 49, 50, 80])
def test_titles_do_not_wrap_and_words_stay_whole(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(width, monkeypatch, capsys)
    assert lines[0].rstrip() == "Question 1: Numbers   1 of 2"
    told = " ".join(lines).split()
    for word in verdict_words():
        assert word in told
    assert any(line.split()[:3] == ["✗", "1.1", "1/2"] for line in lines)


def test_an_encoding_without_the_marks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as file:
        stream = streams.Forgiving(file)
        monkeypatch.setattr(sys, "stdout", stream)
        assert not streams.can_show("✓")
        stream.write("王伟 ✓\n")
        stream.flush()
    assert (tmp_path / "out").read_text() == "?? ?\n"


def test_what_is_cut_ends_at_a_word() -> None:
    words = "the quick brown fox jumps over the lazy dog"
    for limit in range(12, len(words)):
        cut = text.clean(words, limit=limit)
        assert len(cut) <= limit
        assert cut.endswith("…")
        assert cut[:-1] == words[: len(cut) - 1]
        assert words[len(cut) - 1] == " ", cut
    assert text.clean(words, limit=len(words)) == words
    assert text.clean("x" * 50, limit=10) == "x" * 9 + "…", "a word without an end is cut where it must be"


def test_a_result_ends_with_its_line(tmp_path: Path) -> None:
    gradescope.write(tmp_path / "r", {})
    assert (tmp_path / "r").read_text().endswith("}\n")
