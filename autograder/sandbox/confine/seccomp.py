"""The fifth layer: which system calls are refused (seccomp)."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from functools import cache
from typing import Any

from autograder.sandbox.confine.layer import Sockets, Unavailable
from autograder.sandbox.confine.process import PR_SET_DUMPABLE, PR_SET_PDEATHSIG

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


def restrict(sockets: Sockets) -> None:
    """A deny-list with EPERM: what a numeric function never needs. Threads stay allowed."""
    rules = refusals(sockets)
    import pyseccomp

    try:
        for name in ("kill", "tgkill"):  # oneself is fine: abort() does it
            rules.add_rule(pyseccomp.ERRNO(errno.EPERM), name, pyseccomp.Arg(0, pyseccomp.NE, os.getpid()))
        rules.load()
    except OSError as error:
        raise Unavailable(f"the kernel took no filter: {error}") from None


@cache
def refusals(sockets: Sockets) -> Any:
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
