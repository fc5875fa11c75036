"""Hostile submissions against the real wall: nothing gained, stolen, sent, left behind or broken."""

from __future__ import annotations

import copy
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autograder import gradescope, terminal
from autograder.core import Assignment, Reject, Result, Trial
from autograder.isolation import canary, confine
from autograder.isolation.wall import Pool, Wall
from tests import helpers
from tests.attacks import ATTACKS, WRONG, WRONG_BOUND, Attack
from tests.helpers import VAE_ONLY

MARK = f"mark{os.getpid()}x"
CHECKS = VAE_ONLY.questions[0].checks
FULL = {part: sum(c.points for c in CHECKS if c.id.startswith(part)) for part in ("vae.sample", "vae.bound")}


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(Wall(VAE_ONLY.probes)) as started:
        yield started


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A port on loopback that notices whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener.getsockname()[1]
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.fixture(scope="module")
def deserved(pool: Pool) -> dict[str, float]:
    """What the wrong functions earn by themselves."""
    sample = helpers.grade(pool, helpers.solved(utils=WRONG)).scores()
    bound = helpers.grade(pool, helpers.solved(vae=WRONG_BOUND)).scores()
    found = {id: (sample if id.startswith("vae.sample") else bound)[id] for id in sample}
    assert sum(found[id] for id in found if id.startswith("vae.sample")) <= 6
    assert sum(found[id] for id in found if id.startswith("vae.bound")) <= 6
    return found


def files_of(attack: Attack, port: int) -> helpers.Files:
    def filled(text: str) -> str:
        words = {"MARK": MARK, "JUDGE": str(os.getpid()), "PORT": str(port)}
        words |= {"REFERENCE": str(helpers.REFERENCE), "ROOT": str(helpers.ROOT)}
        for word, value in words.items():
            text = text.replace(word, value)
        return text

    return helpers.solved(utils=filled(attack.utils), vae=filled(attack.vae), more=attack.more)


def _asked(attack: Attack) -> Assignment:
    """What is enough to ask, to save time: one ask of sample_gaussian where each takes to its limit."""
    skipped = set() if attack.vae else {"with_sampler:bound_noise"}
    if attack.seconds < 20 or attack.kind != "forge":
        skipped |= {"vae:sample_noise", "vae:sample_gradient"}
    question = VAE_ONLY.questions[0]
    checks = tuple(check for check in question.checks if check.ask.probe not in skipped)
    asked = replace(VAE_ONLY, questions=(replace(question, checks=checks),))
    limited = "vae:" if attack.bound == "full" else "with_" if attack.sample == "full" else ""
    return helpers.with_seconds(asked, attack.seconds, limited)


def _most(attack: Attack, part: str) -> float:
    return sum(check.points for check in _asked(attack).questions[0].checks if check.id.startswith(part))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_attack(pool: Pool, port: int, deserved: dict[str, float], attack: Attack) -> None:
    graded = helpers.grade(pool, files_of(attack, port), assignment=_asked(attack))

    for result in graded.results:
        assert result.status == "graded", f"{result.check.id}: {result.log}"
    for part, allowed in (("vae.sample", attack.sample), ("vae.bound", attack.bound)):
        points = graded.points(part)
        if allowed == "none":
            assert points == 0, graded.messages(part)
        elif allowed == "full":
            assert points == _most(attack, part), graded.messages(part)
        elif allowed == "wrong":
            for name, score in graded.scores().items():
                assert not name.startswith(part) or score <= deserved[name], name
    assert "PWNED" not in graded.text
    assert not any("PWNED" in result.log for result in graded.results)
    if attack.says:
        assert any(attack.says in message for message in graded.messages()), set(graded.messages())
    shown = "".join(test["output"] for test in graded.document["tests"])
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert "<" not in "".join(m for m in graded.messages() if "exception" in m)
    assert len(shown) < 20_000
    assert "SEEN" not in graded.text
    assert graded.seconds < 90
    assert helpers.left_behind(pool, MARK) == []


def test_every_class_is_attacked() -> None:
    assert {attack.kind for attack in ATTACKS} == {"forge", "steal", "send", "stay", "harm", "words", "files"}
    assert len({attack.id for attack in ATTACKS}) == len(ATTACKS) >= 40


def test_the_next_submission_is_graded_as_ever(pool: Pool) -> None:
    graded = helpers.grade(pool, helpers.solved())
    assert graded.document["score"] == sum(FULL.values())
    assert graded.document["extra_data"]["complete"]


def test_right_noise_from_a_poor_generator_is_not_taken_for_random(pool: Pool) -> None:
    """A grid of quantiles in a fixed order has the right histogram, and the same noise at every call."""
    grid = next(attack for attack in ATTACKS if attack.id == "quantile-grid")
    scores = helpers.grade(pool, helpers.solved(utils=grid.utils)).scores()
    assert scores["vae.sample.fresh"] == 0
    cached = next(attack for attack in ATTACKS if attack.id == "cached-noise")
    scores = helpers.grade(pool, helpers.solved(utils=cached.utils)).scores()
    assert scores["vae.sample.fresh"] == 0


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
        except Reject as fault:
            assert str(fault)
            return
    assert 0 <= verdict.score <= 1
    assert isinstance(verdict.message, str)
    result = Result(VAE_ONLY.questions[0], check, verdict)
    json.dumps(gradescope.document(VAE_ONLY, [result]), allow_nan=False)


@pytest.mark.filterwarnings("ignore")
def test_no_value_makes_a_judge_stumble(pool: Pool) -> None:
    """An exception in a judge is our fault and worth full points: no value may bring one about."""
    stumbles = set()
    with helpers.received(pool, helpers.solved()) as taken:
        for ask in dict.fromkeys(check.ask.name for check in CHECKS):
            checks = [check for check in CHECKS if check.ask.name == ask]
            given = checks[0].ask.inputs(np.random.default_rng(5))
            seen = pool.ask(taken, checks[0].ask, given, seed=5, seconds=60)
            assert seen.values is not None, seen.error
            names = list(seen.values)
            many = len(names) > 24
            if many:  # the cases of one ask are alike: the first stands for all
                names = [name for name in names if name.startswith("0.")]
            trials = [{}, *({k: v for k, v in seen.values.items() if k != name} for name in names)]
            trials += [dict.fromkeys(seen.values, v) for v in (0, True, "x", np.full((3, 3), np.nan), np.zeros(0))]
            for turn, name in enumerate(names):  # where there are many names, each gets a part of the values
                others = _mutations(seen.values[name])[turn % 8 :: 8 if many else 2]
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


# ------------------------------------------------------------------------------------------ four levels

DOCKER = "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod"
DOCKER = f"{DOCKER},audit_write,setfcap"
STRANGER = 0x0FEDC000 + os.getpid() % 4096
ALL = ("user", "prctl", "rlimits", "landlock", "seccomp")
TRIED = (
    "frame-own-id", "memory-modules", "reference-file", "proc", "sockets", "files-left", "daemon", "rights-changed",
    "exit-zero", "segfault", "key-of-the-seeds", "kill-everyone", "signal-by-descriptor", "threads-left",
)  # fmt: skip
BLOCKED = dict.fromkeys(canary.ASPECTS, True)
LEVELS: dict[str, tuple[bool, tuple[str, ...], dict[str, bool]]] = {
    # name: (as root, layers, what must be blocked)
    "docker": (True, ALL, BLOCKED),
    "docker without Landlock": (
        True, ("user", "prctl", "rlimits", "seccomp"), BLOCKED | {"files": False, "results": False}),
    "user": (False, ALL, BLOCKED),
    "user without Landlock": (
        False,
        ("prctl", "rlimits", "seccomp"),
        BLOCKED | {"files": False, "results": False},
    ),
    "user without seccomp and Landlock": (
        False, ("prctl", "rlimits"), dict.fromkeys(canary.ASPECTS, False) | {"memory": True}),
}  # fmt: skip
PROOF = {  # an attack whose success means that the aspect is open
    "files": "reference-file",
    "results": "files-left",
    "network": "sockets",
    "processes": "daemon",
}


def _at_level(layers: list[str], names: list[str], port: int) -> dict[str, Any]:
    """Runs in a process of its own: the attacks and the canary through a pool of these layers."""
    found: dict[str, Any] = {"attacks": {}}
    confine.shield()
    with Pool(Wall(VAE_ONLY.probes, tuple(layers))) as pool:
        for attack in ATTACKS:
            if attack.id in names:
                graded = helpers.grade(pool, files_of(attack, port), assignment=_asked(replace(attack, kind="level")))
                left = helpers.left_behind(pool, MARK)
                found["attacks"][attack.id] = {
                    "text": graded.text,
                    "sample": graded.points("vae.sample"),
                    "bound": graded.points("vae.bound"),
                    "status": sorted({result.status for result in graded.results}),
                    "processes": [item for item in left if not item.startswith("/")],
                    "files": [item for item in left if item.startswith("/")],
                }
                for item in found["attacks"][attack.id]["files"]:
                    _remove(Path(item))
        with helpers.reachable_folder() as results:
            found["canary"] = dict(canary.inspect(pool, beside=helpers.REFERENCE, results=results).leaks)
    return found


def _remove(path: Path) -> None:
    if MARK in path.name:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def is_weak(level: str) -> bool:
    """Whether attacks could do harm at this level: not everything that protects other processes is there."""
    return not all(LEVELS[level][2][aspect] for aspect in ("processes", "judge"))


def start(level: str, module: str, *arguments: Any) -> subprocess.Popen[str]:
    """Runs a test module's `_at_level(layers, *arguments)` with the rights of a level, and prints what it returns."""
    as_root, layers, _ = LEVELS[level]
    rights = ["--bounding-set", "-all," + ",".join(f"+{name}" for name in DOCKER.split(","))]
    if not as_root:
        rights = ["--reuid", str(STRANGER), "--regid", str(STRANGER), "--clear-groups", "--inh-caps=-all"]
    given = ", ".join(map(repr, (list(layers), *arguments)))
    program = (
        f"import sys, json; sys.path[:0] = [{str(helpers.ROOT)!r}]; from tests import {module} as t;"
        f"print(json.dumps(t._at_level({given})))"
    )
    return subprocess.Popen(
        ["setpriv", *rights, sys.executable, "-I", "-B", "-c", program],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/",
    )  # fmt: skip


def end(running: Mapping[str, subprocess.Popen[str]]) -> None:
    """Ends what `start` began."""
    for process in running.values():
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture(scope="module")
def levels(port: int) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """One process for each level, all at work at the same time."""
    running = {}
    for level in LEVELS:
        names = [attack.id for attack in ATTACKS if attack.id in TRIED and (attack.weak or not is_weak(level))]
        running[level] = start(level, "test_attacks", names, port)
    yield running
    end(running)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv (Linux)")
@pytest.mark.parametrize("level", LEVELS)
def test_level(level: str, levels: dict[str, subprocess.Popen[str]]) -> None:
    blocked = LEVELS[level][2]
    done = levels[level]
    output, errors = done.communicate(timeout=280)
    assert done.returncode == 0, errors[-3000:]
    found = json.loads(output.splitlines()[-1])

    assert {aspect: not leak for aspect, leak in found["canary"].items()} == blocked, found["canary"]
    for name, seen in found["attacks"].items():
        attack = next(attack for attack in ATTACKS if attack.id == name)
        assert seen["status"] == ["graded"], (name, seen["text"])
        assert seen["processes"] == [], name
        assert seen["bound"] == _most(attack, "vae.bound"), (name, seen["text"])
        asked = _most(replace(attack, kind="level"), "vae.sample")
        assert seen["sample"] == (asked if attack.sample == "full" else 0), name
        if all(blocked.values()):
            assert "PWNED" not in seen["text"], (name, seen["text"])
            assert seen["files"] == [], name
    # The canary says what attacks can do, no more and no less.
    for aspect, name in PROOF.items():
        assert ("PWNED" in found["attacks"][name]["text"]) == (not blocked[aspect]), aspect


def test_a_homework_in_a_closed_folder_is_closed_without_landlock_too(pool: Pool) -> None:
    """On Gradescope the project's folder is made 0700: then the user alone keeps the reference."""
    attack = next(attack for attack in ATTACKS if attack.id == "reference-file")
    with helpers.reachable_folder() as folder, Pool(replace(pool.wall, layers=("user", "prctl"))) as bare:
        closed = folder / "closed"
        (closed / "gan_vae").mkdir(parents=True)
        (closed / "gan_vae" / "utils.py").write_text("secret")
        closed.chmod(0o700)
        source = attack.utils.replace("REFERENCE", str(closed))
        graded = helpers.grade(bare, helpers.solved(utils=source))
    if os.geteuid() == 0:
        assert "nothing" in graded.messages("vae.sample")[0]


# ------------------------------------------------------------------------------- which user, which rights


def test_no_user_is_taken_that_could_not_read_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a home that is closed to others (a pyenv of root's) the other layers have to do."""
    if os.geteuid() == 0:
        assert confine.worker_uid(0x10000001) == 0x10000001
    tmp_path.chmod(0o700)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert confine.worker_uid(0x10000001) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes its user")
def test_nobody_where_a_container_maps_few_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "uid_map"
    table.write_text("         0     100000      65536\n")
    assert confine._is_mapped(65535, str(table))
    assert not confine._is_mapped(65536, str(table))
    real = confine._is_mapped
    monkeypatch.setattr(confine, "_is_mapped", lambda uid, _table: real(uid, str(table)))
    assert confine.worker_uid(0x10000001) == confine.NOBODY


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
    terminal._close_to_others()
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (shared, *home.iterdir())}
    assert modes == {
        "tmp": 0o1755, "source": 0o700, "submission": 0o700, "results": 0o755, "submission_metadata.json": 0o600,
    }  # fmt: skip
