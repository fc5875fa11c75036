"""The fourth layer: which files can be read and written at all (Landlock)."""

from __future__ import annotations

import contextlib
import errno
import stat
import sys
import sysconfig
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from autograder.sandbox.confine.layer import Sockets, Unavailable


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


def restrict(readable: Sequence[Path], writable: Sequence[Path], sockets: Sockets) -> None:
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
