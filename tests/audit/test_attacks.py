"""Hostile submissions against the real sandbox, a slice of them at each level; and what judges may meet."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autograder import version
from autograder.audit import attack_runs, attacks
from autograder.audit.attack_runs import asked, tried
from autograder.audit.attacks import Found, broken, chosen, measured, misreported, section
from autograder.audit.homework import KINDS, Attack
from autograder.audit.levels import FOUR, LEVELS, Level, cannot
from autograder.core import WHOLE, CheckFailed, Result, Trial
from autograder.grade import Grading, Rung
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.audit.attacks import ATTACKED, ATTACKS, BESIDE, LOOK, NOISE
from autograder.output import gradescope, terminal
from autograder.sandbox import confine, protocol
from autograder.sandbox.confine import user
from autograder.sandbox.guest import worker
from autograder.sandbox.host import canary
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig
from tests import helpers
from tests.helpers import VAE_ONLY
from tests.small import audited

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

CHECKS = VAE_ONLY.questions[0].checks
SMALL = "tests.small.audited"
BY_ID = {attack.id: attack for attack in ATTACKS}
SLICE = 10


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxConfig(VAE_ONLY.probes)) as started:
        yield started


# --------------------------------------------------------------------------------------- at every level


def test_the_small_homework_at_every_level(tmp_path: Path) -> None:
    """One test for all, since the levels wait for deadlines more than they compute."""
    found = measured(SMALL, tmp_path, jobs=len(LEVELS), levels=tuple(LEVELS))
    given = audited.ATTACKS
    faults = {
        (level, one.id): broke
        for level, rows in found.rows.items()
        for one in given.everything
        if one.id in rows and (broke := found.faults(level, one))
    }
    assert faults == {}
    for level, rows in found.rows.items():
        assert misreported(given, LEVELS[level], found.leaks[level], rows) == [], level
        assert set(chosen(given, level)) < set(rows)
    assert section(found).holds
    assert set(found.rows) == set(LEVELS) - set(found.skipped) >= {"user"}


def test_a_slice_of_the_attacks_breaks_no_promise(sandbox: Sandbox) -> None:
    """Those of homework 11, with the rights that we have here; the audit tries all of them at four levels."""
    some = [attack for place, attack in enumerate(ATTACKS) if place % SLICE == 0 and not attack.harm]
    with attack_runs.around() as beside:
        rows = {one.id: run(sandbox, beside, one) for one in (*ATTACKED.controls, *some)}
    ours = LEVELS["root" if os.geteuid() == 0 else "user"]
    faults = {one.id: broke for one in some if (broke := broken(ATTACKED, one, ours, rows[one.id], rows))}
    assert faults == {}
    for part in ("sample", "bound"):
        scores = rows[f"wrong-{part}"]["scores"]
        assert sum(score for check, score in scores.items() if check.startswith(f"vae.{part}")) <= 6


def run(sandbox: Sandbox, beside: attack_runs.Around, attack: Attack) -> dict[str, Any]:
    """What became of one of homework 11's attacks."""
    return tried(sandbox, beside, ATTACKED, ASSIGNMENT, attack)


def test_a_stopped_audit_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the journal alone; what another grader, level or attack wrote into it does not count."""
    rows = {
        "canary": dict.fromkeys(canary.ASPECTS, ""),
        **dict.fromkeys((one.id for one in audited.ATTACKS.everything), FINE),
    }
    started = []

    def start(level: Level, _program: str, _homework: str, ids: list[str], _alone: bool, **_: int) -> Any:
        started.append(len(ids))
        lines = [json.dumps([id, rows.get(id, FINE)]) for id in ids]
        kept = lines[: 5 if len(started) == 1 else None]
        return subprocess.Popen(["printf", r"%s\n", *kept], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    monkeypatch.setattr(attacks, "start", start)
    monkeypatch.setattr(version, "of", lambda _: "one")
    arguments: dict[str, Any] = {"every": 50, "levels": ("user",)}
    with pytest.raises(KeyError):  # it ended after five
        measured(SMALL, tmp_path, **arguments)
    found = measured(SMALL, tmp_path, **arguments)
    assert started[1] == started[0] - 5
    assert found == measured(SMALL, tmp_path, **arguments)
    assert len(started) == 2
    monkeypatch.setattr(version, "of", lambda _: "another")
    measured(SMALL, tmp_path, **arguments)
    assert started[2] == started[0]


def test_every_class_is_attacked_and_every_attack_tried_somewhere() -> None:
    assert {attack.kind for attack in ATTACKS} == set(KINDS)
    assert len(BY_ID) == len(ATTACKS) >= 80
    assert all(sum(attack.kind == kind for attack in ATTACKS) >= 10 for kind in KINDS)
    harmful = {attack.id for attack in ATTACKS if attack.harm}
    for level in FOUR:
        assert set(BY_ID) - set(chosen(ATTACKED, level)) == (harmful if LEVELS[level].weak else set())
    sliced = set().union(*(chosen(ATTACKED, level, len(LEVELS)) for level in LEVELS))
    assert set(BY_ID) - sliced <= harmful
    assert {BY_ID[id].aspect for id in ATTACKED.proof} == set(canary.ASPECTS)
    assert {attack.aspect for attack in ATTACKS} <= {"", *canary.ASPECTS}


FINE: dict[str, Any] = {
    "scores": {"vae.sample.noise": 0.0, "vae.bound.kl": 3.0}, "statuses": {}, "messages": ["The noise: nothing."],
    "refused": False, "worked": False, "shown": [], "processes": [], "files": [], "reached": [], "kept": True,
}  # fmt: skip
ROWS = {
    id: {**FINE, "scores": scores}
    for id, scores in (
        ("right", {"vae.sample.noise": 2.0, "vae.bound.kl": 3.0}),
        ("wrong-sample", {"vae.sample.noise": 0.5}),
        ("wrong-bound", {"vae.bound.kl": 0.0}),
    )
}
PLAIN = Attack("plain", "steal", says="nothing", aspect="files", allowed={"vae.sample": "none", "vae.bound": "full"})
NEITHER = LEVELS["user without seccomp and Landlock"]


@pytest.mark.parametrize(
    ("change", "fields", "words", "at_neither"),
    [
        ({"scores": {"vae.sample.noise": 0.5}}, {}, "gave 0.5 points of at most 0", True),
        (
            {"scores": {"vae.sample.noise": 2.0}},
            {"allowed": {"vae.sample": "wrong"}},
            "gave 2 points of at most 0.5",
            True,
        ),
        (
            {"scores": {"vae.sample.noise": 1.0}},
            {"allowed": {"vae.sample": "any"}, "loses": "vae.sample.noise"},
            "at most 0",
            True,
        ),
        ({"scores": {"vae.bound.kl": 2.0}}, {}, "gave 2 points of 3 deserved", False),
        ({"scores": {"policy_gradient.contract": 1.0}}, {}, "a broken file of another question gave points", True),
        ({"statuses": {"vae.bound.kl": "grader error"}}, {}, "grader error", True),
        ({"worked": True}, {}, "it did what it tried", False),
        ({"worked": True}, {"aspect": ""}, "it did what it tried", True),
        ({"messages": ["else"]}, {}, "no message says 'nothing'", False),
        ({"refused": True}, {}, "the upload was refused", True),
        ({}, {"refused": True}, "the upload was not refused", True),
        ({"shown": ["an HTML tag is shown"]}, {}, "HTML", True),
        ({"kept": False}, {}, "results.json is not the judge's", True),
        ({"processes": ["child 7"]}, {}, "child 7", True),
        ({"files": ["/tmp/x"]}, {}, "/tmp/x", False),
        ({"reached": ["port"]}, {}, "port was reached", False),
    ],
)
def test_a_broken_promise_is_named(
    change: dict[str, Any], fields: dict[str, Any], words: str, at_neither: bool
) -> None:
    attack, seen = replace(PLAIN, **fields), {**FINE, **change}
    assert broken(ATTACKED, PLAIN, LEVELS["user"], FINE, ROWS) == broken(ATTACKED, PLAIN, NEITHER, FINE, ROWS) == []
    assert any(words in fault for fault in broken(ATTACKED, attack, LEVELS["user"], seen, ROWS))
    assert any(words in fault for fault in broken(ATTACKED, attack, NEITHER, seen, ROWS)) == at_neither


def test_one_broken_promise_fails_the_section() -> None:
    def held(seen: dict[str, Any]) -> list[bool]:
        found = Found(ATTACKED, {"user": {**ROWS, "sockets": seen}}, {"user": dict.fromkeys(canary.ASPECTS, "")}, {})
        return [promise.holds for promise in section(found).promises]

    assert held(FINE) == [True, True]
    assert held({**FINE, "processes": ["child 7"]}) == [False, True]
    assert held({**FINE, "worked": True}) == [False, False]


def test_a_canary_that_says_too_much_or_too_little_is_named() -> None:
    blocked = dict.fromkeys(canary.ASPECTS, "")
    nothing, worked = {"sockets": {"worked": False}}, {"sockets": {"worked": True}}
    assert misreported(ATTACKED, LEVELS["user"], blocked, nothing) == []
    assert misreported(ATTACKED, LEVELS["user"], blocked, worked) == [
        "network: the canary did nothing, the attacks sockets"
    ]
    faults = misreported(ATTACKED, LEVELS["user"], {**blocked, "network": "connected"}, nothing)
    assert faults == ["network is OPEN: connected", "network: the canary did connected, the attacks nothing"]
    read = {**blocked, "judge": "read the judge's memory"}
    assert "it read the judge's memory" in misreported(ATTACKED, NEITHER, read, nothing)


def test_a_wall_without_layers_breaks_the_promise() -> None:
    """The same attacks succeed where nothing is confined: what they find to be BLOCKED is really tried."""
    with Sandbox(SandboxConfig(ASSIGNMENT.probes, ("rlimits",))) as sandbox, attack_runs.around() as beside:
        rows = {one.id: run(sandbox, beside, one) for one in ATTACKED.controls}
        for id in ("sockets", "daemon", "files-left", "other-student", "datagrams", "results-written"):
            seen = run(sandbox, beside, BY_ID[id])
            assert "it did what it tried" in broken(ATTACKED, BY_ID[id], LEVELS["user"], seen, rows), id
            assert broken(ATTACKED, BY_ID[id], NEITHER, seen, rows) == [], id


def test_an_ordinary_user_is_told_what_was_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert {level for level in FOUR if cannot(LEVELS[level])} == {"root", "docker"}
    found = measured(SMALL, tmp_path, levels=("root", "docker"))
    (table,) = (table for table in section(found).tables if table.caption == "Not tried")
    assert ("root with everything", "needs root") in table.rows


# ------------------------------------------------------------------------------- what attacks are aimed at


AIMED = re.compile(
    r"(?:from|import) autograder|probes\.|private_|(?<!def )_request\(\)|f_locals\.get|self\.(?:dec|enc)|_look\(\)"
)


def test_an_attack_on_what_is_gone_fails(sandbox: Sandbox) -> None:
    """The same attack, aimed at what is there and at what is not: in a worker, as every audit does it."""
    rows: dict[str, Any] = {}
    with attack_runs.around() as beside:
        for one in ATTACKED.controls:
            rows[one.id] = run(sandbox, beside, one)
        good = BY_ID["patch-probe"]
        assert broken(ATTACKED, good, LEVELS["user"], run(sandbox, beside, good), rows) == []
        gone = ("vae.probes:sample_shapes", "autograder.sandbox.guest.worker:no.such", "local:no_such",
                "autograder.no_such:x", "vae.private_probes:Decoder.__init__/no_such")  # fmt: skip
        bad = replace(good, targets=(*good.targets[:1], *gone))
        faults = broken(ATTACKED, bad, LEVELS["user"], run(sandbox, beside, bad), rows)
    assert faults == [f"its target {target} does not exist" for target in gone]


def test_what_stands_beside_a_probe_earns_nothing(sandbox: Sandbox) -> None:
    """Replaced methods of torch.Tensor, modes, forged rungs, other functions on other rungs, forged records."""
    rows: dict[str, Any] = {}
    with attack_runs.around() as beside:
        for one in (*ATTACKED.controls, *BESIDE):
            rows[one.id] = run(sandbox, beside, one)
    assert {
        one.id: faults for one in BESIDE if (faults := broken(ATTACKED, one, LEVELS["user"], rows[one.id], rows))
    } == {}


def test_a_clone_that_shows_another_z_is_found_out(sandbox: Sandbox) -> None:
    """Also by its letter: torch's own operation is replaced, for every name that our probes have bound."""
    graded = helpers.grade(sandbox, helpers.solved(vae=BY_ID["bound-clone-replaced"].behind[helpers.VAE]))
    scores = graded.scores()
    assert scores["vae.bound.kl"] == next(check.points for check in CHECKS if check.id == "vae.bound.kl")
    assert scores["vae.bound.posterior"] == 0
    (told,) = graded.messages("vae.bound.posterior")
    assert "does not match the z that was passed to the decoder" in told


@pytest.mark.parametrize("further", [1, 2, 3, 9])
def test_no_worker_starts_a_kernel_by_its_word(sandbox: Sandbox, further: int) -> None:
    """Nor gets another try where there is no notebook of which more could be run."""
    words = "from autograder.sandbox.guest.student import Student\nStudent.further = "
    wrong = "\ndef sample_gaussian(m, v):\n    return m * 1"
    graded = helpers.grade(sandbox, helpers.solved(utils=f"{words}{further}{wrong}"))
    assert {result.rung for result in graded.results} == {0}
    assert graded.points("vae.sample") == 2
    for rung in (Rung(), Rung(1), Rung(WHOLE)):
        with helpers.received(sandbox, {"policy_gradient.ipynb": b"{}"}, ASSIGNMENT) as taken:
            question = next(one for one in ASSIGNMENT.questions if one.id == "policy_gradient")
            grading = Grading(sandbox, taken, ASSIGNMENT)
            opened = grading._above(rung, further, question, question.checks[0])
            assert opened.number == (further if further < WHOLE and rung.number < WHOLE else 0)


def test_every_attack_on_ours_says_on_what() -> None:
    aimed = {one.id for one in ATTACKS if AIMED.search("".join(one.behind.values()))}
    assert aimed <= {one.id for one in ATTACKS if one.targets}
    assert len(aimed) >= 30
    checks = {check.id for question in ASSIGNMENT.questions for check in question.checks}
    assert {one.loses for one in ATTACKS} <= {"", *checks}
    with pytest.raises(LookupError):
        asked(ATTACKED, replace(ASSIGNMENT, questions=(replace(ASSIGNMENT.questions[3], checks=()),)), ATTACKS[0])


def test_what_attacks_look_for_is_there() -> None:
    """The modules that may not be in a worker, and the words of a forged answer, under the names that they have."""
    (words,) = re.findall(r"bad = \(([^)]*)\)", LOOK)
    modules = {path.stem for path in (helpers.ROOT / "autograder").rglob("*.py")}
    modules |= {path.parent.name for path in (helpers.ROOT / "autograder").rglob("__init__.py")}
    for word in re.findall(r'"(\w+)"', words):
        assert any(module.startswith(word) for module in modules), word
    request = CHECKS[0].request
    assert request.returns is not None
    declared = request.returns(request.inputs(np.random.default_rng(0)))
    assert set(re.findall(r'"([a-z]+\.[a-z]+)"', NOISE)) <= set(declared)


def _probes_in(module: Any) -> list[str]:
    """The functions that a module has for asks; one without any is for other probes' use."""
    functions = [one for one in vars(module).values() if inspect.isfunction(one) and one.__module__ == module.__name__]
    wanted = ["given", "student"]
    return [one.__name__ for one in functions if [n.strip("_") for n in inspect.signature(one).parameters] == wanted]


@pytest.mark.parametrize("homework", ["autograder.hw11", "tests.small"])
def test_everything_that_is_asked_for_is_there(homework: str) -> None:
    """Each probe, the collector of each run, the names that a private probe's module has for its worker alone."""
    assignment = importlib.import_module(homework).ASSIGNMENT
    checks = [check for question in assignment.questions for check in question.checks]
    requests = [
        request
        for check in checks
        for request in (check.request, *([check.counterexample.request] if check.counterexample else []))
    ]
    assert requests
    assert len({check.id for check in checks}) == len(checks)
    for request in requests:
        module, _, function = request.probe.partition(":")
        found = worker.load_probe(assignment.probes, module)
        assert callable(getattr(found, function, None)), request.probe
        parameters = [name.strip("_") for name in inspect.signature(getattr(found, function)).parameters]
        assert parameters == ["given", "student"], request.probe
        if request.collector:
            made = getattr(found, request.collector)()
            assert callable(made.after_cell) and callable(made.values), request.collector
        assert callable(request.inputs)
        where = getattr(found, function).__module__
        assert where == f"{assignment.probes}.{module}", f"{request.probe} lies in {where}"
    used = {request.probe.partition(":")[0] for request in requests}
    folder = Path(importlib.import_module(assignment.probes).__path__[0])
    parts = [path.relative_to(folder).with_suffix("").parts for path in protocol.probe_files(folder)]
    there = {".".join(part for part in names if part != "__init__") for names in parts}
    shared = {name for name in there - used if not _probes_in(worker.load_probe(assignment.probes, name))}
    assert used == there - shared
    for question in assignment.questions:
        for file in {*question.files, *(check.request.file for check in question.checks if check.request.file)}:
            made_by_students = file.endswith((".png", "submission_log.json"))
            assert made_by_students or (assignment.template / file).is_file(), file


# ------------------------------------------------------------------------------- what judges may meet


def _mutations(value: Any) -> list[Any]:
    """Values that a hostile worker can send in place of this one."""
    plain: list[Any] = [True, 0, -1, 2**62, 0.0, 1e308, -1e-308, "", "x" * 100]
    if not isinstance(value, np.ndarray):
        return [*plain, np.zeros(()), np.zeros((2, 2)), np.full((), np.nan)]
    floats = value.astype(np.float64, copy=True)
    odd = []
    for fill in (np.nan, np.inf, -np.inf, 0.0, 1.0, 1e38, -1e38, 1e308, 5e-324, 1e-40):
        odd.append(np.full(value.shape, fill))
        if value.size:
            one = floats.copy()
            one.flat[0] = fill
            odd += [one, one.astype(np.float32)] if abs(fill) < 1e39 or not np.isfinite(fill) else [one]
    odd += [value.astype(dtype) for dtype in (np.float16, np.int32, np.int64, np.uint8, np.bool_)]
    odd += [np.zeros(0), np.zeros((0, 3)), np.zeros(()), value[None], value.reshape(-1), np.zeros((1,) * 6)]
    odd += [np.full(value.shape, np.iinfo(np.int64).max), np.zeros(value.shape, np.bool_), floats.T.copy(), -floats]
    if value.ndim and len(value):
        odd += [value[:-1], value[:0], np.concatenate([value, value])]
    return plain + odd


def _judged(check: Any, trial: Trial) -> None:
    with np.errstate(all="ignore"):
        try:
            verdict = check.judge(trial)
        except CheckFailed as fault:
            assert str(fault)
            return
    assert 0 <= verdict.score <= 1
    assert isinstance(verdict.message, str)
    result = Result(VAE_ONLY.questions[0], check, verdict)
    json.dumps(gradescope.document(VAE_ONLY, [result]), allow_nan=False)


@pytest.mark.filterwarnings("ignore")
def test_no_value_makes_a_judge_stumble(sandbox: Sandbox) -> None:
    """An exception in a judge is our fault and worth full points: no value may bring one about."""
    stumbles = set()
    with helpers.received(sandbox, helpers.solved()) as taken:
        for request in dict.fromkeys(check.request.name for check in CHECKS):
            checks = [check for check in CHECKS if check.request.name == request]
            given = checks[0].request.inputs(np.random.default_rng(5))
            seen = sandbox.ask(taken, checks[0].request, given, seed=5, seconds=60)
            assert seen.values is not None, seen.error
            names = list(seen.values)
            many = len(names) > 24
            if many:  # the cases of one request are alike: the first stands for all
                names = [name for name in names if ".0." in name]
            trials = [{}, *({k: v for k, v in seen.values.items() if k != name} for name in names)]
            trials += [dict.fromkeys(seen.values, v) for v in (0, True, "x", np.full((3, 3), np.nan), np.zeros(0))]
            for turn, name in enumerate(names):  # where there are many names, each gets a part of the values
                others = _mutations(seen.values[name])[turn % 8 :: 8 if many else 5]
                trials += [{**seen.values, name: other} for other in others]
            for got in trials:
                trial = Trial(copy.deepcopy(given), got)
                for check in checks:
                    try:
                        _judged(check, trial)
                    except Exception as error:
                        changed = [
                            f"{n}={v.dtype}{v.shape}" if isinstance(v, np.ndarray) else f"{n}={v!r:.20}"
                            for n, v in got.items()
                            if v is not seen.values.get(n)
                        ]
                        stumbles.add(f"{check.id}: {type(error).__name__}: {error} for {changed[:1]} of {len(got)}")
    assert not stumbles, "\n".join(sorted(stumbles))


# ------------------------------------------------------------------------------- which user, which rights


def test_a_homework_in_a_closed_folder_is_closed_without_landlock_too(sandbox: Sandbox) -> None:
    """On Gradescope the project's folder is made 0700: then the user alone keeps the reference."""
    attack = BY_ID["reference-file"]
    with helpers.reachable_folder() as folder, Sandbox(replace(sandbox.config, layers=("user", "prctl"))) as bare:
        closed = folder / "closed"
        (closed / "gan_vae").mkdir(parents=True)
        (closed / "gan_vae" / "utils.py").write_text("secret")
        closed.chmod(0o700)
        source = attack.behind[helpers.UTILS].replace("REFERENCE", str(closed))
        graded = helpers.grade(bare, helpers.solved(utils=source))
    if os.geteuid() == 0:
        assert "nothing" in graded.messages("vae.sample")[0]


def test_no_user_is_taken_that_could_not_read_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a home that is closed to others (a pyenv of root's) the other layers have to do."""
    if os.geteuid() == 0:
        assert confine.worker_uid(0x10000001) == 0x10000001
    tmp_path.chmod(0o700)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert confine.worker_uid(0x10000001) is None


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes its user")
def test_nobody_where_a_container_maps_few_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "uid_map"
    table.write_text("         0     100000      65536\n")
    assert user._is_mapped(65535, str(table))
    assert not user._is_mapped(65536, str(table))
    real = user._is_mapped
    monkeypatch.setattr(user, "_is_mapped", lambda uid, _table: real(uid, str(table)))
    assert confine.worker_uid(0x10000001) == confine.NOBODY


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="as on Gradescope")
def test_on_gradescope_other_users_are_kept_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, home = tmp_path / "tmp", tmp_path / "autograder"
    for folder in (shared, home / "source", home / "submission", home / "results"):
        folder.mkdir(parents=True)
    shared.chmod(0o1777)
    (home / "submission_metadata.json").write_text("{}")
    monkeypatch.setattr(terminal, "SHARED", (shared,))
    monkeypatch.setattr(terminal, "GRADESCOPE", home)
    monkeypatch.setattr(terminal, "ROOT", home / "source")
    monkeypatch.setattr(terminal, "METADATA", home / "submission_metadata.json")
    terminal._close_to_others()
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (shared, *home.iterdir())}
    assert modes == {
        "tmp": 0o1755, "source": 0o700, "submission": 0o700, "results": 0o755, "submission_metadata.json": 0o600,
    }  # fmt: skip
