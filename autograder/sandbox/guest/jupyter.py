"""What notebooks ask of IPython, Colab and Kaggle that a kernel here has not: none of it may end a run.

Magics of extensions that are not installed, shell lines, secrets and mounted drives, questions to whoever sits at the
keyboard, and demands for a GPU: they do nothing, or as much as the rest of the notebook needs to go on.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib
import re
import sys
import types
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autograder.sandbox.guest.absent import Absent, absent
from autograder.sandbox.guest.imports import Importer
from autograder.sandbox.guest.machine import pretend_cuda, wants_gpu
from autograder.sandbox.guest.notebooks import ELSEWHERE

SILENT_LINES = (
    *("pip", "conda", "mamba", "micromamba", "uv", "cd", "sx", "system", "load_ext", "reload_ext", "unload_ext"),
    *("autoreload", "aimport", "tensorboard", "tensorflow_version", "wandb", "matplotlib", "gui", "config", "pylab"),
)
MEASURES = ("memit", "mprun", "lprun", "snakeviz", "heat", "scalene", "mlflow", "measure", "pyinstrument")
"""Line magics that run the statement behind them, to measure it."""
OPTIONS = re.compile(r"^(?:-\w+(?:\s+[\w.]+)?\s+)*")
MOST_ANSWERS = 100
"""How often input() is answered: whoever asks for ever waits for an answer that will not come."""
ABOUT_THE_MACHINE = re.compile(
    r"is_available|device_count|is_built|isfile|isdir|exists\(|is_file\(|is_dir\(|nvidia|COLAB|colab|__version__"
    r"|version_info|environ|getcwd|ipython",
)


def furnish(shell: Any, folder: Path) -> None:
    """Readies IPython's `shell` for a notebook whose files lie in `folder`."""
    from IPython.core import interactiveshell

    _magics(shell)
    _questions(shell)
    interactiveshell.__dict__["io_open"] = builtins.open  # a cell's own `open` is a wrapper of it
    shell.ast_transformers.append(Undemanding())
    sys.modules.update(colab())
    _imports(shell, folder)
    _warnings()
    shell.events.register("pre_run_cell", _before)
    Absent.forgiving = True


def _before(info: Any) -> None:
    """Before a cell: from the first that goes to a GPU on there is one, which makes each operation of torch slower."""
    if wants_gpu(str(getattr(info, "raw_cell", None) or "")):
        pretend_cuda()


# --------------------------------------------------------------------------------------------- magics


def _nothing(*_arguments: Any, **_named: Any) -> None:
    return None


def _magics(shell: Any) -> None:
    from IPython.utils.text import SList

    shell.system = shell.system_raw = shell.system_piped = _nothing  # !pip install, !git clone
    shell.getoutput = lambda *_arguments, **_named: SList([])
    shell.enable_gui = shell.enable_matplotlib = shell.enable_pylab = _nothing

    def run(code: str) -> None:
        shell.run_cell(code).raise_error()

    def cell(_line: str, body: str = "") -> None:
        """The cell of an unknown magic: timers and trackers run what they hold; other languages cannot be run."""
        try:
            ast.parse(shell.transform_cell(body))
        except (SyntaxError, ValueError):
            return
        run(body)

    def measured(line: str) -> None:
        if statement := OPTIONS.sub("", line).strip():
            run(statement)

    lines, cells = shell.find_line_magic, shell.find_cell_magic

    def line_magic(name: str) -> Any:
        return measured if name in MEASURES else (name not in SILENT_LINES and lines(name)) or _nothing

    def cell_magic(name: str) -> Any:
        return (_nothing if name in ELSEWHERE else cells(name)) or cell

    def either(kind: str, name: str) -> Any:
        return (cell_magic if kind == "cell" else line_magic)(name)

    shell.find_line_magic, shell.find_cell_magic, shell._find_with_lazy_load = line_magic, cell_magic, either
    shell.magic = lambda text: shell.run_line_magic(*text.lstrip("%").partition(" ")[::2])


def _questions(shell: Any) -> None:
    """input() and getpass() get an empty answer, as if Enter was pressed."""
    asked = 0

    def answer(*_arguments: Any, **_named: Any) -> str:
        nonlocal asked
        asked += 1
        if asked > MOST_ANSWERS:
            raise EOFError("there is nobody to answer")
        return ""

    builtins.input = answer
    if (kernel := getattr(shell, "kernel", None)) is not None:
        kernel.raw_input = kernel.getpass = answer


class Undemanding(ast.NodeTransformer):
    """Lets go what a notebook demands of the machine: `assert torch.cuda.is_available()`, `if not ...: sys.exit()`."""

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        return self._tried(node) if ABOUT_THE_MACHINE.search(ast.unparse(node.test)) else node

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        leaves = any(isinstance(one, ast.Raise) or LEAVES.match(ast.unparse(one)) for one in node.body)
        if leaves and not node.orelse and ABOUT_THE_MACHINE.search(ast.unparse(node.test)):
            return self._tried(node)
        return node

    @staticmethod
    def _tried(node: ast.stmt) -> ast.AST:
        handler = ast.ExceptHandler(type=None, name=None, body=[ast.Pass()])
        tried = ast.Try(body=[node], handlers=[handler], orelse=[], finalbody=[])
        return ast.fix_missing_locations(ast.copy_location(tried, node))


LEAVES = re.compile(r"(sys\.|os\._?)?(exit|quit)\(")


# ---------------------------------------------------------------------------------- imports and warnings


def _imports(shell: Any, folder: Path) -> None:
    """The notebook's cells and the modules beside it import as a submission's files do; packages as ever."""
    own = Importer(folder)
    sys.path.insert(0, str(folder))
    inside = (f"{folder}/", f"{folder.resolve()}/")

    def importing(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        theirs = globals is shell.user_ns or str((globals or {}).get("__file__") or "").startswith(inside)
        top = name.partition(".")[0]
        if theirs and top not in sys.modules and own.has(top):
            importlib.invalidate_caches()  # a cell may just have written it
            with contextlib.suppress(OSError):
                if wants_gpu((folder / f"{top}.py").read_bytes()):
                    pretend_cuda()
        return (own if theirs else own.python)(name, globals, locals, fromlist or (), level)

    builtins.__import__ = importing


def _warnings() -> None:
    """Warnings are no errors: packages give others here than at home."""

    def kept(function: Callable[..., None]) -> Callable[..., None]:
        def changed(action: Any, *arguments: Any, **named: Any) -> None:
            function("always" if action == "error" else action, *arguments, **named)

        return changed

    warnings.simplefilter = kept(warnings.simplefilter)
    warnings.filterwarnings = kept(warnings.filterwarnings)


# ------------------------------------------------------------------------------------------------ Colab


class _Secrets(Exception):
    """What Colab raises where a secret is not shared with the notebook."""


COLAB: Mapping[str, Mapping[str, Any]] = {
    "drive": {"mount": None, "flush_and_unmount": None},
    "files": {"upload": {}, "upload_file": "", "download": None, "view": None},
    "userdata": {
        "get": "",
        "SecretNotFoundError": _Secrets,
        "NotebookAccessError": _Secrets,
        "TimeoutException": _Secrets,
    },
    "output": {"clear": None, "eval_js": "", "enable_custom_widget_manager": None, "register_callback": None},
    "runtime": {"unassign": None},
    "auth": {"authenticate_user": None, "authenticate_service_account": None},
    "patches": {"cv2_imshow": None},
    "data_table": {"enable_dataframe_formatter": None, "disable_dataframe_formatter": None},
    "snippets": {},
    "widgets": {},
    "sheets": {},
    "ai": {},
}
"""Colab's modules, and what their functions return here; of anything else in them an absent name stands."""


def colab() -> dict[str, types.ModuleType]:
    """google.colab as Colab has it: mounts, downloads and secrets that do nothing."""
    top, package = types.ModuleType("google"), types.ModuleType("google.colab")
    top.__path__ = package.__path__ = []
    top.__dict__["colab"] = package
    made = {"google": top, "google.colab": package}
    for name, functions in COLAB.items():
        module = made[f"google.colab.{name}"] = types.ModuleType(f"google.colab.{name}")
        module.__dict__["__getattr__"] = absent(module.__name__).__getattr__
        for function, value in functions.items():
            module.__dict__[function] = value if isinstance(value, type) else _returning(value)
        setattr(package, name, module)
    package.__dict__["__getattr__"] = absent(package.__name__).__getattr__
    return made


def _returning(value: Any) -> Callable[..., Any]:
    return lambda *_arguments, **_named: value.copy() if isinstance(value, dict) else value
