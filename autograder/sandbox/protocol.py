"""What host and guest agree on beside the wire's frames."""

from __future__ import annotations

from pathlib import Path

from autograder.core import PRIVATE, PUBLIC


def probe_files(folder: Path) -> list[Path]:
    """The files of all probe modules below a homework's folder, in a fixed order."""
    return sorted(
        path
        for path in folder.rglob("*.py")
        if not {PUBLIC, PRIVATE}.isdisjoint(path.relative_to(folder).with_suffix("").parts)
    )


READ = ".read"
"""Where in a submission's workspace stands what was read of its notebooks once for all workers."""
MOST_READ = 20
"""Notebooks at the top of the workspace that are read; a homework has a handful."""
MAX_MESSAGE = 1 << 16
"""Bytes of one message between the judge and the zygote."""
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/nonexistent",
    "PYTHONHASHSEED": "0",
    # Huge pages make forks four times cheaper; one arena, since each thread's own would reserve 64 MB of
    # the address space that a worker may have.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1",
    "MPLBACKEND": "Agg",
    # Parts of torch that torch.func and checkpoints import late ask for a folder to write to, and a worker has none:
    # with one that is named they go on, and fail only where they would write.
    "TORCHINDUCTOR_CACHE_DIR": "/",
    # There is no network: a model's name is looked up on no server, and nobody waits for the answer.
    **dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"), "1"),
    "TOKENIZERS_PARALLELISM": "false",
    "KINETO_LOG_LEVEL": "99",  # torch's profiler, which counts multiplications, would write to the worker's log
    # Pools of threads do not survive a fork, and one thread is what the checks need.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
