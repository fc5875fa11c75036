"""Hostile and careless notebooks, run whole in a confined kernel: told kindly, nothing gained, stolen or left."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat
import pytest

from autograder.audit.levels import LEVELS, ended, start
from autograder.hw11 import ASSIGNMENT
from autograder.sandbox.guest import notebooks
from autograder.sandbox.host import sandbox as host
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig
from autograder.sandbox.host.scratch import held
from tests import helpers
from tests.notebook_helpers import (
    ALL_RAN,
    NAME,
    POINTS,
    TRAINED,
    Attempt,
    attempts,
    notebook,
    outcomes,
    run,
    told,
    trained,
)

pytestmark = pytest.mark.sandbox

MARK = f"notebook{os.getpid()}x"
RIGHT = trained()
WRONG = trained(right=False)


@pytest.fixture(scope="module")
def scratches() -> Iterator[list[Path]]:
    """The folders that were made for kernels."""
    made: list[Path] = []
    real = held

    @contextlib.contextmanager
    def noted(parent: Path) -> Iterator[Path]:
        with real(parent) as folder:
            made.append(folder)
            yield folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "held", noted)
        yield made


@pytest.fixture
def sandbox(sandbox: Sandbox, scratches: list[Path]) -> Iterator[Sandbox]:
    """The session's, which must be clean again after the test: no process, no file, no kernel's folder."""
    yield sandbox
    assert helpers.left_behind(sandbox, MARK) == []
    assert [folder for folder in scratches if folder.exists()] == []


# ---------------------------------------------------------------------------------- friendly reality

FRIENDLY = (
    "!pip install -q wandb seaborn\n%pip install wandb\n!nvidia-smi\n!git clone https://example.org/x.git\n%cd x",
    "%load_ext autoreload\n%autoreload 2\n%matplotlib inline\n%config InlineBackend.figure_format = 'retina'",
    "%load_ext tensorboard\n%tensorboard --logdir runs",
    "%%bash\nls\nrm -rf /",
    "%%time\nx = 1",
    "%%capture out\nprint('captured')",
    "assert out.stdout == 'captured\\n' and x == 1",
    "from google.colab import drive, files\ndrive.mount('/content/drive')\nimport google.colab",
    "import seaborn as sns\nimport wandb\nfrom torchinfo import summary",
    "",
    "   \n",
    "# only a comment",
    "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('figure.png')\nplt.show()",
    "import os, shutil, tempfile\nos.makedirs('results', exist_ok=True)\nplt.savefig('results/figure.pdf')\n"
    "assert os.path.getsize('figure.png') > 1000",
    "with tempfile.TemporaryDirectory() as folder:\n    open(folder + '/x', 'w').write('x')\n"
    "with tempfile.NamedTemporaryFile() as file:\n    file.write(b'x')\n"
    "open('x', 'w').close()\nos.remove('x')\nshutil.rmtree('results')",
    "import torch\ntorch.save({'a': 1}, 'model.pt')\nassert torch.load('model.pt') == {'a': 1}",
    "from tqdm import tqdm, trange\nassert list(tqdm(range(3))) == list(trange(3)) == [0, 1, 2]",
    "from tqdm.notebook import tqdm, trange\nassert list(tqdm(range(3), desc='x')) == list(trange(3)) == [0, 1, 2]\n"
    "import tqdm.notebook\nbar = tqdm.notebook.tqdm(total=2, leave=False)\nbar.set_postfix(loss=1.0)\nbar.update()\n"
    "bar.close()\nfrom tqdm import tqdm_notebook\nassert list(tqdm_notebook(range(2))) == [0, 1]",
    "from tqdm.auto import tqdm\nassert list(tqdm(range(3))) == [0, 1, 2]\nfrom tqdm.autonotebook import tqdm",
    "breakpoint()\nimport pdb\npdb.set_trace()\n%debug",
    "import asyncio\nawait asyncio.sleep(0.01)\nasync def later():\n    return 5\nassert await later() == 5",
    "import warnings\nwarnings.warn('careful')\nimport logging\nlogging.error('x')",
    "print('x' * 50_000_000)\nfor line in range(20_000):\n    print('y' * 1000)",
    "for number in range(10_000):\n    display(number)",
    "from IPython.display import clear_output, HTML\nclear_output(wait=True)\nHTML('<b>x</b>')",
    "'x' * 20_000_000",
    "print('\\ud800 lone surrogate')",
    "print?",
    "1 / 2;",
    "network = torch.nn.Linear(2, 2).cuda()\nnetwork(torch.ones(1, 2, device='cuda')).sum().backward()",
    "import threading, time\n[threading.Thread(target=time.sleep, args=(600,)).start() for _ in range(4)]\n"
    "import atexit, signal\natexit.register(time.sleep, 600)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "import sys\nsys.stdin.readline()",
    "exit()",
    "quit",
    "import time\ntime.sleep(0.3)",
    "import gc\n%reset_selective -f nothing",
)  # fmt: skip


@pytest.mark.slow
def test_what_real_notebooks_do_on_their_way_stops_nothing(sandbox: Sandbox) -> None:
    result = run(sandbox, RIGHT, *FRIENDLY)
    assert result.score == POINTS, told(result)
    written = sum(bool(cell.strip()) for cell in FRIENDLY)
    assert f"All {written + 1} code cells ran" in told(result)


@pytest.mark.slow
def test_the_policy_gradients_network_counts_where_its_name_is_used_again(sandbox: Sandbox) -> None:
    """Supervised learning comes later, and often under the same name."""
    alone, again = run(sandbox, RIGHT), run(sandbox, RIGHT, WRONG)
    assert alone.score == again.score == POINTS
    assert told(alone).partition("; ")[2] == told(again).partition("; ")[2]
    assert run(sandbox, WRONG, RIGHT).score == ALL_RAN


@pytest.mark.slow
def test_a_run_draws_what_its_upload_decides(sandbox: Sandbox) -> None:
    """Each generator: the same in two runs of one upload, and other numbers where one comment is another."""
    cell = (
        "import random, numpy, torch\n"
        "raise ValueError([torch.rand(()).item(), torch.randn(()).item(), numpy.random.rand(), random.random()])"
    )

    uploads = [notebook("# one", cell)] * 2 + [notebook("# other", cell)]
    one, again, other = (re.findall(r"-?\d\.\d{4,}", told(run(sandbox, data=data))) for data in uploads)
    assert len(one) == 4
    assert one == again
    assert not set(one) & set(other)


def test_output_that_the_file_holds_and_tags_change_nothing(sandbox: Sandbox) -> None:
    new = nbformat.v4
    page = {"text/html": "<script>alert(1)</script>" * 800_000}
    cells = [
        new.new_markdown_cell("# A title"),
        new.new_code_cell(RIGHT, outputs=[new.new_output("display_data", page)], execution_count=77),
        new.new_raw_cell("raw"),
        new.new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]}),
    ]
    result = run(sandbox, data=nbformat.writes(new.new_notebook(cells=cells)).encode())
    assert result.score == TRAINED  # the tag asks that it be shown, not that it be right
    assert "code cell 2 of 2" in told(result)
    assert "ZeroDivisionError: division by zero" in told(result)


# --------------------------------------------------------------------------------- failures told kindly


@dataclass(frozen=True)
class Failure:
    """A cell that fails, as the second of three; `says` is in the sentence that the student gets."""

    id: str
    cell: str
    says: str
    score: float = TRAINED
    seconds: float = 60.0


GONE = "lost its kernel in code cell 2 of 3"
ENDLESS = "was still running in code cell 2 of 3"
HANGS = 10.0
"""Seconds for the request; half of them are the notebook's, of which a kernel's start may take two."""
FAILURES = [
    Failure("syntax", "x = 1\ndef f(:\n    pass", "SyntaxError: invalid syntax (code cell 2, line 2)"),
    Failure("sys-exit", "import sys\nsys.exit()", "SystemExit"),
    Failure("interrupt", "raise KeyboardInterrupt", "KeyboardInterrupt"),
    Failure("input", "while True:\n    input('name? ')", "there is nobody to answer"),
    Failure("recursion", "def f():\n    f()\nf()", "RecursionError"),
    Failure("memory", "kept = bytes(1 << 27)\nwhile True:\n    kept = kept + kept", "MemoryError"),
    Failure("tensors", "import torch\nkept = []\nwhile True:\n    kept.append(torch.ones(1 << 23))", "allocate memory"),
    Failure("str-raises", "class Odd(Exception):\n    def __str__(self):\n        raise SystemExit('odd')\nraise Odd",
            "SystemExit"),
    Failure("str-is-huge", "raise ValueError('x' * 10_000_000)", "ValueError: xxxx"),
    Failure("odd-text", "raise ValueError('\\x1b[2J\\x07\\u202e<script>alert(1)</script>\\n=cmd|1 {0} 0.123456')",
            "ValueError: [2J‹script›alert(1)‹/script› =cmd|1 {0} 0.123456"),
    Failure("odd-name", "raise type('<b>\\x1b[31m', (Exception,), {})('x')", "‹b›[31m: x"),
    Failure("surrogate", "raise ValueError('\\ud800')", "code cell 2 of 3"),
    Failure("group", "raise BaseExceptionGroup('g', [SystemExit(0), KeyboardInterrupt()])", "BaseExceptionGroup"),
    Failure("os-exit", "import os\nos._exit(0)", GONE, 0),
    Failure("segfault", "import ctypes\nctypes.string_at(0)", GONE, 0),
    Failure("stack", "import sys\nsys.setrecursionlimit(10**9)\nclass Deep:\n    def __getattr__(self, name):\n"
            "        return getattr(self, name)\nDeep().x", GONE, 0),
    Failure("swallows", "while True:\n    try:\n        while True: pass\n    except BaseException: pass", ENDLESS, 0,
            HANGS),
    Failure("stopped", "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", ENDLESS, 0, HANGS),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.id)
def test_failure(sandbox: Sandbox, failure: Failure) -> None:
    result = run(sandbox, RIGHT, failure.cell, "y = 2", seconds=failure.seconds)
    assert failure.says in told(result)
    assert "code cell 2 of 3" in told(result)
    assert result.score == failure.score
    assert result.seconds < failure.seconds


def test_many_quick_cells_get_no_second_each(sandbox: Sandbox) -> None:
    """Time is up between two cells, too, and then the sentence names the cell."""
    slow = ["import time\ntime.sleep(0.8)"] * 20
    result = run(sandbox, RIGHT, *slow, seconds=HANGS)
    assert "was still running in code cell" in told(result)
    assert result.seconds < HANGS


# --------------------------------------------------------------------------------------- malformed files


def _old(version: int) -> bytes:
    if version == 3:
        return nbformat.writes(nbformat.convert(nbformat.reads(notebook(RIGHT).decode(), 4), 3), version=3).encode()
    cell = {"cell_type": "code", "input": RIGHT, "language": "python", "outputs": []}
    return json.dumps({"metadata": {"name": ""}, "nbformat": 2, "worksheets": [{"cells": [cell]}]}).encode()


def _changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(notebook(RIGHT)), **changes}).encode()


def _cells(**changes: Any) -> bytes:
    """A cell with these changes beside a right one."""
    (cell,) = json.loads(notebook(RIGHT))["cells"]
    odd = {key: value for key, value in ({**cell, "id": "odd"} | changes).items() if value is not KeyError}
    return _changed(cells=[odd, cell])


UNREADABLE = "could not be read: it is not a valid notebook for Jupyter"
DEEP = 100_000
FILES: dict[str, tuple[bytes, float, str]] = {
    # name: (content, points, what the sentence holds)
    "version 3": (_old(3), POINTS, "All 1 code cells ran"),
    "version 2": (_old(2), POINTS, "All 1 code cells ran"),
    "byte order mark": (b"\xef\xbb\xbf" + notebook(RIGHT), POINTS, ""),
    "source as a list": (_cells(source=["import os\n", "x = 1"]), POINTS, "All 2"),
    "source a number": (_cells(source=5), POINTS, ""),
    "the language of another": (
        _changed(metadata={"kernelspec": {"name": "julia", "language": "julia", "display_name": "x"}}), POINTS, ""),
    "NaN": (_changed(metadata={"x": float("nan")}), POINTS, ""),
    "a coding line": (notebook(RIGHT, "# coding: utf-7\nx = '+AHIAYQBpAHMAZQ-'\nassert x[0] == '+'"), POINTS, ""),
    "line ends of Windows": (notebook(RIGHT.replace("\n", "\r\n")), POINTS, ""),
    "a null byte": (notebook(RIGHT, "x = 1\0"), TRAINED, "null bytes"),
    "parentheses": (notebook(RIGHT, "x = " + "(" * DEEP + ")" * DEEP), TRAINED, "code cell 2 of 2"),
    "a lone surrogate": (_cells(source="x = '\ud800'"), POINTS, ""),
    "not JSON": (b"from torch import nn\n", 0, UNREADABLE),
    "brackets": (b"[" * DEEP + b"]" * DEEP, 0, UNREADABLE),
    "3,000 cells": (notebook(*["1"] * 3000), 0, "3000 code cells, which is more than the limit of 2000"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_file(sandbox: Sandbox, name: str) -> None:
    content, points, says = FILES[name]
    result = run(sandbox, data=content)
    assert result.score == points, told(result)
    assert says in told(result)


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "no notebook": b'{"a": 1}',
    "a list": b"[]",
    "two notebooks": notebook(RIGHT) * 2,
    "brackets inside": b'{"nbformat": 4, "metadata": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b', "cells": []}',
    "a version of digits": b'{"nbformat": ' + b"9" * 5000 + b"}",
    "cells that are none": _changed(cells=[1, None]),
    "cells that are text": _changed(cells="cells"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_file(name: str) -> None:
    """These are read, or rather not, before anything runs."""
    with pytest.raises(notebooks.NotebookUnreadable, match="not a valid notebook for Jupyter"):
        notebooks.read(MALFORMED[name])


def test_a_folder_of_the_notebooks_name(sandbox: Sandbox) -> None:
    """Then there is no notebook, but all else is graded."""
    files = {f"{NAME}/x.py": b"x = 1\n", **helpers.solved()}
    question = next(question for question in ASSIGNMENT.questions if question.id == "policy_gradient")
    contract = replace(question, checks=question.checks[:1])
    vae = replace(helpers.VAE_ONLY.questions[0], checks=helpers.VAE_ONLY.questions[0].checks[:1])
    graded = helpers.grade(sandbox, files, assignment=replace(ASSIGNMENT, questions=(contract, vae)))
    missing, whole = graded.results
    assert missing.score == 0
    assert told(missing) == f"{NAME} is not in the upload."
    assert whole.score == whole.check.points


# -------------------------------------------------------------------------------- out of the kernel

ATTEMPTS = [
    # what every notebook may do; it shows that an attempt that works is seen
    Attempt("write-here", "", "open('x', 'w').write('x')\nreturn open('x').read() == 'x'"),
    Attempt("bind-here", "", "s = socket.socket(socket.AF_UNIX)\ns.bind('own')\ns.listen()\nreturn True"),
    Attempt("read-own-files", "", "return 'cells' in open('policy_gradient.ipynb').read()"),
    Attempt("signal-oneself", "", "os.kill(os.getpid(), signal.SIGCONT)\nreturn True"),
    # files
    Attempt("reference", "files", "return open('REFERENCE/gan_vae/utils.py').read(9)"),
    Attempt("reference-listed", "files", "return os.listdir('REFERENCE')"),
    Attempt("judges", "files", "return open('ROOT/autograder/grade.py').read(9)"),
    Attempt("canary", "files", "return open('OUTSIDE/canary').read(1)"),
    Attempt("folders-listed", "files", "return os.listdir('/tmp')"),
    Attempt("users", "files", "return open('/etc/passwd').read(9)"),
    Attempt("environment-listed", "files", "return os.listdir(sys.prefix)"),
    # what outlives the run
    Attempt("left-tmp", "results", "os.close(os.open('/tmp/MARK', os.O_CREAT | os.O_WRONLY))\nreturn True"),
    Attempt("left-var-tmp", "results", "os.mkdir('/var/tmp/MARK')\nreturn True"),
    Attempt("left-shm", "results", "open('/dev/shm/MARK', 'w').close()\nreturn True"),
    Attempt("left-link", "results", "os.symlink('/etc/passwd', '/tmp/MARK.link')\nreturn True"),
    Attempt("results-json", "results", "open('OUTSIDE/results/results.json', 'w').write('{}')\nreturn True"),
    Attempt("results-removed", "results",
            "os.unlink('OUTSIDE/results/old.json')\nreturn not os.path.exists('OUTSIDE/results/old.json')"),
    Attempt("socket-outside", "results", "s = socket.socket(socket.AF_UNIX)\ns.bind('/tmp/MARK.sock')\nreturn True"),
    # what is closed to a kernel by more than one layer, whatever the user
    Attempt("upload-changed", "results", "open(os.readlink('policy_gradient.ipynb'), 'a').close()\nreturn True"),
    Attempt("upload-removed", "own",
            "box = os.readlink('policy_gradient.ipynb')\nos.unlink(box)\nreturn not os.path.exists(box)"),
    Attempt("moved-out", "own", "open('y', 'w').close()\nos.rename('y', '/tmp/MARK.moved')\nreturn True"),
    Attempt("folder-moved", "own", "here = os.getcwd()\nos.rename(here, here + 'MARK')\nreturn True", harmful=True),
    Attempt("replaced", "own", "open('y', 'w').close()\nopen('z', 'w').close()\nos.replace('y', 'z')\nreturn True"),
    Attempt("removed", "own", "open('w', 'w').close()\nos.unlink('w')\nreturn not os.path.exists('w')"),
    Attempt("nameless", "own", "os.close(os.open('.', os.O_TMPFILE | os.O_RDWR))\nreturn True"),
    Attempt("nameless-by-openat2", "own",
            "how = ctypes.create_string_buffer(struct.pack('<QQQ', os.O_TMPFILE | os.O_RDWR, 0o600, 0))\n"
            "return libc.syscall(437, -100, b'.', how, 24) >= 0"),
    Attempt("memory-file", "own", "return libc.syscall(319, b'x', 0) >= 0"),
    Attempt("rights", "own", "os.chmod('.', 0o777)\nreturn True"),
    Attempt("owner", "own", "os.chown('.', os.getuid(), -1)\nreturn True"),
    Attempt("times", "own", "os.utime('x', (1, 1))\nreturn True"),
    # network
    Attempt("families", "network",
            "for family, kind in ((2, 1), (2, 2), (2, 3), (10, 1), (10, 2), (16, 3), (17, 3), (40, 1), (38, 5)):\n"
            "    try:\n        socket.socket(family, kind).close()\n        return True\n"
            "    except OSError:\n        pass"),
    Attempt("tcp", "network", "socket.create_connection(('127.0.0.1', PORT), 1).send(b'x')\nreturn True"),
    Attempt("udp", "network", "socket.socket(2, 2).sendto(b'x', ('127.0.0.1', PORT))\nreturn True"),
    Attempt("unix-stream", "network",
            "s = socket.socket(socket.AF_UNIX)\ns.connect('OUTSIDE/stream')\nreturn s.send(b'x')"),
    Attempt("unix-datagram", "network",
            "return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', 'OUTSIDE/datagram')"),
    Attempt("unix-message", "network",
            "return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendmsg([b'x'], [], 0, 'OUTSIDE/datagram')"),
    Attempt("abstract", "network", "s = socket.socket(socket.AF_UNIX)\ns.connect('\\0' 'MARK')\nreturn s.send(b'x')"),
    Attempt("io-uring", "network", "return libc.syscall(425, 8, ctypes.create_string_buffer(256)) >= 0"),
    # processes
    Attempt("fork", "processes",
            "child = os.fork()\nif child == 0:\n    os._exit(0)\nos.waitpid(child, 0)\nreturn True"),
    Attempt("daemon", "processes",
            "child = os.fork()\nif child == 0:\n    os.setsid()\n    if os.fork() == 0:\n        import time\n"
            "        time.sleep(1000)\n    os._exit(0)\nreturn True"),
    Attempt("subprocess", "processes", "return subprocess.Popen(['/bin/true']).wait() == 0"),
    Attempt("system", "processes", "import posix\nreturn posix.system('true') == 0"),
    Attempt("spawn", "processes", "return os.posix_spawn('/bin/true', ['true'], {})"),
    Attempt("ipythons-own", "processes",
            "from IPython.utils.process import getoutput\nreturn getoutput('echo x').strip() == 'x'"),
    Attempt("clone", "processes",
            "for call in ((56, 17, 0, 0, 0, 0), (57,), (435, ctypes.create_string_buffer(88), 88)):\n"
            "    child = libc.syscall(*call)\n    if child == 0:\n        os._exit(0)\n"
            "    if child > 0:\n        return True"),
    Attempt("exec", "processes", "os.execv('/bin/true', ['true'])", harmful=True),
    # the judge and the client
    Attempt("judges-channel", "always",  # who made a pair of sockets is its peer
            "for fd in range(3, 256):\n"
            "    try:\n"
            "        if stat.S_ISSOCK(os.fstat(fd).st_mode):\n"
            "            s = socket.socket(fileno=os.dup(fd))\n"
            "            peer = s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)\n"
            "            if struct.unpack('3i', peer)[0] not in (0, os.getpid(), os.getppid()):\n"
            "                return True\n"
            "    except OSError:\n        pass"),
    Attempt("secrets-in-memory", "always",
            "bad = ('judges', 'stats', 'grade', 'private_', 'terminal', 'submission', 'gradescope', 'solutions')\n"
            "return [n for n in sys.modules if n.startswith('autograder') and n.split('.')[-1].startswith(bad)]"),
    Attempt("client-traced", "judge",
            "return libc.ptrace(16, os.getppid(), 0, 0) == 0 or libc.syscall(310, os.getppid(), 0, 0, 0, 0, 0) == 0"),
    Attempt("client-memory", "judge", "return open(f'/proc/{os.getppid()}/mem', 'rb')", harmful=True),
    Attempt("judge-memory", "judge",
            "for pid in (JUDGE, os.getppid()):\n    for name in ('environ', 'maps', 'fd/0'):\n"
            "        try:\n            open(f'/proc/{pid}/{name}', 'rb').read(1)\n            return True\n"
            "        except OSError:\n            pass", harmful=True),
    Attempt("signals", "judge",
            "for pid in (JUDGE, os.getppid(), -os.getppid(), -1, 0):\n    try:\n        os.kill(pid, signal.SIGKILL)\n"
            "        return True\n    except OSError:\n        pass", harmful=True),
    Attempt("signals-by-other-names", "judge",
            "client = os.getppid()\ninfo = ctypes.create_string_buffer(128)\n"
            "calls = ((234, client, client, 9), (200, client, 9), (129, client, 9, info),"
            " (297, client, client, 9, info), (434, client, 0))\n"
            "return any(libc.syscall(*call) >= 0 for call in calls)", harmful=True),
    Attempt("signal-by-descriptor", "judge",
            "a, b = socket.socketpair()\nfcntl.fcntl(a, 8, os.getppid())\nreturn True", harmful=True),
    Attempt("clients-limits", "judge",
            "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))\nreturn True", harmful=True),
    Attempt("no-death-signal", "judge", "return libc.prctl(1, 0, 0, 0, 0) == 0", harmful=True),
    # memory
    Attempt("memory", "memory", "return len(bytearray(3 << 30))"),
    Attempt("memory-limit", "memory",
            "try:\n    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nexcept ValueError:\n    return False\n"
            "return True"),
]  # fmt: skip


@dataclass(frozen=True)
class Outside:
    """What lies beside a kernel, open to every user: a folder with results and a canary, and listeners."""

    folder: Path
    listeners: list[socket.socket]

    @property
    def words(self) -> dict[str, object]:
        """What the attempts' words stand for."""
        found = {"OUTSIDE": self.folder, "ROOT": helpers.ROOT, "REFERENCE": helpers.REFERENCE, "JUDGE": os.getpid()}
        return found | {"PORT": self.listeners[0].getsockname()[1], "MARK": MARK}

    def heard(self) -> list[str]:
        """What reached the listeners, and what became of the results."""
        heard = []
        for listener in self.listeners:
            with contextlib.suppress(BlockingIOError):
                listener.accept() if listener.type == socket.SOCK_STREAM else listener.recv(9)
                heard.append(str(listener.getsockname()))
        return heard + sorted(path.name for path in (self.folder / "results").iterdir())


@contextlib.contextmanager
def outside() -> Iterator[Outside]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(helpers.reachable_folder())
        folder.chmod(0o755)
        (folder / "results").mkdir()
        (folder / "results").chmod(0o777)
        for name in ("canary", "results/old.json"):
            (folder / name).write_text("x")
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0)))]
        for address, kind in (("stream", 1), ("datagram", 2), (f"\0{MARK}", 1)):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
            listener.bind(address if address[0] == "\0" else f"{folder}/{address}")
            if kind == socket.SOCK_STREAM:
                listener.listen()
            listeners.append(listener)
        for listener in listeners:
            listener.setblocking(False)
        for name in ("stream", "datagram"):
            (folder / name).chmod(0o777)
        yield Outside(folder, listeners)


def _tried(sandbox: Sandbox, chosen: list[Attempt]) -> tuple[dict[str, str], float, list[str]]:
    """The attempts' outcomes, the points of their notebook, and what was heard of it outside."""
    with outside() as beside:
        result = run(sandbox, RIGHT, *attempts(chosen, beside.words))
        return outcomes(result.log), result.score, beside.heard()


def test_nothing_leads_out_of_a_kernel(sandbox: Sandbox) -> None:
    """And what is refused costs nothing."""
    found, score, heard = _tried(sandbox, ATTEMPTS)
    assert found == {attempt.id: "refused" if attempt.aspect else "worked" for attempt in ATTEMPTS}
    assert heard == ["old.json"]
    assert score == POINTS


CHOSEN = ("docker", "docker without Landlock", "user", "user without seccomp and Landlock")
"""The module's own pool is the level of root with all rights."""


def _at_level(layers: list[str], names: list[str]) -> dict[str, Any]:
    """Runs in a process of its own: the attempts through a pool of these layers."""
    with Sandbox(SandboxConfig(ASSIGNMENT.probes, tuple(layers))) as sandbox:
        found, score, _ = _tried(sandbox, [attempt for attempt in ATTEMPTS if attempt.id in names])
        gone = run(sandbox, RIGHT, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
        left = helpers.left_behind(sandbox, MARK)
        for place in map(Path, (item for item in left if item.startswith("/") and MARK in item)):
            shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
        return {"outcomes": found, "score": score, "gone": told(gone), "left": left}


def print_at_level(layers: list[str], names: list[str]) -> None:
    print(json.dumps(_at_level(layers, names)))


@pytest.fixture(scope="module")
def levels() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """One process for each level, all at work at the same time."""
    with contextlib.ExitStack() as stack:
        running = {}
        for level in CHOSEN:
            names = [attempt.id for attempt in ATTEMPTS if not (attempt.harmful and LEVELS[level].weak)]
            process = start(LEVELS[level], "tests.sandbox.test_notebook_runs:print_at_level", names)
            stack.enter_context(ended(process))
            running[level] = process
        yield running


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv (Linux)")
@pytest.mark.parametrize("level", CHOSEN)
def test_level(level: str, levels: dict[str, subprocess.Popen[str]]) -> None:
    blocked = {"own": "seccomp" in LEVELS[level].layers, "always": True, **LEVELS[level].blocked}
    output, errors = levels[level].communicate(timeout=280)
    assert levels[level].returncode == 0, errors[-3000:]
    found = json.loads(output.splitlines()[-1])

    assert found["score"] == POINTS
    assert "lost its kernel in code cell 2 of 2" in found["gone"]
    aspects = {attempt.id: attempt.aspect for attempt in ATTEMPTS}
    for name, outcome in found["outcomes"].items():
        if not aspects[name]:
            assert outcome == "worked", name
        elif blocked[aspects[name]]:
            assert outcome == "refused", name
        else:
            assert outcome in ("worked", "refused"), name
    assert [item for item in found["left"] if not item.startswith("/")] == []
    # An attempt that nothing can refuse would prove nothing where all are refused.
    for aspect in ("files", "results", "network", "processes"):
        if not blocked[aspect]:
            assert "worked" in {found["outcomes"][name] for name in found["outcomes"] if aspects[name] == aspect}, (
                aspect
            )
    if blocked["results"]:
        assert found["left"] == []


# ------------------------------------------------------------------------- forged, flooded and broken

SPEAK = """
import os, threading, time
kernel, session = get_ipython().kernel, get_ipython().kernel.session
parent = kernel.get_parent("shell")
def say(kind, content, **named):
    session.send(kernel.iopub_socket, kind, content, parent=parent, ident=b"x", **named)
def send(*parts):
    kernel.iopub_socket.send_multipart([b"x", b"<IDS|MSG>", session.sign(list(parts)), *parts])
"""
HEAD = '*[session.pack(part) for part in (session.msg_header("status"), parent, {})]'


@dataclass(frozen=True)
class Hostile:
    """Cells put behind `before`; what they may win, what the student is told."""

    id: str
    cell: str
    score: tuple[float, ...]
    says: str = ""
    before: str = RIGHT
    seconds: float = 40.0


MODEL = "import torch\nfrom torch import nn\n"
FORGED = [
    # An answer can hold weights, as the name `model` can; it cannot say how the run went.
    Hostile("claims-success",
            "import base64\nfrom autograder.sandbox import wire\n"
            "claim = wire.Frame('artefact', {'failed': 0, 'cells': 1, 'ran': 1, 'kind': '', 'score': 1.0})\n"
            "answer = base64.b64encode(wire.encode(claim)).decode()\n"
            "get_ipython().artefact = lambda: answer\n1 / 0", (0,), "ZeroDivisionError", before=WRONG),
    Hostile("answers-garbage", "get_ipython().artefact = lambda: 'x' * 1000", (0,)),
    Hostile("answers-too-much", "get_ipython().artefact = lambda: 'QUFB' * 20_000_000", (0,)),
    Hostile("answers-never", "import time\nget_ipython().artefact = lambda: time.sleep(1000)", (0,),
            seconds=HANGS),
    Hostile("replies-before-it-fails", SPEAK +
            "session.send(kernel.shell_stream, 'execute_reply', {'status': 'ok', 'execution_count': 1, 'payload': [],"
            " 'user_expressions': {}}, parent=parent, ident=kernel._shell_parent_ident.get())\n"
            "kernel.shell_stream.flush()\n1 / 0", (0, ALL_RAN), before=WRONG),
    Hostile("key-changed", "get_ipython().kernel.session.key = b'x'", (0,), GONE[:16]),
    Hostile("encoder-replaced",
            "from autograder.sandbox import wire\nwire.encode = lambda frame: b'hw!1' + b'\\xff' * 12", (0,)),
    Hostile("model-of-nan", MODEL + "with torch.no_grad():\n    model[0].weight.fill_(float('nan'))", (0, ALL_RAN)),
    Hostile("model-of-another-shape", MODEL + "model = nn.Linear(8, 4)\nnn.init.zeros_(model.weight)", (ALL_RAN,),
            "Linear(8, 32), ReLU, Linear(32, 4)", before="pass"),
    Hostile("model-that-is-large", MODEL + "model = nn.Linear(3000, 3000)", (0,), before="pass"),
    Hostile("model-that-raises", MODEL +
            "class Model(nn.Module):\n    def parameters(self): raise SystemExit\nmodel = Model()", (ALL_RAN, 0),
            before="pass"),
    Hostile("model-of-a-subclass", MODEL +
            "class Lie(torch.Tensor):\n    @classmethod\n"
            "    def __torch_function__(cls, f, t, a=(), k=None):\n        return True\n"
            "class Model(nn.Module):\n    def parameters(self): return [torch.ones(4, 8).as_subclass(Lie)] * 4\n"
            "model = Model()", (ALL_RAN, 0), before="pass"),
    Hostile("no-module", "class Model:\n    __class__ = property(lambda self: 1 / 0)\nmodel = Model()", (ALL_RAN, 0),
            before="pass"),
]  # fmt: skip
FULL = "wrote more than 128 MB or 1000 files"
HARM = [
    Hostile("message-of-100-MB", SPEAK + "say('stream', {'name': 'stdout', 'text': 'x' * 100_000_000})", (POINTS, 0)),
    Hostile("buffers", SPEAK + "say('display_data', {'data': {}, 'metadata': {}}, buffers=[b'x' * 20_000_000] * 2)",
            (POINTS,)),
    Hostile("comms", SPEAK + "for n in range(1000):\n    say('comm_open', {'comm_id': str(n), 'target_name': 'x',"
            " 'data': {'state': {'_model_module': '@jupyter-widgets/output', '_model_name': 'OutputModel'}}})",
            (POINTS,)),
    Hostile("odd-contents", SPEAK + "for kind in ('status', 'error', 'display_data', 'update_display_data', 'x'):\n"
            "    for content in ({}, {'data': 1}, {'execution_state': 5}, {'transient': {'display_id': [1]}}):\n"
            "        say(kind, content)\ntime.sleep(1)", (0,), GONE[:16]),
    Hostile("garbage", SPEAK + "for parts in ([b'x'], [b''], [b'<IDS|MSG>', b'x'], [b'\\xff' * 1000] * 20):\n"
            "    kernel.iopub_socket.send_multipart(parts)\ntime.sleep(1)", (0,), GONE[:16]),
    Hostile("not-text", SPEAK + "send(*[b'\\xff\\xfe'] * 4)\ntime.sleep(1)", (0,), GONE[:16]),
    Hostile("deep", SPEAK + f"send({HEAD}, b'[' * 200_000 + b']' * 200_000)\ntime.sleep(1)", (0,), GONE[:16]),
    Hostile("messages-without-end", SPEAK + "def flood():\n"
            "    while True: say('stream', {'name': 'stdout', 'text': 'x' * 1000})\n"
            "threading.Thread(target=flood, daemon=True).start()", (POINTS, 0), seconds=15.0),
    Hostile("descriptors-closed", "import os\nos.closerange(3, 256)", (0,), GONE[:16]),
    Hostile("zmq-over-tcp", "import zmq\nzmq.Context().socket(zmq.PUSH).bind('tcp://127.0.0.1:*')", (0, TRAINED)),
    Hostile("output-past-the-stream", "import os\nwhile True: os.write(1, b'x' * (1 << 20))", (0,), "256 MB"),
    Hostile("threads-without-end", "import threading, time\nwhile True:\n"
            "    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()", (0, TRAINED), seconds=HANGS),
    Hostile("many-files", "import time\nfor n in range(5000): open(f'f{n}', 'w').close()\ntime.sleep(2)", (0,), FULL),
    Hostile("large-files", "import time\nfor n in range(3):\n    with open(f'f{n}', 'wb') as file:\n"
            "        for _ in range(60): file.write(bytes(1 << 20))\ntime.sleep(2)", (0,), FULL),
    Hostile("files-open-and-removed",
            "import os, time\nfor n in range(20):\n    file = os.open(f'f{n % 3}', os.O_CREAT | os.O_RDWR)\n"
            "    os.unlink(f'f{n % 3}')\n    for _ in range(60): os.write(file, bytes(1 << 20))\ntime.sleep(2)",
            (0,), FULL),
    Hostile("one-file", "with open('f', 'wb') as file:\n    for _ in range(65): file.write(bytes(1 << 20))", (TRAINED,),
            "File too large"),
    Hostile("nested",
            "import os, time\nfor _ in range(2500):\n    os.mkdir('d')\n    os.chdir('d')\ntime.sleep(2)", (0,),
            FULL),
    Hostile("closed-folders", "import os\nos.makedirs('a/b/c')\nos.mkdir('a/closed', 0)", (POINTS,)),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("hostile", [*FORGED, *HARM], ids=lambda hostile: hostile.id)
def test_hostile(sandbox: Sandbox, hostile: Hostile) -> None:
    result = run(sandbox, hostile.before, hostile.cell, seconds=hostile.seconds)
    assert result.score in hostile.score, told(result)
    assert hostile.says in told(result)
    assert result.seconds < hostile.seconds + 1


def test_the_rest_of_the_upload_is_graded_as_ever(sandbox: Sandbox) -> None:
    """A notebook whose run kills its kernel keeps its function's points, and those of the other questions."""
    loss = "import os\ndef policy_gradient_loss(logprob, predicted, reward):\n" + (
        "    return -(reward * logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)).mean()\n"
    )
    files = {NAME: notebook(loss, "os.kill(os.getpid(), 9)"), **helpers.solved()}
    question = next(question for question in ASSIGNMENT.questions if question.id == "policy_gradient")
    checks = tuple(check for check in question.checks if check.id != "policy_gradient.training")
    asked = replace(ASSIGNMENT, questions=(replace(question, checks=checks), *helpers.VAE_ONLY.questions))
    graded = helpers.grade(sandbox, files, assignment=asked)
    lost = {result.check.id for result in graded.results if result.score < result.check.points}
    assert lost == {"policy_gradient.notebook", "policy_gradient.answer"}  # there is no answers.toml


def test_a_kernel_dies_with_its_judge(tmp_path: Path) -> None:
    """SIGKILL leaves the judge no time to clear up; its kernel must not go on with an endless cell."""
    upload = helpers.zip_of({NAME: notebook("x = 1", "while True: pass")}, tmp_path / "upload.zip")
    command = [sys.executable, "-I", str(helpers.ROOT / "autograder" / "__main__.py"), "grade", str(upload)]
    judge = subprocess.Popen(
        [*command, "--out", str(tmp_path / "results.json")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip

    def children(pid: int) -> list[int]:
        with contextlib.suppress(OSError):
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def chain() -> list[int]:
        """Zygote, client and kernel, each the other's child; fewer as long as there is no kernel."""
        found = [judge.pid]
        while under := children(found[-1]):
            found.append(under[0])
        return found[1:]

    def alive(pid: int) -> bool:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        return False

    deadline = time.monotonic() + 60
    while len(seen := chain()) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(seen) == 3
    time.sleep(2)  # into the endless cell
    judge.kill()
    judge.wait()
    deadline = time.monotonic() + 10
    while (left := {pid for pid in seen if alive(pid)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == set()
