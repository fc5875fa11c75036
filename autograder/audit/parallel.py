"""Calls a function for many things in several processes, and hands over each result as soon as it is there."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from typing import Any, TypeVar

from autograder.isolation import confine

Result = TypeVar("Result")


def each(
    function: Callable[..., Result], arguments: Sequence[tuple[Any, ...]], jobs: int
) -> Iterator[tuple[int, Result]]:
    """Pairs of a place in `arguments` and what the function made of it, in the order in which they end.

    With one job everything happens in this process, in order.
    """
    if jobs == 1 or len(arguments) < 2:
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


def _begin(parent: int) -> None:
    """Called once in every process: it ends with `parent`, however that ends, and takes one core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then goes
    with suppress(confine.Unavailable, OSError):
        confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before we could ask to be told
        os._exit(1)
    os.environ["KINETO_LOG_LEVEL"] = "99"  # torch's profiler, which counts multiplications, would write to the terminal
    import torch

    torch.set_num_threads(1)
