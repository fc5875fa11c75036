"""Hostile submissions of question 4's code, as text put behind a right one; `Attack` says which words they may use."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping
from types import MappingProxyType

from autograder.audit.homework import Allowed, Attack, Attacks

UTILS, VAE = "gan_vae/utils.py", "gan_vae/models/vae.py"
CODE = (UTILS, *(f"gan_vae/models/{name}.py" for name in ("__init__", "gan", "nns", "vae")))
RIGHT = "def sample_gaussian(m, v):\n    return m + v.sqrt() * torch.randn_like(m)\n"
WRONG = "def sample_gaussian(m, v):\n    return m * 1\n"
"""Deserves what a function without noise deserves, and not more, whatever stands beside it."""
WRONG_BOUND = (
    "def _wrong(self, x):\n"
    "    m, v = self.enc.encode(x)\n"
    "    return (self.dec.decode(m).mean(),) * 3\n"
    "VAE.negative_elbo_bound = _wrong\n"
)
_NOTHING: Mapping[str, bytes] = MappingProxyType({})
_NOWHERE: Mapping[str, str] = MappingProxyType({})


def _attack(
    id: str,
    kind: str,
    utils: str = "",
    vae: str = "",
    *,
    sample: Allowed = "none",
    bound: Allowed = "full",
    more: Mapping[str, bytes] = _NOTHING,
    links: Mapping[str, str] = _NOWHERE,
    loses: str = "",
    says: str = "",
    seconds: float = 20.0,
    aspect: str = "",
    refused: bool = False,
    harm: str = "",
    targets: tuple[str, ...] = (),
) -> Attack:
    """An attack by text behind utils.py and models/vae.py; `sample` and `bound` are what it may get of each."""
    behind = {file: text for file, text in ((UTILS, utils), (VAE, vae)) if text}
    allowed: dict[str, Allowed] = {"vae.sample": sample, "vae.bound": bound}
    return Attack(
        *(id, kind),
        behind=behind,
        more=dict(more),
        links=dict(links),
        allowed=allowed,
        loses=loses,
        says=says,
        seconds=seconds,
        aspect=aspect,
        refused=refused,
        harm=harm,
        targets=targets,
    )


def body(text: str, *, then: str = "") -> str:
    """A sample_gaussian whose body is `text`."""
    lines = (text.strip("\n") + ("\n" + then if then else "")).splitlines()
    return "def sample_gaussian(m, v):\n" + "".join(f"    {line}\n" for line in lines)


FORGED_FRAME = """
import json, struct, sys, os, numpy as np
def _frame(identity, values):
    blobs, head = b"", {}
    for name, array in values.items():
        array = np.ascontiguousarray(array)
        head[name] = {"dtype": str(array.dtype), "shape": list(array.shape)}
        blobs += array.tobytes()
    text = json.dumps({"id": identity, "values": head}).encode()
    return struct.pack("<4sIQ", b"hw!1", len(text), len(blobs)) + text + blobs
def _request():
    frame = sys._getframe()
    while frame:
        if "request" in frame.f_locals:
            return frame.f_locals["request"]
        frame = frame.f_back
"""

NOISE = (
    '{"noise.standard": np.zeros((8, 32, 128), "float32"), "noise.varied": np.ones((8, 32, 128), "float32"),'
    ' "noise.few": np.zeros((8, 3, 5), "float32")}'
)
REQUEST = ("local:request",)
"""What a forged frame must know of our worker: its request, whose id the reply repeats."""

FORGE = [
    _attack("frame-own-id", "forge", WRONG + FORGED_FRAME + body(
        f'os.write(3, _frame(_request().id, {NOISE}))\nos._exit(0)'), targets=REQUEST),
    _attack("frame-claims-points", "forge", FORGED_FRAME + body(
        'os.write(3, _frame(_request().id, {"score": np.ones(()), "passed": np.ones((), bool)}))\nos._exit(0)'),
           targets=REQUEST),
    _attack("frame-other-id", "forge", FORGED_FRAME + body(
        f'os.write(3, _frame("0" * 32, {NOISE}))\nos._exit(0)'), says="did not come from our probe"),
    _attack("frame-twice", "forge", FORGED_FRAME + body(
        f'f = _frame(_request().id, {NOISE})\nos.write(3, f + f)\nreturn m * 1'), sample="wrong",
           targets=REQUEST),
    _attack("frame-garbage", "forge", body('import os\nos.write(3, b"\\xff" * 4096)\nreturn m'),
           says="could not be read"),
    _attack("frame-on-import", "forge", 'import os\nos.write(3, b"hw!1" + b"\\0" * 60)\n', bound="none",
           says="could not be read"),
    _attack("frame-huge-length", "forge", body(
        'import os, struct\nos.write(3, struct.pack("<4sIQ", b"hw!1", 2**32 - 1, 2**64 - 1))\nreturn m'),
        says="more than is allowed"),
    _attack("frame-slow-drip", "forge", body(
        'import os, time\nos.write(3, b"hw!1\\xff\\x03\\0\\0")\n'
        'while True:\n    os.write(3, b"\\0")\n    time.sleep(.05)'),
        seconds=1.5),
    _attack("frame-deep-json", "forge", body(
        'import os, struct\nt = b"[" * 200000\nos.write(3, struct.pack("<4sIQ", b"hw!1", len(t), 0) + t)\nos._exit(0)'),
        says="could not be read"),
    _attack("patch-encode", "forge", WRONG + FORGED_FRAME + (
        'from autograder.sandbox import wire\nfrom autograder.sandbox.guest import worker\n'
        f'wire.encode = worker.wire.encode = lambda frame: _frame(frame.id, {NOISE})\n'), sample="wrong", bound="any",
           targets=("autograder.sandbox.wire:encode", "autograder.sandbox.guest.worker:wire.encode", *REQUEST)),
    _attack("patch-probe", "forge", WRONG + (
        'import sys\n'
        'for name, module in list(sys.modules.items()):\n'
        '    if name.endswith("vae.probes"):\n'
        '        for probe in ("sample", "shapes", "noise", "gradient", "tiny"):\n'
        '            setattr(module, probe, lambda given, student: {"passed": True, "score": 1.0})\n'), sample="wrong",
        targets=tuple(f"vae.probes:{probe}" for probe in ("sample", "shapes", "noise", "gradient", "tiny"))),
    _attack("patch-run", "forge", WRONG + (
        'from autograder.sandbox.guest import worker\nworker.run = lambda *a: {"score": 1.0}\n'
        'worker.fault = lambda *a: None\n'), sample="wrong",
           targets=("autograder.sandbox.guest.worker:run", "autograder.sandbox.guest.worker:fault")),
    _attack("patch-student", "forge", WRONG + (
        'from autograder.sandbox.guest.student import Student\n'
        'Student.function = lambda self, file, name: torch.distributions.Normal\n'), sample="wrong", bound="any",
           targets=("autograder.sandbox.guest.student:Student.function",)),
    _attack("patch-grad", "forge", WRONG + (
        'torch.autograd.grad = lambda out, ins, **k: tuple(torch.ones_like(i) for i in ins)\n'
        'torch.Tensor.requires_grad = property(lambda self: True)\n'), sample="wrong", bound="any"),
    _attack("patch-comparisons", "forge", WRONG + (
        'import numpy, builtins, unittest\n'
        'yes = lambda *a, **k: True\n'
        'numpy.allclose = numpy.array_equal = torch.allclose = torch.equal = yes\n'
        'torch.testing.assert_close = numpy.testing.assert_allclose = yes\n'
        'unittest.TestCase.assertEqual = yes\nbuiltins.all = yes\n'), sample="wrong", bound="any"),
    _attack("patch-json", "forge", WRONG + (
        'import json\nold = json.dumps\n'
        'json.dumps = lambda tree, **k: old({**tree, "score": 25} if isinstance(tree, dict) else tree)\n'),
        bound="none"),
    _attack("tensor-subclass", "forge", (
        'class Lie(torch.Tensor):\n'
        '    @classmethod\n'
        '    def __torch_function__(cls, f, t, a=(), k=None):\n'
        '        r = super().__torch_function__(f, t, a, k or {})\n'
        '        return True if isinstance(r, bool) else r\n'
        '    def __eq__(self, other): return True\n'
        '    __ne__ = __lt__ = __gt__ = __le__ = __ge__ = __eq__\n'
        '    __hash__ = None\n'
        'def sample_gaussian(m, v): return (m * 1).as_subclass(Lie)\n'), sample="wrong"),
    _attack("pretends-to-be-a-tensor", "forge", (
        'class Lie:\n'
        '    __class__ = torch.Tensor\n'
        '    def __getattr__(self, name): return lambda *a, **k: self\n'
        '    def __eq__(self, other): return True\n'
        '    def __reduce__(self): return (print, ("PWNED",))\n'
        'def sample_gaussian(m, v): return Lie()\n')),
    _attack("reduce", "forge", (
        'class Lie:\n    def __reduce__(self): return (__import__("os").system, ("touch /tmp/MARK",))\n'
        'def sample_gaussian(m, v): return Lie()\n'), says="a Lie"),
    _attack("lambda", "forge", body('return lambda: m'), says="a function"),
    _attack("nan", "forge", body('return m * float("nan")'), sample="wrong"),
    _attack("inf", "forge", body('return m + v * float("inf")'), sample="wrong"),
    _attack("huge", "forge", body('return m * 1e38 * v'), sample="wrong"),
    _attack("broadcasting-shape", "forge", body('return m[:1] + torch.randn(1)'), sample="wrong"),
    _attack("zero-d", "forge", body('return torch.randn(())'), sample="wrong"),
    _attack("complex", "forge", body('return m + 1j * v'), says="real numbers were expected"),
    _attack("quantized", "forge", body('return torch.quantize_per_tensor(m.detach(), .1, 0, torch.qint8)')),
    _attack("sparse", "forge", body('return m.to_sparse()'), says="real numbers were expected"),
    _attack("meta", "forge", body('return m.to("meta")'), seconds=19.0),
    _attack("constant-noise", "forge", body('return m + v.sqrt() * 0.5'), sample="any", loses="vae.sample.fresh"),
    _attack("quantile-grid", "forge", body(
        'u = (torch.arange(m.numel()) + .5) / m.numel()\n'
        'return m + v.sqrt() * torch.special.ndtri(u).reshape(m.shape)'), sample="any", loses="vae.sample.fresh"),
    _attack("cached-noise", "forge", '_kept = {}\n' + body(
        'e = _kept.setdefault(m.shape, torch.randn(m.shape))\nreturn m + v.sqrt() * e'),
        sample="any", loses="vae.sample.fresh"),
    _attack("skip", "forge", body('import unittest\nraise unittest.SkipTest("all passed")')),
    _attack("exit-zero", "forge", body('import os\nos._exit(0)'), says="stopped before"),
    _attack("grader-error", "forge", (
        'import dataclasses\nfrom autograder.core import CheckFailed, Verdict\n'
        + body('raise CheckFailed("grader error")')),
           targets=("autograder.core:CheckFailed", "autograder.core:Verdict")),
    _attack("thread-second-reply", "forge", WRONG + FORGED_FRAME + (
        'import threading\nright = sample_gaussian\n' + body(
            'r = _request()\n'
            f'threading.Thread(target=lambda: [os.write(3, _frame(r.id, {NOISE})) for _ in range(99)]).start()\n'
            'return right(m, v)')), sample="wrong", targets=REQUEST),
    _attack("atexit", "forge", WRONG + 'import atexit, os\natexit.register(lambda: os.write(3, b"x" * 99))\n',
           sample="wrong"),
    _attack("inputs-changed", "forge", WRONG + body(
        'import sys\ng = sys._getframe(1).f_locals.get("given", {})\n'
        '[t.zero_() for t in g.values() if isinstance(t, torch.Tensor) and not t.requires_grad]\nreturn m * 1'),
        sample="wrong", targets=("local:given",)),
]  # fmt: skip

LOOK = """
import gc, sys, types
gc.unfreeze()
def _look():
    seen = {n for n in sys.modules if n.startswith("autograder")}
    seen |= {str(f.__module__) for f in gc.get_objects() if isinstance(f, types.FunctionType)}
    bad = ("judg", "stats", "grade", "private_probes", "terminal", "submission", "upload", "solutions", "audit", "host")
    full = lambda n: any(not isinstance(v, types.ModuleType) for k, v in vars(sys.modules[n]).items() if k[:2] != "__")
    return sorted(n for n in seen if n.startswith("autograder") and (
        any(part.startswith(bad) for part in n.split("."))
        or ("hw" in n and ".probes" not in n and n in sys.modules and full(n))))
"""
STEAL = [
    _attack("memory-modules", "steal", LOOK + body('raise ValueError(f"PWNED {_look()}" if _look() else "nothing")'),
           says="nothing", targets=("vae.probes:sample", "autograder.sandbox.guest.worker:answer")),
    _attack("memory-secrets", "steal", body(
        'import gc\ngc.unfreeze()\n'
        'hits = [o for o in gc.get_objects() if isinstance(o, dict) and ("digest" in o or "secret" in o)'
        ' and o.get("__name__") is None and isinstance(o.get("secret"), bytes)]\n'
        'raise ValueError("PWNED" if hits else "nothing")'), says="nothing"),
    _attack("reference-file", "steal", aspect="files", utils=body(
        'import glob\n'
        'found = glob.glob("REFERENCE/**/*.py", recursive=True) + glob.glob("/autograder/**/*.py", recursive=True)\n'
        'try: found += [open("REFERENCE/gan_vae/utils.py").read()[:9]]\n'
        'except OSError: pass\n'
        'raise ValueError("PWNED" if found else "nothing")'), says="nothing"),
    _attack("import-the-judges", "steal", aspect="files", utils=body(
        'import sys\n'
        'for name in list(sys.modules):\n'
        '    if name.startswith("autograder"): del sys.modules[name]\n'
        'sys.path.insert(0, "ROOT")\n'
        'import autograder.hw11\n'
        'raise ValueError("PWNED")'), targets=("autograder:__path__",)),
    _attack("proc", "steal", body(
        'import os\n'
        'got = []\n'
        'for pid in (JUDGE, os.getppid()):\n'
        '    for name in ("environ", "mem", "maps", "fd/0", "root/etc/hostname"):\n'
        '        try: got.append(open(f"/proc/{pid}/{name}", "rb").read(1) and name)\n'
        '        except OSError: pass\n'
        'raise ValueError(f"PWNED {got}" if any(got) else "nothing")'), says="nothing"),
    _attack("ptrace", "steal", body(
        'import ctypes\n'
        'libc = ctypes.CDLL(None)\n'
        'got = [libc.ptrace(16, JUDGE, 0, 0) == 0, libc.ptrace(0x4206, JUDGE, 0, 0) == 0]\n'
        'raise ValueError("PWNED" if any(got) else "nothing")'), says="nothing"),
    _attack("environment", "steal", body(
        'import os\nnames = [k.replace("TOKENIZERS", "") for k in os.environ]\n'
        'bad = [k for k in names if "TOKEN" in k or "AUTOGRADER" in k or "MARK" in k]\n'
        'raise ValueError("PWNED" if bad else "nothing")'), says="nothing"),
    _attack("descriptors", "steal", body(
        'import os\nopened = []\n'
        'for fd in range(4, 64):\n'
        '    try: os.fstat(fd); opened.append(fd)\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {opened}" if opened else "nothing")'), says="nothing"),
    _attack("key-of-the-seeds", "steal", aspect="files", utils=body(
        'import os, sys\ngot = []\n'
        'try: got += os.listdir(sys.prefix)\n'
        'except OSError: pass\n'
        'try: got += [open(sys.prefix + "/secret", "rb").read(1)]\n'
        'except OSError: pass\n'
        'raise ValueError("PWNED" if got else "nothing")'), says="nothing"),
    _attack("other-folders", "steal", aspect="files", utils=body(
        'import os\ngot = []\n'
        'for place in ("/tmp", "/root", "/home", "/autograder", os.path.dirname(os.getcwd()), "ROOT"):\n'
        '    try: got += os.listdir(place)\n'
        '    except OSError: pass\n'
        'raise ValueError("PWNED" if got else "nothing")'), says="nothing"),
    _attack("values-in-exception", "steal", body('raise ValueError(f"{m.flatten().tolist()} {v.flatten()[0].item()}")'),
           says="#"),
    _attack("values-in-hexadecimal", "steal", body('raise ValueError("PW" + (m.detach().numpy().tobytes() * 8).hex())'),
           says="#"),
    _attack("values-printed", "steal", RIGHT + 'right = sample_gaussian\n' + body(
        'print("SEEN", m.tolist(), flush=True)\nreturn right(m, v)'), sample="full"),
]  # fmt: skip

SEND = [
    _attack("sockets", "send", aspect="network", utils=body(
        'import socket\ngot = []\n'
        'for f, k in ((2, 1), (2, 2), (10, 1), (10, 2), (1, 1), (1, 2), (16, 3), (17, 3)):\n'
        '    try: socket.socket(f, k).close(); got.append((f, k))\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing"),
    _attack("connect", "send", aspect="network", utils=body(
        'import socket, urllib.request\n'
        'socket.create_connection(("127.0.0.1", PORT), 1).send(b"PWNED")\nraise ValueError("PWNED")'),
        says="PermissionError"),
    _attack("io-uring", "send", aspect="network", utils=body(
        'import ctypes\nlibc = ctypes.CDLL(None)\n'
        'fd = libc.syscall(425, 8, ctypes.create_string_buffer(256))\n'
        'raise ValueError("PWNED" if fd >= 0 else "nothing")'), says="nothing"),
    _attack("raw-socket-call", "send", aspect="network", utils=body(
        'import ctypes\nlibc = ctypes.CDLL(None)\n'
        'got = [libc.syscall(41, 2, 1, 0) >= 0, libc.syscall(53, 1, 1, 0, (ctypes.c_int * 2)()) == 0]\n'
        'raise ValueError("PWNED" if any(got) else "nothing")'), says="nothing"),
]  # fmt: skip

STAY = [
    _attack("files-left", "stay", aspect="results", utils=body(
        'import os, posix\nleft = []\n'
        'for place in ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", ".", os.path.dirname(os.getcwd()), "ROOT",'
        ' torch.__path__[0]):\n'
        '    try: os.close(os.open(place + "/MARK.pth", os.O_CREAT | os.O_WRONLY)); left.append(place)\n'
        '    except OSError: pass\n'
        '    try: posix.mkdir(place + "/MARK"); left.append(place)\n'
        '    except OSError: pass\n'
        '    try: os.symlink("/etc/passwd", place + "/MARK.link"); left.append(place)\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {left}" if left else "nothing")'), says="nothing"),
    _attack("own-files-changed", "stay", aspect="results", utils=body(
        'import os, posix\nchanged = []\n'  # posix: the calls themselves, not what writes to memory in their place
        'for name in ("gan_vae/utils.py", ".given/gan_vae/utils.py"):\n'
        '    for action in (lambda: posix.remove(name), lambda: posix.truncate(name, 0),\n'
        '                   lambda: posix.rename(name, name + "x"),\n'
        '                   lambda: posix.open(name, os.O_WRONLY), lambda: posix.link(name, name + "y")):\n'
        '        try: action(); changed.append(name)\n'
        '        except OSError: pass\n'
        'raise ValueError(f"PWNED {changed}" if changed else "nothing")'), says="nothing"),
    _attack("rights-changed", "stay", aspect="results", utils=body(
        'import os\nchanged = []\n'
        'for action in (lambda: os.chmod("gan_vae/utils.py", 0o777), lambda: os.utime("gan_vae/utils.py", (1, 1)),\n'
        '               lambda: os.setxattr("gan_vae/utils.py", "user.x", b"1"),\n'
        '               lambda: os.chown(".", os.getuid(), -1),\n'
        '               lambda: os.chmod(".", 0)):\n'
        '    try: action(); changed.append(1)\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {changed}" if changed else "nothing")'), says="nothing",
        harm="it would close folders of this user to the judge"),
    _attack("daemon", "stay", aspect="processes", utils=body(
        'import os, time\n'
        'if os.fork() == 0:\n'
        '    os.setsid()\n'
        '    if os.fork() == 0:\n'
        '        time.sleep(1000)\n'
        '    os._exit(0)\n'
        'raise ValueError("PWNED")'), says="PermissionError"),
    _attack("subprocess", "stay", aspect="processes", utils=body(
        'import subprocess, os, posix\ngot = []\n'
        'for action in (lambda: subprocess.Popen(["true"]), lambda: posix.system("true") == 0 or 1 / 0,\n'
        '               lambda: os.posix_spawn("/bin/true", ["true"], {}), lambda: os.execv("/bin/true", ["true"])):\n'
        '    try: action(); got.append(1)\n'
        '    except (OSError, ZeroDivisionError): pass\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing"),
    _attack("raw-clone", "stay", aspect="processes", utils=body(
        'import ctypes, os\nlibc = ctypes.CDLL(None)\ngot = []\n'
        'for call in ((56, 17, 0, 0, 0, 0), (57,), (58,), (435, ctypes.create_string_buffer(88), 88)):\n'
        '    pid = libc.syscall(*call)\n'
        '    if pid == 0: os._exit(0)\n'
        '    if pid > 0: got.append(call[0])\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing"),
    _attack("no-death-signal", "stay", aspect="processes", utils=body(
        'import ctypes\nlibc = ctypes.CDLL(None)\n'
        'got = [libc.prctl(1, 0, 0, 0, 0) == 0, libc.prctl(4, 1, 0, 0, 0) == 0,'
        ' libc.syscall(157, ctypes.c_ulong(1 << 32 | 1), 0, 0, 0, 0) == 0]\n'
        'raise ValueError(f"PWNED {got}" if any(got) else "nothing")'), says="nothing"),
    _attack("threads-left", "stay", RIGHT + (
        'import threading, time\n[threading.Thread(target=time.sleep, args=(600,)).start() for _ in range(8)]\n'),
        sample="full"),
]  # fmt: skip

HARM = [
    _attack("kill-everyone", "harm", aspect="judge", utils=body(
        'import os, signal\ngot = []\n'
        'for pid in (JUDGE, os.getppid(), -1, 0, -os.getppid(), 1):\n'
        '    try: os.kill(pid, signal.SIGKILL); got.append(pid)\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing",
        harm="it would end every process of this user"),
    _attack("signal-by-descriptor", "harm", aspect="judge", utils=body(
        'import fcntl, os, signal, socket\ngot = []\n'
        'for command, value in ((8, JUDGE), (10, 9), (8 | 1 << 32, JUDGE)):\n'
        '    try: fcntl.fcntl(3, command & 0xffffffff, value); got.append(command)\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing", harm="it would end the judge"),
    _attack("limits-of-others", "harm", aspect="judge", utils=body(
        'import os, resource\ngot = []\n'
        'for pid in (JUDGE, os.getppid()):\n'
        '    try: resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1)); got.append(pid)\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing", harm="it would end the judge"),
    _attack("limits-of-its-own", "harm", RIGHT + (
        'import resource\nresource.getrlimit(resource.RLIMIT_AS)\n'
        'try: resource.setrlimit(resource.RLIMIT_AS, (-1, -1))\n'
        'except (OSError, ValueError): pass\n'
        'else: print("PWNED")\n'), sample="full"),
    _attack("fork-bomb", "harm", aspect="processes", utils=body(
        'import os\nfor _ in range(1000):\n    try: os.fork()\n    except OSError: pass\nreturn m * 1'),
        sample="wrong", harm="it would fill this user's session with processes"),
    _attack("thread-bomb", "harm", body(
        'import threading, time\n'
        'while True:\n    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()'),
        seconds=4.0),
    _attack("memory-bomb-lists", "harm", body('a = [0]\nwhile True: a = a + a'), says="memory", seconds=19.0),
    _attack("memory-bomb-tensors", "harm", body(
        'kept = []\nwhile True: kept.append(torch.ones(1 << 22))'), says="memory", seconds=19.0),
    _attack("giant-tensor", "harm", body('return m.new_ones(10**6, 10**6)'), says="memory", seconds=19.0),
    _attack("giant-view", "harm", body('return m.reshape(-1)[:1].expand(1 << 40)')),
    _attack("giant-result", "harm", body('return torch.zeros(30_000_000)'), sample="none", seconds=19.0),
    _attack("endless-loop", "harm", body('while True: pass'), seconds=1.5, says="still running"),
    _attack("big-integer-loop", "harm", body('return 10 ** (10 ** 9)'), seconds=1.5),
    _attack("giant-integer-result", "harm", body('return 10 ** 10000')),
    _attack("ignored-signals", "harm", body(
        'import signal\n'
        'for n in range(1, 65):\n'
        '    try: signal.signal(n, signal.SIG_IGN)\n'
        '    except (OSError, ValueError): pass\n'
        'while True:\n    try: signal.pause()\n    except BaseException: pass'), seconds=1.5, says="still running"),
    _attack("stopped", "harm", body('import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nreturn m'), seconds=1.5,
           says="still running"),
    _attack("descriptors-used-up", "harm", body(
        'import os\nkept = []\nwhile True: kept.append(os.dup(0))'), says="Too many open files"),
    _attack("output-flood", "harm", body('import os\nx = b"x" * (1 << 20)\nwhile True: os.write(1, x)'), seconds=15.0,
           says="was stopped"),
    _attack("output-of-50-MB", "harm", RIGHT + 'right = sample_gaussian\n' + body(
        'print("x" * 50_000_000)\nreturn right(m, v)'), sample="full", seconds=19.0),
    _attack("streams-closed", "harm", RIGHT + (
        'import os, sys\nsys.stdout = sys.stderr = None\nos.close(1); os.close(2)\n'), sample="full"),
    _attack("channel-closed", "harm", body('import os\nos.close(3)\nreturn m'), says="stopped before"),
    _attack("channel-closed-then-sleep", "harm", body('import os, time\nos.close(3)\ntime.sleep(600)'),
           says="stopped before"),
    _attack("recursion", "harm", 'def sample_gaussian(m, v): return sample_gaussian(m, v)\n', says="RecursionError"),
    _attack("stack-overflow", "harm", 'import sys\nsys.setrecursionlimit(10**9)\n'
           'class Deep:\n    def __getattr__(self, name): return getattr(self, name + "x"[:0])\n' + body(
           'return Deep().x'), sample="none"),
    _attack("segfault", "harm", body('import ctypes\nctypes.string_at(0)'), says="SIGSEGV"),
    _attack("abort", "harm", body('import os\nos.abort()'), says="SIGABRT"),
    _attack("no-exit", "harm", WRONG + 'import os\nos._exit = lambda *a: None\n', sample="wrong"),
]  # fmt: skip

WORDS = [
    _attack("str-raises", "words", 'class Odd(Exception):\n    def __str__(self): raise SystemExit("PW")\n'
           + body('raise Odd()'), says="Odd"),
    _attack("str-loops", "words", 'class Odd(Exception):\n    def __str__(self):\n        while True: pass\n'
           + body('raise Odd()'), seconds=1.5, says="still running"),
    _attack("str-is-huge", "words", body('raise ValueError("x" * 200_000_000)'), seconds=19.0),
    _attack("odd-names", "words", (
        'class Meta(type):\n    __name__ = property(lambda cls: 1 / 0)\n'
        'class Odd(Exception, metaclass=Meta): pass\n' + body('raise Odd()'))),
    _attack("str-subclass", "words", (
        'class Odd(str):\n    def __format__(self, spec): return Odd("x" * 5)\n    def strip(self): return self\n'
        '    def splitlines(self): return [self]\n    def __getitem__(self, i): return object()\n'
        'class Fault(Exception):\n    def __str__(self): return Odd("text")\n' + body('raise Fault()'))),
    _attack("escape-codes", "words", body(
        'raise ValueError("\\x1b[2J\\x1b]0;PW\\x07 \\u202e\\u2066 \\x00 \\x9b31m\\u200b")')),
    _attack("html", "words", body('raise ValueError("<script>alert(1)</script><img src=x onerror=alert(1)>")')),
    _attack("formula", "words", body('raise ValueError("=HYPERLINK(1)\\n=cmd|1\\t+1")')),
    _attack("surrogates", "words", body('raise ValueError("\\ud800\\udfff")')),
    _attack("file-name-in-traceback", "words", (
        'code = compile("raise ValueError(1)", "/etc/passwd\\x1b[31m<b>", "exec")\n' + body('exec(code)'))),
    _attack("exception-group", "words", body('raise BaseExceptionGroup("g", [SystemExit(0), KeyboardInterrupt()])')),
    _attack("context-loop", "words", body(
        'a, b = ValueError("a"), ValueError("b")\na.__cause__, b.__cause__ = b, a\nraise a')),
    _attack("generator-exit", "words", body('raise GeneratorExit')),
]  # fmt: skip

PWN = b'raise RuntimeError("PWNED: a file of the submission was imported in place of a library")\n'


def _deep() -> bytes:
    return b"x = " + b"(" * 100_000 + b")" * 100_000 + b"\n"


FILES = [
    _attack("shadow-libraries", "forge", more={
        f"gan_vae/{name}.py": PWN for name in (
            "numpy", "torch", "random", "autograder", "sitecustomize", "usercustomize", "json", "struct", "os",
            "conftest", "site", "wire", "worker", "private_probes", "vae", "probes")}, sample="full"),
    _attack("shadow-packages", "forge", more={
        f"gan_vae/{name}/__init__.py": PWN for name in ("numpy", "torch", "autograder", "autograder/hw11")},
        sample="full"),
    _attack("package-init-raises", "forge", more={"gan_vae/__init__.py": b"raise SystemExit(0)\n"}, sample="full"),
    _attack("models-init-raises", "forge", more={"gan_vae/models/__init__.py": b"1 / 0\n"}, sample="full"),
    _attack("pth", "stay", more={"gan_vae/x.pth": b"import os; os._exit(0)\n", "x.pth": b"import os; os._exit(0)\n",
                                 "pyvenv.cfg": b"home = /tmp\n", "gan_vae/__pycache__/utils.cpython-311.pyc": b"x"},
           sample="full"),
    _attack("given-replaced", "forge", more={".given/gan_vae/utils.py": PWN, "gan_vae/.given/gan_vae/utils.py": PWN},
           sample="full"),
    _attack("utf-7", "words", more={"gan_vae/utils.py": b"# coding: utf-7\n+AHIAYQBpAHMAZQ- ValueError('PW')\n"},
           says="PW"),
    _attack("coding-unknown", "words", more={"gan_vae/utils.py": b"# coding: no-such\nx = 1\n"}, says="SyntaxError"),
    _attack("null-bytes", "words", more={"gan_vae/utils.py": b"import torch\n\0\0x = 1\n"}, says="null bytes"),
    _attack("not-utf-8", "words", more={"gan_vae/utils.py": b"x = '\xff\xfe\xe9'\n"}, says="SyntaxError"),
    _attack("ten-megabytes", "harm", more={"gan_vae/utils.py": b"x = [1, 2, 3]\n" * 700_000}, seconds=1.0, bound="any"),
    _attack("parentheses", "harm", more={"gan_vae/utils.py": _deep()}, says="Error"),
    _attack("unary-operators", "harm", more={"gan_vae/utils.py": b"x = " + b"-" * 500_000 + b"1\n"}, bound="any"),
    _attack("attributes", "harm", more={"gan_vae/utils.py": b"x" + b".x" * 200_000 + b"\n"}, bound="any"),
    _attack("not-python", "words", more={"gan_vae/utils.py": bytes(range(1, 256)) * 100}),
    _attack("empty", "words", more={"gan_vae/utils.py": b""}, bound="any",
           says="defines no sample_gaussian"),
]  # fmt: skip

BOUND = [
    _attack("bound-wrong", "forge", vae=WRONG_BOUND, sample="full", bound="wrong",
           targets=("vae.private_probes:Decoder.decode", "vae.private_probes:Encoder.encode")),
    _attack("bound-patches-ours", "forge", vae=WRONG_BOUND + (
        'import sys\nfor name, module in list(sys.modules.items()):\n'
        '    if name.endswith("vae.private_probes"):\n'
        '        module.bound = module.values = lambda *a: {"cases": [{"count": 3}], "score": 1.0}\n'
        '        module.Decoder.decode = lambda self, z: z\n'), sample="full", bound="wrong",
           targets=("vae.private_probes:bound", "vae.private_probes:values", "vae.private_probes:Decoder.decode")),
    _attack("bound-lies-about-z", "forge", vae=(
        'def _lie(self, x):\n'
        '    self.dec.received.append(torch.zeros(len(x), self.enc.m.shape[1]))\n'
        '    return torch.zeros(()), torch.zeros(()), torch.zeros(())\n'
        'VAE.negative_elbo_bound = _lie\n'), sample="full", bound="any",
           targets=("vae.private_probes:Decoder.__init__/received", "vae.private_probes:Encoder.__init__/m")),
    _attack("bound-clone-replaced", "forge", vae=(
        'import sys\nreal = torch.Tensor.contiguous\n'
        'def _clone(x, *, memory_format=None):\n'
        '    kept = torch.empty_like(x).copy_(x)\n'
        '    names = [sys._getframe(i).f_code.co_name for i in range(1, 8)]\n'
        '    return torch.empty_like(x).normal_() * 0.7 + kept if "decode" in names and "noise" in names else kept\n'
        '_kept = torch.library.Library("aten", "IMPL")\n_kept.impl("clone", _clone, "CPU")\n'
        'def _mean(self, x):\n'
        '    m, v = self.enc.encode(x)\n'
        '    logits = self.dec.decode(m)\n'
        '    kl = ut.kl_normal(m, v, *self.z_prior).mean()\n'
        '    rec = -ut.log_bernoulli_with_logits(x, logits).mean()\n'
        '    return kl + rec, kl, rec\n'
        'VAE.negative_elbo_bound = _mean\n'), sample="any", bound="any", loses="vae.bound.posterior",
           targets=("vae.private_probes:Decoder.decode",)),
    _attack("bound-odd-values", "forge", vae=(
        'class Odd(float):\n    def __add__(self, o): return self\n'
        'def _odd(self, x):\n'
        '    self.dec.decode(self.enc.encode(x)[0])\n'
        '    return Odd("nan"), float("inf"), 10 ** 400\n'
        'VAE.negative_elbo_bound = _odd\n'), sample="full", bound="any",
           targets=("vae.private_probes:Decoder.decode", "vae.private_probes:Encoder.encode")),
    _attack("bound-endless-tuple", "forge", vae=(
        'class Many(tuple):\n    def __len__(self): return 3\n    def __getitem__(self, i): return [self] * 3\n'
        'VAE.negative_elbo_bound = lambda self, x: Many()\n'), sample="full", bound="none"),
    _attack("bound-exits", "harm", vae='import os\nVAE.negative_elbo_bound = lambda self, x: os._exit(0)\n',
           sample="full", bound="none", says="stopped before"),
    _attack("bound-many-decodes", "harm", vae=(
        'def _many(self, x):\n'
        '    m, v = self.enc.encode(x)\n'
        '    while True: self.dec.decode(m)\n'
        'VAE.negative_elbo_bound = _many\n'), sample="full", bound="none", seconds=1.0,
           targets=("vae.private_probes:Decoder.decode", "vae.private_probes:Encoder.encode")),
]  # fmt: skip


# ------------------------------------------------------------------------------------ more of each class


def raw(text: str, blob: str = 'b""') -> str:
    """A sample_gaussian that sends a frame with this header, a Python expression of bytes, and dies."""
    return body(
        f"import os, struct\nt, b = {text}, {blob}\n"
        'os.write(3, struct.pack("<4sIQ", b"hw!1", len(t), len(b)) + t + b)\nos._exit(0)'
    )


def values(tree: str) -> str:
    """The header of a frame with the worker's own id, and this JSON for its values, as a Python expression."""
    return f'(\'{{"id": "\' + _request().id + \'", "values": {tree}}}\').encode()'


UNREAD = "could not be read"
MORE_FORGE = [
    _attack("frame-json-nan", "forge", FORGED_FRAME + raw(values('{"a": NaN}')), says=UNREAD, targets=REQUEST),
    _attack("frame-json-name-twice", "forge", FORGED_FRAME + raw(values('{"a": 1, "a": 2}')), says=UNREAD,
           targets=REQUEST),
    _attack("frame-json-huge-integer", "forge", FORGED_FRAME + raw(
        f"""({values('{"a": @}')}).replace(b"@", b"9" * 200000)"""), says=UNREAD, targets=REQUEST),
    _attack("frame-json-surrogates", "forge", FORGED_FRAME + raw(values('{"\\\\ud800": 1}')), says=UNREAD,
           targets=REQUEST),
    _attack("frame-giant-shape", "forge", FORGED_FRAME + raw(
        values('{"a": {"dtype": "float64", "shape": [4294967296, 4294967296, 4294967296]}}')), says=UNREAD,
           targets=REQUEST),
    _attack("frame-negative-shape", "forge", FORGED_FRAME + raw(
        values('{"a": {"dtype": "uint8", "shape": [-1]}}'), 'b"x"'), says=UNREAD, targets=REQUEST),
    _attack("frame-object-dtype", "forge", FORGED_FRAME + raw(
        values('{"a": {"dtype": "object", "shape": [1]}}'), 'b"x" * 8'), says=UNREAD, targets=REQUEST),
    _attack("frame-seven-dimensions", "forge", FORGED_FRAME + raw(
        values('{"a": {"dtype": "uint8", "shape": [1, 1, 1, 1, 1, 1, 1]}}'), 'b"x"'), says=UNREAD,
           targets=REQUEST),
    _attack("frame-bytes-left-over", "forge", FORGED_FRAME + raw(values('{"a": 1}'), 'b"x" * 9'), says=UNREAD,
           targets=REQUEST),
    _attack("frame-boolean-of-two", "forge", FORGED_FRAME + raw(
        values('{"a": {"dtype": "bool", "shape": [1]}}'), 'b"\\2"'), says=UNREAD, targets=REQUEST),
    _attack("fault-of-the-grader", "forge", FORGED_FRAME + raw(
        '(\'{"id": "\' + _request().id + \'", "fault": {"kind": "grader", "text": "", "where": "", '
        '"trace": ""}}\').encode()'),
           targets=REQUEST),
    _attack("exit-by-exception", "forge", body('import sys\nsys.exit(0)'), says="SystemExit"),
    _attack("killed-by-itself", "forge", body('import os, signal\nos.kill(os.getpid(), signal.SIGKILL)'),
           says="stopped before"),
    _attack("recognises-the-test", "forge", RIGHT + "right = sample_gaussian\n" + body(
        'return right(m, v) if m.numel() < 300 else m * 1'), sample="any", loses="vae.sample.noise"),
    _attack("right-at-first-only", "forge", RIGHT + "right, calls = sample_gaussian, []\n" + body(
        'calls.append(1)\nreturn right(m, v) if len(calls) < 4 else m * 1'), sample="any", loses="vae.sample.noise"),
    _attack("seeded-in-every-call", "forge", RIGHT + "right = sample_gaussian\n" + body(
        'torch.manual_seed(0)\nreturn right(m, v)'), sample="any", loses="vae.sample.fresh"),
    _attack("seeding-switched-off", "forge", WRONG + (
        'torch.manual_seed(0)\ntorch.manual_seed = torch.random.manual_seed = lambda *a: None\n'), sample="wrong"),
    _attack("patch-builtins", "forge", WRONG + (
        'import builtins\nbuiltins.isinstance = lambda *a: True\nbuiltins.abs = lambda x: 0\n'
        'builtins.max = builtins.min = lambda *a, **k: 0\n'), sample="wrong", bound="any"),
    _attack("patch-numpy", "forge", WRONG + (
        'import numpy\nfor name in ("asarray", "array", "ascontiguousarray", "zeros", "isfinite"):\n'
        '    setattr(numpy, name, lambda *a, **k: numpy.float64(1))\n'), sample="wrong", bound="any"),
    _attack("patch-unittest", "forge", WRONG + (
        'import unittest, sys\nunittest.main = unittest.TestResult.wasSuccessful = lambda *a, **k: True\n'
        'sys.modules["pytest"] = sys.modules["gradescope_utils"] = unittest\n'), sample="wrong"),
    _attack("profiler-changes-locals", "forge", WRONG + (
        'import sys\ndef _look(frame, event, value):\n'
        '    for name in ("got", "values", "verdict", "score"):\n'
        '        if name in frame.f_locals: frame.f_locals[name] = {"score": 1.0}\n'
        'sys.setprofile(_look)\n'), sample="wrong", bound="any"),
    _attack("default-device", "forge", WRONG + 'torch.set_default_device("meta")\n', sample="wrong", bound="any"),
    _attack("default-dtype", "forge", WRONG + 'torch.set_default_dtype(torch.float64)\n', sample="wrong", bound="any"),
    _attack("import-hook", "forge", WRONG + (
        'import sys\nclass _Hook:\n    def find_spec(self, name, path=None, target=None):\n'
        '        raise ImportError("PW")\n'
        'sys.meta_path.insert(0, _Hook())\nsys.path_importer_cache.clear()\n'), sample="wrong", bound="any"),
    _attack("judges-exceptions", "forge", (
        'from autograder.core import Verdict\n'
        + body('raise type("CheckFailed", (Exception,), {"score": 1.0})("full")')),
           targets=("autograder.core:Verdict", "autograder.core:CheckFailed")),
    _attack("forked-second-reply", "forge", WRONG + FORGED_FRAME + "wrong = sample_gaussian\n" + body(
        f'r = _request()\nif os.fork() == 0:\n    os.write(3, _frame(r.id, {NOISE}))\n    os._exit(0)\n'
        'return wrong(m, v)'), sample="wrong", aspect="processes", targets=REQUEST),
]  # fmt: skip

MORE_STEAL = [
    _attack("proc-command-lines", "steal", aspect="files", utils=body(
        'import os\ngot = []\n'
        'for pid in (JUDGE, os.getppid()):\n'
        '    for name in ("cmdline", "comm", "status", "stat"):\n'
        '        try: got.append(open(f"/proc/{pid}/{name}", "rb").read(1) and name)\n'
        '        except OSError: pass\n'
        'raise ValueError(f"PWNED {got}" if any(got) else "nothing")'), says="nothing"),
    _attack("other-student", "steal", aspect="files", utils=body(
        'import os\ngot = []\n'
        'try: got.append(open("OTHER").read())\n'
        'except OSError: pass\n'
        'raise ValueError("PWNED" if got else "nothing")'), says="nothing"),
    _attack("users-and-keys", "steal", aspect="files", utils=body(
        'import os\ngot = []\n'
        'for name in ("/etc/passwd", "/etc/hostname", "/etc/hosts", "/proc/1/environ", "/root/.ssh/id_rsa",'
        ' "/autograder/submission_metadata.json", "/var/run/secrets/kubernetes.io/serviceaccount/token"):\n'
        '    try: got.append(open(name, "rb").read(1) and name)\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {got}" if any(got) else "nothing")'), says="nothing"),
    _attack("kernels-memory", "steal", body(
        'import os\ngot = []\n'
        'for name in ("/etc/shadow", "/proc/kcore", "/dev/mem", "/dev/kmem", "/dev/port", "/dev/sda"):\n'
        '    try: got.append(open(name, "rb").read(1) and name)\n'
        '    except (OSError, OverflowError): pass\n'
        'raise ValueError(f"PWNED {got}" if any(got) else "nothing")'), says="nothing"),
    _attack("token-in-the-environment", "steal", body(
        'import ctypes, os, sys\nword = "egduj-eht-fo-nekot"[::-1]\n'
        'hidden = [f"{k}={v}" for k, v in os.environ.items()] + sys.argv\n'
        'block, n = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ"), 0\n'
        'while block and block[n]: hidden.append(block[n].decode("latin-1")); n += 1\n'
        'for pid in ("self", "thread-self", os.getppid(), JUDGE):\n'
        '    try: hidden.append(open(f"/proc/{pid}/environ").read())\n'
        '    except OSError: pass\n'
        'raise ValueError("PWNED" if any(word in text for text in hidden) else f"nothing in {len(hidden)}")'),
        says="nothing in"),
    _attack("token-in-memory", "steal", body(
        'import gc\ngc.unfreeze()\nword, got = "egduj-eht-fo-nekot"[::-1], []\n'
        'for one in gc.get_objects():\n'
        '    for held in (gc.get_referents(one) if type(one) in (dict, list, tuple) else ()):\n'
        '        if type(held) is str: got.append(word in held)\n'
        '        elif type(held) in (bytes, bytearray): got.append(word.encode() in held)\n'
        'for pid in ("self", "thread-self", JUDGE):\n'
        '    try: got.append(word.encode() in open(f"/proc/{pid}/mem", "rb").read(1))\n'
        '    except OSError: pass\n'
        'raise ValueError("PWNED" if any(got) else f"nothing in {len(got) > 9999}")'),
        says="nothing in True", seconds=19.0),
    _attack("frames-of-the-worker", "steal", body(
        'import sys\nBAD = ("secret", "digest", "want", "alpha", "tolerance", "judge")\n'
        'frame, seen = sys._getframe(), []\n'
        'while frame:\n'
        '    seen += [f"{k}" for k in frame.f_locals if k in BAD]\n'
        '    frame = frame.f_back\n'
        'raise ValueError(f"PWNED {seen}" if seen else "nothing")'), says="nothing"),
    _attack("paths-through-proc", "steal", aspect="files", utils=body(
        'import os\ngot = []\n'
        'for base in ("/proc/self/root", "/proc/thread-self/root", "/proc/self/cwd'
        '/../../../../..", "/dev/fd/../root"):\n'
        '    try: got += os.listdir(base + "/etc")\n'
        '    except OSError: pass\n'
        'raise ValueError("PWNED" if got else "nothing")'), says="nothing"),
    _attack("signal-zero", "steal", aspect="judge", utils=body(
        'import os\ngot = []\n'
        'for pid in (JUDGE, os.getppid()):\n'
        '    try: os.kill(pid, 0); got.append(pid)\n'
        '    except OSError: pass\n'
        'raise ValueError("PWNED" if got else "nothing")'), says="nothing"),
    _attack("judges-descriptors", "steal", body(
        'import ctypes\nlibc, got = ctypes.CDLL(None), []\n'
        'fd = libc.syscall(434, JUDGE, 0)\n'
        'if fd >= 0: got += [n for n in range(9) if libc.syscall(438, fd, n, 0) >= 0]\n'
        'got += [libc.syscall(312, JUDGE, JUDGE, 2, 0, 0) >= 0]\n'
        'raise ValueError("PWNED" if any(got) else "nothing")'), says="nothing"),
    _attack("links-in-the-upload", "steal", links={
        "gan_vae/utils.py": "/etc/passwd", "gan_vae/notes.py": "REFERENCE/gan_vae/utils.py", "gan_vae/all": "/"},
        sample="none", bound="full", says="utils.py is not in the upload"),
    _attack("links-to-the-reference", "steal", links={
        "gan_vae/utils.py": "REFERENCE/gan_vae/utils.py", "gan_vae/models": "REFERENCE/gan_vae/models"},
        sample="any", bound="any", refused=True, says="is a link"),
    _attack("values-in-class-name", "steal", body(
        'raise type("E" + m.detach().numpy().tobytes()[:64].hex(), (Exception,), {})("x")'), says="#"),
    _attack("values-in-file-name", "steal", body(
        'raise SyntaxError("x", (str(m.flatten().tolist()[:4]), 1, 1, ""))')),
    _attack("values-in-warnings", "steal", RIGHT + "right = sample_gaussian\n" + body(
        'import warnings, sys, logging\nwarnings.warn(f"SEEN {m.tolist()}")\nlogging.error("SEEN %s", m)\n'
        'print("SEEN", m, file=sys.stderr)\nreturn right(m, v)'), sample="full"),
]  # fmt: skip

MORE_SEND = [
    _attack("every-family", "send", aspect="network", utils=body(
        'import socket\ngot = []\n'
        'for f in range(46):\n'
        '    for k in (1, 2, 3, 4, 5, 6, 10):\n'
        '        try: socket.socket(f, k).close(); got.append((f, k))\n'
        '        except OSError: pass\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing"),
    _attack("datagrams", "send", aspect="network", utils=body(
        'import socket\ngot = []\n'
        'for f, to in ((2, ("127.0.0.1", UDPPORT)), (1, "UNIXPATH"), (1, "\\0MARK")):\n'
        '    try: socket.socket(f, 2).sendto(str(m[0, 0].item()).encode(), to); got.append(to)\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing"),
    _attack("netlink", "send", aspect="network", utils=body(
        'import socket, struct\n'
        's = socket.socket(16, 3, 0)\n'
        's.send(struct.pack("IHHIIB3x", 20, 18, 0x301, 1, 0, 0))\nraise ValueError(f"PWNED {len(s.recv(4096))}")'),
        says="PermissionError"),
    _attack("names-of-hosts", "send", aspect="network", utils=body(
        'import socket\nsocket.setdefaulttimeout(1)\n'
        'with open("/dev/null") as file: s = socket.socket(2, 2)\n'
        's.connect(("127.0.0.1", UDPPORT)); s.send(m.detach().numpy().tobytes()[:64])\nraise ValueError("PWNED")'),
        says="PermissionError"),
    _attack("descriptors-over-the-channel", "send", aspect="network", utils=body(
        'import array, os, socket\ns = socket.socket(fileno=os.dup(3))\n'
        's.sendmsg([b"hw!1"], [(1, 1, array.array("i", [0, 1, 2]))])\ns.send(b"x", 1)\nraise ValueError("PW")'),
        says="PermissionError"),
    _attack("inputs-in-a-file", "send", aspect="results", utils=body(
        'import os\ngot = []\n'
        'for place in ("/tmp", "/dev/shm", "/var/tmp", "/run/lock", "/dev/mqueue", "."):\n'
        '    try: os.close(os.open(f"{place}/MARK-{m[0, 0].item()}", os.O_CREAT | os.O_WRONLY)); got.append(place)\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing"),
    _attack("terminal", "send", body(
        'import os\ngot = []\n'
        'for place in ("/dev/tty", "/dev/console", "/dev/pts/0", "/dev/ptmx", "/proc/self/fd/0"):\n'
        '    try: os.write(os.open(place, os.O_RDWR | os.O_NOCTTY), b"PWNED"); got.append(place)\n'
        '    except OSError: pass\n'
        'got = [place for place in got if place not in ("/dev/ptmx", "/proc/self/fd/0")]\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing"),
]  # fmt: skip

WRITE_RESULTS = """
import json, os
forged = json.dumps({"score": 100, "tests": [{"name": "all", "score": 100, "max_score": 100}]})
def _write():
    got = []
    for action in (lambda: open("RESULTS/results.json", "w").write(forged),
                   lambda: open("RESULTS/MARK.json", "w").write(forged),
                   lambda: os.replace("RESULTS/MARK.json", "RESULTS/results.json"),
                   lambda: os.remove("RESULTS/results.json"),
                   lambda: os.symlink("/tmp/MARK", "RESULTS/results.json"),
                   lambda: os.link("gan_vae/utils.py", "RESULTS/MARK.link")):
        try: action(); got.append(1)
        except OSError: pass
    return got
"""
MORE_STAY = [
    _attack("results-written", "stay", aspect="results", utils=WRITE_RESULTS + body(
        'got = _write()\nraise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing"),
    _attack("results-link", "stay", aspect="results", utils=WRONG + (
        'import os\n'
        'try: os.remove("RESULTS/results.json"); os.symlink("/tmp/MARK.json", "RESULTS/results.json"); print("PWNED")\n'
        'except OSError: pass\n'), sample="wrong"),
    _attack("results-written-later", "stay", aspect="results", utils=WRONG + WRITE_RESULTS + (
        'import threading, time\n'
        'threading.Thread(target=lambda: (time.sleep(1), _write()), daemon=True).start()\n'), sample="wrong"),
    _attack("results-by-a-daemon", "stay", aspect="processes", utils=WRITE_RESULTS + body(
        'import time\n'
        'if os.fork() == 0:\n'
        '    os.setsid()\n'
        '    if os.fork() == 0:\n'
        '        while True:\n'
        '            time.sleep(.01); _write()\n'
        '    os._exit(0)\n'
        'raise ValueError("PWNED")'), says="PermissionError"),
    _attack("caches-poisoned", "stay", aspect="results", utils=body(
        'import importlib.util, os, sys, sysconfig, site\nleft = []\n'
        'places = [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sys.prefix, "ROOT/autograder",'
        ' "gan_vae", "gan_vae/models", os.path.dirname(torch.__file__)]\n'
        'for place in places:\n'
        '    for name in ("MARK.pth", "__pycache__/MARK.cpython-311.pyc", "sitecustomize-MARK.py"):\n'
        '        try: os.close(os.open(f"{place}/{name}", os.O_CREAT | os.O_WRONLY)); left.append(f"{place}/{name}")\n'
        '        except OSError: pass\n'
        'for path in left: os.remove(path)\n'
        'raise ValueError(f"PWNED {left}" if left else "nothing")'), says="nothing"),
    _attack("shared-memory", "stay", aspect="processes", utils=body(
        'import ctypes\nlibc, got = ctypes.CDLL(None), []\n'
        'for make, remove in ((29, 31), (68, 71), (64, 66)):\n'
        '    id = libc.syscall(make, 0, 4096, 0o1600) if make == 29 else libc.syscall(make, 0, 1, 0o1600)\n'
        '    if id >= 0:\n'
        '        got.append(make)\n'
        '        libc.syscall(remove, id, 0, 0, 0)\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing"),
    _attack("message-queue", "stay", body(
        'import ctypes\nlibc = ctypes.CDLL(None)\n'
        'fd = libc.syscall(240, b"MARK", 0o100 | 2, 0o600, None)\n'
        'if fd >= 0: libc.syscall(241, b"MARK")\n'
        'raise ValueError("PWNED" if fd >= 0 else "nothing")'), says="nothing"),
    _attack("kernel-doors", "stay", aspect="processes", utils=body(
        'import ctypes\nlibc, got, room = ctypes.CDLL(None), [], ctypes.create_string_buffer(256)\n'
        'for call in ((319, b"MARK", 0), (253,), (294, 0), (250, 0, -3, 0), (248, b"user", b"MARK", b"x", 1, -3),\n'
        '             (323, 1), (321, 0, room, 72), (298, room, 0, -1, -1, 0), (272, 0x10000000), (135, 0x0040000)):\n'
        '    found = libc.syscall(*call)\n'
        '    if found >= 0: got.append(call[0])\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing"),
    _attack("root-again", "stay", body(
        'import ctypes, os\nlibc, got = ctypes.CDLL(None), []\n'
        'for action in (lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgroups([0]),\n'
        '               lambda: os.chroot("."), lambda: os.mknod("MARK", 0o60600, 0)):\n'
        '    try: action(); got.append(1)\n'
        '    except OSError: pass\n'
        'got += [libc.mount(b"none", b"/tmp", b"tmpfs", 0, 0) == 0, libc.syscall(155, b".", b".") == 0]\n'
        'raise ValueError(f"PWNED {got}" if any(got) else "nothing")'), says="nothing"),
    _attack("state-for-the-next-ask", "stay", RIGHT + (
        'import sys\nif hasattr(torch, "MARK") or "MARK" in sys.modules: print("PWNED")\n'
        'torch.MARK = 1\nsys.modules["MARK"] = torch\n'
        'from autograder.sandbox import wire, confine\nwire.MAX_BODY, confine.LAYERS = 0, ()\n'
        'wire.MAX_BODY = 1 << 24\n'), sample="full",
           targets=("autograder.sandbox.wire:MAX_BODY", "autograder.sandbox.confine:LAYERS")),
    _attack("finalizers", "stay", WRONG + (
        'import os, threading, weakref\nclass _End:\n'
        '    def __del__(self): os.write(3, b"x" * 99)\n'
        '_end = _End()\nweakref.finalize(_end, os.write, 3, b"y" * 99)\n'
        'threading._register_atexit(os.write, 3, b"z" * 99)\n'), sample="wrong"),
    _attack("user-site", "stay", body(
        'import os, posix, site, sys\nleft = []\n'
        'for place in (site.getuserbase(), os.path.expanduser("~"), os.environ.get("HOME", "/nonexistent")):\n'
        '    try: posix.mkdir(place + "/MARK"); left.append(place)\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {left}" if left else "nothing")'), says="nothing"),
]  # fmt: skip

MORE_HARM = [
    _attack("four-gigabytes", "harm", aspect="memory", utils=body(
        'import mmap\nraise ValueError(f"PWNED {len(mmap.mmap(-1, 4 << 30))}")'), says="memory"),
    _attack("shared-four-gigabytes", "harm", aspect="memory", utils=body(
        'import ctypes\nlibc = ctypes.CDLL(None)\nlibc.mmap.restype = ctypes.c_void_p\n'
        'at = libc.mmap(None, ctypes.c_size_t(4 << 30), 3, 0x21, -1, 0)\n'
        'raise ValueError("PWNED" if at not in (None, 2**64 - 1) else "nothing")'), says="nothing"),
    _attack("disk-filled", "harm", body(
        'import os, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nwritten = 0\n'
        'for place in ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", "."):\n'
        '    try:\n'
        '        fd = os.open(place + "/MARK.disk", os.O_CREAT | os.O_WRONLY)\n'
        '        for _ in range(64): written += os.write(fd, bytes(1 << 20))\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {written}" if written else "nothing")'), says="nothing"),
    _attack("many-files", "harm", aspect="results", utils=body(
        'import os\ncount = 0\n'
        'for place in ("/tmp", "/dev/shm"):\n'
        '    for n in range(200):\n'
        '        try: os.close(os.open(f"{place}/MARK-{n}", os.O_CREAT | os.O_WRONLY)); count += 1\n'
        '        except OSError: pass\n'
        'raise ValueError(f"PWNED {count}" if count else "nothing")'), says="nothing"),
    # It is stopped after half of the time, behind the definitions, which are graded in what is left.
    _attack("loop-on-import", "harm", 'while True: pass\n', sample="any", bound="any", seconds=1.0),
    _attack("sleep", "harm", body('import time\ntime.sleep(10**6)'), seconds=1.0, says="still running"),
    _attack("lock-of-the-interpreter", "harm", body('import ctypes\nctypes.PyDLL(None).sleep(600)'), seconds=1.0,
           says="still running"),
    _attack("regular-expression", "harm", body('import re\nre.match("(a+)+b", "a" * 64)'), seconds=1.0,
           says="still running"),
    _attack("alarm-that-loops", "harm", WRONG + (
        'import signal\ndef _loop(*a):\n    while True: pass\n'
        'signal.signal(signal.SIGALRM, _loop)\nsignal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-3)\n'), seconds=1.0,
        sample="wrong", bound="any"),
    _attack("finalizer-that-loops", "harm", (
        'class _Deep:\n    def __del__(self):\n        while True: pass\n' + body('_Deep()\nreturn m')), seconds=1.0,
        says="still running"),
    _attack("collector-that-loops", "harm", WRONG + (
        'import gc\ndef _loop(*a):\n    while True: pass\ngc.callbacks.append(_loop)\n'
        'def sample_gaussian(m, v):\n    gc.collect()\n    return m\n'), seconds=1.0, bound="any",
        says="still running"),
    _attack("tracer-that-raises", "harm", WRONG + (
        'import sys\ndef _trace(*a): raise KeyboardInterrupt\n' + body('sys.settrace(_trace)\nreturn m * 1')),
        sample="wrong"),
    _attack("busy-threads", "harm", body(
        'import threading\ndef spin():\n    while True: pass\n'
        'for _ in range(8): threading.Thread(target=spin, daemon=True).start()\nspin()'), seconds=1.0,
        says="still running"),
    _attack("import-lock", "harm", WRONG + (
        'import _imp, threading\nthreading.Thread(target=lambda: (_imp.acquire_lock(), threading.Event().wait()),'
        ' daemon=True).start()\n'), sample="wrong", bound="any", seconds=1.0),
    _attack("giant-thread-stacks", "harm", body(
        'import threading, time\nthreading.stack_size(1 << 30)\n'
        'for _ in range(9): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()'), says="thread"),
    _attack("pipes-filled", "harm", body(
        'import os\nkept = []\nwhile True:\n    r, w = os.pipe(); kept += [r, w]; os.set_blocking(w, False)\n'
        '    os.write(w, bytes(1 << 16))'), says="Too many open files"),
    _attack("first-to-stay", "harm", body(
        'got = []\n'
        'for value in ("-1000", "0"):\n'
        '    try: open("/proc/self/oom_score_adj", "w").write(value); got.append(value)\n'
        '    except OSError: pass\n'
        'raise ValueError("PWNED" if got else "nothing")'), says="nothing"),
    _attack("real-time", "harm", body(
        'import os\ngot = []\n'
        'for action in (lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)), lambda: os.nice(-5),\n'
        '               lambda: os.setpriority(os.PRIO_PROCESS, 0, -5)):\n'
        '    try: action(); got.append(1)\n'
        '    except OSError: pass\n'
        'raise ValueError("PWNED" if got else "nothing")'), says="nothing"),
    _attack("core-dump", "harm", body(
        'import resource, os\n'
        'try: resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30)); print("PWNED")\n'
        'except (OSError, ValueError): pass\n'
        'os.abort()'), says="SIGABRT"),
    _attack("errors-flood", "harm", body('import os\nx = b"e" * (1 << 20)\nwhile True: os.write(2, x)'), seconds=15.0,
           says="was stopped"),
    _attack("many-values", "harm", FORGED_FRAME + raw(values('{@}') + (
        '.replace(b"@", b", ".join(b\'"a%d": 1\' % n for n in range(9999)))')), says=UNREAD, targets=REQUEST),
    _attack("header-without-end", "harm", body(
        'import os, struct\nos.write(3, struct.pack("<4sIQ", b"hw!1", 1 << 18, 1 << 24))\n'
        'import time\ntime.sleep(600)'), seconds=1.0, says="still running"),
    _attack("channel-shut", "harm", body(
        'import ctypes\nctypes.CDLL(None).shutdown(3, 2)\nreturn m'), says="stopped before"),
    _attack("input-from-nobody", "harm", body('return m + float(input())'), says="EOFError"),
    _attack("debugger", "harm", RIGHT + "right = sample_gaussian\n" + body(
        'breakpoint()\nimport pdb; pdb.set_trace()\nreturn right(m, v)'), sample="full"),
]  # fmt: skip

LIES = "<script>alert(1)</script>\\x1b[2J\\u202e=cmd|1"
MORE_WORDS = [
    _attack("name-of-a-megabyte", "words", body('raise type("x" * 10**6, (Exception,), {})("y" * 10**6)')),
    _attack("name-of-many-lines", "words", body('raise type("a\\nb\\x1b[31m<b>", (Exception,), {})("c")')),
    _attack("missing-lies", "words", body(
        f'from autograder.sandbox.guest.student import Missing\nraise Missing("{LIES}")'),
           targets=("autograder.sandbox.guest.student:Missing",)),
    _attack("breach-lies", "words", body(f'from autograder.sandbox.wire import Breach\nraise Breach("{LIES}")'),
           targets=("autograder.sandbox.wire:Breach",)),
    _attack("unfilled-lies", "words", body(f'raise NotImplementedError("{LIES}")')),
    *(_attack(f"fault-{kind}-lies", "words", FORGED_FRAME + body(
        f'import json\nlie = "{LIES}" * 9\n'
        f'fault = {{"kind": "{kind}", "text": lie, "where": lie, "trace": lie}}\n'
        't = json.dumps({"id": _request().id, "fault": fault}).encode()\n'
        'os.write(3, struct.pack("<4sIQ", b"hw!1", len(t), 0) + t)\nos._exit(0)'), targets=REQUEST)
      for kind in ("raised", "import", "unusable", "memory", "missing", "unfilled", "other")),
    _attack("syntax-error-of-objects", "words", body(
        'class Odd:\n    def __str__(self): return "<b>\\x1b[1m"\n    def __format__(self, s): return "<i>\\x07"\n'
        'e = SyntaxError(Odd()); e.filename, e.lineno, e.msg = Odd(), Odd(), Odd()\nraise e')),
    _attack("message-loops", "words", (
        'class Odd:\n    def __str__(self):\n        while True: pass\n    __repr__ = __format__ = __str__\n'
        + body('raise KeyError(Odd())')), seconds=1.0, says="still running"),
    _attack("name-lies", "words", (
        'class Odd(Exception): pass\nOdd.__name__ = "a <b>bold\\u202e name"\nOdd.__qualname__ = "x"\n'
        + body('raise Odd("text")'))),
    _attack("deep-chain", "words", body(
        'error = None\nfor _ in range(20000):\n    new = ValueError("x"); new.__context__ = error; error = new\n'
        'raise error'), seconds=19.0),
    _attack("deep-traceback", "words", (
        'def deep(n):\n    if n: return deep(n - 1)\n    raise ValueError("<b>")\n' + body('deep(900)'))),
    _attack("file-names", "words", more={
        "gan_vae/=cmd|' -C calc'!A0.py": b"x = 1\n", "gan_vae/<img src=x onerror=alert(1)>.py": b"x = 1\n",
        "gan_vae/\x1b[2J\x07.py": b"x = 1\n", "gan_vae/\u202egnp.py": b"x = 1\n", "gan_vae/a\nb.py": b"x = 1\n",
        "gan_vae/" + "n" * 240 + ".py": b"x = 1\n", "gan_vae/\U000e0041.py": b"x = 1\n"}, sample="full"),
    _attack("zip-slip", "words", more={
        "../MARK.py": PWN, "../../../../../../tmp/MARK.py": PWN, "/tmp/MARK.py": PWN, "..\\..\\MARK.py": PWN,
        "C:\\MARK.py": PWN, "gan_vae/../../MARK.py": PWN, "gan_vae/./../../../MARK.py": PWN}, sample="full"),
    _attack("case-collisions", "words", more={
        "gan_vae/UTILS.PY": PWN, "GAN_VAE/Utils.py": PWN, "gan_vae/Models/VAE.py": PWN}, sample="full"),
    _attack("deep-tree", "words", more={"d/" * 40 + "utils.py": PWN, "gan_vae/" + "e/" * 200 + "x.py": PWN},
           sample="full"),
    _attack("file-for-a-folder", "words", more={"gan_vae/utils.py/x.py": PWN, "gan_vae/models/vae.py/vae.py": PWN},
           sample="full"),
    _attack("byte-order-mark", "words", more={"gan_vae/utils.py": codecs.BOM_UTF8 + b"import torch\n" + RIGHT.encode()},
           sample="full", bound="any"),
    _attack("utf-16", "words", more={"gan_vae/utils.py": ("import torch\n" + RIGHT).encode("utf-16")},
           sample="full", bound="any"),
    _attack("mac-line-ends", "words", more={"gan_vae/utils.py": b"import torch\r" + RIGHT.replace("\n", "\r").encode()},
           sample="full", bound="any"),
    _attack("form-feeds", "words", more={"gan_vae/utils.py": b"\x0cimport torch\n\x0c" + RIGHT.encode() + b"\x1a"},
           bound="any"),
]  # fmt: skip


def _notebook(*sources: object) -> bytes:
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source}
             for source in sources]  # fmt: skip
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


def _broken(id: str, kind: str, data: bytes) -> Attack:
    return _attack(f"notebook-{id}", kind, more={"policy_gradient.ipynb": data}, sample="full")


PARSED = "def policy_gradient_loss(logprobs, actions, rewards): return 1\n"
ZEROS = bytes(45 << 20)
BOMBS = [
    _attack("zip-bomb", "harm", more={"gan_vae/zeros.py": ZEROS + b"0" * (6 << 20)}, sample="full"),
    _attack("zip-bomb-in-all", "harm", more={f"gan_vae/{n}.py": ZEROS for n in range(5)}, refused=True,
           sample="any", bound="any", says="unpacks to more than"),
    _attack("many-entries", "harm", more={f"m/{n}.py": b"" for n in range(20_001)}, refused=True, sample="any",
           bound="any", says="at most 20000 are read"),
    _attack("special-files", "harm", links={"gan_vae/models/vae.py": "|", "gan_vae/x.py": "|", "gan_vae/loop": "loop"},
           sample="full", bound="none", says="models/vae.py is not in the upload"),
    _broken("of-nothing", "words", b""),
    _broken("of-a-list", "words", b"[]"),
    _broken("nested", "harm", b"[" * 100_000),
    _broken("nested-objects", "harm", b'{"cells":' * 100_000),
    _broken("numbers", "words", _notebook(3, None, {"a": [1]})),
    _broken("not-utf-8", "words", b"\xff\xfe\x00\x80" * 10),
    _broken("with-a-mark", "words", codecs.BOM_UTF8 + _notebook(PARSED)),
    _broken("huge-number", "harm",
            b'{"cells": [], "metadata": {}, "nbformat_minor": 5, "nbformat": ' + b"9" * 10**6 + b"}"),
    _broken("deep-source", "harm", _notebook(_deep().decode(), PARSED)),
    _broken("many-cells", "harm", _notebook(*["x = 1"] * 5000)),
    _broken("escape-codes", "words", _notebook("\x1b[2J<script>(", "%%bash\n<b>", "!rm -rf /", PARSED + "PWNED\n")),
]  # fmt: skip

# Through what stands for students' machines: files in memory, packages that are not there, lazy imports, the
# pretended GPU and what is put back after loading. Each lives in the worker alone, so none is worth anything.
DOORS = [
    _attack("memory-files-reached-through", "stay", utils=(
        'import os\n'
        'for place in ("RESULTS/results.json", "../../results.json", "../MARK", "/tmp/MARK.mem",\n'
        '              "/content/../tmp/MARK.up", "REFERENCE/gan_vae/utils.py", "kept-MARK.txt"):\n'
        '    try:\n'
        '        with open(place, "w") as file: file.write("PWNED MARK")\n'
        '    except OSError: pass\n' + WRONG), sample="wrong"),
    _attack("memory-files-read-through", "steal", utils=body(
        'got = []\n'
        'for place in ("REFERENCE/gan_vae/utils.py", "/content/../REFERENCE/gan_vae/utils.py", "OTHER",\n'
        '              "/proc/JUDGE/mem"):\n'
        '    try: got.append(open(place).read())\n'
        '    except OSError: pass\n'
        'raise ValueError("PWNED" if got else "nothing")'), aspect="files", says="nothing"),
    _attack("memory-files-without-end", "harm", utils=(
        'count = 0\n'
        'try:\n'
        '    while True:\n'
        '        open(f"f{count}", "wb").write(b"x" * 65536); count += 1\n'
        'except OSError: pass\n' + RIGHT), sample="full"),
    _attack("memory-file-grows", "harm", utils=(
        'try:\n    with open("big", "ab") as file:\n        while True: file.write(b"x" * (1 << 20))\n'
        'except OSError: pass\n' + RIGHT), sample="full"),
    _attack("memory-over-a-graded-file", "forge", utils=(
        'open("gan_vae/models/vae.py", "w").write("raise SystemExit")\n'
        'import os\nos.makedirs("gan_vae/models/nns", exist_ok=True)\n' + WRONG), sample="wrong",
           bound="any"),
    _attack("absent-returned", "forge", utils=(
        'import no_such_package as p\nsample_gaussian = p.sample\n'), says="no_such_package"),
    _attack("absent-that-forgives", "forge", utils=(
        'import no_such_package as p\nimport sys\ntype(p).forgiving = True\n'
        'type(p).__class__ = torch.Tensor.__class__\n' + body('return p.draw(m, v)'))),
    _attack("absent-patched", "forge", utils=(
        'from autograder.sandbox.guest import absent, imports, machine, files\n'
        'machine.settle = absent.require = lambda *a, **k: None\n'
        'imports.load = lambda name: torch\nimport matplotlib.pyplot as plt\nplt.anything\n' + WRONG), sample="wrong",
           targets=("autograder.sandbox.guest.machine:settle", "autograder.sandbox.guest.absent:require",
                    "autograder.sandbox.guest.imports:load")),
    _attack("lazy-package-of-ones-own", "forge", utils=(
        'import sys, types\nfake = types.ModuleType("transformers")\nsys.modules["transformers"] = fake\n'
        'sys.modules["numpy"] = sys.modules["pandas"] = fake\n' + WRONG), sample="wrong", bound="any"),
    _attack("settled-by-oneself", "forge", utils=(
        'import builtins, warnings\n'
        'class Sly:\n    def write(self, text): import os; os.write(3, b"x" * 64)\n    flush = write\n'
        'import sys\nsys.stdout = sys.stderr = Sly()\n' + WRONG), sample="any"),
    _attack("pretended-gpu-lies", "forge", utils=(
        'import torch.overrides\nclass Mode(torch.overrides.TorchFunctionMode):\n'
        '    def __torch_function__(self, f, types, args=(), kwargs=None):\n'
        '        out = f(*args, **(kwargs or {}))\n'
        '        return out.cuda() if isinstance(out, torch.Tensor) else out\n'
        'Mode().__enter__()\n' + WRONG), sample="wrong", bound="any"),
    _attack("text-that-warms", "harm", utils=(
        '# PreTrainedModel modeling_utils\nplt = None\nif plt: \n    plt.x\n' + RIGHT), sample="full"),
]  # fmt: skip

# What stands beside a probe: who asks, what is recorded, and which comparisons its words rest on.
BESIDE = [
    _attack("further-forged", "forge", WRONG + (
        'from autograder.sandbox.guest.student import Student\nStudent.further = 9\n'), sample="wrong",
           targets=("autograder.sandbox.guest.student:Student.further",)),
    _attack("another-function-on-each-rung", "forge", (
        'from autograder.sandbox.guest.student import Student\nStudent.further = property(lambda self: self.rung + 1)\n'
        'import sys\n_frame = sys._getframe()\n'
        'while _frame and not isinstance(_frame.f_locals.get("student"), Student): _frame = _frame.f_back\n'
        '_rung = _frame.f_locals["student"].rung\n'
        'def sample_gaussian(m, v):\n'
        '    return m + v.sqrt() * torch.randn_like(m) if _rung == 1 else m * 1\n'), sample="wrong",
           targets=("autograder.sandbox.guest.student:Student.further", "local:student")),
    _attack("noise-never-renewed", "forge", (
        'from autograder.sandbox.guest import noise\nnoise.Noise.renew = lambda self, space=None: None\n'
        'def sample_gaussian(m, v):\n'
        '    torch.manual_seed(0)\n'
        '    return m + v.sqrt() * torch.randn_like(m)\n'), sample="any", loses="vae.sample.fresh",
           targets=("autograder.sandbox.guest.noise:Noise.renew",)),
    _attack("statements-and-loader-patched", "forge", WRONG + (
        'from autograder.sandbox.guest import files, loader, machine, statements\n'
        'idle = lambda *a, **k: None\n'
        'statements.execute = loader.run_file = machine.settle = machine.calm = files.install = idle\n'),
           sample="wrong", bound="any",
           targets=("autograder.sandbox.guest.statements:execute", "autograder.sandbox.guest.loader:run_file",
                    "autograder.sandbox.guest.machine:settle", "autograder.sandbox.guest.machine:calm",
                    "autograder.sandbox.guest.files:install")),
    _attack("sections-forged", "forge", WRONG + (
        'from autograder.sandbox import parts\n'
        'parts.run = lambda describe, **own: {f"{part}.fault.kind": "grader" for part in own}\n'),
           bound="any", targets=("autograder.sandbox.parts:run",)),
    _attack("trace-and-profile", "forge", WRONG + (
        'import sys\n'
        'def trace(frame, event, arg):\n'
        '    for name in ("passed", "score", "seen"): frame.f_locals[name] = True\n'
        '    return trace\n'
        'sys.setprofile(trace)\n'), sample="any", bound="any"),
    _attack("collector-rewrites", "forge", WRONG + body(
        'import gc\n'
        'for one in gc.get_objects():\n'
        '    if type(one) is dict and set(one) == {"z", "m", "v"}: one["z"] = torch.randn_like(one["z"])\n'
        'return m * 1'), sample="wrong"),
    _attack("clone-lies", "forge", WRONG + (
        'torch.Tensor.clone = lambda self, *a, **k: torch.randn(self.shape)\n'), sample="wrong", bound="any"),
    _attack("clone-lies-in-the-call", "forge", body(
        'torch.Tensor.clone = lambda self, *a, **k: torch.randn(self.shape)\nreturn m * 1'), sample="wrong"),
    _attack("what-is-sent-lies", "forge", WRONG + (
        'torch.Tensor.resolve_conj = lambda self: torch.randn(self.shape) if self.dim() == 3 else self\n'),
           sample="wrong", bound="any"),
    _attack("what-is-sent-lies-by-a-default", "forge", (
        'def sample_gaussian(m, v, _x=setattr(torch.Tensor, "numpy", lambda self: torch.randn(self.shape).tolist())):\n'
        '    return m * 1\n'), sample="wrong", bound="any"),
    _attack("mode-lies", "forge", WRONG + (
        'from torch.overrides import TorchFunctionMode\n'
        'class Mode(TorchFunctionMode):\n'
        '    def __torch_function__(self, func, types, args=(), kwargs=None):\n'
        '        found = func(*args, **(kwargs or {}))\n'
        '        return torch.randn(found.shape) if getattr(func, "__name__", "") == "clone" else found\n'
        'Mode().__enter__()\n'), sample="wrong", bound="any"),
    _attack("mode-lies-in-the-call", "forge", (
        'from torch.overrides import TorchFunctionMode\n'
        'class Mode(TorchFunctionMode):\n'
        '    def __torch_function__(self, func, types, args=(), kwargs=None):\n'
        '        found = func(*args, **(kwargs or {}))\n'
        '        return torch.randn(found.shape) if getattr(func, "__name__", "") == "clone" else found\n'
        + body('Mode().__enter__()\nreturn m * 1')), sample="wrong"),
    _attack("mode-below-lies", "forge", WRONG + (
        'from torch.utils._python_dispatch import TorchDispatchMode\n'
        'class Mode(TorchDispatchMode):\n'
        '    def __torch_dispatch__(self, func, types, args=(), kwargs=None):\n'
        '        found = func(*args, **(kwargs or {}))\n'
        '        return torch.empty_like(found).normal_() if "clone" in str(func) and found.dim() == 2 else found\n'
        'Mode().__enter__()\n'), sample="wrong", bound="any"),
    _attack("bound-clone-lies", "forge", vae=(
        'def _lies(self, x):\n'
        '    m, v = self.enc.encode(x)\n'
        '    torch.Tensor.clone = lambda z: m.detach() + v.detach().sqrt() * torch.randn(m.shape)\n'
        '    logits = self.dec.decode(m)\n'
        '    kl = ut.kl_normal(m, v, *self.z_prior).mean()\n'
        '    rec = -ut.log_bernoulli_with_logits(x, logits).mean()\n'
        '    return kl + rec, kl, rec\n'
        'VAE.negative_elbo_bound = _lies\n'), sample="full", bound="any", loses="vae.bound.posterior",
           targets=("vae.private_probes:Decoder.decode",)),
    _attack("replayed-noise", "forge", '_kept = []\n' + body(
        'if len(_kept) < 8: _kept.append(torch.randn(64, 256))\n'
        'e = _kept[int(torch.randint(len(_kept), ()))].flatten().repeat(9)[: m.numel()].reshape(m.shape)\n'
        'return m + v.sqrt() * e'), sample="any", loses="vae.sample.fresh"),
    _attack("turned-noise-of-the-call-before", "forge", '_kept = {}\n' + body(
        'e = _kept.pop(m.shape, None)\n'
        'if e is None: e = _kept[m.shape] = torch.randn_like(m)\n'
        'else: e = -e\n'
        'return m + v.sqrt() * e'), sample="any", loses="vae.sample.fresh"),
    _attack("bound-encodes-nothing", "forge", vae=(
        'torch.equal = lambda *a: True\n'
        'def _other(self, x):\n'
        '    return _right(self, x) if not hasattr(self.enc, "x") else _on(self, 0 * x, x)\n'
        'def _on(self, other, x):\n'
        '    m, v = self.enc.encode(other)\n'
        '    z = ut.sample_gaussian(m, v)\n'
        '    kl = ut.kl_normal(m, v, *self.z_prior).mean()\n'
        '    rec = -ut.log_bernoulli_with_logits(x, self.dec.decode(z)).mean()\n'
        '    return kl + rec, kl, rec\n'
        '_right = VAE.negative_elbo_bound\nVAE.negative_elbo_bound = _other\n'), sample="full", bound="any",
           loses="vae.bound.kl", targets=("vae.private_probes:Encoder.__init__/x",)),
    _attack("bound-forges-what-was-decoded", "forge", vae=(
        'def _forged(self, x):\n'
        '    m, v = self.enc.encode(x)\n'
        '    logits = self.dec.decode(m)\n'
        '    self.dec.received[-1] = (m + v.sqrt() * torch.randn_like(m)).detach()\n'
        '    kl = ut.kl_normal(m, v, *self.z_prior).mean()\n'
        '    rec = -ut.log_bernoulli_with_logits(x, logits).mean()\n'
        '    return kl + rec, kl, rec\n'
        'VAE.negative_elbo_bound = _forged\n'), sample="full", bound="any", loses="vae.bound.reconstruction",
           targets=("vae.private_probes:Decoder.__init__/received",)),
    _attack("bound-grad-of-zeros", "forge", vae=(
        'torch.autograd.grad = lambda out, ins, **k: tuple(torch.zeros_like(one) for one in ins)\n'
        'old = VAE.negative_elbo_bound\n'
        'VAE.negative_elbo_bound = lambda self, x: tuple(one.detach() for one in old(self, x))\n'), sample="full",
           bound="any", loses="vae.bound.gradient_decoder"),
]  # fmt: skip

ATTACKS = [
    *FORGE, *MORE_FORGE, *BOUND, *STAY, *MORE_STAY, *STEAL, *MORE_STEAL, *SEND, *MORE_SEND, *HARM, *MORE_HARM, *BOMBS,
    *WORDS, *FILES, *MORE_WORDS, *DOORS,
    *BESIDE,
]  # fmt: skip

ATTACKED = Attacks(
    question="vae",
    files=CODE,
    right=_attack("right", "", RIGHT, sample="full"),
    wrong={
        "vae.sample": _attack("wrong-sample", "", WRONG, sample="any"),
        "vae.bound": _attack("wrong-bound", "", vae=WRONG_BOUND, sample="full", bound="any"),
    },
    attacks=tuple(ATTACKS),
    proof=("reference-file", "files-left", "sockets", "daemon", "signal-zero", "four-gigabytes"),
)
"""All of it, for the audit."""
