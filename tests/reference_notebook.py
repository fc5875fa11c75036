"""What the tests of the reference's notebooks share: cells by their id, and the names that some of them define."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

REFERENCE = Path(__file__).resolve().parents[1] / "reference"


class Notebook:
    """A notebook of the reference; other `text` of it (cut, or changed) can be given to every method."""

    def __init__(self, name: str) -> None:
        self.path = REFERENCE / name
        self.text = self.path.read_text("utf-8")

    def sources(self, text: str = "") -> dict[str, str]:
        """The code cells, by id."""
        cells = json.loads(text or self.text)["cells"]
        return {cell["id"]: "".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"}

    def run(self, names: Iterable[str], text: str = "", show: Callable = lambda: None) -> SimpleNamespace:
        """The names that some cells define, these cells run in this order; figures are not shown."""
        sources, namespace = self.sources(text), {"__name__": "notebook"}
        with mock.patch("matplotlib.pyplot.show", show):
            import matplotlib.pyplot as plt

            plt.switch_backend("Agg")
            for name in names:  # without the future features of this file
                code = compile(sources[name], f"{self.path.name}:{name}", "exec", dont_inherit=True)
                exec(code, namespace)
            plt.close("all")
        return SimpleNamespace(**namespace)
