"""Looks at submission_log.json: whether it is whole, of the form that the notebook writes, and fits to itself."""

import json
import math
from pathlib import Path

from public_checks.answers import decoded

MOST_BYTES = 8 * 1024**2
SHAPES = {
    "transformer_layer.encoder.output": [2, 5, 8],
    "transformer_layer.decoder.output": [2, 5, 8],
    "transformer_layer.cached.output": [2, 1, 8],
    "transformer_layer.cached.cache": [2, 5, 8],
    "transformer_stack.decoder.output": [2, 5, 8],
    "transformer_stack.cached.output": [2, 1, 8],
}
"""What the notebook's last cell writes of layers and stack, with the shapes that it gives them."""
MODELS = {"scratch": "the model trained from scratch", "t5": "the fine-tuned T5"}
ROUGE = ("rouge1", "rouge2", "rougeL")
RUN = "Run the notebook to its last cell, which writes the file"


def look(path):
    """The rows (state, title, lines) for the log."""
    title = "submission_log.json"
    tree, fault = read(path)
    if fault:
        return [("unfilled" if not Path(path).is_file() else "wrong", title, [fault])]
    wrong, absent = [], []
    for name, shape in SHAPES.items():
        if f"{name}.value" not in tree:
            absent.append(name)
        elif sentence := _values(name, shape, tree):
            wrong.append(sentence)
    rows = []
    if absent:
        first = f"The outputs of your layers are missing from it: {', '.join(absent[:3])}"
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        rows.append(
            ("wrong", title, [f"{first}{more}. {RUN}; what raises there is left out, with a line that says so."])
        )
    wrong += _texts(tree)
    if wrong:
        rows.append(("wrong", title, wrong[:3]))
    return rows or [("ok", f"{title}: complete, and of the form that the notebook writes", [])]


def read(path):
    """(the log's object, ""), or (None, a sentence)."""
    path = Path(path)
    if not path.is_file():
        return None, f"submission_log.json is missing. {RUN} beside the notebook."
    data = path.read_bytes()
    if len(data) > MOST_BYTES:
        return None, f"submission_log.json has {len(data):,} bytes. Expected: at most {MOST_BYTES:,}."
    if not data.strip():
        return None, f"submission_log.json is empty. {RUN}."
    try:
        tree = json.loads(decoded(data))
    except json.JSONDecodeError as error:
        return None, f"submission_log.json is no JSON (line {error.lineno}: {error.msg}). {RUN}; do not edit it."
    except (ValueError, RecursionError):
        return None, f"submission_log.json cannot be read. {RUN}; do not edit it."
    if not isinstance(tree, dict):
        return None, f"submission_log.json holds no object of names and values. {RUN}; do not edit it."
    return tree, ""


def claims(path):
    """The ROUGE figures by their names in answers.toml; None unless all six are there."""
    tree, fault = read(path)
    if fault:
        return None
    found = {}
    for model, name in (("scratch", "scratch"), ("t5", "finetuned")):
        scores = tree.get(f"{model}.rouge")
        for score in ROUGE:
            value = scores.get(score) if isinstance(scores, dict) else None
            if not _is_number(value):
                return None
            found[f"{name}_{score}"] = float(value)
    return found


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _values(name, shape, tree):
    """What is wrong with one of the modules' outputs; "" if nothing."""
    value, nested = tree[f"{name}.value"], []
    flat = [value]
    while flat and all(isinstance(one, list) for one in flat):
        if len({len(one) for one in flat}) > 1:
            return f"The rows of {name}.value differ in length. Expected: numbers in the shape {shape}."
        nested.append(len(flat[0]))
        flat = [one for many in flat for one in many]
        if len(flat) > 10_000:
            break
    if not all(map(_is_number, flat)):
        return f"{name}.value holds something that is no finite number. Expected: numbers in the shape {shape}."
    stated = tree.get(f"{name}.shape", shape)
    if nested != shape or stated != shape:
        said = nested if nested != shape else stated
        return f"{name} has the shape {said if isinstance(said, list) else 'of no list'}. Expected: {shape}."
    return ""


def _texts(tree):
    """What is wrong with summaries and scores, as sentences."""
    wrong, references = [], tree.get("references")
    if not _is_texts(references):
        wrong.append(f"references is no list of texts. {RUN}.")
    for model, told in MODELS.items():
        own, scores = tree.get(f"{model}.predictions"), tree.get(f"{model}.rouge")
        if not _is_texts(own):
            wrong.append(f"{model}.predictions is no list of texts: the summaries by {told}. {RUN}.")
        elif _is_texts(references) and len(own) != len(references):
            wrong.append(
                f"{model}.predictions has {len(own)} texts, and references {len(references)}. Expected: as many."
            )
        for name in ROUGE:
            value = scores.get(name) if isinstance(scores, dict) else None
            if not _is_number(value):
                wrong.append(f"{name} of {model}.rouge is missing or no number. {RUN}.")
                break
            if not 0 <= value <= 100:
                wrong.append(f"{name} of {model}.rouge is {value:g}. Expected: percent, between 0 and 100.")
                break
    return wrong


def _is_texts(value):
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)
