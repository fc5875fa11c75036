"""The first layer: a user of the worker's own, who owns nothing."""

from __future__ import annotations

import os
import pwd
import stat
import sys
from functools import cache
from pathlib import Path

from autograder.sandbox.confine.layer import Unavailable

NOBODY = 65534


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


def become(uid: int | None, group: int | None = None) -> None:
    """Goes on as this user, in the group of the same number if no other is given."""
    if uid is None or os.geteuid() != 0:
        raise Unavailable("only root can change its user")
    os.setgroups([])
    try:
        gid = uid if group is None else group
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError:  # a container that maps few users
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    if 0 in os.getresuid() + os.getresgid():
        raise RuntimeError("the worker is still root")


@cache
def is_made_up(uid: int) -> bool:
    """Whether this user was made up for the worker: it has no entry in the user database."""
    try:
        return pwd.getpwuid(uid).pw_uid == NOBODY
    except KeyError:
        return True
