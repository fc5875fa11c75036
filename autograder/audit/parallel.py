"""Calls a function for many things in several processes, and hands over each result as soon as it is there."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from typing import Any, TypeVar

from autograder.audit.journal import Journal, Key
from autograder.audit.section import Tell
from autograder.sandbox import confine

Result = TypeVar("Result")


def each(
    function: Callable[..., Result], arguments: Sequence[tuple[Any, ...]], jobs: int, *, apart: bool = False
) -> Iterator[tuple[int, Result]]:
    """Pairs of a place in `arguments` and what the function made of it, in the order in which they end.

    With one job everything happens in this process, in order, unless it is to stay `apart` from it.
    """
    if not apart and (jobs == 1 or len(arguments) < 2):
        yield from ((place, function(*given)) for place, given in enumerate(arguments))
        return
    context = multiprocessing.get_context("spawn")  # a fork after torch has started threads may hang
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(os.getpid(),)) as executor:
        places = {executor.submit(function, *given): place for place, given in enumerate(arguments)}
        try:
            for future in as_completed(places):
                yield places[future], future.result()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def kept(
    journal: Journal,
    function: Callable[..., Mapping[str, Any]],
    work: Mapping[Key, tuple[Any, ...]],
    jobs: int,
    tell: Tell,
    *,
    apart: bool = False,
) -> list[dict[str, Any]]:
    """What the function makes of each work, in the order of `work`: taken from the journal, or at once put into it.

    `tell` gets how many are done, and of how many.
    """
    missing = [key for key in work if key not in journal.rows]
    done = len(work) - len(missing)
    tell(done, len(work))
    for place, row in each(function, [work[key] for key in missing], jobs, apart=apart):
        journal.add(missing[place], row)
        tell(done := done + 1, len(work))
    return [journal.rows[key] for key in work]


def _begin(parent: int) -> None:
    """Called once in every process: it ends with `parent`, however that ends, and takes one core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then goes
    with suppress(confine.Unavailable, OSError):
        confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before we could ask to be told
        os._exit(1)
    os.environ["KINETO_LOG_LEVEL"] = "99"  # torch's profiler, which counts multiplications, would write to the terminal
    os.environ["OMP_NUM_THREADS"] = "1"
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
