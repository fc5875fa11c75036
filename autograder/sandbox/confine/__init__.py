"""What a worker gives up before it meets students' code: its user, files, network, processes, memory.

Each layer is one function that either works or raises `Unavailable`; `confine` applies all that the
machine offers and returns the names of those that are in force. Which attacks are held in the end is
not read from that list but tried: see canary.py.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import importlib
import os
import pwd
import resource
import signal
import socket
import stat
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 1, 4, 38, 36
LAYERS = ("user", "prctl", "rlimits", "landlock", "seccomp")
NOBODY = 65534
Sockets = Literal["none", "listen", "connect"]
"""What a worker may do with sockets: nothing; or, of UNIX sockets, bind and accept; or connect."""
SCRATCH = 64 * 1024**2
"""Bytes that a notebook's kernel may write into one file of its folder."""


class Unavailable(Exception):
    """This layer cannot work on this machine. The sentence says why."""


@dataclass(frozen=True)
class Limits:
    """What one worker may use. `memory` comes on top of what the zygote had mapped already."""

    seconds: float = 10.0
    memory: int = 512 * 1024**2
    processes: int = 64
    files: int = 64
    written: int = 0


def preload() -> None:
    """Does once what every worker would do for itself, before it is confined or, worse, after."""
    with contextlib.suppress(ImportError, OSError):
        importlib.import_module("landlockpy").supported()  # looks for the C library by another program
    with contextlib.suppress(Unavailable, OSError):
        _refusals("none")
    with contextlib.suppress(KeyError):
        pwd.getpwuid(NOBODY - 1)  # loads what looks users up
    python_folders()


def prctl(option: int, value: int) -> None:
    """prctl(2), on Linux. Raises Unavailable elsewhere, OSError where the kernel refuses."""
    if not sys.platform.startswith("linux"):
        raise Unavailable("prctl exists on Linux only")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def shield() -> None:
    """Makes this process unreadable to others of the same user (/proc/PID/mem, environ, ptrace)."""
    with contextlib.suppress(Unavailable, OSError):
        prctl(PR_SET_DUMPABLE, 0)


def confine(
    *,
    uid: int | None,
    limits: Limits,
    readable: Sequence[Path],
    writable: Sequence[Path] = (),
    sockets: Sockets = "none",
    layers: Sequence[str] = LAYERS,
) -> list[str]:
    """Applies every layer of `layers` that this machine offers, in the order in which they must come.

    Whatever is not in `readable` and `writable` can be neither read nor written. A worker of the usual
    kind can write nowhere and has no `sockets`; a notebook's kernel and its client need a little of both.
    """
    baseline = _mapped()
    _first_to_go()  # while /proc/self is still ours to write
    steps: dict[str, Callable[[], None]] = {
        # The user first: changing it clears the death signal and needs what seccomp takes away.
        "user": lambda: _become(uid),
        "prctl": _no_return,
        "rlimits": lambda: _limit(limits, baseline),
        "landlock": lambda: _landlock(readable, writable, sockets),
        "seccomp": lambda: _seccomp(sockets),
    }
    applied = []
    for name, step in steps.items():
        if name in layers:
            with contextlib.suppress(Unavailable):
                step()
                applied.append(name)
    return applied


def worker_uid(wanted: int) -> int | None:
    """The user for a judge's workers: `wanted`, or nobody's where a container maps few users.

    None where the user cannot be changed, or should not be: below a home that is closed to others the
    worker could not even import torch. The other layers stay; the canary says what that leaves open.
    """
    if os.geteuid() != 0 or not all(_open_to_all(Path(place)) for place in (sys.prefix, sys.base_prefix)):
        return None
    for uid in (wanted, NOBODY):
        if all(_is_mapped(uid, f"/proc/self/{kind}_map") for kind in ("uid", "gid")):
            return uid
    return None


def _open_to_all(place: Path) -> bool:
    place = place.resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (place, *place.parents))


def _is_mapped(uid: int, table: str) -> bool:
    try:
        lines = Path(table).read_text().splitlines()
    except OSError:  # not Linux: no user namespaces
        return True
    ranges = [tuple(map(int, line.split())) for line in lines]
    return any(first <= uid < first + count for first, _, count in ranges)


# ------------------------------------------------------------------------------------------ the layers


def _first_to_go() -> None:
    """In a container that runs out of memory the kernel is to end the worker, never the judge."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _become(uid: int | None) -> None:
    if uid is None or os.geteuid() != 0:
        raise Unavailable("only root can change its user")
    os.setgroups([])
    try:
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    except OSError:  # a container that maps few users
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    if 0 in os.getresuid() + os.getresgid():
        raise RuntimeError("the worker is still root")


def _no_return() -> None:
    parent = os.getppid()
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent or parent == 1:
        os._exit(1)  # the zygote died before it could be said that we die with it


def _mapped() -> int:
    """Bytes of address space in use: torch alone maps far more than it touches."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 8 * 1024**3


def _limit(limits: Limits, baseline: int) -> None:
    cpu = int(limits.seconds) + 1
    wanted = {
        "RLIMIT_AS": baseline + limits.memory,
        "RLIMIT_DATA": baseline + limits.memory,  # AS alone is not honoured everywhere
        "RLIMIT_CPU": cpu,
        "RLIMIT_FSIZE": limits.written,
        "RLIMIT_NOFILE": limits.files,
        "RLIMIT_CORE": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    if os.geteuid() != 0 and _own_user():
        wanted["RLIMIT_NPROC"] = limits.processes  # counts the whole user: only where it is ours alone
    with contextlib.suppress(OSError):  # where memory runs out all the same, the kernel is to take us first
        Path("/proc/self/oom_score_adj").write_text("1000")
    for name, value in wanted.items():
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))


def _own_user() -> bool:
    """Whether this user was made up for the worker: it has no entry in the user database."""
    try:
        return pwd.getpwuid(os.getuid()).pw_uid == NOBODY
    except KeyError:
        return True


@cache
def python_folders() -> list[Path]:
    """What Python and torch need to read after the fork: the modules, packages and C libraries.

    Of the environment only its libraries: the key of all seeds lies at its top.
    """
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {f"{prefix}/{lib}" for prefix in (sys.prefix, sys.base_prefix) for lib in ("lib", "lib64")}
    paths |= {"/usr/lib", "/lib", "/lib64", "/usr/lib64", "/usr/local/lib"}
    paths |= {"/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo"}
    found = {Path(path).resolve() for path in paths}
    return sorted(path for path in found if path.exists())


def _landlock(readable: Sequence[Path], writable: Sequence[Path], sockets: Sockets) -> None:
    """Only `readable` can be read, only `writable` written; no TCP; no signals or abstract sockets outwards."""
    try:
        import landlockpy
        from landlockpy import AccessFS, Scope
    except ImportError:
        raise Unavailable("landlockpy is not installed") from None
    written = AccessFS.WRITE_FILE | AccessFS.TRUNCATE | AccessFS.MAKE_REG | AccessFS.MAKE_DIR | AccessFS.MAKE_SOCK
    read = AccessFS.READ_FILE | AccessFS.READ_DIR
    if sockets == "connect":
        read |= AccessFS.RESOLVE_UNIX
    try:
        if not landlockpy.supported():
            raise Unavailable("this kernel has no Landlock")
        scope = Scope.SIGNAL | Scope.ABSTRACT_UNIX_SOCKET
        if sockets == "connect":  # or the signal that ends a kernel with its client would be refused as well
            scope = Scope.ABSTRACT_UNIX_SOCKET
        with landlockpy.Ruleset(scoped=scope) as ruleset:
            for path in readable:
                with contextlib.suppress(FileNotFoundError, PermissionError):  # or closed to the worker's user
                    if stat.S_ISDIR(path.stat().st_mode):
                        ruleset.allow_path(path, read)
                    else:  # directory rights on a plain file are EINVAL
                        ruleset.allow_path(path, AccessFS.READ_FILE)
            for path in writable:
                ruleset.allow_path(path, read | written)
            for device in ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"):
                if Path(device).exists():
                    ruleset.allow_path(device, AccessFS.READ_FILE | AccessFS.WRITE_FILE)
            ruleset.restrict()
    except landlockpy.LandlockError as error:  # an old Docker answers EPERM: as good as absent
        raise Unavailable(str(error)) from None
    except OSError as error:
        if error.errno in (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP):
            raise Unavailable(str(error)) from None
        raise


# Sockets and what stands in for them, new processes, other processes, the kernel's wide doors, and the
# rights, owners and times of files, which Landlock leaves open: a worker of the same user could lock the
# judge out of its own results folder.
SOCKETS = "socket socketpair connect bind listen accept accept4 sendto sendmsg sendmmsg"
ALLOWED = {"none": "", "listen": "bind listen accept accept4", "connect": "connect"}
"""Of those, what goes beside making and using UNIX sockets; sendmsg stays denied, since it can carry an address."""
DENIED = """
io_uring_setup io_uring_enter io_uring_register
fork vfork execve execveat
ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_open pidfd_getfd pidfd_send_signal
rt_sigqueueinfo rt_tgsigqueueinfo setsid setpgid
unshare setns mount umount2 pivot_root chroot move_mount open_tree fsopen fsmount fsconfig
bpf keyctl add_key request_key userfaultfd perf_event_open seccomp personality
shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open mq_unlink
memfd_create memfd_secret name_to_handle_at open_by_handle_at fanotify_init inotify_init inotify_init1
setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid capset
sched_setaffinity sched_setattr setpriority ioprio_set
init_module finit_module delete_module kexec_load reboot swapon swapoff acct quotactl syslog process_mrelease
chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat
setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat
"""
# A file that was removed or replaced while it is open takes room that the judge cannot count, and there
# may be any number of them. What a notebook removes therefore stays, without an error.
REMOVED, REPLACED = "unlink unlinkat rmdir", "rename renameat renameat2"
O_TMPFILE = 0o20000000
"""Its own bit of the flag: a file that never had a name."""
CLONE_THREAD = 0x00010000
LOW_WORD = 0xFFFFFFFF
F_SETOWN, F_SETSIG, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP = 8, 10, 15, 0x8901, 0x8902


def _seccomp(sockets: Sockets) -> None:
    """A deny-list with EPERM: what a numeric function never needs. Threads stay allowed."""
    rules = _refusals(sockets)
    import pyseccomp

    try:
        for name in ("kill", "tgkill"):  # oneself is fine: abort() does it
            rules.add_rule(pyseccomp.ERRNO(errno.EPERM), name, pyseccomp.Arg(0, pyseccomp.NE, os.getpid()))
        rules.load()
    except OSError as error:
        raise Unavailable(f"the kernel took no filter: {error}") from None


@cache
def _refusals(sockets: Sockets) -> Any:
    """The filter but for what depends on the process: a hundred rules take 2 ms, which the zygote spends once."""
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError):
        raise Unavailable("libseccomp is not installed") from None
    refuse = pyseccomp.ERRNO(errno.EPERM)
    try:
        rules = pyseccomp.SyscallFilter(defaction=pyseccomp.ALLOW)
        denied = {*DENIED.split(), *SOCKETS.split()} - set(ALLOWED[sockets].split())
        if sockets != "none":
            denied -= {"socket", "socketpair", "sendto"}
            for name in ("socket", "socketpair"):
                rules.add_rule(refuse, name, pyseccomp.Arg(0, pyseccomp.NE, socket.AF_UNIX))
            rules.add_rule(refuse, "sendto", pyseccomp.Arg(4, pyseccomp.NE, 0))  # with an address of its own
        if sockets == "listen":  # a kernel, which has a folder to write to
            denied |= set(REPLACED.split())
            for name in REMOVED.split():
                with contextlib.suppress(OSError):  # as below
                    rules.add_rule(pyseccomp.ERRNO(0), name)
            for name, position in (("open", 1), ("openat", 2)):
                with contextlib.suppress(OSError):
                    rules.add_rule(refuse, name, pyseccomp.Arg(position, pyseccomp.MASKED_EQ, O_TMPFILE, O_TMPFILE))
            with contextlib.suppress(OSError):
                rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "openat2")  # its flags are in memory
        for name in sorted(denied):
            with contextlib.suppress(OSError):  # unknown to this libseccomp or this architecture
                rules.add_rule(refuse, name)
        # clone without CLONE_THREAD makes a process; clone3 hides its flags in memory, so glibc is
        # told that it does not exist and falls back to clone.
        rules.add_rule(refuse, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_THREAD, 0))
        with contextlib.suppress(OSError):
            rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
        # To ask for the ordinary policy changes nothing, and ZeroMQ's threads insist on asking.
        rules.add_rule(refuse, "sched_setscheduler", pyseccomp.Arg(1, pyseccomp.NE, 0))
        rules.add_rule(refuse, "prlimit64", pyseccomp.Arg(0, pyseccomp.GT, 0))  # 0 is oneself: getrlimit()
        # Who is signalled by a descriptor's events is a kill() by another name; PDEATHSIG and DUMPABLE stay.
        for name, position, values in (
            ("fcntl", 1, (F_SETOWN, F_SETSIG, F_SETOWN_EX)),
            ("ioctl", 1, (FIOSETOWN, SIOCSPGRP)),
            ("prctl", 0, (PR_SET_PDEATHSIG, PR_SET_DUMPABLE)),
        ):
            for value in values:  # the kernel reads 32 bits, so that only those may be compared
                rules.add_rule(refuse, name, pyseccomp.Arg(position, pyseccomp.MASKED_EQ, LOW_WORD, value))
        with contextlib.suppress(OSError):
            rules.add_rule(refuse, "tkill")
    except OSError as error:
        raise Unavailable(f"libseccomp made no filter: {error}") from None
    return rules
