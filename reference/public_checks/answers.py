"""Looks at answers.toml: what is empty, of the wrong type, or what no answer can be. It knows no right answer."""

import math
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

MOST_BYTES = 64 * 1024
LONGEST = 4000
"""Characters of a text that a person reads."""
ANY = math.inf


class Field(NamedTuple):
    """What a field holds: a "number" in a range, a "choice", a "text", or a "list" of numbers.

    `unit` ends the sentence about what was expected. `read` says that a person reads it, so that it may stay empty.
    """

    name: str
    kind: str
    low: float = -ANY
    high: float = ANY
    unit: str = ""
    words: tuple = ()
    read: bool = False


def _rouge(model):
    unit = "ROUGE in percent, between 0 and 100, such as 12.3"
    return tuple(Field(f"{model}_{name}", "number", 0, 100, unit) for name in ("rouge1", "rouge2", "rougeL"))


def _texts(*names):
    return tuple(Field(name, "text", read=True) for name in names)


RATE = "a learning rate above 0 and below 1, such as 5e-1"
NATS = "nats per image, a number that is not negative, such as 12.3"
FIELDS = {
    "summarization": (
        *_rouge("scratch"),
        *_rouge("finetuned"),
        Field("t5_optimizer", "text", unit="the optimizer's name in quotation marks"),
        Field("t5_peak_lr_pretraining", "number", 0, 1, RATE),
        Field("t5_peak_lr_finetuning", "number", 0, 1, RATE),
        *_texts("comparison", "llm_model", "llm_prompt", "llm_output", "llm_comparison"),
    ),
    "distributions": (
        Field("seed", "number", 0, ANY, "the whole number that you gave to puzzle(), such as 0"),
        Field("plot_A", "choice", unit='"forward" or "reverse"', words=("forward", "reverse")),
        Field("plot_B", "choice", unit='"forward" or "reverse"', words=("forward", "reverse")),
    ),
    "continual_learning": (
        Field("lambdas", "list", 0, ANY, "a list of numbers that are not negative, such as [1, 10]", read=True),
        *_texts("observations", "mlp", "rehearsal"),
    ),
    "vae": (
        Field("nelbo", "number", 0, ANY, NATS),
        Field("kl", "number", 0, ANY, NATS),
        Field("rec", "number", 0, ANY, NATS),
    ),
    "gan": _texts("vanishing", "optimal_discriminator", "divergence"),
    "policy_gradient": (
        Field("final_accuracy", "number", 0, 100, "the test accuracy in percent, between 0 and 100, such as 50"),
        *_texts("comparison"),
    ),
    "process": (
        Field("sources", "text", unit='a text in quotation marks; "none" is an answer'),
        Field("collaborators", "text", unit='a text in quotation marks; "none" is an answer'),
        Field("hours", "number", 0, 1000, "hours in all, such as 10"),
    ),
}
PARAMETERS = {
    "normal": ("mean", "std"),
    "uniform": ("low", "high"),
    "laplace": ("loc", "scale"),
    "exponential": ("rate",),
    "gamma": ("shape", "scale"),
    "beta": ("a", "b"),
    "truncated_normal": ("mean", "std", "low", "high"),
    "lognormal": ("mu", "sigma"),
    "student_t": ("df",),
    "cauchy": ("loc", "scale"),
    "pareto": ("alpha", "minimum"),
    "bernoulli": ("p",),
    "binomial": ("n", "p"),
    "poisson": ("rate",),
    "geometric": ("p",),
    "point": ("value",),
    "table": ("outcomes", "probabilities"),
}
"""The families that answers.toml lists, with their parameters."""
POSITIVE = {"std", "scale", "rate", "shape", "a", "b", "sigma", "df", "alpha", "minimum", "n"}


class Written(float):
    """A TOML float that still knows how it was written: 7.80 has two decimals."""

    def __new__(cls, text):
        self = super().__new__(cls, text)
        self.text = text
        return self


def look(path, question, *, optional=False, claims=None):
    """The rows (state, title, lines) for the fields of one question, by its id.

    `claims` are the log's ROUGE figures by their names in answers.toml, None where there is no log to compare with.
    """
    tree, fault = _read(path)
    title = "answers.toml"
    if fault:
        return [("unfilled" if fault[0] == "absent" else "wrong", title, [fault[1]])]
    section = tree.get(question)
    if section is None:
        return [("unfilled", title, [f"The section [{question}] is missing. Expected: the line [{question}]."])]
    if not isinstance(section, dict):
        return [
            ("wrong", title, [f"{question} is {_kind(section)}. Expected: a section that begins with [{question}]."])
        ]
    wrong, empty, unread = [], [], []
    for field in FIELDS[question]:
        value = section.get(field.name, "")
        if value in ("", []) or (isinstance(value, str) and not value.strip()):
            (unread if field.read else empty).append(field)
        elif sentence := _fault(field, value):
            wrong.append(f"{field.name} {sentence}")
    if question == "distributions":
        for name in "PQ":
            sentence, is_empty = _distribution(name, section.get(name))
            if is_empty:
                empty.append(Field(f"[distributions.{name}] family", "text", unit="the name of a family"))
            elif sentence:
                wrong.append(sentence)
    if not wrong and not empty:
        wrong += _together(question, section, claims)
    rows = []
    if wrong:
        rows.append(("wrong", f"{title}, [{question}]", wrong))
    if empty:
        names = ", ".join(field.name for field in empty)
        one = next((f" Expected, for {field.name}: {field.unit}." for field in empty if field.unit), "")
        rows.append(("unfilled", f"{title}, [{question}]", [f"Empty: {names}.{one}"]))
    if unread:
        names = ", ".join(field.name for field in unread)
        rows.append(("note", f"{title}, [{question}]", [f"A person reads these, and they are empty: {names}."]))
    if not wrong and not empty and any(not field.read for field in FIELDS[question]):
        rows.insert(0, ("ok", f"{title}, [{question}]: every field has a value that can be", []))
    elif not rows:
        rows.append(("ok", f"{title}, [{question}]", []))
    return rows


# ------------------------------------------------------------------------------------------- the file


def _read(path):
    """(tree, None), or (None, (kind, sentence))."""
    path = Path(path)
    if not path.is_file():
        return None, ("absent", "answers.toml is missing. Expected: the file that was handed out, beside check.py.")
    data = path.read_bytes()
    if len(data) > MOST_BYTES:
        return None, ("large", f"answers.toml has {len(data):,} bytes. Expected: at most {MOST_BYTES:,}.")
    if not data.strip():
        return None, ("empty", "answers.toml is empty. Expected: the file that was handed out, with your answers.")
    try:
        return tomllib.loads(decoded(data).replace("\r\n", "\n"), parse_float=Written), None
    except tomllib.TOMLDecodeError as error:
        return None, ("syntax", _syntax(error, decoded(data)))
    except (ValueError, RecursionError):
        return None, ("syntax", "answers.toml cannot be read: a number in it is too long, or it is nested too deep.")


def decoded(data):
    """The text of a file that an editor has written, also one that writes UTF-16."""
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(name, "replace")
    return data.decode("utf-8", "replace")


def _syntax(error, text):
    """The line that is no TOML, and what a line looks like."""
    found = re.search(r"\(at line (\d+), column \d+\)", str(error))
    number = int(found[1]) if found else len(text.splitlines())
    lines = text.splitlines()
    shown = lines[number - 1].strip()[:60] if 0 < number <= len(lines) else ""
    quotes = " Use straight quotation marks." if re.search("[\u201c\u201d\u201e]", shown) else ""
    said = f"Line {number} of answers.toml is not TOML" + (f": {shown}" if shown else "")
    return f'{said}{"" if said.endswith(".") else "."}{quotes} Expected: hours = 12.5 or sources = "a text".'


def _kind(value):
    """TOML's word for what a value is."""
    names = {
        dict: "a table",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        Written: "a number",
    }
    return names.get(type(value), "a date or a time")


# ------------------------------------------------------------------------------------------- one field

FIGURE = re.compile(r"(?<![\w.])[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[-+]?\d+)?", re.IGNORECASE)


def number(value):
    """A number as a float, from a text its last one; None where there is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value) if not abs(value) > 1e300 else ANY if value > 0 else -ANY
    found = FIGURE.findall(value.replace("\u2212", "-")) if isinstance(value, str) else []
    return float(found[-1].replace(",", ".")) if found else None


def _shown(value):
    text = value if isinstance(value, str) else getattr(value, "text", None) or str(value)
    text = " ".join(text.split())
    text = text if len(text) <= 40 else f"{text[:37]}..."
    return f'"{text}"' if isinstance(value, str) else text


def _fault(field, value):
    """What is wrong with a value that is there, as the end of a sentence; "" if nothing."""
    expected = f" Expected: {field.unit}." if field.unit else ""
    if field.kind == "text":
        if not isinstance(value, (str, int, float)) or isinstance(value, bool):
            return f"is {_kind(value)}." + (expected or " Expected: a text in quotation marks.")
        if isinstance(value, str) and len(value) > LONGEST:
            return f"has {len(value):,} characters. Expected: at most {LONGEST:,}."
        return ""
    if field.kind == "choice":
        word = value.strip().casefold() if isinstance(value, str) else ""
        if not any(one in word for one in field.words):
            return f"is {_shown(value) if isinstance(value, (str, int, float)) else _kind(value)}.{expected}"
        return ""
    if field.kind == "list":
        values = value if isinstance(value, list) else [value]
        if any(number(one) is None or not field.low <= number(one) for one in values):
            return f"is {_shown(value)}.{expected}"
        return ""
    seen = number(value)
    if seen is None:
        return f"is {_shown(value) if isinstance(value, str) else _kind(value)}.{expected}"
    if not math.isfinite(seen) or not field.low <= seen <= field.high or (field.unit == RATE and seen in (0, 1)):
        return f"is {_shown(value)}, which cannot be.{expected}"
    if field.name == "seed" and seen != int(seen):
        return f"is {_shown(value)}.{expected}"
    return ""


def _distribution(name, table):
    """(what is wrong with P or Q, whether it is empty)."""
    place = f"[distributions.{name}]"
    if table is None:
        return "", True
    if not isinstance(table, dict):
        return f"{place} is {_kind(table)}. Expected: a section with a family and its parameters.", False
    family = table.get("family", "")
    if not isinstance(family, str):
        return f"family in {place} is {_kind(family)}. Expected: the name of a family in quotation marks.", False
    if not family.strip():
        return "", True
    plain = re.sub(r"[^a-z]+", "_", family.casefold()).strip("_")
    if plain not in PARAMETERS:
        return "", False  # the grader knows more names than the file lists
    absent = [key for key in PARAMETERS[plain] if key not in table]
    if absent and len(table) - 1 < len(PARAMETERS[plain]):
        wanted = " and ".join(PARAMETERS[plain])
        return f"{place} is {_shown(family)} without {' and '.join(absent)}. Expected: a line each for {wanted}.", False
    if plain == "table":
        return _table(place, table), False
    values = {key: number(table[key]) for key in PARAMETERS[plain] if key in table}
    for key, value in values.items():
        if value is None or not math.isfinite(value):
            return f"{key} in {place} is {_shown(table[key])}. Expected: a number.", False
        if key in POSITIVE and value <= 0:
            return f"{key} in {place} is {_shown(table[key])}. Expected: a number above 0.", False
        if key == "p" and not 0 <= value <= 1:
            return f"p in {place} is {_shown(table[key])}. Expected: a probability, between 0 and 1.", False
    if {"low", "high"} <= values.keys() and not values["low"] < values["high"]:
        return f"low in {place} is {values['low']:g}, high is {values['high']:g}. Expected: low below high.", False
    return "", False


def _table(place, table):
    outcomes, chances = table.get("outcomes"), table.get("probabilities")
    if not isinstance(outcomes, list) or not isinstance(chances, list) or len(outcomes) != len(chances):
        return f"{place} is a table. Expected: outcomes and probabilities, two lists of equal length, such as [0, 1]."
    values = [number(one) for one in chances]
    if any(one is None or one < 0 for one in values) or abs(sum(values) - 1) > 1e-3:
        return f"The probabilities in {place} are {_shown(chances)}. Expected: none negative, and their sum is 1."
    return ""


# -------------------------------------------------------------------------------- fields that belong together


def _digit(value):
    """One unit of the last digit that was written."""
    text = value if isinstance(value, str) else getattr(value, "text", str(value))
    found = FIGURE.findall(text)
    decimals = re.search(r"[.,](\d*)", found[-1]) if found else None
    return 10.0 ** -(len(decimals[1]) if decimals else 0)


def _together(question, section, claims):
    """What is wrong with the fields as a whole, as sentences."""
    if question == "vae":
        nelbo, kl, rec = (number(section[name]) for name in ("nelbo", "kl", "rec"))
        # Three numbers, each rounded or cut off at its last digit: less than one unit each.
        slack = sum(_digit(section[name]) for name in ("nelbo", "kl", "rec")) + 1e-4
        if abs(nelbo - kl - rec) > slack:
            return [f"nelbo is {nelbo:g}, and kl + rec is {kl + rec:g}. Expected: nelbo = kl + rec, of one evaluation."]
    if question == "distributions":
        one, other = (str(section[name]).strip().casefold() for name in ("plot_A", "plot_B"))
        if one == other:
            return [f"plot_A and plot_B are both {one}. Expected: one plot is the forward fit, one the reverse fit."]
    if question == "summarization" and claims:
        for name, claim in claims.items():
            given = number(section[name])
            scales = (1, 100) if given <= 1 else (1,)
            # The log has four decimals; what is given was rounded or cut off at its last digit.
            if all(abs(given * scale - claim) > min(_digit(section[name]) * scale, 1) + 1e-4 for scale in scales):
                return [
                    f"{name} is {given:g}, and submission_log.json has {claim:g}. Expected: the figure of the run "
                    "whose log you hand in."
                ]
    return []
