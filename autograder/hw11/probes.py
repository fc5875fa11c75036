"""Our code that runs beside the student's: it calls their functions and says what happened.

A probe holds no answers, thresholds or expectations. Modules called `private_probes` carry
something that only the worker of their own request may see, so the zygote does not import them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from autograder.sandbox.faults import Fault
from autograder.sandbox.guest.absent import require
from autograder.sandbox.guest.student import Student
from autograder.sandbox.guest.tensors import put_back
from autograder.sandbox.wire import Breach


def tensor(value: Any, what: str, *, inside: bool = False) -> torch.Tensor:
    """`value` if it is a tensor of real numbers. Raises `Breach`, told to the student, otherwise.

    `inside` says that the student's code, which called ours, goes on afterwards. A subclass's instance is seen as the
    plain tensor that it is: torch would ask the class what its functions do.
    """
    put_back(modes=not inside)
    if not isinstance(value, torch.Tensor):
        require(value)
        raise Breach(f"{what} is {_kind(value)}, but a tensor was expected")
    if value.is_complex() or value.is_sparse:
        raise Breach(f"{what} is a tensor of type {value.dtype}, but real numbers were expected")
    if type(value) is not torch.Tensor:
        with torch._C.DisableTorchFunctionSubclass():
            return torch.Tensor.as_subclass(value, torch.Tensor)
    return value


def several(returned: Any, number: int, names: str, what: str) -> list[Any]:
    """What a function that owes two or three values returned, in a list: tensors and plain numbers.

    Raises `Breach`, told to the student, where they are not that many, or are something else.
    """
    put_back()
    expected = f"{NUMBERS[number]} scalars were expected: {names}"
    if isinstance(returned, torch.Tensor):
        raise Breach(f"{what} returned one tensor, but {expected}")
    if not isinstance(returned, tuple | list):
        raise Breach(f"{what} returned {_kind(returned)}, but {expected}")
    if len(returned) < number:
        raise Breach(f"{what} returned {_values(len(returned))}, but {expected}")
    for index, part in enumerate(returned[:number]):
        if not isinstance(part, float | int):
            tensor(part, f"value {index + 1} of the return value of {what}")
    return list(returned)


NUMBERS = {2: "two", 3: "three"}


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


def _kind(value: Any) -> str:
    if value is None:
        return "None (is a return missing?)"
    if isinstance(value, tuple | list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"


def fault_of(student: Student) -> Callable[[BaseException], Fault]:
    """How an exception in this student's code is told to the judge."""
    from autograder.sandbox.guest import worker  # which imports the probes itself

    return lambda error: worker.fault(error, student)
