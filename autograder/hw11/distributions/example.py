"""Asks and judges answers.toml: a pair with D(P || Q) finite and D(Q || P) infinite, and which plot is which.

No code of the student's runs: a worker reads the file within limits (`answers/probes.py`) and says what it holds.
What is finite is decided in `families.py`, by the supports and the tails.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import re
from collections.abc import Mapping

import numpy as np

from autograder.core import CheckFailed, Trial, Values, Verdict
from autograder.hw11.answers.fields import FILE, figures, opened, stood
from autograder.hw11.distributions.families import (
    Distribution,
    Divergence,
    Given,
    Outcome,
    distribution,
    divergence,
    parameters_of,
)
from autograder.judging.judges import passed
from autograder.sandbox.parts import is_list, item, items, length, take
from autograder.text import clean

DIRECTIONS = ("forward", "reverse")


# ------------------------------------------------------------------------------------------- the file


def _text(values: Values, name: str, *, limit: int = 40) -> str:
    """A text from the probe, which quotes the file: one line, fit to be shown."""
    value = values.get(name, "")
    return clean(value, limit=limit, line=True) if isinstance(value, str) else ""


def _values(trial: Trial) -> Values:
    """Question 2's fields. Raises `CheckFailed` where the file could not be read."""
    return take(opened(trial), "distributions")


def _given(values: Values, name: str) -> Distribution:
    """The distribution in the table of this name. Raises `CheckFailed` with what is wrong with it."""
    own = take(values, name)
    kind = own.get("kind", "missing")
    if isinstance(kind, str) and kind == "missing":
        raise CheckFailed(
            f"[distributions.{name}] is not in {FILE}. Expected: a table with a family and its parameters.",
            diagnosis="unfilled",
        )
    if not isinstance(kind, str) or kind:
        raise CheckFailed(
            f"{name} is {_text(own, 'kind')}. Expected: a table with a family and its parameters, such as "
            'family = "normal".',
            diagnosis="answers_type",
        )
    family: str | None = None
    parameters: dict[str, Given] = {}
    odd: list[str] = []
    for field in items(own, "fields", length(own, "fields", most=100)):
        key, value = _text(field, "key"), field.get("value")
        if key.casefold() in ("family", "distribution", "type"):
            if not isinstance(value, str):
                single = isinstance(value, np.ndarray) and value.ndim == 0
                found = stood(_text(field, "odd", limit=80)) or ("a number" if single else "a list")
                raise CheckFailed(f"the family of {name} is {found}. Expected: its name, in quotation marks.",
                             diagnosis="answers_type")  # fmt: skip
            family = clean(value, limit=40, line=True)
        elif isinstance(value, str):
            if (number := _number(value)) is not None:
                parameters[key] = number
            elif key.casefold() not in REMARKS:
                odd.append(f"{key} is a text. Expected: a number, without quotation marks.")
        elif isinstance(value, np.ndarray) and value.ndim == 0:
            parameters[key] = float(value)
        elif isinstance(value, np.ndarray) and value.ndim == 1 and value.size <= MOST:
            parameters[key] = [float(one) for one in value]
        elif is_list(field, "items"):
            parameters[key] = [_item(field, at) for at in range(length(field, "items", most=100))]
        else:
            found = stood(_text(field, "odd", limit=80)) or "of an unknown kind"
            odd.append(f"{key} is {found}. Expected: a number, or a list of them.")
        if is_list(field, "names"):  # probabilities = { heads = 0.5, tails = 0.5 }
            names = range(length(field, "names", most=100))
            parameters["outcomes"] = [_outcome(_text(field, item("names", at))) for at in names]
    if not family or not family.strip():
        raise CheckFailed((
            f"The family of {name} is not filled in yet. Expected: the name of a family, for example normal."
        ),
                     diagnosis="unfilled")  # fmt: skip
    try:
        if odd:
            raise CheckFailed(odd[0], diagnosis="answers_type")
        return distribution(*_called(family, parameters))
    except CheckFailed as fault:
        raise CheckFailed(
            f"{name} is not a distribution: {fault}", diagnosis=fault.diagnosis or "example_parameters"
        ) from None


MOST = 1000
"""Numbers in a list: the probe hands over fewer."""
REMARKS = ("name", "note", "notes", "reason", "comment", "why", "explanation", "description")
"""Fields that may hold a text without any meaning here."""


def _item(field: Values, at: int) -> Outcome:
    value = field.get(item("items", at))
    if isinstance(value, int | float):
        return float(value)
    number = _number(text := _text(field, item("items", at)))
    return text if number is None else number


def _number(text: str) -> float | None:
    """A text that is nothing but a number: "1", "1/3", "50%", "1e-3"."""
    found = figures(text)
    if len(found) != 1 or re.sub(r"[\d\s.,/%e+*^x·×√()⁰¹²³⁴⁵⁶⁷⁸⁹⁻\u2212-]|sqrt", "", text, flags=re.I):
        return None
    value = float(found[0].value) / (100 if found[0].percent else 1)
    return value if math.isfinite(value) else None


CALL = re.compile(r"\s*([A-Za-z_ -]+?)\s*\(([^()]*)\)\s*")
LETTERS = {"u": "uniform", "n": "normal", "exp": "exponential", "ber": "bernoulli", "bin": "binomial", "lap": "laplace",
           "poi": "poisson", "geo": "geometric", "ga": "gamma"}  # fmt: skip
"""What stands for a family in formulas."""


def _called(family: str, parameters: Mapping[str, Given]) -> tuple[str, Mapping[str, Given]]:
    """The family and parameters of "U(0, 1)", where those that stand in brackets are not given by lines of their own.

    In the order of the family's parameters. The second one of N(0, 4) is the variance, as formulas have it.
    """
    short = LETTERS.get(family.strip().casefold(), family)
    call = CALL.fullmatch(family)
    if call is None:
        return short, parameters
    name = LETTERS.get(call[1].strip().casefold(), call[1])
    order = parameters_of(name)
    numbers = [_number(part.partition("=")[2] or part) for part in call[2].split(",") if part.strip()]
    if parameters or len(numbers) > len(order) or any(number is None for number in numbers):
        return name if order else family, parameters
    given = dict(zip(order, (number for number in numbers if number is not None), strict=False))
    if "std" in given and name == "normal" and given["std"] > 0:
        given["std"] = math.sqrt(given["std"])
    return name, given


def _outcome(text: str) -> Outcome:
    """A key of a table: TOML has texts only there, but the outcome 0 is meant as a number."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


# ---------------------------------------------------------------------------------------- the example


def example(trial: Trial) -> Verdict:
    values = _values(trial)
    p, q = _given(values, "P"), _given(values, "Q")
    first, second = divergence(p, q, ("P", "Q")), divergence(q, p, ("Q", "P"))
    told = f"With P {p.name} and Q {q.name}, {_told('D(P || Q)', first)}, and {_told('D(Q || P)', second)}."
    if first.finite and not second.finite:
        return Verdict(1.0, told)
    if second.finite and not first.finite:
        why = "With P and Q swapped it would be an example."
        return Verdict(0.0, f"{told} {why} {WANTED}", "example_swapped")
    kind = "example_both_finite" if first.finite else "example_both_infinite"
    return Verdict(0.0, f"{told} {WANTED}", kind)


WANTED = "Expected: D(P || Q) is finite and D(Q || P) is infinite."


def _told(name: str, found: Divergence) -> str:
    if not found.finite:
        return f"{name} is infinite: {found.why}"
    return f"{name} is finite" + (f", {found.value:.3g} nats" if found.value is not None else "")


# ------------------------------------------------------------------------------------------ the plots


def order(seed: int) -> int:
    """0 where the notebook's puzzle(seed) draws the forward fit as plot A, 1 where it draws the reverse one."""
    return int(hashlib.sha256(f"plots {seed}".encode()).hexdigest(), 16) % 2


MEANINGS = {
    "forward": ("forward", "forwards", "fwd", "inclusive", "covering", "matching", "avoiding"),
    "reverse": ("reverse", "reversed", "rev", "backward", "backwards", "exclusive", "seeking", "forcing"),
}
FORMULA = re.compile(r"\b(?:d|kl|d[_ ]?\{?kl\}?)\s*[(\[]\s*([pq])\s*(?:\|\|?|‖|∥|,|\\\|)\s*([pq])\s*[)\]]", re.I)
"""D(P || Q), KL(q|p) and the like: forward is from the mixture P, which is given, to the fit Q."""


def direction(text: str) -> str:
    """The direction that a text names, whatever its case and nearly whatever its spelling, "" where it names none."""
    found = {"forward" if one.casefold() == "p" else "reverse" for one, other in FORMULA.findall(text) if one != other}
    for word in re.findall(r"[a-z]+", text.casefold()):
        exact = {one for one, words in MEANINGS.items() if word in words}
        for one, words in MEANINGS.items() if not exact else ():
            # 0.75 of the letters in common: "foward", "forword", "revers", "revese"
            if difflib.get_close_matches(word, words, n=1, cutoff=0.75):
                found.add(one)
        found |= exact
    return found.pop() if len(found) == 1 else ""


def plots(trial: Trial) -> Verdict:
    values = _values(trial)
    named: dict[str, str] = {}
    for name in ("plot_A", "plot_B"):
        if f"{name}.odd" in values:
            seen = _text(values, f"{name}.odd")
            raise CheckFailed(
                f'{name} is {seen}. Expected: "forward" or "reverse", in quotation marks.', diagnosis="answers_type"
            )
        text = _text(values, name)
        if not text.strip():
            raise CheckFailed(f'{name} is not filled in yet. Expected: "forward" or "reverse".', diagnosis="unfilled")
        named[name] = direction(text)
        if not named[name]:
            raise CheckFailed(f'{name} is "{text}". Expected: "forward" or "reverse".', diagnosis="plots_text")
    seed = _seed(values)
    if named["plot_A"] == named["plot_B"]:
        raise CheckFailed(
            (f"Both plots have the answer {named['plot_A']}. Expected: one forward plot and one reverse plot."),
            diagnosis="plots_alike",
        )
    right = DIRECTIONS[order(seed)]
    if named["plot_A"] != right:
        raise CheckFailed(
            f"The answers for the plots of seed {_brief(seed)} are swapped. Expected: forward for the Gaussian that "
            "covers the whole mixture, reverse for the Gaussian that covers one part of it, and the seed of these "
            "plots.",
            diagnosis="plots_exchanged",
        )
    return passed(f"For seed {_brief(seed)}, plot A is the {right} one and plot B is the other one.")


def _seed(values: Values) -> int:
    if "seed.odd" in values:
        raise CheckFailed((
            f"seed is {_text(values, 'seed.odd')}. Expected: the whole number with which you drew the plots."
        ),
                     diagnosis="answers_type")  # fmt: skip
    text = values.get("seed", "")
    if not isinstance(text, str) or not re.fullmatch(r"-?\d{1,40}", text):
        raise CheckFailed("seed is not filled in. Expected: the whole number with which you drew the plots.",
                     diagnosis="unfilled")  # fmt: skip
    if int(text) < 0:
        raise CheckFailed(
            "seed is negative, but no plots can be drawn with a negative seed. Expected: the seed with which you "
            "drew the plots.",
            diagnosis="answers_type",
        )
    return int(text)


def _brief(seed: int) -> str:
    return str(seed) if seed < 10**11 else "that size"
