"""A slice of the damaged inputs to everything that reads a stranger's bytes; planted defects are found."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder import version
from autograder.audit import damage, fuzzing, parallel
from autograder.audit.fuzzing import Found, TriedInputs, growth, made, measured, section, targets_of, tried
from autograder.audit.homework import Target
from autograder.sandbox.guest import notebooks

TARGETS = targets_of("autograder.hw11")
SLICE = {"frames": 500, "zips": 100, "folders": 80, "notebooks": 60, "answers": 80, "log": 60, "pictures": 80}
SLICE["metadata"] = 500
BY_ID = {target.id: target for target in TARGETS}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.id)
def test_a_slice_is_read_or_refused(target: Target) -> None:
    found = tried(target, range(SLICE[target.id]))
    assert found.faults == ()
    assert found.inputs == SLICE[target.id]
    assert found.read > 0  # an input that nothing can read shows nothing of what is behind the door
    assert not target.documented or found.read < found.inputs


def test_inputs_follow_from_their_number() -> None:
    assert sum(target.inputs for target in TARGETS) >= 100_000
    for target in TARGETS:
        first = [made(target, number) for number in range(20)]
        assert first == [made(target, number) for number in range(20)]
        assert len(set(first)) > 10
        assert max(map(len, first)) <= 4 * damage.MOST


def _bytes(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(40))


class Documented(Exception):
    """What the planted readers may raise."""


def test_a_planted_defect_is_found() -> None:
    def read(data: bytes) -> None:
        if data[:1] > b"\xc0":
            raise Documented("odd")
        if data[:1] == b"\x17":
            raise KeyError("planted")

    found = tried(Target("planted", "", 0, _bytes, read, (Documented,)), range(3000))
    assert found.faults
    assert all(fault.endswith("KeyError: 'planted'") for fault in found.faults)
    assert 0 < found.read < found.inputs - len(found.faults)
    number = int(found.faults[0].split()[1].rstrip(":"))
    assert made(Target("planted", "", 0, _bytes, read), number)[:1] == b"\x17"  # it can be made again


def test_a_refusal_without_a_sentence_is_a_fault() -> None:
    def read(_: bytes) -> None:
        raise Documented

    assert "without a sentence" in tried(Target("planted", "", 0, _bytes, read, (Documented,)), [0]).faults[0]


def test_what_takes_too_long_is_given_up() -> None:
    def read(_: bytes) -> None:
        try:
            while True:
                pass
        except Exception:
            pytest.fail("a reader could take it for a fault of the file")

    found = tried(Target("planted", "", 0, _bytes, read), [0], limit=0.01)
    assert any("TooSlow" in fault for fault in found.faults)
    assert any(fault.endswith("CPU s") for fault in found.faults)


@pytest.mark.slow
def test_what_is_kept_is_found() -> None:
    kept: list[bytes] = []
    bounded: dict[int, bytes] = {}

    def leaks(data: bytes) -> None:
        kept.append(data + b"x")

    def caches(data: bytes) -> None:
        bounded[len(data)] = data

    assert growth(Target("planted", "", 0, _bytes, leaks), 500) >= fuzzing.OBJECT
    assert growth(Target("planted", "", 0, _bytes, caches), 500) < fuzzing.OBJECT


@pytest.mark.parametrize("id", ["frames", "zips"])
@pytest.mark.slow
def test_the_judge_keeps_nothing_of_what_it_reads(id: str) -> None:
    assert growth(BY_ID[id], 400) < fuzzing.OBJECT


def test_the_section_tells_what_was_found() -> None:
    fine, names = TriedInputs(10, 5, 0.5, 0.1, ()), dict.fromkeys(BY_ID, "what")
    good = Found(names, dict.fromkeys(BY_ID, fine), dict.fromkeys(BY_ID, 0.0))
    assert section(good).holds
    for bad in (TriedInputs(10, 5, 0.5, 0.1, ("log 3: KeyError",)), TriedInputs(10, 5, 9.0, fuzzing.LIMIT, ())):
        assert not section(replace(good, tried={**good.tried, "log": bad})).holds
    assert not section(replace(good, kept={**good.kept, "zips": 16.0})).holds


@pytest.mark.slow
def test_a_stopped_run_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small = tuple(replace(target, inputs=2) for target in TARGETS if target.id == "frames")
    monkeypatch.setattr(fuzzing, "targets_of", lambda _: small)
    monkeypatch.setattr(version, "of", lambda _: "one")
    monkeypatch.setattr(parallel, "each", lambda function, given, _jobs, apart: (
        (place, function(*one)) for place, one in enumerate(given)))  # fmt: skip
    told: list[tuple[int, int]] = []
    found = measured("autograder.hw11", tmp_path, tell=lambda done, of: told.append((done, of)))
    assert found.tried["frames"].inputs == 2
    assert (told[0], told[-1]) == ((0, 2), (2, 2))
    monkeypatch.setattr(fuzzing, "_chunk", None)  # whoever calls it fails: all stands in the journal
    assert measured("autograder.hw11", tmp_path) == found


def test_a_homework_of_files_without_folders_is_fuzzed_too() -> None:
    """Its own target, and uploads that are about its own file."""
    targets = {target.id: target for target in targets_of("tests.small.audited")}
    assert {id: target.inputs for id, target in targets.items()} == {
        **dict.fromkeys(("frames", "zips", "folders", "metadata", "notebooks"), 5), "text": 20,
    }  # fmt: skip
    for id in ("zips", "folders"):
        found = tried(targets[id], range(60))
        assert found.faults == ()
        assert found.read > 0
    assert sum(b"answer.py" in made(targets["zips"], number) for number in range(20)) > 5


# ------------------------------------------------------------------------------ what was found this way


def test_a_cell_of_many_magics_costs_only_itself() -> None:
    """IPython reads the whole cell anew for each, which took a minute for 50 KB, and raised RuntimeError after 500."""
    for source in ("!ls\n" * 600, "%pip install x\n" * 300 + "x = (1,\n" * 9000, "y = !ls\n" * 20_000):
        found = notebooks.source_of((notebooks.Cell(1, source), notebooks.Cell(2, "def f():\n    return 1\n")))
        assert "too many magics" in str(found.faults[1])
        assert [one.cell for one in found.definitions(["f"])] == [2]


def test_a_notebook_full_of_shell_lines_is_read() -> None:
    source = "!pip install torch\n%matplotlib inline\nfiles = !ls\n" * 20 + "x = files\n"
    found = notebooks.source_of((notebooks.Cell(1, source),))
    assert found.faults == {}
    assert len(found.statements) == 61


@settings(max_examples=100)
@given(st.text("%!?= \t\nx", max_size=400))
def test_any_magics_cost_a_cell_only_itself(text: str) -> None:
    cells: tuple[Any, ...] = (notebooks.Cell(1, text), notebooks.Cell(2, "def f(): return 1"))
    assert any("f" in statement.binds for statement in notebooks.source_of(cells).statements)
