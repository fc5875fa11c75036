"""What an exception says about your own code: its type, its text, and the lines of yours that led to it."""

import linecache
from pathlib import Path

MOST = 3
LONGEST = 160


def told(error, is_theirs):
    """Lines for the student: what was raised, then at most three of their own lines, the last one first.

    `is_theirs(file)` says which files are the student's. The cause of a chained exception comes behind it.
    """
    lines = [raised(error)]
    lines += [f"    {line}" for line in own(error, is_theirs)]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and cause is not error:
        lines.append(f"It was raised while another exception was handled: {raised(cause)}")
        lines += [f"    {line}" for line in own(cause, is_theirs)]
    return lines


def raised(error):
    """The exception in one line: its type and its text."""
    text = short(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def short(error, most=LONGEST):
    """An exception's text, or any other object's, in one line of printable characters."""
    try:
        text = str(error)
    except Exception:  # a class of the student's own, whose text cannot be made
        return ""
    text = "".join(one if one.isprintable() else " " for one in " ".join(text.split()))
    return text if len(text) <= most else f"{text[: most - 3]}..."


def own(error, is_theirs):
    """The student's frames in this exception's traceback, the deepest first: "utils.py, line 12: return m + s * e"."""
    if isinstance(error, SyntaxError) and error.filename and is_theirs(error.filename):
        return [f"{Path(error.filename).name}, line {error.lineno}: {(error.text or '').strip()}"]
    found, step = [], error.__traceback__
    while step is not None:
        file, line = step.tb_frame.f_code.co_filename, step.tb_lineno
        if is_theirs(file):
            place = file if ", code cell " in file else Path(file).name
            source = linecache.getline(file, line).strip()
            found.append(f"{place}, line {line}: {short(source)}" if source else f"{place}, line {line}")
        step = step.tb_next
    return found[::-1][:MOST]


def deepest(error):
    """The file of the frame that raised."""
    file, step = "", error.__traceback__
    while step is not None:
        file, step = step.tb_frame.f_code.co_filename, step.tb_next
    return file
