"""Asks for answers.toml and reads its fields: texts, numbers with the digits that were given, answers for a person.

No code of the student's runs: a worker reads the file within limits (`answers/probes.py`) and says what it holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.random import Generator

from autograder.core import LEFT_EMPTY, CheckFailed, Request, Trial, Values, Verdict
from autograder.hw11.answers.declared import returns
from autograder.judging.judges import whole
from autograder.text import clean

FILE = "answers.toml"
SHOWN = 40
"""Characters of an answer that a sentence about it quotes."""


def _nothing(_rng: Generator) -> Values:
    return {}


REQUEST = Request(
    "answers.probes:answers", _nothing, deterministic=True, file=FILE, returns=returns, reads=True, needs=(FILE,)
)


def opened(trial: Trial) -> Values:
    """What the file holds. Raises `CheckFailed` where it could not be read."""
    kind = trial.got.get("file.kind")
    kind = kind if isinstance(kind, str) else "unknown"
    if not kind:
        return trial.got
    if kind == "absent":
        raise CheckFailed(f"{FILE} is not in the upload. Expected: the file with your answers filled in.",
                     diagnosis="missing")  # fmt: skip
    line = ""
    if kind == "syntax":
        line = f" in line {whole(trial.got, 'file.line', least=0, most=10**6)}"
    told = {
        "large": f"it is larger than the limit of {trial.got.get('file.limit')} KB.",
        "syntax": f"it is not valid TOML{line}. Put texts in quotation marks and numbers without them, and use every "
        "name once.",
        "deep": "its tables or lists are nested too deeply.",
    }
    sentence = told.get(kind, "its content could not be read back.")
    raise CheckFailed(f"{FILE} could not be read: {sentence} Expected: the file with your answers filled in.",
                 diagnosis="answers_unreadable")  # fmt: skip


def text(values: Values, field: str) -> str:
    """The field ("vae.kl") as it was written, "" where nothing was.

    Raises `CheckFailed` where it is no text or number.
    """
    odd = values.get(f"{field}.odd")
    if isinstance(odd, str) and (line := LINE.fullmatch(clean(odd, limit=80, line=True))):
        raise CheckFailed(
            f"{named(field)} could not be read, because line {line[1]} of {FILE} is not valid TOML: {line[2]} "
            "Expected: a number with nothing after it, or a text in quotation marks.",
            diagnosis="answers_line",
        )
    if isinstance(odd, str):
        raise CheckFailed(f"{named(field)} is {clean(odd, limit=SHOWN, line=True)}. Expected: a text or a number.",
                     diagnosis="answers_type")  # fmt: skip
    value = values.get(field)
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8:
        return ""
    return value.tobytes().decode("utf-8", "replace").strip()


LINE = re.compile(r"line (\d{1,6}): (.*)", re.DOTALL)
"""What the probe says of a key whose line is no TOML."""


def stood(odd: str) -> str:
    """What the probe found in place of a value, as the end of "it is ..."."""
    line = LINE.fullmatch(odd)
    return f"unreadable, because line {line[1]} of {FILE} is not valid TOML: {line[2]}" if line else odd


def named(field: str) -> str:
    """The field as a sentence names it: kl in [vae]."""
    section, _, name = field.partition(".")
    return f"{name} in [{section}]"


@dataclass(frozen=True)
class WrittenNumber:
    """A number as it was given: `unit` is one of its last digit, `percent` says that a percent sign stood behind it."""

    value: Decimal
    unit: Decimal
    percent: bool = False

    def __str__(self) -> str:
        return f"{self.value:.6g}" + " %" * self.percent


POWER = re.compile(r"(?:(\d{1,20}(?:\.\d{1,20})?)\s*[x*·×]\s*)?\b10\s*(?:\^|\*\*)\s*[({]?\s*([-+]?\d{1,2})\s*[)}]?")
"""10^-3, 1 x 10**-3, 2.5·10^{-4}."""
ROOT = re.compile(r"sqrt\s*[({]\s*([\d.]{1,20}(?:e[-+]?\d{1,2})?)\s*[)}]|√\s*([\d.]{1,20})", re.I)
FRACTION = re.compile(r"(?<![\w.,/-])(\d{1,20}(?:\.\d{1,20})?(?:e[-+]?\d{1,2})?)\s*/\s*"
                      r"(\d{1,20}(?:\.\d{1,20})?(?:e[-+]?\d{1,2})?)(?![\w/])", re.I)  # fmt: skip
"""1/100: its digits are as many as the quotient shows."""
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
FIGURE = re.compile(
    r"(?<![\w.,-])[-+]?(\d{1,20}(?:[.,]\d{0,20})?|[.,]\d{1,20})(e[-+]?\d{1,2})?(?!e[-+]?\d|[\d.,]*\d)", re.I
)
"""A number that stands by itself, and not the 1 of ROUGE-1; a comma may stand for the decimal point."""


def figures(written: str) -> list[WrittenNumber]:
    """The numbers in a text, in its order. Thousands are not grouped in them."""
    plain = re.sub(r"([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)", lambda raised: f"^{raised[1].translate(RAISED)}", written)
    plain = POWER.sub(lambda power: f"{power[1] or 1}e{power[2]}", plain.replace("\u2212", "-").replace("_", ""))
    plain = ROOT.sub(lambda root: _plain(Decimal(root[1] or root[2]).sqrt()), plain)
    plain = FRACTION.sub(lambda parts: _quotient(parts[1], parts[2]) or parts[0], plain)
    found = []
    for match in FIGURE.finditer(plain):
        value = Decimal(match[0].replace(",", "."))
        exponent = value.as_tuple().exponent
        assert isinstance(exponent, int)  # it is a letter in a NaN alone
        found.append(WrittenNumber(value, Decimal(1).scaleb(exponent), plain[match.end() :].lstrip().startswith("%")))
    return found


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}" if 1e-20 < value < 1e20 else f"{value:e}"


def _quotient(one: str, other: str) -> str:
    try:
        return f" {_plain(round(Decimal(one) / Decimal(other), 12))} "
    except ArithmeticError:
        return ""


RESULT = re.compile(r"=|≈|→|->|\b(?:so|thus|hence|therefore|i\.e\.|that is|gives|yields|equals|is)\b", re.I)
"""What the outcome of a calculation stands behind."""


def outcome(written: str) -> list[WrittenNumber]:
    """The numbers behind the last word or sign that an outcome stands behind, all of the text's where none does."""
    ends = [match.end() for match in RESULT.finditer(written)]
    return next((found for end in reversed(ends) if (found := figures(written[end:]))), figures(written))


def number(values: Values, field: str, wanted: str) -> WrittenNumber:
    """The number of a field: the first of those that it ends in.

    Raises `CheckFailed` where there is none; `wanted` ends the sentence.
    """
    written = text(values, field)
    if not written:
        raise CheckFailed(f"{named(field)} is not filled in yet. Expected: {wanted}.", diagnosis="unfilled")
    found = outcome(written)
    if not found:
        told = clean(written, limit=SHOWN, line=True)
        raise CheckFailed(f'{named(field)} is "{told}". Expected: {wanted}.', diagnosis="answers_type")
    return found[0]


# --------------------------------------------------------------------------------- answers for a person


NOTHING = ": no answer was given."


@dataclass(frozen=True)
class Passed:
    """The judge that judges nothing: it passes on the texts of these fields, each under its heading."""

    section: str
    fields: Mapping[str, str]
    alpha: float = 0.0

    def __call__(self, trial: Trial) -> Verdict:
        values = opened(trial)
        told = [self._told(values, name, title) for name, title in self.fields.items()]
        empty = told == [f"{title}{NOTHING}" for title in self.fields.values()]
        return Verdict(1.0, "\n\n".join(told), notes=(LEFT_EMPTY,) if empty else ())

    def _told(self, values: Values, name: str, title: str) -> str:
        field = f"{self.section}.{name}"
        try:
            written = clean(text(values, field))
        except CheckFailed as fault:
            return f"{title}: {fault}"
        if not written:
            return f"{title}{NOTHING}"
        length = values.get(f"{field}.length")
        cut = f"\n(These are the first characters of {length}.)" if isinstance(length, int) else ""
        return f"{title}:\n{written}{cut}"
