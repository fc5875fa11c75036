"""Wrappings: the same right solutions as other people would hand them in, which must change no point.

A wrapping changes how an upload is written or packed and never what it computes: another folder, a line at the top that
fails on this machine, functions in a file of their own, methods attached in a later cell. Every right solution of the
bank is graded in every wrapping that fits it, through intake and sandbox, as an upload is.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from autograder import version
from autograder.audit import bank, casefiles, homework, parallel
from autograder.audit.journal import Journal, Key
from autograder.audit.section import AuditPart, Claim, SectionForm, TableForm, Tell, nobody
from autograder.audit.solutions import Definition, Solution, applied
from autograder.authoring import template
from autograder.core import Assignment
from autograder.grade import Grading
from autograder.intake import submission
from autograder.sandbox.guest.statements import split
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig

Files = dict[str, str]
"""An upload's text files by their path; a notebook's is its JSON."""


@dataclass(frozen=True)
class Wrapping:
    """One way to wrap an upload whose graded definitions are `names` of `file`; None where it does not fit this one."""

    id: str
    about: str
    kind: str
    change: Callable[[Files, str, frozenset[str]], Mapping[str, str | bytes] | None]


# ---------------------------------------------------------------------------------------- any upload


def _folder(name: str) -> Callable[[Files, str, frozenset[str]], dict[str, str | bytes]]:
    return lambda files, _file, _names: {f"{name}/{path}": text for path, text in files.items()}


def _junk(files: Files, file: str, _names: frozenset[str]) -> dict[str, str | bytes]:
    around = {
        f"__MACOSX/._{PurePosixPath(file).name}": b"\0\5\26\7",
        ".git/objects/aa/bb": b"x",
        ".DS_Store": b"\0",
        "venv/lib/site.py": b"1 / 0",
        f"wandb/run/{PurePosixPath(file).name}": b"1 / 0",
        "node_modules/a/index.py": b"1 / 0",
        "notes.txt": b"todo",
    }
    return {**around, **files}


def _zipped_twice(files: Files, _file: str, _names: frozenset[str]) -> dict[str, str | bytes]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return {"homework (final).zip": packed.getvalue()}


def _each(change: Callable[[str], str | bytes]) -> Callable[[Files, str, frozenset[str]], dict[str, str | bytes]]:
    """A change of every file's text."""
    return lambda files, _file, _names: {path: change(text) for path, text in files.items()}


ANY = (
    ("folder", "below a folder whose name has spaces, brackets and letters of other scripts",
     _folder("HW 11 (final) – Übung 作业")),
    ("deep", "five folders deep", _folder("a/b/c/d/e")),
    ("junk", "beside what systems and tools leave in folders", _junk),
    ("twice", "zipped twice", _zipped_twice),
    ("bom", "with a byte order mark", _each(lambda text: b"\xef\xbb\xbf" + text.encode())),
)  # fmt: skip


# --------------------------------------------------------------------------------------- Python files


def _above(*lines: str) -> Callable[[Files, str, frozenset[str]], Files]:
    """Lines at the top of every file."""
    return lambda files, _file, _names: {path: "\n".join((*lines, text)) for path, text in files.items()}


def _below(*lines: str) -> Callable[[Files, str, frozenset[str]], Files]:
    return lambda files, _file, _names: {
        path: "\n".join((text.rstrip("\n"), *lines, "")) for path, text in files.items()
    }


def _package(name: str) -> Callable[[Files, str, frozenset[str]], dict[str, str | bytes]]:
    """The code's folder is called otherwise, and its files import each other through that name."""

    def change(files: Files, file: str, _names: frozenset[str]) -> dict[str, str | bytes]:
        folder = _folder_of(file)
        own = {path.removeprefix(folder): text for path, text in files.items()}
        modules = "|".join({re.escape(PurePosixPath(path).parts[0].removesuffix(".py")) for path in own})
        changed: dict[str, str | bytes] = {}
        for path, text in own.items():
            text = re.sub(rf"^(\s*)import ({modules})(?= as |$)", rf"\1from {name} import \2", text, flags=re.M)
            text = re.sub(rf"^(\s*)from ({modules})(?=[. ])", rf"\1from {name}.\2", text, flags=re.M)
            changed[f"{name.replace('.', '/')}/{path}"] = text
        return changed

    return change


def _folder_of(file: str) -> str:
    """The folder that an upload's code lies in, with the stroke behind it; "" where it lies in none."""
    folder, stroke, _ = file.partition("/")
    return folder + stroke if stroke else ""


def _tree(change: Callable[[ast.Module, frozenset[str]], ast.Module | None]) -> Callable[..., Files | None]:
    """A change of the graded file's syntax tree."""

    def changed(files: Files, file: str, names: frozenset[str]) -> Files | None:
        tree = change(ast.parse(files[file]), names)
        return None if tree is None else {**files, file: ast.unparse(ast.fix_missing_locations(tree))}

    return changed


def _functions(tree: ast.AST, names: frozenset[str]) -> list[ast.FunctionDef]:
    return [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name in names]


def _annotated(tree: ast.Module, names: frozenset[str]) -> ast.Module:
    """Annotations of names that are nowhere bound."""
    for function in _functions(tree, names):
        for argument in function.args.args:
            argument.annotation = ast.parse("Float[Tnsr, 'batch dim']", mode="eval").body
        function.returns = ast.parse("tp.Tuple[Tnsr, ...]", mode="eval").body
    return tree


def _shaped(tree: ast.Module, names: frozenset[str]) -> ast.Module:
    """Annotations that jaxtyping evaluates."""
    for function in _functions(tree, names):
        for argument in function.args.args:
            argument.annotation = ast.parse("Float[torch.Tensor, '*batch dim']", mode="eval").body
    return tree


def _decorated(*decorators: str) -> Callable[[ast.Module, frozenset[str]], ast.Module]:
    def change(tree: ast.Module, names: frozenset[str]) -> ast.Module:
        for function in _functions(tree, names):
            function.decorator_list += [ast.parse(one, mode="eval").body for one in decorators]
        return tree

    return change


def _headed(lines: str, change: Callable[[ast.Module, frozenset[str]], ast.Module | None]) -> Any:
    """Lines at the top, and a change of the tree."""

    def both(tree: ast.Module, names: frozenset[str]) -> ast.Module | None:
        changed = change(tree, names)
        return None if changed is None else ast.Module([*ast.parse(lines).body, *changed.body], [])

    return both


def _in_a_branch(tree: ast.Module, _names: frozenset[str]) -> ast.Module:
    future = [one for one in tree.body if isinstance(one, ast.ImportFrom) and one.module == "__future__"]
    body = [one for one in tree.body if one not in future]
    made = ast.If(ast.Constant(True), [ast.Try(body, [], [], [ast.Pass()])], [])
    return ast.Module([*future, made], [])


def _otherwise(tree: ast.Module, names: frozenset[str]) -> ast.Module | None:
    """Defined where a package that would have it is not here."""
    body: list[ast.stmt] = []
    for one in tree.body:
        if not isinstance(one, Definition) or one.name not in names:
            body.append(one)
            continue
        made = ast.parse(f"try:\n    from fast_homework import {one.name}\nexcept ImportError:\n    pass").body[0]
        assert isinstance(made, ast.Try)
        made.handlers[0].body = [one]
        body.append(made)
    return ast.Module(body, [])


def _as_a_package(files: Files, file: str, _names: frozenset[str]) -> Files | None:
    """The module as a folder of its name."""
    if "from ." in files[file] or "__file__" in files[file]:
        return None  # which would mean something else there
    moved = f"{file.removesuffix('.py')}/__init__.py"
    return {(moved if path == file else path): text for path, text in files.items()}


def _attached(attach: str) -> Callable[[ast.Module, frozenset[str]], ast.Module | None]:
    """Graded methods leave their class and are attached to it below."""

    def change(tree: ast.Module, names: frozenset[str]) -> ast.Module | None:
        moved: list[ast.stmt] = []
        for one in tree.body:
            for kind in [one] if isinstance(one, ast.ClassDef) else []:
                methods = [each for each in kind.body if isinstance(each, ast.FunctionDef) and each.name in names]
                for method in methods:
                    if (
                        method.decorator_list
                        or any(
                            isinstance(each, ast.Name)
                            and (each.id in ("super", "__class__") or each.id.startswith("__"))
                            for each in ast.walk(method)
                        )
                        or any(isinstance(each, ast.Attribute) and _is_private(each.attr) for each in ast.walk(method))
                    ):
                        return None  # what Python only resolves inside of a class
                    kind.body.remove(method)
                    moved += [method, *ast.parse(attach.format(kind=kind.name, name=method.name)).body]
                if not kind.body:
                    kind.body.append(ast.Pass())
        return ast.Module([*tree.body, *moved], []) if moved else None

    return change


def _is_private(name: str) -> bool:
    return name.startswith("__") and not name.endswith("__")


def _elsewhere(files: Files, file: str, _names: frozenset[str]) -> Files | None:
    """The graded file only takes the names of another one."""
    if "__file__" in files[file] or "__name__" in files[file]:
        return None
    folder, stroke, name = file.rpartition("/")
    path = f"{folder}{stroke}_{name}"
    module = ".".join([*folder.split("/")[1:], f"_{name.removesuffix('.py')}"])
    taken = f"import {module} as inside\nglobals().update({{k: v for k, v in vars(inside).items() if k[:2] != '__'}})\n"
    return {**files, path: files[file], file: taken}


def _tabs(files: Files, _file: str, _names: frozenset[str]) -> Files:
    return {path: "\n".join(map(_tabbed, text.split("\n"))) for path, text in files.items()}


def _tabbed(line: str) -> str:
    bare = line.lstrip(" ")
    deep = len(line) - len(bare)
    return "\t" * (deep // 4) + bare if deep % 4 == 0 else line


TEE = """import sys
class Tee:
    def __init__(self, path): self.file = open(path, "w")
    def write(self, text): self.file.write(text)
    def flush(self): self.file.flush()
sys.stdout = Tee("log.txt")"""
PARSED = """import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, required=True)
args = parser.parse_args()
EPOCHS = args.epochs"""
LOST = "this line is no Python"
FILES = (
    ("future", "with annotations that are never evaluated", _above("from __future__ import annotations")),
    ("late-future", "with a line before `from __future__`", _above(
        "x = 1", "from __future__ import division")),
    ("gpu", "with lines for a GPU that is not here", _above(
        "import torch", "print(torch.cuda.get_device_name(0))",
        "torch.cuda.set_device(0)", "torch.cuda.synchronize()")),
    ("gpu-asked", "asserting that there is a GPU", _above("import torch", "assert torch.cuda.is_available()")),
    ("arguments", "reading the command line at the top", _above(PARSED)),
    ("writes", "writing files at the top", _above(
        "import os, logging", 'os.makedirs("results", exist_ok=True)', 'logging.basicConfig(filename="train.log")',
        'open("notes.txt", "w").write("x")')),
    ("tee", "with its output sent to a file", _above(TEE)),
    ("plots", "with settings of plots", _above(
        "import matplotlib", 'matplotlib.use("TkAgg")', "import matplotlib.pyplot as plt", 'plt.style.use("seaborn")',
        'plt.rcParams["figure.figsize"] = (8, 6)', "colours = plt.cm.tab10.colors[:3]")),
    ("packages", "with packages that are not here", _above(
        "import wandb", 'run = wandb.init(project="homework")', "from dotenv import load_dotenv", "load_dotenv()",
        "from torch.utils.tensorboard import SummaryWriter", 'writer = SummaryWriter("runs")',
        "from torchvision import transforms", "flat = transforms.Compose([transforms.ToTensor()])")),
    ("data", "reading data that is not here", _above('data = open("/home/me/data.csv").read()')),
    ("raises", "with a line that raises", _above("assert 1 + 1 == 3, 'not on this machine'", "1 / 0")),
    ("exits", "ending in sys.exit", _below("import sys", "sys.exit(0)")),
    ("broken-above", "with a first line that is no Python", _above(LOST)),
    ("broken-below", "with a function at the end that is no Python", _below("def unfinished(:", "    return 1 +")),
    ("conflict", "with a merge's marks", _below(
        "<<<<<<< HEAD", "a = 1", "=======", "a = 2", ">>>>>>> main")),
    ("newer", "with statements of a newer Python", _below(
        'd = {"loss": 1}', 'print(f"{d["loss"]}")', "type Pair = tuple[int, int]",
        "def first[T](x: list[T]) -> T: ...")),
    ("package", "imported through its folder's name", _package("submission")),
    ("nested", "imported through two folders' names", _package("src.solution")),
    ("elsewhere", "with the code in a file of another name", _elsewhere),
    ("init", "as a folder of its name", _as_a_package),
    ("otherwise", "defined where an import fails", _tree(_otherwise)),
    ("branch", "inside of `if` and `try`", _tree(_in_a_branch)),
    ("annotated", "annotated with names that are nowhere bound", _tree(_annotated)),
    ("compiled", "decorated with torch.compile", _tree(
        _headed("import torch", _decorated("torch.compile(mode='max-autotune')")))),
    ("checked", "decorated by a package that is not here", _tree(
        _headed("from beartype import beartype\nimport typeguard", _decorated("beartype", "typeguard.typechecked")))),
    ("attached", "with its methods attached below the class", _tree(_attached("{kind}.{name} = {name}"))),
    ("crlf", "with lines of Windows", _each(
        lambda text: text.replace("\n", "\r\n"))),
    ("tabs", "indented by tabs", _tabs),
    ("latin", "in an encoding that the file does not name", _each(
        lambda text: b"# na\xefve caf\xe9\n" + text.encode())),
)  # fmt: skip


# ----------------------------------------------------------------------------------------- notebooks

Cells = list[str]


def _cells(change: Callable[[Cells, frozenset[str]], Cells | None]) -> Callable[..., Files | None]:
    """A change of the graded notebook's code cells."""

    def changed(files: Files, file: str, names: frozenset[str]) -> Files | None:
        cells = change(template.code_cells(files[file]), names)
        return None if cells is None else {**files, file: notebook(cells)}

    return changed


def notebook(cells: Sequence[str]) -> str:
    """A notebook of these code cells."""
    made: list[dict[str, Any]] = [
        {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "id": f"c{at}", "source": source}
        for at, source in enumerate(cells)
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, ensure_ascii=False)


def _first(*cells: str) -> Callable[..., Files | None]:
    return _cells(lambda own, _names: [*cells, *own])


def _last(*cells: str) -> Callable[..., Files | None]:
    return _cells(lambda own, _names: [*own, *cells])


def _defined(cell: str) -> set[str]:
    """The names of a cell's functions and classes; none where it is not plain Python."""
    with contextlib.suppress(SyntaxError):
        return {one.name for one in ast.walk(ast.parse(cell)) if isinstance(one, Definition)}
    return set()


def _graded(change: Callable[[str, frozenset[str]], Sequence[str] | None]) -> Callable[..., Files | None]:
    """A change of the cells that define what is graded: each becomes some."""

    def changed(own: Cells, names: frozenset[str]) -> Cells | None:
        cells: Cells = []
        for cell in own:
            made = change(cell, names) if _defined(cell) & names else [cell]
            if made is None:
                return None
            cells += made
        return cells

    return _cells(changed)


def _graded_tree(
    change: Callable[[ast.Module, frozenset[str]], ast.Module | None], *, apart: bool = False
) -> Callable[..., Files | None]:
    """A change of the tree of the cells that define what is graded; with every statement in a cell of its own."""

    def changed(cell: str, names: frozenset[str]) -> Sequence[str] | None:
        tree = change(ast.parse(cell), names)
        if tree is None:
            return None
        tree = ast.fix_missing_locations(tree)
        return [ast.unparse(one) for one in tree.body] if apart else [ast.unparse(tree)]

    return _graded(changed)


def _split(own: Cells, _names: frozenset[str]) -> Cells:
    cells: Cells = []
    for cell in own:
        statements, broken = split(cell)
        cells += [cell] if broken else [one.text for one in statements]  # magics are no Python either
    return cells


def _one(own: Cells, _names: frozenset[str]) -> Cells:
    return ["\n".join((*own, LOST, ""))]


def _timed(own: Cells, names: frozenset[str]) -> Cells:
    return [f"%%time\n{cell}" if _defined(cell) else cell for cell in own]


def _profiled(own: Cells, names: frozenset[str]) -> Cells:
    return [f"%%scalene --cpu\n{cell}" if _defined(cell) else cell for cell in own]


def _exported(files: Files, file: str, _names: frozenset[str]) -> Files:
    """As Python in jupytext's percent format, in place of the notebook."""
    text = "\n".join(f"# %%\n{cell}" for cell in template.code_cells(files[file]))
    return {**{path: data for path, data in files.items() if path != file}, f"{file.removesuffix('.ipynb')}.py": text}


def _written(own: Cells, names: frozenset[str]) -> Cells:
    """The cells that define what is graded are written to a file, which is run."""
    cells: Cells = []
    for at, cell in enumerate(own):
        if _defined(cell) & names:
            cells += [f"%%writefile part{at}.py\n{cell}", f"%run part{at}.py"]
        else:
            cells.append(cell)
    return cells


def _beside(files: Files, file: str, names: frozenset[str]) -> Files | None:
    """The cells that define what is graded are files beside the notebook, which it runs."""
    cells, more = [], {}
    for at, cell in enumerate(template.code_cells(files[file])):
        if _defined(cell) & names:
            more[f"code/part{at}.py"] = cell
            cells.append(f"%run -i code/part{at}.py")
        else:
            cells.append(cell)
    return {**files, **more, file: notebook(cells)}


def _main(own: Cells, names: frozenset[str]) -> Cells | None:
    """All but definitions below `if __name__ == "__main__":`."""
    cells: Cells = []
    for cell in own:
        try:
            tree = ast.parse(cell)
        except SyntaxError:
            cells.append(cell)
            continue
        if any(isinstance(one, Definition | ast.Import | ast.ImportFrom) for one in tree.body):
            cells.append(cell)
        elif tree.body:
            test = ast.parse("__name__ == '__main__'", mode="eval").body
            cells.append(ast.unparse(ast.fix_missing_locations(ast.Module([ast.If(test, tree.body, [])], []))))
    return cells


def _renamed(tree: ast.Module, names: frozenset[str]) -> ast.Module | None:
    """Functions under another name, and the graded one given afterwards."""
    body: list[ast.stmt] = []
    for one in tree.body:
        body.append(one)
        if isinstance(one, ast.FunctionDef) and one.name in names:
            if any(isinstance(each, ast.Name) and each.id == one.name for each in ast.walk(one)):
                return None  # it calls itself
            body += ast.parse(f"{one.name} = _mine").body
            one.name = "_mine"
    return ast.Module(body, [])


REGISTRY = "PARTS = {}\ndef part(thing):\n    PARTS[thing.__name__] = thing\n    return thing"


def _registered(own: Cells, names: frozenset[str]) -> Cells | None:
    """Decorated by a function of the notebook that keeps what is defined."""
    cells: Cells = [REGISTRY]
    for cell in own:
        if not _defined(cell) & names:
            cells.append(cell)
            continue
        tree = ast.parse(cell)
        for one in tree.body:
            if isinstance(one, Definition) and one.name in names:
                one.decorator_list.insert(0, ast.Name("part", ast.Load()))
        cells.append(ast.unparse(ast.fix_missing_locations(tree)))
    return cells


def _from_the_registry(tree: ast.Module, names: frozenset[str]) -> ast.Module | None:
    """The graded function only looks up what a decorator has kept."""
    body: list[ast.stmt] = list(ast.parse(REGISTRY).body)
    for one in tree.body:
        body.append(one)
        if isinstance(one, ast.FunctionDef) and one.name in names:
            if one.decorator_list or any(isinstance(each, ast.Name) and each.id == one.name for each in ast.walk(one)):
                return None
            name, one.name = one.name, f"own_{one.name}"
            one.decorator_list = [ast.Name("part", ast.Load())]
            call = f"def {name}(*given, **named):\n    return PARTS['own_{name}'](*given, **named)"
            body += ast.parse(call).body
    return ast.Module(body, []) if len(body) > len(tree.body) + 2 else None


def _old(files: Files, file: str, _names: frozenset[str]) -> Files:
    """nbformat 3."""
    bare = {"cell_type": "code", "collapsed": False, "language": "python", "metadata": {}, "outputs": []}
    sheet = {"cells": [{**bare, "input": source} for source in template.code_cells(files[file])], "metadata": {}}
    old = {"metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [sheet]}
    return {**files, file: json.dumps(old)}


def _odd(files: Files, file: str, _names: frozenset[str]) -> Files:
    """A cell without source, one with half a letter, attachments and a cell of an unknown kind."""
    made: dict[str, Any] = json.loads(files[file])
    made["cells"][:0] = [
        {"cell_type": "code", "metadata": {}},
        {
            "cell_type": "code",
            "metadata": {},
            "outputs": [],
            "execution_count": 1,
            "source": "# half of a letter: \ud83d",
        },
        {"cell_type": "raw", "metadata": {}, "source": "x"},
    ]
    return {**files, file: json.dumps(made)}


def _copied(name: str) -> Callable[..., Files]:
    """Under the name that a tool gives a copy."""
    return lambda files, file, _names: {
        (name.format(path.removesuffix(".ipynb")) if path == file else path): text for path, text in files.items()
    }


COLAB = (
    "%load_ext autoreload\n%autoreload 2\n%matplotlib inline",
    "!pip install -q einops\n!git clone https://example.org/x.git\n%cd /content",
    "try:\n    import google.colab\n    IN_COLAB = True\nexcept ImportError:\n    IN_COLAB = False",
    "if IN_COLAB:\n    from google.colab import drive\n    drive.mount('/content')\n    %cd /content/drive",
    "import os\nassert os.path.isfile('/content/drive/MyDrive/data.pt')",
    "%%bash\nnvidia-smi",
)
NOTEBOOKS = (
    ("future", "with annotations that are never evaluated", _first("from __future__ import annotations")),
    ("colab", "made for Colab", _first(*COLAB)),
    ("gpu", "with lines for a GPU that is not here", _first(
        "import torch\nprint(torch.cuda.get_device_name(0))\ntorch.cuda.set_device(0)",
        "assert torch.cuda.is_available()")),
    ("writes", "writing files at the top", _first(
        "import os, logging\nos.makedirs('results', exist_ok=True)\nlogging.basicConfig(filename='train.log')", TEE)),
    ("plots", "with settings of plots", _first(
        "import matplotlib.pyplot as plt\nplt.style.use('seaborn')\nplt.rcParams['figure.figsize'] = (8, 6)")),
    ("packages", "with packages that are not here", _first(
        "import wandb, seaborn as sns\nrun = wandb.init()\nsns.set_theme()\nfrom datasets import load_dataset\n"
        "from ipywidgets import interact")),
    ("raises", "with cells that fail", _first("1 / 0", "raise SystemExit", "undefined_name")),
    ("broken", "with cells that are no Python", _last("def unfinished(:\n    return", "print 'x'", LOST)),
    ("newer", "with statements of a newer Python", _last(
        "type P = tuple[int, int]", "d = {'a': 1}\nprint(f'{d['a']}')")),
    ("one", "in one cell, with a line that is no Python", _cells(_one)),
    ("split", "every statement in a cell of its own", _cells(_split)),
    ("timed", "with %%time above", _cells(_timed)),
    ("profiled", "below the magic of an extension", _cells(_profiled)),
    ("otherwise", "defined where an import fails", _graded_tree(_otherwise)),
    ("exported", "exported as Python", _exported),
    ("main", "with all but definitions below a main guard", _cells(_main)),
    ("written", "written to files and run", _cells(_written)),
    ("beside", "run from files in a folder beside", _beside),
    ("annotated", "annotated with names that are nowhere bound", _graded_tree(_annotated)),
    ("jaxtyping", "with shapes of jaxtyping", _graded_tree(
        _headed("import torch\nfrom jaxtyping import Float", _shaped))),
    ("compiled", "decorated with torch.compile", _graded_tree(_headed("import torch", _decorated("torch.compile")))),
    ("checked", "decorated by a package that is not here", _graded_tree(
        _headed("from beartype import beartype", _decorated("beartype")))),
    ("registered", "kept in a registry by a decorator", _cells(_registered)),
    ("looked-up", "looked up in a registry that a decorator fills", _graded_tree(_from_the_registry, apart=True)),
    ("renamed", "named otherwise first", _graded_tree(_renamed, apart=True)),
    ("attached", "with its methods attached in a later cell", _graded_tree(
        _attached("setattr({kind}, '{name}', {name})"), apart=True)),
    ("branch", "inside of `if` and `try`", _graded_tree(_in_a_branch)),
    ("old", "in nbformat 3", _old),
    ("odd", "with cells that no editor writes", _odd),
    ("copy", "under a copy's name", _copied("Copy of {} (1).ipynb")),
    ("doubled", "with its ending twice", _copied("{}.ipynb.txt")),
)  # fmt: skip
WRAPPINGS = (
    *(Wrapping(f"any-{id}", about, "", change) for id, about, change in ANY),
    *(Wrapping(f"file-{id}", about, ".py", change) for id, about, change in FILES),
    *(Wrapping(f"notebook-{id}", about, ".ipynb", change) for id, about, change in NOTEBOOKS),
)


# ------------------------------------------------------------------------------------------- grading


def files_of(solution: Solution, assignment: Assignment) -> Files:
    """The solution's files that its question grades or needs: the notebook, or the folder of its Python file."""
    reference = assignment.reference
    if solution.file.endswith(".ipynb"):
        return {solution.file: applied(solution, (reference / solution.file).read_text())}
    folder = _folder_of(solution.file)
    found = (reference / folder).rglob("*.py") if folder else reference.glob("*.py")
    paths = [path for path in sorted(found) if not path.name.startswith("test_")]
    files = {path.relative_to(reference).as_posix(): path.read_text() for path in paths}
    return {**files, solution.file: applied(solution, files[solution.file])}


def names_of(solution: Solution) -> frozenset[str]:
    """The functions and methods that the solution replaces."""
    return frozenset(one.name for one in ast.walk(ast.parse(solution.source)) if isinstance(one, Definition))


def fitting(solution: Solution) -> list[Wrapping]:
    """The wrappings for a solution's kind of file."""
    return [one for one in WRAPPINGS if solution.file.endswith(one.kind)]


def wrapped(solution: Solution, wrapping: Wrapping, assignment: Assignment) -> dict[str, bytes] | None:
    """The upload's files; None where the wrapping does not fit this solution."""
    try:
        changed = wrapping.change(files_of(solution, assignment), solution.file, names_of(solution))
    except (SyntaxError, ValueError):  # a solution that is written with magics or another Python cannot be rewritten
        return None
    if changed is None:
        return None
    return {path: text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
            for path, text in changed.items()}  # fmt: skip


@cache
def _pool(probes: str) -> Sandbox:
    """One for each process of the audit; it ends with it."""
    sandbox = Sandbox(SandboxConfig(probes))
    sandbox.start()
    return sandbox


def graded(package: str, solution: Solution, wrapping: str) -> dict[str, Any]:
    """A row of the journal: what one solution lost in one wrapping, why, and on which rung it was found."""
    assignment = homework.load(package)
    own = bank.terse(bank.of(assignment, solution))
    chosen = next(one for one in WRAPPINGS if one.id == wrapping)
    files = wrapped(solution, chosen, assignment)
    if files is None:
        return {"fits": False}
    with _received(files, own) as taken:
        results = list(Grading(_pool(assignment.probes), taken, own).results())
    lost = {result.check.id: result.verdict.message for result in results if result.verdict.score < 1}
    points = sum(result.check.points - result.score for result in results)
    return {"fits": True, "lost": points, "why": lost, "rung": max(result.rung for result in results)}


@contextlib.contextmanager
def _received(files: Mapping[str, bytes], assignment: Assignment) -> Iterator[Any]:
    with tempfile.TemporaryDirectory(prefix="wrapped-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        upload, workspace = Path(folder, "upload.zip"), Path(folder, "workspace")
        with zipfile.ZipFile(upload, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, data in files.items():
                archive.writestr(path, data)
        workspace.mkdir()
        yield submission.receive(upload, assignment, workspace, group=_pool(assignment.probes).uid)


@dataclass(frozen=True)
class Found:
    """Rows by solution and wrapping, those that fit."""

    rows: Mapping[tuple[str, str], Mapping[str, Any]]
    solutions: int


def lacks(assignment: Assignment) -> str:
    """Why nothing can be wrapped, "" if it can."""
    return "" if casefiles.bank_of(assignment).right else "the homework has no right solutions."


def measured(package: str, out: Path, *, every: int = 1, jobs: int = 1, tell: Tell = nobody) -> Found:
    """Grades every right solution in every wrapping, or every `every`-th pair; goes on from the journal in `out`."""
    assignment = homework.load(package)
    right = casefiles.bank_of(assignment).right
    journal, grader = Journal(out / "wrappings.jsonl"), version.of(assignment)
    pairs = [(solution, wrapping) for solution in right for wrapping in fitting(solution)][::every]
    work: dict[Key, tuple[Any, ...]] = {
        (solution.id, solution.code, wrapping.id, grader): (package, solution, wrapping.id)
        for solution, wrapping in pairs
    }
    rows = parallel.kept(journal, graded, work, jobs, tell, apart=True)
    kept = {(key[0], key[2]): row for key, row in zip(work, rows, strict=True) if row["fits"]}
    return Found(kept, len({solution for solution, _ in kept}))


# ------------------------------------------------------------------------------------------ the report


def _lost(found: Found) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Solution, wrapping and row of whoever lost points."""
    return [(*pair, row) for pair, row in found.rows.items() if row["lost"]]


def _tried(found: Found) -> list[tuple[Wrapping, list[Mapping[str, Any]]]]:
    """Each wrapping that was tried, with its rows."""
    own = [(one, [row for (_, id), row in found.rows.items() if id == one.id]) for one in WRAPPINGS]
    return [(one, rows) for one, rows in own if rows]


FORM = SectionForm[Found](
    "wrappings",
    "Wrappings",
    "Right work is right however it is wrapped. Every right solution of the bank is handed in the way other people "
    "would write or pack it: the wrapping changes nothing of what is computed, so it may change no point.",
    (
        Claim[Found](
            "right solutions keep every point in every wrapping",
            lambda found: (
                f"{len(found.rows) - len(_lost(found)):,} of {len(found.rows):,}, {found.solutions} solutions in "
                f"{len(_tried(found))} wrappings"
            ),
            lambda found: not _lost(found),
        ),
    ),
    (
        TableForm[Found](
            "Solutions that lost points",
            _lost,
            {
                "solution": lambda row: row[0],
                "wrapping": lambda row: row[1],
                "points": lambda row: float(row[2]["lost"]),
                "message": lambda row: next(iter(row[2]["why"].values())),
            },
        ),
        TableForm[Found](
            "Wrappings",
            _tried,
            {
                "wrapping": lambda row: row[0].id,
                "what it is": lambda row: row[0].about,
                "solutions": lambda row: len(row[1]),
                "needed more of the notebook": lambda row: sum(one["rung"] > 0 for one in row[1]),
            },
            folded=True,
        ),
    ),
)
section = FORM.filled
PART = AuditPart("right solutions wrapped as other people would", 300, measured, FORM, lacks)
