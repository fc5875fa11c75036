"""The reference's summarization as one with a network runs it: XSum and T5, from a stand-in for the hub on the disk."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow
import pyarrow.parquet
import pytest

from tests.reference_notebook import Notebook

pytestmark = pytest.mark.slow

NOTEBOOK = Notebook("summarization.ipynb")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOPICS = ("river", "council", "school", "market", "bridge", "doctor", "farmer", "harbour", "library", "museum")


def made_up(split: str, count: int) -> list[dict[str, str]]:
    """Rows as XSum has them."""
    rows = []
    for index in range(count):
        topic = TOPICS[index % len(TOPICS)]
        document = (
            f"The {topic} number {index} of the {split} rows was\nseen on Monday.  People near the {topic} said so."
        )
        rows.append({"document": document, "summary": f"A {topic} has been seen, say people.", "id": f"{split}{index}"})
    return rows


def snapshot(hub: Path, name: str, revision: str) -> Path:
    """The folder of a repository's files in the hub's cache, with the reference that leads to it."""
    place = hub / name
    reference = place / "refs" / revision
    reference.parent.mkdir(parents=True)
    reference.write_text(COMMIT)
    folder = place / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    return folder


MAKE_T5 = """
import json, sys
texts, folder = json.load(sys.stdin), sys.argv[1]
bpe = Tokenizer(models.BPE(unk_token="<unk>"))
bpe.normalizer, bpe.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Metaspace()
special = ["<pad>", "</s>", "<unk>"]
bpe.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=300, special_tokens=special, show_progress=False))
bpe.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
fast = PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
fast.save_pretrained(folder)
sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
config = T5Config(vocab_size=len(fast), **sizes, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0)
T5ForConditionalGeneration(config).save_pretrained(folder)
"""
"""Behind the notebook's own imports, which know what to do about a torchvision that does not fit."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for HF_HOME with XSum's rows, a tiny T5 and its tokenizer, as the hub's cache lays them out."""
    home = tmp_path_factory.mktemp("hub")
    rows = {split: made_up(split, count) for split, count in (("train", 64), ("validation", 12), ("test", 20))}
    xsum = snapshot(home / "hub", "datasets--EdinburghNLP--xsum", "refs/convert/parquet")
    for split, own in rows.items():
        folder = xsum / "default" / split
        folder.mkdir(parents=True)
        half = len(own) // 2
        for index, part in enumerate((own[:half], own[half:])):
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(part), folder / f"{index:04}.parquet")
    t5 = snapshot(home / "hub", "models--google-t5--t5-small", "main")
    texts = [text for own in rows.values() for row in own for text in (row["document"], row["summary"])]
    script = f"{NOTEBOOK.sources()['tools']}\n{MAKE_T5}"
    subprocess.run([sys.executable, "-c", script, str(t5)], input=json.dumps(texts), text=True, timeout=300, check=True)
    return home


def run(home: Path, folder: Path, last: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the notebook's code cells, up to the one with this id, in a process of its own, as Jupyter would."""
    cells = NOTEBOOK.sources()
    names = list(cells)[: list(cells).index(last) + 1]
    script = folder / "notebook.py"
    script.write_text("\n\n".join(cells[name] for name in names), encoding="utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HW11_"))}
    own = {"HF_HOME": str(home), "HW11_QUICK": "1", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, str(script)], cwd=folder, env={**clean, **own, **environment},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip


def test_the_whole_notebook_on_xsum_and_t5(home: Path, tmp_path: Path) -> None:
    done = run(home, tmp_path, "log", HW11_DATA="hub", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr[-2000:]
    first, *more = done.stdout.splitlines()
    assert first.startswith("Data: hub (HW11_DATA says so): XSum and t5-small. It takes about 10 minutes")
    assert any(
        line.startswith("96 pairs of document and summary (64 to train, 12 to validate, 20 to test)") for line in more
    )
    log = json.loads((tmp_path / "submission_log.json").read_text())
    assert log["data"] == "xsum"
    known = {row["summary"] for row in made_up("test", 20)}
    assert len(log["references"]) == 16 and set(log["references"]) <= known  # HW11_QUICK takes 16
    for model in ("scratch", "t5"):
        assert len(log[f"{model}.predictions"]) == 16
        assert all(0 <= log[f"{model}.rouge"][name] <= 100 for name in ("rouge1", "rouge2", "rougeL"))
    # The T5 is the stand-in's, of some ten thousand weights, and not one that was made here.
    assert any(line == "T5 has 0.0 million weights." for line in more)


def rows_of_xsum(hub: Path, split: str, count: int) -> list[tuple[str, str]]:
    """What the notebook's function of this name finds in a cache of the hub, offline."""
    from huggingface_hub import constants

    names = {"XSUM", "REVISIONS", "rows_of_xsum"}
    tree = ast.parse(NOTEBOOK.sources()["data"])
    space: dict[str, Any] = {"Path": Path}
    wanted = [node for node in tree.body if names & {getattr(node, "name", ""), *assigned(node)}]
    exec(compile(ast.Module(wanted, []), "summarization.ipynb", "exec"), space)
    with mock.patch.multiple(constants, HF_HUB_CACHE=str(hub), HF_HUB_OFFLINE=True):
        return space["rows_of_xsum"](split, count)


def assigned(node: ast.stmt) -> set[str]:
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}


def test_rows_come_from_the_authors_files_where_the_hub_has_converted_none(home: Path, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    shutil.copytree(home / "hub", hub)
    expected = [(" ".join(row["document"].split()), row["summary"]) for row in made_up("train", 64)]
    assert rows_of_xsum(hub, "train", 1000) == expected
    assert rows_of_xsum(hub, "train", 40) == expected[:40]
    xsum = hub / "datasets--EdinburghNLP--xsum"
    (xsum / "refs" / "main").write_text(COMMIT)
    shutil.rmtree(xsum / "refs" / "refs")
    files = xsum / "snapshots" / COMMIT
    (files / "data").mkdir()
    for split in ("train", "validation", "test"):
        (files / "default" / split / "0000.parquet").rename(files / "data" / f"{split}-00000-of-00001.parquet")
    shutil.rmtree(files / "default")
    assert rows_of_xsum(hub, "train", 1000) == expected[:32]
    assert len(rows_of_xsum(hub, "validation", 1000)) == 6
    with pytest.raises(OSError, match="no rows of the split"):
        rows_of_xsum(tmp_path / "empty", "train", 1)


def test_a_run_that_was_told_to_take_the_hub_stops_where_it_cannot(tmp_path: Path) -> None:
    done = run(tmp_path / "empty", tmp_path, "data", HW11_DATA="hub", HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert "RuntimeError: HW11_DATA is 'hub', but XSum and t5-small could not be loaded" in done.stderr


def way(environment: Mapping[str, str], *, pyarrow: bool = True, network: bool = True) -> tuple[str, str, str]:
    """Way, reason and first line of a run's output, by the notebook's second code cell alone."""
    asked = []

    def connect(address: tuple[str, int], timeout: float) -> mock.Mock:
        asked.append(address)
        if not network:
            raise OSError("no route")
        return mock.Mock()

    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HW11_"))}
    with (
        mock.patch.dict(os.environ, {**clean, **environment}, clear=True),
        mock.patch("socket.create_connection", connect),
        mock.patch("importlib.util.find_spec", lambda name: mock.Mock() if pyarrow else None),
        mock.patch("builtins.print") as told,
    ):
        space = NOTEBOOK.run(["which-data"])
    assert not (asked and environment.get("HW11_DATA"))  # what was told is not asked for
    return space.data_way, space.data_reason, told.call_args_list[0].args[0]


@pytest.mark.parametrize(
    ("environment", "there", "expected", "reason"),
    [
        ({"HW11_DATA": "hub"}, {"pyarrow": False, "network": False}, "hub", "HW11_DATA says so"),
        ({"HW11_DATA": "embedded"}, {}, "embedded", "HW11_DATA says so"),
        ({"HW11_DATA": ""}, {}, "hub", "https://huggingface.co answers"),
        ({}, {"network": False}, "embedded", "https://huggingface.co does not answer"),
        ({}, {"pyarrow": False}, "embedded", "the package pyarrow is not installed"),
        ({"HF_HUB_OFFLINE": "1"}, {"network": False}, "hub", "HF_HUB_OFFLINE is set"),
        ({"HF_HUB_OFFLINE": "0"}, {"network": False}, "embedded", "does not answer"),
    ],
)
def test_the_way_of_the_data(environment: dict[str, str], there: dict[str, bool], expected: str, reason: str) -> None:
    found, why, told = way(environment, **there)
    assert found == expected
    assert reason in why
    assert told.startswith(f"Data: {expected} ({why}): ")
    assert f"about {'10' if expected == 'hub' else '20'} minutes" in told


def test_another_word_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^HW11_DATA is 'xsum'\. Expected: 'hub' or 'embedded', or nothing\.$"):
        way({"HW11_DATA": "xsum"})
