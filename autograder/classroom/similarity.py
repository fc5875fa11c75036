"""Code in a class that is far more alike than is usual there, from fingerprints: hints for people, proofs of nothing.

The fingerprints of a file are hashes of its k-grams after names and comments were made alike, thinned out by
winnowing (Schleimer, Wilkerson, Aiken, "Winnowing", SIGMOD 2003). Short answers to one task are alike by nature: what
the template holds and what many have counts for nothing, and what is left is compared with the rest of the class.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

TEMPLATE = ""
"""The submission under whose name the gradebook keeps the template's own fingerprints."""
SHARED_BY = 0.1
FEW = 3
"""A fingerprint that more than this share of the class has, and more than this many, counts for nothing."""
FILES = 10
"""Versions of a file below which nothing can be said about what is usual."""
COMMON = 8
"""Fingerprints that two files must have in common: less can be one idiom."""
FLOOR, CEILING = 0.5, 0.95
SPREADS = 5.0
"""How far above the usual a similarity must be, in standard deviations, were the usual ones normal."""
SIGMA = 1.4826
"""The standard deviation of a normal distribution in units of its median absolute deviation."""

Hashes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """Submissions that are linked, each to at least one other, and the range of the similarities that link them."""

    members: tuple[str, ...]
    least: float
    most: float


@dataclass(frozen=True)
class Compared:
    """One file throughout the class: how many versions have anything that counts, the median similarity of a version
    to the one that is nearest to it, the similarity from which on two are linked, and the groups."""

    file: str
    count: int
    usual: float
    bound: float
    groups: tuple[Group, ...]


def read(book: sqlite3.Connection, contents: Mapping[str, str]) -> list[Compared]:
    """Compares each file throughout the class; `contents` are digests by submission, and equal ones count once."""
    first: dict[str, str] = {}
    for name, content in sorted(contents.items()):
        first.setdefault(content, name)
    kept = {TEMPLATE, *first.values()}
    files: dict[str, dict[str, Hashes]] = {}
    for submission, file, hashes in book.execute("SELECT submission, file, hashes FROM fingerprints ORDER BY file"):
        if submission in kept:
            files.setdefault(file, {})[submission] = np.unique(np.frombuffer(hashes, "<i8"))
    templates = {file: own.pop(TEMPLATE, None) for file, own in files.items()}
    each = (compared(file, own, template=templates[file]) for file, own in files.items())
    return [found for found in each if found is not None]


def compared(file: str, prints: Mapping[str, Hashes], *, template: Hashes | None = None) -> Compared | None:
    """Which submissions' fingerprints (n,), each once, of one file are far more alike than is usual; None if unknown.

    The similarity is Jaccard's, |A and B| / |A or B|, over the fingerprints that count. What is usual is the median,
    over all versions, of the similarity to the nearest other one: up to half of a class could copy without becoming
    the usual.
    """
    names = sorted(prints)
    rows = np.repeat(np.arange(len(names)), [len(prints[name]) for name in names])  # (fingerprints of all versions,)
    everything = np.concatenate([prints[name] for name in names]) if names else np.array([], np.int64)
    hashes, columns, owners = np.unique(everything, return_inverse=True, return_counts=True)
    count = owners <= max(FEW, SHARED_BY * len(names))
    if template is not None:
        count &= ~np.isin(hashes, template)
    rows, columns = rows[count[columns]], columns[count[columns]]
    present, rows = np.unique(rows, return_inverse=True)  # the versions in which anything counts
    if len(present) < FILES:
        return None
    has = csr_array((np.ones(len(rows), np.int64), (rows, columns)), shape=(len(present), len(hashes)))
    both = (has @ has.T).toarray()  # (present, present)
    size = both.diagonal()
    alike = both / (size[:, None] + size - both)
    np.fill_diagonal(alike, 0.0)
    nearest = alike.max(axis=1)
    usual = float(np.median(nearest))
    spread = SIGMA * float(np.median(np.abs(nearest - usual)))
    bound = min(max(FLOOR, usual + SPREADS * spread), CEILING)
    linked = (alike >= bound) & (both >= COMMON)
    _, label = connected_components(linked, directed=False)
    groups = []
    for members in (np.flatnonzero(label == each) for each in np.unique(label)):
        if len(members) > 1:
            inside = np.ix_(members, members)
            links = alike[inside][linked[inside]]
            named = tuple(names[present[at]] for at in members)
            groups.append(Group(named, float(links.min()), float(links.max())))
    return Compared(file, len(present), usual, bound, tuple(sorted(groups, key=lambda group: -group.most)))
