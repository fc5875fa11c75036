"""Asks for answers.toml and reads its fields: texts, numbers with the digits that were given, answers for a person.

No code of the student's runs: a worker reads the file within limits (`probes/answers.py`) and says what it holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.random import Generator

from autograder.core import Ask, Reject, Trial, Values, Verdict
from autograder.hw11.answers.declared import returns
from autograder.judges import whole
from autograder.text import clean

FILE = "answers.toml"
SHOWN = 40
"""Characters of an answer that a sentence about it quotes."""


def _nothing(_rng: Generator) -> Values:
    return {}


ASK = Ask("answers:answers", _nothing, fixed=True, file=FILE, returns=returns)


def opened(trial: Trial) -> Values:
    """What the file holds. Raises `Reject` where it could not be read."""
    kind = trial.got.get("file.kind")
    kind = kind if isinstance(kind, str) else "unknown"
    if not kind:
        return trial.got
    if kind == "absent":
        raise Reject(f"{FILE} is not in the upload. Expected: the file with your answers filled in.",
                     diagnosis="missing")  # fmt: skip
    line = ""
    if kind == "syntax":
        line = f" in line {whole(trial.got, 'file.line', least=0, most=10**6)}"
    told = {
        "large": f"it is larger than {trial.got.get('file.limit')} KB, which is the most that is read.",
        "syntax": f"it is not TOML{line}. A text stands in quotation marks, a number does not, and every name is "
        "there once.",
        "deep": "its tables or lists are nested too deep.",
    }
    sentence = told.get(kind, "what came back of it makes no sense.")
    raise Reject(f"{FILE} could not be read: {sentence} Expected: the file with your answers filled in.",
                 diagnosis="answers_unreadable")  # fmt: skip


def text(values: Values, field: str) -> str:
    """The field ("vae.kl") as it was written, "" where nothing was. Raises `Reject` where it is no text or number."""
    odd = values.get(f"{field}.odd")
    if isinstance(odd, str):
        raise Reject(f"{named(field)} is {clean(odd, limit=SHOWN, line=True)}. Expected: a text or a number.",
                     diagnosis="answers_type")  # fmt: skip
    value = values.get(field)
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8:
        return ""
    return value.tobytes().decode("utf-8", "replace").strip()


def named(field: str) -> str:
    """The field as a sentence names it: kl in [vae]."""
    section, _, name = field.partition(".")
    return f"{name} in [{section}]"


@dataclass(frozen=True)
class Number:
    """A number as it was given: `unit` is one of its last digit, `percent` says that a percent sign stood behind it."""

    value: Decimal
    unit: Decimal
    percent: bool = False

    def __str__(self) -> str:
        return f"{self.value:.6g}" + " %" * self.percent


POWER = re.compile(r"(?:(\d{1,20}(?:\.\d{1,20})?)\s*[x*·×]\s*)?\b10\s*(?:\^|\*\*)\s*[({]?\s*([-+]?\d{1,2})\s*[)}]?")
"""10^-3, 1 x 10**-3, 2.5·10^{-4}."""
FIGURE = re.compile(
    r"(?<![\w.,-])[-+]?(\d{1,20}(?:[.,]\d{0,20})?|[.,]\d{1,20})(e[-+]?\d{1,2})?(?!e[-+]?\d|[\d.,]*\d)", re.I
)
"""A number that stands by itself, and not the 1 of ROUGE-1; a comma may stand for the decimal point."""


def figures(written: str) -> list[Number]:
    """The numbers in a text, in its order. Thousands are not grouped in them."""
    plain = POWER.sub(lambda power: f"{power[1] or 1}e{power[2]}", written.replace("\u2212", "-").replace("_", ""))
    found = []
    for match in FIGURE.finditer(plain):
        value = Decimal(match[0].replace(",", "."))
        exponent = value.as_tuple().exponent
        assert isinstance(exponent, int)  # it is a letter in a NaN alone
        found.append(Number(value, Decimal(1).scaleb(exponent), plain[match.end() :].lstrip().startswith("%")))
    return found


def number(values: Values, field: str, wanted: str) -> Number:
    """The first number of a field. Raises `Reject` where there is none; `wanted` ends the sentence."""
    written = text(values, field)
    if not written:
        raise Reject(f"{named(field)} is not filled in yet. Expected: {wanted}.", diagnosis="unfilled")
    found = figures(written)
    if not found:
        told = clean(written, limit=SHOWN, line=True)
        raise Reject(f'{named(field)} is "{told}". Expected: {wanted}.', diagnosis="answers_type")
    return found[0]


# --------------------------------------------------------------------------------- answers for a person


@dataclass(frozen=True)
class Passed:
    """The judge that judges nothing: it passes on the texts of these fields, each under its heading."""

    section: str
    fields: Mapping[str, str]
    alpha: float = 0.0

    def __call__(self, trial: Trial) -> Verdict:
        values = opened(trial)
        return Verdict(1.0, "\n\n".join(self._told(values, name, title) for name, title in self.fields.items()))

    def _told(self, values: Values, name: str, title: str) -> str:
        field = f"{self.section}.{name}"
        try:
            written = clean(text(values, field))
        except Reject as fault:
            return f"{title}: {fault}"
        if not written:
            return f"{title}: nothing was given."
        length = values.get(f"{field}.length")
        cut = f"\n(These are the first characters of {length}.)" if isinstance(length, int) else ""
        return f"{title}:\n{written}{cut}"
