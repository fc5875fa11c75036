"""Asks and judges `permute_mnist` and `rehearsal_set`, whose results are known exactly."""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.random import Generator

from autograder.core import Array, CheckFailed, Request, Specs, Trial, Values, Verdict
from autograder.hw11.continual_learning.classifier import listed
from autograder.judging.judges import array, passed
from autograder.sandbox.parts import items, pack, section, take
from autograder.sandbox.returns import declared, entries, numbers, parts, text

SIDE = 28
PIXELS = SIDE * SIDE
FIRST, SECOND = 3, 2
"""Images in the two arrays."""

# ------------------------------------------------------------------------------------- permute_mnist


def _permute(rng: Generator) -> Values:
    """Images whose pixels all differ, within an image and between two, so that each tells where it came from."""
    chosen, other = rng.choice(2**31, 2, replace=False)
    pixels = rng.permutation((FIRST + SECOND) * PIXELS).astype(np.float32).reshape(-1, PIXELS)
    return {"first": pixels[:FIRST], "second": pixels[FIRST:], "chosen": int(chosen), "other": int(other)}


_ARRAYS = (("first", FIRST), ("second", SECOND))


def _permuted(_given: Values) -> Specs:
    """What came back of each array in three calls, and what is left of what was handed over."""
    arrays = {name: dict.fromkeys(("returned", "given"), entries(images * PIXELS)) for name, images in _ARRAYS}
    return declared(once=arrays, again=arrays, other=arrays)


PERMUTE = Request("continual_learning.probes:permute", _permute, returns=_permuted, needs=("continual_learning.ipynb",))
EXPECTED = "Expected: one permutation of the 784 pixels, drawn with the seed, for all images of all arrays."


def permutation(trial: Trial, call: str) -> Array:
    """The permutation of a call: pixel i of a result is pixel permutation[i] of the image. Raises `CheckFailed`."""
    every: list[Array] = []
    for name, n in _ARRAYS:
        given = array(trial.given, name)
        of, what = take(trial.got, f"{call}.{name}"), "An array that permute_mnist returned"
        got = array(of, "returned", shape=(n, 1, SIDE, SIDE), what=what)
        got = got.reshape(n, PIXELS)
        if not np.array_equal(np.sort(got, axis=1), np.sort(given, axis=1)):
            moved = np.array_equal(np.sort(got, axis=None), np.sort(given, axis=None))
            seen = "moves pixels from one image to another" if moved else "changes the values of the pixels"
            raise CheckFailed(
                f"permute_mnist {seen}. Expected: every image keeps its own pixels in another order.",
                diagnosis="permute_values",
            )
        # All values of an image differ, and so they are sorted in one way.
        order, back = got.argsort(1), given.argsort(1)
        for image in range(n):
            found = np.empty(PIXELS, int)
            found[order[image]] = back[image]
            every.append(found)
    for start, end in ((0, FIRST), (FIRST, FIRST + SECOND)):
        if any(not np.array_equal(one, every[start]) for one in every[start:end]):
            raise CheckFailed(
                f"permute_mnist permutes each image differently. {EXPECTED}", diagnosis="permute_each_image"
            )
    if not np.array_equal(every[0], every[FIRST]):
        raise CheckFailed(f"permute_mnist permutes the two arrays differently. {EXPECTED}",
                     diagnosis="permute_each_array")  # fmt: skip
    return every[0]


def permute(trial: Trial) -> Verdict:
    for name, n in _ARRAYS:
        for call in ("once", "again", "other"):
            of, what = take(trial.got, f"{call}.{name}"), "The input of permute_mnist"
            after = array(of, "given", shape=(n, 1, SIDE, SIDE), what=what)
            if not np.array_equal(after.reshape(n, -1), array(trial.given, name)):
                raise CheckFailed(
                    "After the call the input images of permute_mnist have changed. Expected: new arrays. The input "
                    "images are task 0 and must stay unchanged.",
                    diagnosis="in_place",
                )
    found = {call: permutation(trial, call) for call in ("once", "again", "other")}
    if (found["once"] == np.arange(PIXELS)).all():
        raise CheckFailed(f"permute_mnist leaves all pixels in place. {EXPECTED}", diagnosis="permute_none")
    if not np.array_equal(found["once"], found["again"]):
        raise CheckFailed(
            "Two calls of permute_mnist with the same seed gave different permutations. Expected: the seed "
            "determines the permutation.",
            diagnosis="permute_unseeded",
        )
    if np.array_equal(found["once"], found["other"]):
        raise CheckFailed(
            "Two calls of permute_mnist with different seeds gave the same permutation. Expected: another "
            "permutation for another seed.",
            diagnosis="permute_seed_ignored",
        )
    # Of 784! permutations less than 28! 28!^28 keep rows together or pixels in their rows: no luck brings that about.
    square = found["once"].reshape(SIDE, SIDE)
    if (np.ptp(square // SIDE, axis=1) == 0).all() or (np.ptp(square % SIDE, axis=0) == 0).all():
        raise CheckFailed(f"permute_mnist moves whole rows or columns only. {EXPECTED}", diagnosis="permute_rows")
    return passed("One permutation of the pixels, which the seed determines, is used for all images.")


# ------------------------------------------------------------------------------------- rehearsal_set

SIZES = (40, 30, 50)
"""Images of the tasks, the newest last."""
PER_TASK = 12
INPUTS, CLASSES = 4, 10
MOST = 10
"""A larger set, as a multiple of all images, is not read."""
BLOCKS = 1e-11
"""alpha: a set that is shuffled as a whole has each task's images in one piece with probability 1 / 120! 3! 40! 30! 50!
and less than 1e-20 with twelve of each earlier task; tests compute both."""


def _rehearsal(rng: Generator) -> Values:
    chance = int(rng.integers(2**31))
    tasks = [
        {"x": rng.standard_normal((n, INPUTS)).astype(np.float32), "t": rng.integers(0, CLASSES, n)} for n in SIZES
    ]
    return pack(per_task=PER_TASK, chance=chance, tasks=tasks)


def _set_returns(_given: Values) -> Specs:
    """A set of at most all images several times over: their first pixels, their numbers, labels and form."""
    whole = sum(SIZES)
    one = {
        "x": numbers(None, None, most=100 * whole * INPUTS),
        "number": numbers(None, most=100 * whole),
        "t": entries(whole),
        "shape": text(60),
    }
    return parts(all=one, some=one, again=one)


REHEARSAL = Request(
    "continual_learning.probes:rehearsal", _rehearsal, returns=_set_returns, needs=("continual_learning.ipynb",)
)


def in_one_piece(sizes: tuple[int, ...]) -> float:
    """The probability that a uniform shuffle leaves each task's images in one piece, in whatever order."""
    ways, total = 1.0, 0
    for at, n in enumerate(sizes):
        total += n
        ways *= comb(total, n) / (at + 1)
    return 1 / ways


def _set(trial: Trial, part: str, sizes: tuple[int, ...]) -> None:
    """Raises `CheckFailed` where a part's set is not made of so many images of each task, with labels, shuffled."""
    of = section(trial, part)
    tasks = items(trial.given, "tasks")
    x, t = (np.concatenate([array(task, name) for task in tasks]) for name in "xt")
    what = "For the images of all three tasks" if part == "all" else f"With per_task={PER_TASK}"
    shape = of.got.get("shape")
    if not isinstance(shape, str) or shape != f"1x{SIDE}x{SIDE}":
        raise CheckFailed(
            "The images that rehearsal_set returned have the wrong shape. Expected: [number, 1, 28, 28], as in the "
            "input.",
            diagnosis="shape",
        )
    number = of.got.get("number")
    if isinstance(number, np.ndarray) and number.size > MOST * len(x):
        raise CheckFailed(f"{what} the set holds {number.size} images. Expected: {sum(sizes)}.",
                     diagnosis="rehearsal_proportions")  # fmt: skip
    at = listed(of.got, "number", most=MOST * len(x), what="The images of the set")
    n = len(at)
    got = array(of.got, "x", shape=(n, INPUTS), what="The images of the set")
    labels = array(of.got, "t", shape=(n,), what="The labels of the set")
    if not n or at.min() < 0 or at.max() >= len(x) or not np.array_equal(got, x[at]):
        raise CheckFailed(f"{what} the set holds images that belong to no task. Expected: the images unchanged.",
                     diagnosis="rehearsal_images")  # fmt: skip
    task = np.repeat(np.arange(len(SIZES)), SIZES)
    counts = np.bincount(task[at], minlength=len(SIZES))
    told = f"{what} the set holds {', '.join(map(str, counts))} images of tasks 0, 1 and 2"
    wanted = f"Expected: {', '.join(map(str, sizes))}, each image once, including all images of the newest task."
    if (counts == 0).any():
        lost = "the newest task" if counts[-1] == 0 else "an earlier task"
        raise CheckFailed(f"{told}, so {lost} is missing. {wanted}",
                     diagnosis="rehearsal_newest" if counts[-1] == 0 else "rehearsal_task_lost")  # fmt: skip
    if not np.array_equal(counts, sizes):
        raise CheckFailed(f"{told}. {wanted}", diagnosis="rehearsal_proportions")
    if len(np.unique(at)) < n:
        raise CheckFailed(
            f"{told}, but some images appear twice and others are missing. {wanted}", diagnosis="rehearsal_twice"
        )
    if not np.array_equal(labels, t[at]):
        raise CheckFailed(
            f"{what} the labels do not belong to their images. Expected: images and labels in the same order, "
            "shuffled together.",
            diagnosis="rehearsal_labels",
        )
    if np.count_nonzero(np.diff(task[at])) == len(SIZES) - 1:
        raise CheckFailed(
            f"{what} the tasks follow one another, so the last batches hold a single task. Expected: the images of "
            "all tasks are shuffled together.",
            diagnosis="rehearsal_blocks",
        )


def rehearsal(trial: Trial, _alpha: float) -> Verdict:
    """Half for the set of all images where a part of them is not drawn rightly."""
    _set(trial, "all", SIZES)
    remarks = ""
    try:
        if section(trial, "some").got:  # nothing comes of a notebook where the set is made in the training loop
            _set(trial, "some", (PER_TASK, PER_TASK, SIZES[-1]))
            remarks = _remarks(trial)
    except CheckFailed as fault:
        return Verdict(0.5, f"The set of all images is right. {fault}", fault.diagnosis)
    return passed(f"The set holds the images of all tasks with their labels, shuffled together.{remarks}")


def _remarks(trial: Trial) -> str:
    """What is accepted though the notebook asks for a choice at random that the seed decides on."""
    found = array(section(trial, "some").got, "number")
    chosen = [np.arange(start, start + PER_TASK) for start in np.cumsum((0, *SIZES[:-2]))]
    told = ""
    if all(np.isin(first, found).all() for first in chosen):
        told += " The first images of the earlier tasks were taken in place of drawn ones, which is accepted here."
    again = section(trial, "again").got.get("number")
    if not isinstance(again, np.ndarray) or not np.array_equal(again, found):
        told += " Two calls with the same seed give two different sets, which is accepted here."
    return told
