"""Through the front door: uploads whose values would keep the judge busy for hours or fill its memory.

Each was found by trying: full marks as "a fault of ours", or a class that stands still.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests import helpers
from tests.front_door.test_faults import run

pytestmark = pytest.mark.slow

GREEDY = """
import torch
calls = []
def greedy_decode(model, input_ids, max_length):
    calls.append(1)
    return torch.zeros(len(input_ids), 4_000_000 if len(calls) == 1 else 2, dtype=torch.uint8)
"""
FISHER = """
import numpy as np
import autograder.hw11.continual_learning.probes as probe
def on_task_update(task_id, x, t):
    probe.told = lambda batches: {"images": np.zeros(3), "sizes": np.zeros(15_000_000, np.uint8)}
    if task_id == 1:
        probe.told = lambda batches: {"images": np.zeros(3), "sizes": np.zeros(3, np.int64)}
"""


def notebook(source: str) -> bytes:
    cell: dict[str, Any] = {
        "cell_type": "code",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": source,
    }
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}).encode()


UPLOADS = {
    "four million tokens": ("summarization", {"summarization.ipynb": notebook(GREEDY)}),
    "fifteen million sizes": ("continual_learning", {"continual_learning.ipynb": notebook(FISHER)}),
}


@pytest.mark.parametrize("name", UPLOADS)
def test_values_that_would_stall_a_judge_cost_their_own_points(name: str, tmp_path: Path) -> None:
    question, files = UPLOADS[name]
    upload = helpers.zip_of(files, tmp_path / "submission.zip")
    started = time.process_time()
    done = run(upload, tmp_path / "results.json")
    _, errors = done.communicate(timeout=500)
    assert done.returncode == 0, errors
    assert time.process_time() - started < 60
    content = helpers.is_valid_results(tmp_path / "results.json")
    assert content["score"] == 0
    assert content["extra_data"]["complete"]
    tests = [test for test in content["tests"] if test["tags"] == [question]]
    said = [helpers.said(test) for test in tests]
    assert any("xpected" in told and ("MB" in told or "shape" in told) for told in said)
