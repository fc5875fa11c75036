"""Hostile submissions, as text put behind a right one: what each tries, and what it may get.

A source may use MARK, which is replaced by a word of this run that is looked for afterwards, JUDGE (the
judge's process id) and PORT (a port that the judge's side listens on). What an attack manages to do it
tells by an exception or a print that holds the word PWNED.
"""

from __future__ import annotations

from dataclasses import dataclass, field

RIGHT = "def sample_gaussian(m, v):\n    return m + v.sqrt() * torch.randn_like(m)\n"
WRONG = "def sample_gaussian(m, v):\n    return m * 1\n"
"""Deserves what a function without noise deserves, and not more, whatever stands beside it."""
WRONG_BOUND = (
    "def _wrong(self, x):\n"
    "    m, v = self.enc.encode(x)\n"
    "    return (self.dec.decode(m).mean(),) * 3\n"
    "VAE.negative_elbo_bound = _wrong\n"
)


@dataclass(frozen=True)
class Attack:
    """`utils` and `vae` are put behind the right files. `sample`, `bound`: "none" points, all ("full"), at most
    what the wrong function earns by itself ("wrong"), or anything ("any"). `says` must be in some message."""

    id: str
    kind: str
    utils: str = ""
    vae: str = ""
    more: dict[str, bytes] = field(default_factory=dict)
    sample: str = "none"
    bound: str = "full"
    says: str = ""
    seconds: float = 20.0
    weak: bool = True  # whether it can be tried where the wall is weak without harm to the machine


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

NOISE = '{"standard": np.zeros((8, 32, 128), "float32"), "varied": np.ones((8, 32, 128), "float32")}'

FORGE = [
    Attack("frame-own-id", "forge", WRONG + FORGED_FRAME + body(
        f'os.write(3, _frame(_request().id, {NOISE}))\nos._exit(0)')),
    Attack("frame-claims-points", "forge", FORGED_FRAME + body(
        'os.write(3, _frame(_request().id, {"score": np.ones(()), "passed": np.ones((), bool)}))\nos._exit(0)')),
    Attack("frame-other-id", "forge", FORGED_FRAME + body(
        f'os.write(3, _frame("0" * 32, {NOISE}))\nos._exit(0)'), says="did not come from our probe"),
    Attack("frame-twice", "forge", FORGED_FRAME + body(
        f'f = _frame(_request().id, {NOISE})\nos.write(3, f + f)\nreturn m * 1'), sample="wrong"),
    Attack("frame-garbage", "forge", body('import os\nos.write(3, b"\\xff" * 4096)\nreturn m'),
           says="could not be read"),
    Attack("frame-on-import", "forge", 'import os\nos.write(3, b"hw!1" + b"\\0" * 60)\n', bound="none",
           says="could not be read"),
    Attack("frame-huge-length", "forge", body(
        'import os, struct\nos.write(3, struct.pack("<4sIQ", b"hw!1", 2**32 - 1, 2**64 - 1))\nreturn m'),
        says="more than is allowed"),
    Attack("frame-slow-drip", "forge", body(
        'import os, time\nos.write(3, b"hw!1\\xff\\x03\\0\\0")\n'
        'while True:\n    os.write(3, b"\\0")\n    time.sleep(.05)'),
        seconds=1.5),
    Attack("frame-deep-json", "forge", body(
        'import os, struct\nt = b"[" * 200000\nos.write(3, struct.pack("<4sIQ", b"hw!1", len(t), 0) + t)\nos._exit(0)'),
        says="could not be read"),
    Attack("patch-encode", "forge", WRONG + FORGED_FRAME + (
        'from autograder.isolation import wire, worker\n'
        f'wire.encode = worker.wire.encode = lambda frame: _frame(frame.id, {NOISE})\n'), sample="wrong"),
    Attack("patch-probe", "forge", WRONG + (
        'import sys\n'
        'for name, module in list(sys.modules.items()):\n'
        '    if name.endswith("probes.vae"):\n'
        '        for probe in ("sample_shapes", "sample_noise", "sample_gradient"):\n'
        '            setattr(module, probe, lambda given, student: {"passed": True, "score": 1.0})\n'), sample="wrong"),
    Attack("patch-run", "forge", WRONG + (
        'from autograder.isolation import worker\nworker.run = lambda *a: {"score": 1.0}\n'
        'worker.fault = lambda *a: None\n'), sample="wrong"),
    Attack("patch-student", "forge", WRONG + (
        'from autograder.isolation.student import Student\n'
        'Student.function = lambda self, file, name: torch.distributions.Normal\n'), sample="wrong", bound="any"),
    Attack("patch-grad", "forge", WRONG + (
        'torch.autograd.grad = lambda out, ins, **k: tuple(torch.ones_like(i) for i in ins)\n'
        'torch.Tensor.requires_grad = property(lambda self: True)\n'), sample="wrong", bound="any"),
    Attack("patch-comparisons", "forge", WRONG + (
        'import numpy, builtins, unittest\n'
        'yes = lambda *a, **k: True\n'
        'numpy.allclose = numpy.array_equal = torch.allclose = torch.equal = yes\n'
        'torch.testing.assert_close = numpy.testing.assert_allclose = yes\n'
        'unittest.TestCase.assertEqual = yes\nbuiltins.all = yes\n'), sample="wrong", bound="any"),
    Attack("patch-json", "forge", WRONG + (
        'import json\nold = json.dumps\n'
        'json.dumps = lambda tree, **k: old({**tree, "score": 25} if isinstance(tree, dict) else tree)\n'),
        bound="none"),
    Attack("tensor-subclass", "forge", (
        'class Lie(torch.Tensor):\n'
        '    @classmethod\n'
        '    def __torch_function__(cls, f, t, a=(), k=None):\n'
        '        r = super().__torch_function__(f, t, a, k or {})\n'
        '        return True if isinstance(r, bool) else r\n'
        '    def __eq__(self, other): return True\n'
        '    __ne__ = __lt__ = __gt__ = __le__ = __ge__ = __eq__\n'
        '    __hash__ = None\n'
        'def sample_gaussian(m, v): return (m * 1).as_subclass(Lie)\n'), sample="wrong"),
    Attack("pretends-to-be-a-tensor", "forge", (
        'class Lie:\n'
        '    __class__ = torch.Tensor\n'
        '    def __getattr__(self, name): return lambda *a, **k: self\n'
        '    def __eq__(self, other): return True\n'
        '    def __reduce__(self): return (print, ("PWNED",))\n'
        'def sample_gaussian(m, v): return Lie()\n')),
    Attack("reduce", "forge", (
        'class Lie:\n    def __reduce__(self): return (__import__("os").system, ("touch /tmp/MARK",))\n'
        'def sample_gaussian(m, v): return Lie()\n'), says="a Lie"),
    Attack("lambda", "forge", body('return lambda: m'), says="a function"),
    Attack("nan", "forge", body('return m * float("nan")'), sample="wrong"),
    Attack("inf", "forge", body('return m + v * float("inf")'), sample="wrong"),
    Attack("huge", "forge", body('return m * 1e38 * v'), sample="wrong"),
    Attack("broadcasting-shape", "forge", body('return m[:1] + torch.randn(1)'), sample="wrong"),
    Attack("zero-d", "forge", body('return torch.randn(())'), sample="wrong"),
    Attack("complex", "forge", body('return m + 1j * v'), says="real numbers were expected"),
    Attack("quantized", "forge", body('return torch.quantize_per_tensor(m.detach(), .1, 0, torch.qint8)')),
    Attack("sparse", "forge", body('return m.to_sparse()'), says="real numbers were expected"),
    Attack("meta", "forge", body('return m.to("meta")'), seconds=19.0),
    Attack("constant-noise", "forge", body('return m + v.sqrt() * 0.5'), sample="any"),
    Attack("quantile-grid", "forge", body(
        'u = (torch.arange(m.numel()) + .5) / m.numel()\n'
        'return m + v.sqrt() * torch.special.ndtri(u).reshape(m.shape)'), sample="any"),
    Attack("cached-noise", "forge", '_kept = {}\n' + body(
        'e = _kept.setdefault(m.shape, torch.randn(m.shape))\nreturn m + v.sqrt() * e'), sample="any"),
    Attack("skip", "forge", body('import unittest\nraise unittest.SkipTest("all passed")')),
    Attack("exit-zero", "forge", body('import os\nos._exit(0)'), says="ended before"),
    Attack("grader-error", "forge", (
        'import dataclasses\nfrom autograder.core import Reject, Verdict\n'
        + body('raise Reject("grader error")'))),
    Attack("thread-second-reply", "forge", WRONG + FORGED_FRAME + (
        'import threading\nright = sample_gaussian\n' + body(
            'r = _request()\n'
            f'threading.Thread(target=lambda: [os.write(3, _frame(r.id, {NOISE})) for _ in range(99)]).start()\n'
            'return right(m, v)')), sample="wrong"),
    Attack("atexit", "forge", WRONG + 'import atexit, os\natexit.register(lambda: os.write(3, b"x" * 99))\n',
           sample="wrong"),
    Attack("inputs-changed", "forge", WRONG + body(
        'import sys\ng = sys._getframe(1).f_locals.get("given", {})\n'
        '[t.zero_() for t in g.values() if isinstance(t, torch.Tensor) and not t.requires_grad]\nreturn m * 1'),
        sample="wrong"),
]  # fmt: skip

LOOK = """
import gc, sys, types
def _look():
    seen = {n for n in sys.modules if n.startswith("autograder")}
    seen |= {str(f.__module__) for f in gc.get_objects() if isinstance(f, types.FunctionType)}
    bad = ("judges", "stats", "grade", "with_", "terminal", "submission", "gradescope", "mistakes", "audit")
    return sorted(n for n in seen if n.startswith("autograder") and (
        any(part.startswith(bad) for part in n.split(".")) or ("hw" in n and ".probes" not in n and n.count(".") > 1)))
"""
STEAL = [
    Attack("memory-modules", "steal", LOOK + body('raise ValueError(f"PWNED {_look()}" if _look() else "nothing")'),
           says="nothing"),
    Attack("memory-secrets", "steal", body(
        'import gc\n'
        'hits = [o for o in gc.get_objects() if isinstance(o, dict) and ("digest" in o or "secret" in o)'
        ' and o.get("__name__") is None and isinstance(o.get("secret"), bytes)]\n'
        'raise ValueError("PWNED" if hits else "nothing")'), says="nothing"),
    Attack("reference-file", "steal", body(
        'import glob\n'
        'found = glob.glob("REFERENCE/**/*.py", recursive=True) + glob.glob("/autograder/**/*.py", recursive=True)\n'
        'try: found += [open("REFERENCE/gan_vae/utils.py").read()[:9]]\n'
        'except OSError: pass\n'
        'raise ValueError("PWNED" if found else "nothing")'), says="nothing"),
    Attack("import-the-judges", "steal", body(
        'import sys\n'
        'for name in list(sys.modules):\n'
        '    if name.startswith("autograder"): del sys.modules[name]\n'
        'sys.path.insert(0, "ROOT")\n'
        'import autograder.hw11\n'
        'raise ValueError("PWNED")')),
    Attack("proc", "steal", body(
        'import os\n'
        'got = []\n'
        'for pid in (JUDGE, os.getppid()):\n'
        '    for name in ("environ", "mem", "maps", "cmdline", "fd/0", "root/etc/hostname"):\n'
        '        try: got.append(open(f"/proc/{pid}/{name}", "rb").read(1) and name)\n'
        '        except OSError: pass\n'
        'raise ValueError(f"PWNED {got}" if any(got) else "nothing")'), says="nothing"),
    Attack("ptrace", "steal", body(
        'import ctypes\n'
        'libc = ctypes.CDLL(None)\n'
        'got = [libc.ptrace(16, JUDGE, 0, 0) == 0, libc.syscall(310, JUDGE, 0, 0, 0, 0, 0) == 0]\n'
        'raise ValueError("PWNED" if any(got) else "nothing")'), says="nothing"),
    Attack("environment", "steal", body(
        'import os\nbad = [k for k in os.environ if "TOKEN" in k or "AUTOGRADER" in k or "MARK" in k]\n'
        'raise ValueError("PWNED" if bad else "nothing")'), says="nothing"),
    Attack("descriptors", "steal", body(
        'import os\nopened = []\n'
        'for fd in range(4, 64):\n'
        '    try: os.fstat(fd); opened.append(fd)\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {opened}" if opened else "nothing")'), says="nothing"),
    Attack("key-of-the-seeds", "steal", body(
        'import os, sys\ngot = []\n'
        'try: got += os.listdir(sys.prefix)\n'
        'except OSError: pass\n'
        'try: got += [open(sys.prefix + "/secret", "rb").read(1)]\n'
        'except OSError: pass\n'
        'raise ValueError("PWNED" if got else "nothing")'), says="nothing"),
    Attack("other-folders", "steal", body(
        'import os\ngot = []\n'
        'for place in ("/tmp", "/root", "/home", "/autograder", os.path.dirname(os.getcwd()), "ROOT"):\n'
        '    try: got += os.listdir(place)\n'
        '    except OSError: pass\n'
        'raise ValueError("PWNED" if got else "nothing")'), says="nothing"),
    Attack("values-in-exception", "steal", body('raise ValueError(f"{m.flatten().tolist()} {v.flatten()[0].item()}")'),
           says="#"),
    Attack("values-in-hexadecimal", "steal", body('raise ValueError("PW" + (m.detach().numpy().tobytes() * 8).hex())'),
           says="#"),
    Attack("values-printed", "steal", RIGHT + 'right = sample_gaussian\n' + body(
        'print("SEEN", m.tolist(), flush=True)\nreturn right(m, v)'), sample="full"),
]  # fmt: skip

SEND = [
    Attack("sockets", "send", body(
        'import socket\ngot = []\n'
        'for f, k in ((2, 1), (2, 2), (10, 1), (10, 2), (1, 1), (1, 2), (16, 3), (17, 3)):\n'
        '    try: socket.socket(f, k).close(); got.append((f, k))\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing"),
    Attack("connect", "send", body(
        'import socket, urllib.request\n'
        'socket.create_connection(("127.0.0.1", PORT), 1).send(b"PWNED")\nraise ValueError("PWNED")'),
        says="PermissionError"),
    Attack("io-uring", "send", body(
        'import ctypes\nlibc = ctypes.CDLL(None)\n'
        'fd = libc.syscall(425, 8, ctypes.create_string_buffer(256))\n'
        'raise ValueError("PWNED" if fd >= 0 else "nothing")'), says="nothing"),
    Attack("raw-socket-call", "send", body(
        'import ctypes\nlibc = ctypes.CDLL(None)\n'
        'got = [libc.syscall(41, 2, 1, 0) >= 0, libc.syscall(53, 1, 1, 0, (ctypes.c_int * 2)()) == 0]\n'
        'raise ValueError("PWNED" if any(got) else "nothing")'), says="nothing"),
]  # fmt: skip

STAY = [
    Attack("files-left", "stay", body(
        'import os\nleft = []\n'
        'for place in ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", ".", os.path.dirname(os.getcwd()), "ROOT",'
        ' torch.__path__[0]):\n'
        '    try: os.close(os.open(place + "/MARK.pth", os.O_CREAT | os.O_WRONLY)); left.append(place)\n'
        '    except OSError: pass\n'
        '    try: os.mkdir(place + "/MARK"); left.append(place)\n'
        '    except OSError: pass\n'
        '    try: os.symlink("/etc/passwd", place + "/MARK.link"); left.append(place)\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {left}" if left else "nothing")'), says="nothing"),
    Attack("own-files-changed", "stay", body(
        'import os\nchanged = []\n'
        'for name in ("gan_vae/utils.py", ".given/gan_vae/utils.py"):\n'
        '    for action in (lambda: os.remove(name), lambda: os.truncate(name, 0),\n'
        '                   lambda: os.rename(name, name + "x"),\n'
        '                   lambda: open(name, "a"), lambda: os.link(name, name + "y")):\n'
        '        try: action(); changed.append(name)\n'
        '        except OSError: pass\n'
        'raise ValueError(f"PWNED {changed}" if changed else "nothing")'), says="nothing"),
    Attack("rights-changed", "stay", body(
        'import os\nchanged = []\n'
        'for action in (lambda: os.chmod("gan_vae/utils.py", 0o777), lambda: os.utime("gan_vae/utils.py", (1, 1)),\n'
        '               lambda: os.setxattr("gan_vae/utils.py", "user.x", b"1"),\n'
        '               lambda: os.chown(".", os.getuid(), -1),\n'
        '               lambda: os.chmod(".", 0)):\n'
        '    try: action(); changed.append(1)\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {changed}" if changed else "nothing")'), says="nothing", weak=False),
    Attack("daemon", "stay", body(
        'import os, time\n'
        'if os.fork() == 0:\n'
        '    os.setsid()\n'
        '    if os.fork() == 0:\n'
        '        time.sleep(1000)\n'
        '    os._exit(0)\n'
        'raise ValueError("PWNED")'), says="PermissionError"),
    Attack("subprocess", "stay", body(
        'import subprocess, os\ngot = []\n'
        'for action in (lambda: subprocess.run(["true"]), lambda: os.system("true") == 0 or 1 / 0,\n'
        '               lambda: os.posix_spawn("/bin/true", ["true"], {}), lambda: os.execv("/bin/true", ["true"])):\n'
        '    try: action(); got.append(1)\n'
        '    except (OSError, ZeroDivisionError): pass\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing"),
    Attack("raw-clone", "stay", body(
        'import ctypes, os\nlibc = ctypes.CDLL(None)\ngot = []\n'
        'for call in ((56, 17, 0, 0, 0, 0), (57,), (58,), (435, ctypes.create_string_buffer(88), 88)):\n'
        '    pid = libc.syscall(*call)\n'
        '    if pid == 0: os._exit(0)\n'
        '    if pid > 0: got.append(call[0])\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing"),
    Attack("no-death-signal", "stay", body(
        'import ctypes\nlibc = ctypes.CDLL(None)\n'
        'got = [libc.prctl(1, 0, 0, 0, 0) == 0, libc.prctl(4, 1, 0, 0, 0) == 0,'
        ' libc.syscall(157, ctypes.c_ulong(1 << 32 | 1), 0, 0, 0, 0) == 0]\n'
        'raise ValueError(f"PWNED {got}" if any(got) else "nothing")'), says="nothing"),
    Attack("threads-left", "stay", RIGHT + (
        'import threading, time\n[threading.Thread(target=time.sleep, args=(600,)).start() for _ in range(8)]\n'),
        sample="full"),
]  # fmt: skip

HARM = [
    Attack("kill-everyone", "harm", body(
        'import os, signal\ngot = []\n'
        'for pid in (JUDGE, os.getppid(), -1, 0, -os.getppid(), 1):\n'
        '    try: os.kill(pid, signal.SIGKILL); got.append(pid)\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing", weak=False),
    Attack("signal-by-descriptor", "harm", body(
        'import fcntl, os, signal, socket\ngot = []\n'
        'for command, value in ((8, JUDGE), (10, 9), (8 | 1 << 32, JUDGE)):\n'
        '    try: fcntl.fcntl(3, command & 0xffffffff, value); got.append(command)\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing", weak=False),
    Attack("limits-of-others", "harm", body(
        'import os, resource\ngot = []\n'
        'for pid in (JUDGE, os.getppid()):\n'
        '    try: resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1)); got.append(pid)\n'
        '    except OSError: pass\n'
        'raise ValueError(f"PWNED {got}" if got else "nothing")'), says="nothing", weak=False),
    Attack("limits-of-its-own", "harm", RIGHT + (
        'import resource\nresource.getrlimit(resource.RLIMIT_AS)\n'
        'try: resource.setrlimit(resource.RLIMIT_AS, (-1, -1))\n'
        'except (OSError, ValueError): pass\n'
        'else: print("PWNED")\n'), sample="full"),
    Attack("fork-bomb", "harm", body(
        'import os\nfor _ in range(1000):\n    try: os.fork()\n    except OSError: pass\nreturn m * 1'),
        sample="wrong", weak=False),
    Attack("thread-bomb", "harm", body(
        'import threading, time\n'
        'while True:\n    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()'),
        seconds=4.0),
    Attack("memory-bomb-lists", "harm", body('a = [0]\nwhile True: a = a + a'), says="memory", seconds=19.0),
    Attack("memory-bomb-tensors", "harm", body(
        'kept = []\nwhile True: kept.append(torch.ones(1 << 22))'), says="memory", seconds=19.0),
    Attack("giant-tensor", "harm", body('return m.new_ones(10**6, 10**6)'), says="memory", seconds=19.0),
    Attack("giant-view", "harm", body('return m.reshape(-1)[:1].expand(1 << 40)')),
    Attack("giant-result", "harm", body('return torch.zeros(30_000_000)'), sample="none", seconds=19.0),
    Attack("endless-loop", "harm", body('while True: pass'), seconds=1.5, says="still running"),
    Attack("big-integer-loop", "harm", body('return 10 ** (10 ** 9)'), seconds=1.5),
    Attack("giant-integer-result", "harm", body('return 10 ** 10000')),
    Attack("ignored-signals", "harm", body(
        'import signal\n'
        'for n in range(1, 65):\n'
        '    try: signal.signal(n, signal.SIG_IGN)\n'
        '    except (OSError, ValueError): pass\n'
        'while True:\n    try: signal.pause()\n    except BaseException: pass'), seconds=1.5, says="still running"),
    Attack("stopped", "harm", body('import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nreturn m'), seconds=1.5,
           says="still running"),
    Attack("descriptors-used-up", "harm", body(
        'import os\nkept = []\nwhile True: kept.append(os.dup(0))'), says="Too many open files"),
    Attack("output-flood", "harm", body('import os\nx = b"x" * (1 << 20)\nwhile True: os.write(1, x)'), seconds=15.0,
           says="was stopped"),
    Attack("output-of-50-MB", "harm", RIGHT + 'right = sample_gaussian\n' + body(
        'print("x" * 50_000_000)\nreturn right(m, v)'), sample="full", seconds=19.0),
    Attack("streams-closed", "harm", RIGHT + (
        'import os, sys\nsys.stdout = sys.stderr = None\nos.close(1); os.close(2)\n'), sample="full"),
    Attack("channel-closed", "harm", body('import os\nos.close(3)\nreturn m'), says="ended before"),
    Attack("channel-closed-then-sleep", "harm", body('import os, time\nos.close(3)\ntime.sleep(600)'),
           says="ended before"),
    Attack("recursion", "harm", 'def sample_gaussian(m, v): return sample_gaussian(m, v)\n', says="RecursionError"),
    Attack("stack-overflow", "harm", 'import sys\nsys.setrecursionlimit(10**9)\n'
           'class Deep:\n    def __getattr__(self, name): return getattr(self, name + "x"[:0])\n' + body(
           'return Deep().x'), sample="none"),
    Attack("segfault", "harm", body('import ctypes\nctypes.string_at(0)'), says="SIGSEGV"),
    Attack("abort", "harm", body('import os\nos.abort()'), says="SIGABRT"),
    Attack("no-exit", "harm", WRONG + 'import os\nos._exit = lambda *a: None\n', sample="wrong"),
]  # fmt: skip

WORDS = [
    Attack("str-raises", "words", 'class Odd(Exception):\n    def __str__(self): raise SystemExit("PW")\n'
           + body('raise Odd()'), says="Odd"),
    Attack("str-loops", "words", 'class Odd(Exception):\n    def __str__(self):\n        while True: pass\n'
           + body('raise Odd()'), seconds=1.5, says="still running"),
    Attack("str-is-huge", "words", body('raise ValueError("x" * 200_000_000)'), seconds=19.0),
    Attack("odd-names", "words", (
        'class Meta(type):\n    __name__ = property(lambda cls: 1 / 0)\n'
        'class Odd(Exception, metaclass=Meta): pass\n' + body('raise Odd()'))),
    Attack("str-subclass", "words", (
        'class Odd(str):\n    def __format__(self, spec): return Odd("x" * 5)\n    def strip(self): return self\n'
        '    def splitlines(self): return [self]\n    def __getitem__(self, i): return object()\n'
        'class Fault(Exception):\n    def __str__(self): return Odd("text")\n' + body('raise Fault()'))),
    Attack("escape-codes", "words", body(
        'raise ValueError("\\x1b[2J\\x1b]0;PW\\x07 \\u202e\\u2066 \\x00 \\x9b31m\\u200b")')),
    Attack("html", "words", body('raise ValueError("<script>alert(1)</script><img src=x onerror=alert(1)>")')),
    Attack("formula", "words", body('raise ValueError("=HYPERLINK(1)\\n=cmd|1\\t+1")')),
    Attack("surrogates", "words", body('raise ValueError("\\ud800\\udfff")')),
    Attack("file-name-in-traceback", "words", (
        'code = compile("raise ValueError(1)", "/etc/passwd\\x1b[31m<b>", "exec")\n' + body('exec(code)'))),
    Attack("exception-group", "words", body('raise BaseExceptionGroup("g", [SystemExit(0), KeyboardInterrupt()])')),
    Attack("context-loop", "words", body(
        'a, b = ValueError("a"), ValueError("b")\na.__cause__, b.__cause__ = b, a\nraise a')),
    Attack("generator-exit", "words", body('raise GeneratorExit')),
]  # fmt: skip

PWN = b'raise RuntimeError("PWNED: a file of the submission was imported in place of a library")\n'


def _deep() -> bytes:
    return b"x = " + b"(" * 100_000 + b")" * 100_000 + b"\n"


FILES = [
    Attack("shadow-libraries", "files", more={
        f"gan_vae/{name}.py": PWN for name in (
            "numpy", "torch", "random", "autograder", "sitecustomize", "usercustomize", "json", "struct", "os",
            "conftest", "site", "wire", "worker", "with_sampler", "vae", "probes")}, sample="full"),
    Attack("shadow-packages", "files", more={
        f"gan_vae/{name}/__init__.py": PWN for name in ("numpy", "torch", "autograder", "autograder/hw11")},
        sample="full"),
    Attack("package-init-raises", "files", more={"gan_vae/__init__.py": b"raise SystemExit(0)\n"}, sample="full"),
    Attack("models-init-raises", "files", more={"gan_vae/models/__init__.py": b"1 / 0\n"}, sample="full"),
    Attack("pth", "files", more={"gan_vae/x.pth": b"import os; os._exit(0)\n", "x.pth": b"import os; os._exit(0)\n",
                                 "pyvenv.cfg": b"home = /tmp\n", "gan_vae/__pycache__/utils.cpython-311.pyc": b"x"},
           sample="full"),
    Attack("given-replaced", "files", more={".given/gan_vae/utils.py": PWN, "gan_vae/.given/gan_vae/utils.py": PWN},
           sample="full"),
    Attack("utf-7", "files", more={"gan_vae/utils.py": b"# coding: utf-7\n+AHIAYQBpAHMAZQ- ValueError('PW')\n"},
           says="PW"),
    Attack("coding-unknown", "files", more={"gan_vae/utils.py": b"# coding: no-such\nx = 1\n"}, says="SyntaxError"),
    Attack("null-bytes", "files", more={"gan_vae/utils.py": b"import torch\n\0\0x = 1\n"}, says="null bytes"),
    Attack("not-utf-8", "files", more={"gan_vae/utils.py": b"x = '\xff\xfe\xe9'\n"}, says="SyntaxError"),
    Attack("ten-megabytes", "files", more={"gan_vae/utils.py": b"x = [1, 2, 3]\n" * 700_000}, seconds=1.0, bound="any"),
    Attack("parentheses", "files", more={"gan_vae/utils.py": _deep()}, says="Error"),
    Attack("unary-operators", "files", more={"gan_vae/utils.py": b"x = " + b"-" * 500_000 + b"1\n"}, bound="any"),
    Attack("attributes", "files", more={"gan_vae/utils.py": b"x" + b".x" * 200_000 + b"\n"}, bound="any"),
    Attack("not-python", "files", more={"gan_vae/utils.py": bytes(range(1, 256)) * 100}),
    Attack("empty", "files", more={"gan_vae/utils.py": b""}, bound="any",
           says="defines no sample_gaussian"),
]  # fmt: skip

BOUND = [
    Attack("bound-wrong", "forge", vae=WRONG_BOUND, sample="full", bound="wrong"),
    Attack("bound-patches-ours", "forge", vae=WRONG_BOUND + (
        'import sys\nfor name, module in list(sys.modules.items()):\n'
        '    if name.endswith("with_sampler"):\n'
        '        module.bound = lambda *a: {"0.count": 3, "score": 1.0}\n'
        '        module.Decoder.decode = lambda self, z: z\n'), sample="full", bound="wrong"),
    Attack("bound-lies-about-z", "forge", vae=(
        'def _lie(self, x):\n'
        '    self.dec.received.append(torch.zeros(len(x), self.enc.m.shape[1]))\n'
        '    return torch.zeros(()), torch.zeros(()), torch.zeros(())\n'
        'VAE.negative_elbo_bound = _lie\n'), sample="full", bound="any"),
    Attack("bound-odd-values", "forge", vae=(
        'class Odd(float):\n    def __add__(self, o): return self\n'
        'def _odd(self, x):\n'
        '    self.dec.decode(self.enc.encode(x)[0])\n'
        '    return Odd("nan"), float("inf"), 10 ** 400\n'
        'VAE.negative_elbo_bound = _odd\n'), sample="full", bound="any"),
    Attack("bound-endless-tuple", "forge", vae=(
        'class Many(tuple):\n    def __len__(self): return 3\n    def __getitem__(self, i): return [self] * 3\n'
        'VAE.negative_elbo_bound = lambda self, x: Many()\n'), sample="full", bound="none"),
    Attack("bound-exits", "harm", vae='import os\nVAE.negative_elbo_bound = lambda self, x: os._exit(0)\n',
           sample="full", bound="none", says="ended before"),
    Attack("bound-many-decodes", "harm", vae=(
        'def _many(self, x):\n'
        '    m, v = self.enc.encode(x)\n'
        '    while True: self.dec.decode(m)\n'
        'VAE.negative_elbo_bound = _many\n'), sample="full", bound="none", seconds=1.0),
]  # fmt: skip

ATTACKS = [*FORGE, *STEAL, *SEND, *STAY, *HARM, *WORDS, *FILES, *BOUND]
