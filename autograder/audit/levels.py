"""Levels of protection: with which rights, behind which layers of confinement a grading runs, and how to start one."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from autograder.sandbox import confine
from autograder.sandbox.host import canary

ROOT = Path(__file__).resolve().parents[2]
DOCKER = "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod"
DOCKER = f"{DOCKER},audit_write,setfcap"
"""The capabilities that Docker leaves to root."""
STRANGER = 0x0FED0000
"""The first of the users for levels without root, made up for them: the level number n of process p is this one's."""
ALL = confine.LAYERS
BLOCKED = dict.fromkeys(canary.ASPECTS, True)


class Level(NamedTuple):
    """`root`: run as root; `layers`: of the confinement; `blocked`: what the canary must find BLOCKED there."""

    root: bool
    layers: tuple[str, ...]
    blocked: Mapping[str, bool]
    limited: bool = True
    promise: str = "nothing gained, stolen, sent, left behind or broken"

    @property
    def weak(self) -> bool:
        """Whether attacks could do harm: what protects other processes is not all there."""
        return not (self.blocked["processes"] and self.blocked["judge"])


OPEN_FILES = BLOCKED | {"files": False, "results": False}
LEVELS = {
    "root": Level(True, ALL, BLOCKED, limited=False),
    "docker": Level(True, ALL, BLOCKED),
    "user": Level(False, ALL, BLOCKED),
    "user without seccomp and Landlock": Level(
        False, ("prctl", "rlimits"), dict.fromkeys(canary.ASPECTS, False) | {"memory": True},
        promise="no forged score, no points for an error of ours, none of the judge's secrets in reach, results.json "
        "the judge's in the end, its memory and environment unread, every process ended, 4 GB refused",
    ),
    "docker without Landlock": Level(True, ("user", "prctl", "rlimits", "seccomp"), OPEN_FILES),
    "user without Landlock": Level(False, ("prctl", "rlimits", "seccomp"), OPEN_FILES),
}  # fmt: skip
FOUR = tuple(LEVELS)[:4]
TITLES = {
    "root": "root with everything",
    "docker": "root with Docker's default capabilities",
    "user": "an ordinary user with Landlock and seccomp",
    "user without seccomp and Landlock": "an ordinary user with neither",
}


def start(level: Level, program: str, *arguments: Any, number: int = 0) -> subprocess.Popen[str]:
    """Calls the function `program` ("module:function") of this repository with the rights of a level, in a process.

    It gets the level's layers and the arguments, JSON's plain values. As an ordinary user only levels without root can
    be started, and keep that user. Needs setpriv as root.
    """
    user = str(STRANGER + 16 * (os.getpid() % 4096) + number)
    rights = ["--bounding-set", "-all," + ",".join(f"+{name}" for name in DOCKER.split(","))] if level.limited else []
    if not level.root:
        rights = ["--reuid", user, "--regid", user, "--clear-groups", "--inh-caps=-all"]
    module, _, function = program.partition(":")
    called = (
        f"import sys, json; sys.path[:0] = [{str(ROOT)!r}]; from importlib import import_module as load;"
        f"load({module!r}).{function}(*json.loads(sys.argv[1]))"
    )
    return subprocess.Popen(
        [*(["setpriv", *rights] if os.geteuid() == 0 else []), sys.executable, "-I", "-B", "-c", called,
         json.dumps([list(level.layers), *arguments])],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/",
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "HOME": "/nonexistent",
             "AUTOGRADER_TOKEN": "token-of-the-judge"},
    )  # fmt: skip


def cannot(level: Level) -> str:
    """Why a level cannot be tried by this user on this machine, or ""."""
    if os.geteuid() != 0:
        return "needs root" if level.root else ""
    return "" if shutil.which("setpriv") else "needs setpriv (util-linux)"


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Ends the process, whatever happens meanwhile."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
