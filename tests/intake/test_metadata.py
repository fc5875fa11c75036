"""An export's metadata: whatever stands in it, it is read as plain text or refused in a sentence, and never slowly."""

from __future__ import annotations

import base64
import itertools
import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from autograder.audit import fuzzing
from autograder.classroom import roster
from autograder.core import CheckFailed
from autograder.intake import metadata
from autograder.intake.metadata import ExportEntry, RosterStudent
from tests import helpers


def entry(fields: str) -> ExportEntry:
    """What becomes of one submission with these lines."""
    lines = "".join(f"  {line}\n" for line in fields.splitlines())
    (found,) = metadata.read(f"submission_1:\n{lines}".encode())
    return found


def named(value: str) -> str:
    return entry(f":submitters:\n- :name: {value}\n  :sid: 1\n  :email: a@b").students[0].name


def test_as_gradescope_writes_it() -> None:
    data = (
        "---\nsubmission_11:\n  :submitters:\n  - :name: Ann Lee\n    :sid: '0123'\n    :email: ann@x.edu\n"
        "  - :name: Bo\n    :sid: 0123\n    :email: ~\n  :created_at: 2026-11-20 12:00:00.000000000 -08:00\n"
        "  :score: 1.0\n  :status: processed\n  :results:\n    :tests: [{name: x, score: 1}]\n"
        "submission_12:\n  :submitters: \n  :created_at:\nsubmission_13: {}\n"
    )
    assert metadata.read(data.encode()) == [
        ExportEntry("submission_11", (RosterStudent("Ann Lee", "0123", "ann@x.edu"), RosterStudent("Bo", "0123", "")),
              "2026-11-20 12:00:00.000000000 -08:00"),
        ExportEntry("submission_12", (), ""),
        ExportEntry("submission_13", (), ""),
    ]  # fmt: skip
    tree = {"submission_11": {"submitters": [{"name": "Ann \U0001f600", "sid": 12, "email": None}], "created_at": 1.5}}
    for text in (json.dumps(tree), json.dumps(tree, indent="\t", ensure_ascii=False)):
        found = metadata.read(text.encode(), "submission_metadata.json")
        assert found == [ExportEntry("submission_11", (RosterStudent("Ann \U0001f600", "12", ""),), "1.5")]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ('!ruby/symbol "Ann"', "Ann"), ("!ruby/symbol Ann", "Ann"), ("!ruby/sym Ann", "Ann"), ('!!bool "Ann"', "Ann"),
        ('!!int ""', ""), ('!!float "x"', "x"), ("!!null Ann", "Ann"), ("!!timestamp Ann", "Ann"),
        ("!!set {Ann: }", ""),
        (f"!binary {base64.b64encode('Ané'.encode()).decode()}", "Ané"), ("!!binary |\n      QW5u\n", "Ann"),
        ("!binary '%%'", ""), ("!ruby/object:Name {first: Ann, last: Lee}", "Ann Lee"), ("[Ann, Lee]", "Ann Lee"),
        ("!ruby/hash:ActiveSupport::HashWithIndifferentAccess\n      first: Ann", "Ann"), ("!ruby/regexp /x/", "/x/"),
        ("!ruby/string {str: Ann}", "Ann"), ("!ruby/object:BigDecimal 18:0.1e1", "18:0.1e1"),
        ("!python/none Ann", "Ann"),
        ("!!python/object/apply:os.system ['true']", "true"), ("!<tag:x,1:y> Ann", "Ann"), ("! Ann", "Ann"),
        ('"A\\e[31mnn"', "A [31mnn"), ('"A\\u202Enn"', "Ann"), ('"A\\0nn"', "A nn"),
        ('"A\\u2028nn\\t\\r\\nx"', "A nn x"),
        ('"\\ufeffAnn\\u200b\\u2066"', "Ann"), ("نمی‌خواهم", "نمی‌خواهم"), ("👩‍👧", "👩‍👧"), ("null", ""),
        ("'null'", "null"),
        ("~", ""), ("yes", "yes"), ("0x10", "0x10"), ("010", "010"), ("1e3", "1e3"), (".inf", ".inf"),
        ("2026-01-01", "2026-01-01"),
        ("[[Ann]]", ""), ("x" * 5000, "x" * 300), ("A\x1b[31mnn", "A [31mnn"), ("A\x9bnn", "A nn"),
    ],
)  # fmt: skip
def test_values_are_plain_text(value: str, name: str) -> None:
    assert named(value) == name


def test_tags_on_everything() -> None:
    """As Ruby on Rails writes objects: the whole file, a submission, its list, its time."""
    data = (
        "--- !ruby/hash:ActiveSupport::HashWithIndifferentAccess\nsubmission_1: !ruby/object:Submission\n"
        "  :submitters: !ruby/array:ActiveRecord::Relation\n  - !ruby/object:User\n    :name: Ann\n    :sid: &1 7\n"
        "    :email: *1\n  :created_at: !ruby/object:ActiveSupport::TimeWithZone\n    zone: !ruby/object:Zone\n"
        "      name: Etc/UTC\n    utc: 2026-11-20 12:00:00 Z\n    time: &2 2026-11-20 04:00:00\n  :x: *2\n"
    )
    assert metadata.read(data.encode()) == [
        ExportEntry("submission_1", (RosterStudent("Ann", "7", "7"),), "2026-11-20 04:00:00")
    ]


def test_what_is_shared_with_a_part_that_nobody_asks_for() -> None:
    data = "s:\n  :history: [{at: &t '12:00', by: &u [{name: Ann}]}]\n  :created_at: *t\n  :submitters: *u\n"
    assert metadata.read(data.encode()) == [ExportEntry("s", (RosterStudent("Ann"),), "12:00")]


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in itertools.pairwise("abcdefghijkl")
)
FAULTS = {
    b"a: [": "line 1", b"s:\n  x: 'a\n": "line", b"s: {\n  a: b\n": "line", b"s:\n\tx: 1\n": "line 2",
    b"- a\nb": "line 2",
    b"s:\n  :name: *nobody\n": "line 2, refers to an anchor that is not defined", b"s: &a &b x": "line 1",
    b"a: !<x": "line 1", b"%YAML 9.9\n---\na: b\n": "", b'a: "\\q"': "line 1", b"a: `x`": "line 1", b"a: @x": "line 1",
    b"[" * 100_000: "more than 64 levels deep", b"{a: " * 100_000: "more than 64 levels deep",
    b"- " * 100_000: "levels deep",
    b"s:\n  :name: " + b"[" * 70 + b"]" * 70: "line 2, is nested more than 64 levels deep", b"? " * 100_000: "",
    b"": "does not map", b"[1, 2]": "does not map", b"text": "does not map", b"\xff\xfe": "does not map",
    b"--- !x": "does not",
    b"\xff\xfe\x00": "does not map", b"...": "line 1", b"&a [*a]": "does not map", b"!!binary x": "does not map",
}  # fmt: skip
JSON_FAULTS = {
    b"{": "line 1", b"{\n'a': 1}": "line 2", b"[" * 100_000: "nested too deeply", b"": "line 1",
    b'{"a":' * 100_000: "nested too deeply", b"[]": "does not map", b"9" * 10_000: "does not map", 
    b'"x"': "does not map",
    b" " * (9 << 20): "larger than 8 MB", b"{} x": "line 1", b"\xff\xfe[\x00": "line 1",
}  # fmt: skip


@pytest.mark.parametrize("data", FAULTS, ids=range(len(FAULTS)))
def test_faults_are_told_with_their_line(data: bytes) -> None:
    try:
        metadata.read(data)
    except CheckFailed as fault:
        told = str(fault)
        assert told.startswith("submission_metadata.yml") and told.endswith(".") and told.isprintable()
        assert FAULTS[data] in told
        assert len(told) < 200
    else:
        assert FAULTS[data] == ""


@pytest.mark.parametrize("data", JSON_FAULTS, ids=range(len(JSON_FAULTS)))
def test_faults_of_a_json_file_are_told(data: bytes) -> None:
    with pytest.raises(CheckFailed, match=f"submission_metadata.json.*{JSON_FAULTS[data]}"):
        metadata.read(data, "submission_metadata.json")


def test_bombs_and_circles_end_at_once() -> None:
    started = time.process_time()
    for name in ("*l", "[*l, x]", "&m [*m]", "{x: *l}"):
        assert metadata.read(f"{BOMB}s:\n  :submitters: [{{name: {name}}}]\n".encode())[-1].students[0].name in (
            "",
            "x",
        )
    assert metadata.read(b"&a s:\n  :submitters: &b [*b, *b]\n")[0].students == (RosterStudent(), RosterStudent())
    assert metadata.read(f"{BOMB}s: {{created_at: *l, submitters: *l}}\n".encode())[-1].created_at == ""
    wide = b"s: {submitters: [{name: [" + b"x," * 300_000 + b"]}]}"
    assert len(metadata.read(wide)[0].students[0].name) == metadata.MAX_TEXT
    assert time.process_time() - started < 10


def test_more_values_than_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "MAX_NODES", 1000)
    with pytest.raises(CheckFailed, match="line 997, begins the part after the first 1000 values"):
        metadata.read(b"s:\n  :x:\n" + b"  - 1\n" * 2000)
    monkeypatch.setattr(metadata, "MAX_BYTES", 10)
    with pytest.raises(CheckFailed, match="larger than"):
        metadata.read(b"s: 12345678")


def test_without_libyaml_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "LOADER", yaml.SafeLoader)
    test_as_gradescope_writes_it()
    test_tags_on_everything()
    for data in (b"[" * 300, b"a: [", b"a: *x"):
        with pytest.raises(CheckFailed, match="line 1"):
            metadata.read(data)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", ["[" * 100_000, BOMB + "s: {submitters: [{name: *l}]}", 's: {x: !!bool "x"}', "s: &a !!int ''"]
)
@pytest.mark.parametrize("name", metadata.NAMES)
def test_from_the_command_line(text: str, name: str, tmp_path: Path) -> None:
    """What can be read lists a folder that is not there; the end is always a sentence, never a traceback."""
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / name).write_text(text)
    command = [
        sys.executable,
        "-I",
        "-B",
        str(helpers.ROOT / "autograder" / "__main__.py"),
        "class",
        "class",
        "--out",
        "out",
    ]
    done = subprocess.run(
        [*command, "--homework", "tests.small"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    unreadable = name.endswith("json") or text.startswith("[")
    assert done.returncode == (2 if unreadable else 0), done.stderr
    assert len(done.stderr.strip().splitlines()) == unreadable
    assert unreadable or " not gradable" in done.stdout


def test_a_slice_of_the_damaged_files() -> None:
    target = next(target for target in fuzzing.targets_of("autograder.hw11") if target.id == "metadata")
    assert target.inputs >= 10_000
    found = fuzzing.tried(target, range(0, target.inputs, 10))
    assert found.faults == ()
    assert 0 < found.read < found.inputs
    assert found.seconds < 30


def test_ids_of_an_export_of_any_words(tmp_path: Path) -> None:
    """Folders' names are strangers', too: none leads anywhere, and none is left out."""
    rng = random.Random(1)
    words = {"".join(rng.choices("../\\ \0a\x1b\u202e\ud800", k=4)) for _ in range(200)}
    outside, inside = tmp_path / "a", tmp_path / "export" / "a"
    for folder in (outside, inside):
        folder.mkdir(parents=True)
        (folder / "x.py").write_text("x = 1\n")
    (inside.parent / metadata.NAMES[-1]).write_text(json.dumps({word: {} for word in words}))
    uploads = roster.read(inside.parent)
    assert len({upload.id for upload in uploads}) == len(uploads) > 150
    for upload in uploads:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", upload.id)
        assert upload.reason or upload.path == inside
    assert {upload.entry for upload in uploads if not upload.reason} == {"a"}


def test_a_student_called_data(tmp_path: Path) -> None:
    """is a student, with or without work in the folder; an environment is none."""
    for name in ("data/hw/answer.py", "env/x.ipynb", "wandb/run/log.json", "venv/pyvenv.cfg", "venv/x.py", "ann/a.py",
                 "__pycache__/x.py", "node_modules/x/y.py", "checkpoints/a.pt"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    assert [upload.id for upload in roster.read(tmp_path)] == ["ann", "checkpoints", "data", "env", "wandb"]
