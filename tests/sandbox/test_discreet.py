"""A private probe's worker cannot spell anything out to a student; its own sentences, types and lines still arrive."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autograder.core import Request, Submission
from autograder.hw11 import ASSIGNMENT
from autograder.message import Call
from autograder.sandbox.faults import Fault, observation_of
from autograder.sandbox.host import discreet
from autograder.sandbox.host.sandbox import Sandbox
from tests import helpers
from tests.helpers import VAE, solved

pytestmark = pytest.mark.sandbox

PRIVATE, OPEN = Request("vae.private_probes:bound", lambda _rng: {}), Request("vae.probes:sample", lambda _rng: {})
SECRET = base64.b64encode(bytes(range(118))).decode()


@pytest.fixture
def workspace(tmp_path: Path) -> Submission:
    (tmp_path / VAE).parent.mkdir(parents=True)
    (tmp_path / VAE).write_text("x = 1\n")
    (tmp_path / "a.ipynb").write_text("{}")
    return Submission(tmp_path, "digest")


def seen(fault: Fault, workspace: Submission, request: Request = PRIVATE) -> str:
    return discreet.observed(fault, request, workspace, ASSIGNMENT.probes).error


KEPT = {
    "raised": (Fault("raised", f"ValueError: {SECRET}", f"{VAE}, line 12 (in f)"), f"at {VAE}, line 12: ValueError"),
    "import": (Fault("import", f"ImportError: {SECRET}", f"{VAE}, line 3"), f"at {VAE}, line 3: ImportError"),
    "notebook": (Fault("raised", "TypeError: x", "a.ipynb, code cell 3, line 4"), "a.ipynb, code cell 3, line 4: Type"),
    "memory": (Fault("memory", "RuntimeError: DefaultCPUAllocator", ""), "ran out of memory: RuntimeError"),
    "a name of theirs": (Fault("raised", f"{SECRET}: x", ""), "raised an exception: an exception"),
    "a class of theirs": (Fault("raised", "Wrong", f"{VAE}, line 1"), "line 1: an exception"),
    "another file": (Fault("raised", "KeyError", "/etc/passwd, line 1"), "raised an exception: KeyError"),
    "outside": (Fault("raised", "KeyError", f"{VAE}/../../x, line 1"), "raised an exception: KeyError"),
    "an odd line": (Fault("raised", "KeyError", f"{VAE}, line 12345678901"), "raised an exception: KeyError"),
    "letters in place": (Fault("raised", "KeyError", f"{SECRET}, line 1"), "raised an exception: KeyError"),
    "an odd kind": (Fault(SECRET, "KeyError", ""), "raised an exception: KeyError"),
    "missing": (Fault("missing", SECRET), "was not found"),
    "unusable": (Fault("unusable", SECRET), "is not the expected result"),
    "unusable with words": (
        Fault("unusable", f"the return value of negative_elbo_bound is {SECRET}"),
        "is not the expected",
    ),
    "unfilled": (Fault("unfilled", SECRET), "Not filled in yet: NotImplementedError was raised"),
}


@pytest.mark.parametrize("name", KEPT)
def test_no_word_of_a_private_worker_reaches_a_student(name: str, workspace: Submission) -> None:
    fault, words = KEPT[name]
    sentence = seen(fault, workspace)
    assert words in sentence
    assert SECRET[:8] not in sentence
    assert "(in f)" not in sentence  # a function's name is a word of theirs, too
    found = discreet.observed(fault, PRIVATE, workspace, ASSIGNMENT.probes)
    assert fault.text[:40] in found.log  # the staff sees it
    assert found.diagnosis == observation_of(fault).diagnosis


def test_where_nothing_right_is_held_all_is_told_as_before(workspace: Submission) -> None:
    fault = Fault("raised", "ValueError: my own words", f"{VAE}, line 12 (in f)")
    assert seen(fault, workspace, OPEN) == observation_of(fault).error
    assert seen(fault, replace(workspace, ours=True)) == observation_of(fault).error


OURS = (
    ("unusable", "negative_elbo_bound returned without calling the decoder, but it was expected to decode a z"),
    (
        "unusable",
        "negative_elbo_bound returned 2 values, but three scalars were expected: negative ELBO, KL term, "
        "reconstruction term",
    ),
    ("unusable", "the return value of negative_elbo_bound is None (is a return missing?), but a tensor was expected"),
    (
        "unusable",
        "negative_elbo_bound returned a dict of 3, but three scalars were expected: negative ELBO, KL term, "
        "reconstruction term",
    ),
    ("unusable", "loss_nonsaturating returned one tensor, but two scalars were expected: d_loss, g_loss"),
    ("unusable", "the return value of negative_elbo_bound is a dict, but a tensor was expected"),
    ("unusable", "value 2 of the return value of negative_elbo_bound is a tuple of 3, but a tensor was expected"),
    ("unusable", "the number of z passed to the generator changes from call to call"),
    ("unusable", "TransformerStack returned 2 values, but the state, the padding mask and the caches were expected"),
    ("unusable", "TransformerStack made 3 TransformerLayers, but 2 were expected"),
    ("missing", f"{VAE} is not in the upload"),
    ("missing", f"{VAE} defines no VAE"),
    ("unfilled", "it only returns names that are not defined"),
)


@pytest.mark.parametrize(("kind", "text"), OURS)
def test_sentences_of_our_probes_still_arrive(kind: str, text: str, workspace: Submission) -> None:
    assert text in seen(Fault(kind, text), workspace)


def test_the_chain_of_a_private_worker_is_not_shown(workspace: Submission) -> None:
    fault = Fault("raised", "KeyError", f"{VAE}, line 12", f"{VAE}, line 12\t{SECRET}")
    assert discreet.observed(fault, PRIVATE, workspace, ASSIGNMENT.probes).calls == ()
    assert discreet.observed(fault, OPEN, workspace, ASSIGNMENT.probes).calls == (Call(f"{VAE}, line 12", SECRET),)


def test_what_could_not_be_read_is_cut_off(workspace: Submission) -> None:
    text = f"{VAE} defines no VAE; code cell 3 could not be read as Python: {SECRET}"
    assert seen(Fault("missing", text), workspace) == f"{VAE} defines no VAE."


def test_faults_of_parts_are_as_discreet(workspace: Submission) -> None:
    values: dict[str, Any] = {"values.fault.kind": "raised", "values.fault.text": f"KeyError: {SECRET}", "noise.z": 1}
    values["values.fault.trace"] = f"{VAE}, line 12\t{SECRET}"
    kept, said = discreet.parts(values, PRIVATE, workspace, ASSIGNMENT.probes)
    assert kept["values.fault.text"] == "KeyError"
    assert kept["values.fault.where"] == kept["values.fault.trace"] == ""
    assert kept["noise.z"] == 1
    assert SECRET in said
    assert discreet.parts(values, OPEN, workspace, ASSIGNMENT.probes) == (values, "")


# ----------------------------------------------------------------------------------- through the sandbox

CARRY = (
    "import base64\n"
    "def secret():\n"
    "    from autograder.hw11.vae import private_probes as with_sampler\n"
    "    code = with_sampler._sample.__code__.co_code\n"
    "    return base64.b64encode(b'LEAK' + code).decode()\n"
    "def negative_elbo_bound(self, x):\n    {}\nVAE.negative_elbo_bound = negative_elbo_bound\n"
)
LETTERS = base64.b64encode(b"LEAK")[:5].decode()
WAYS = {
    "an exception's text": "raise ValueError(secret())",
    "an exception's class": "raise type(secret(), (Exception,), {})()",
    "a sentence of ours": "from autograder.sandbox.wire import Breach; raise Breach(secret())",
    "what is missing": "from autograder.sandbox.guest.student import Missing; raise Missing(secret())",
    "a chain": "raise KeyError('x') from ValueError(secret())",
    "a line's source": "import linecache; linecache.cache['gan_vae/models/vae.py'] = (1, None, [secret()] * 99, '')\n"
    "    raise KeyError('x')",
    "a type's name": "return type(secret(), (), {})()",
    "a function's name": "name = ''.join(filter(str.isalnum, secret()))\n"
    "    exec(f'def f{name}(): return 1 / 0', globals())\n    globals()[f'f{name}']()",
    "a frame of their own": "import os, struct, json; h = json.dumps({'id': 'x', 'fault': {'kind': 'raised', 'text': "
    "secret(), 'where': '', 'trace': secret()}}).encode(); os.write(3, struct.pack('<4sIQ', b'hw!1', len(h), 0) + h)",
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_right_is_carried_out_in_letters(way: str, sandbox: Sandbox) -> None:
    graded = helpers.grade(sandbox, solved(vae=CARRY.format(WAYS[way])))
    assert graded.points("vae.bound") == 0
    assert graded.points("vae.sample") == 10
    assert LETTERS not in graded.text
    if way == "an exception's text":
        assert any(LETTERS in result.log for result in graded.results)  # it worked, and the staff sees what was tried
        assert any(f"{VAE}, line" in message and "ValueError" in message for message in graded.messages("vae.bound"))
