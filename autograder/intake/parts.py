"""Parts of a homework: which checks `--only` selects, what such a part is called, and which files belong to it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from autograder.core import Assignment, Check, CheckFailed, Question

HOW = 'A part is a question ("{id}" or {number}), a group or a check ("{check}" or {place}). * stands for any letters.'


def split(texts: Iterable[str]) -> tuple[str, ...]:
    """The selectors of several `--only`, each of which may hold some between commas. Raises `CheckFailed` for none."""
    found = tuple(one.strip() for text in texts for one in text.split(","))
    if not all(found):
        raise CheckFailed("--only has an empty entry. Expected: ids or numbers, as in 4,5.3.")
    return found


def matches(selector: str, question: Question, number: str, check: Check) -> bool:
    """Whether the selector names this check.

    It is the id or the number of a question or of a check, or the beginning of checks' ids up to a dot. `*` in it
    stands for any characters.
    """
    pattern = re.compile(".*".join(map(re.escape, selector.split("*"))), re.IGNORECASE)
    names = (question.id, str(question.number), check.id, number)
    return any(map(pattern.fullmatch, names)) or check.id.casefold().startswith(f"{selector.casefold()}.")


def of(assignment: Assignment, selector: str) -> tuple[Check, ...]:
    """The checks that the selector names."""
    return tuple(
        check
        for question in assignment.questions
        for number, check in question.numbered
        if matches(selector, question, number, check)
    )


def nothing(assignment: Assignment, selector: str) -> str:
    """The sentence for a selector that names nothing: what is near, and what there is."""
    import difflib  # needed here alone, and never where all is well

    names = [question.id for question in assignment.questions]
    ids = [check.id for question in assignment.questions for check in question.checks]
    groups = [prefix for one in ids for prefix in _prefixes(one)]
    near = difflib.get_close_matches(selector.casefold(), dict.fromkeys((*names, *groups, *ids)), 1, 0.6)
    meant = f' Did you mean "{near[0]}"?' if near else ""
    listed = ", ".join(f"{question.id} ({question.number})" for question in assignment.questions)
    return f'"{selector}" names no part.{meant} The parts are: {listed}. {how(assignment)}'


def how(assignment: Assignment) -> str:
    """What a selector may be, with examples of this homework."""
    question = assignment.questions[0]
    place, check = question.numbered[-1]
    return HOW.format(id=question.id, number=question.number, check=check.id, place=place)


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def selected(assignment: Assignment, only: Sequence[str]) -> Assignment:
    """The assignment with the checks alone that a selector names, under the numbers that they have in the whole.

    Its files are those that these checks need; the title says which part it is. Without selectors all is selected.
    Raises `CheckFailed` where one names nothing.
    """
    if not only:
        return assignment
    for selector in only:
        if not of(assignment, selector):
            raise CheckFailed(nothing(assignment, selector))
    kept = {check.id for selector in only for check in of(assignment, selector)}
    questions = [narrowed(question, kept) for question in assignment.questions]
    part = replace(assignment, questions=tuple(question for question in questions if question.checks))
    return replace(part, title=_title(assignment, part), parts=())


def narrowed(question: Question, kept: Collection[str]) -> Question:
    """The question with the checks of these ids alone, under their numbers, and the files that they need."""
    if all(check.id in kept for check in question.checks):
        return question
    pairs = [(int(number.rpartition(".")[2]), check) for number, check in question.numbered if check.id in kept]
    needed = {file for _, check in pairs for file in question.needs(check)}
    return replace(
        question,
        files=tuple(file for file in question.files if file in needed),
        checks=tuple(check for _, check in pairs),
        places=tuple(place for place, _ in pairs),
    )


def checks(assignment: Assignment) -> list[str]:
    """The ids of all checks, which tell parts apart."""
    return [check.id for question in assignment.questions for check in question.checks]


def _title(whole: Assignment, part: Assignment) -> str:
    own = checks(part)
    if own == checks(whole):
        return whole.title
    for known in whole.parts:
        if own == checks(selected(replace(whole, parts=()), known.only)):
            return known.title
    complete = {question.id: len(question.checks) for question in whole.questions}
    told = [
        question.title
        if len(question.checks) == complete[question.id]
        else f"{question.title} {', '.join(number for number, _ in question.numbered)}"
        for question in part.questions
    ]
    return f"{whole.title}: {'; '.join(told)}"


def handed_out(whole: Assignment, part: Assignment, template: Path, files: Iterable[Path]) -> list[Path]:
    """Those of the template's `files` that students need for the part.

    A folder stays whole, since its code belongs together. Of the other files those that the part grades, and those that
    nobody grades. Where the part grades what the template has not, such as a log, the files of the question make it.
    """
    wanted = set(part.graded)
    for question in part.questions:
        if not any((template / file).exists() for file in question.files):
            wanted |= {file for other in whole.questions if other.id == question.id for file in other.files}
    tops = {PurePosixPath(file).parts[0] for file in wanted if len(PurePosixPath(file).parts) > 1}

    def belongs(path: Path) -> bool:
        place = PurePosixPath(path.relative_to(template).as_posix())
        if len(place.parts) > 1:
            return place.parts[0] in tops or not any(file.startswith(f"{place.parts[0]}/") for file in whole.graded)
        return str(place) in wanted or str(place) not in whole.graded

    return [path for path in files if belongs(path)]
