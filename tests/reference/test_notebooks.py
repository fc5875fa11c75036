"""Every notebook of the reference is as a newly written one: valid, without outputs, plain Python."""

from __future__ import annotations

import ast

import nbformat
import pytest

from tests.reference_notebook import REFERENCE

NOTEBOOKS = sorted(path.name for path in REFERENCE.glob("*.ipynb"))


def test_every_notebook_is_looked_at():
    assert len(NOTEBOOKS) == 4


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_valid_and_clean(name):
    notebook = nbformat.reads((REFERENCE / name).read_text("utf-8"), as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None and cell.metadata == {}
            ast.parse(cell.source)  # no magics, no shell lines
