"""A notebook's kernel: forked beside its client before both are confined, listening in a folder of its own.

The kernel runs the student's cells and can do nothing but bind UNIX sockets there and answer on them; the
client, which is our code, connects to them and is the one that answers the judge. Neither trusts the other.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol

from autograder.sandbox import wire
from autograder.sandbox.guest import files, jupyter, machine
from autograder.sandbox.guest.notebooks import Cell, NotebookRun, run_all

ARTEFACT = "get_ipython().artefact()"
CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
MOST_OUTPUT = 1 << 20
"""Characters of a cell's output that leave the kernel; what is printed past them goes nowhere."""


class Collector(Protocol):
    """Of the homework: watches a whole run from inside its kernel, and says at the end what came of it."""

    def after_cell(self, space: Mapping[str, Any]) -> None: ...

    def values(self, space: Mapping[str, Any]) -> Mapping[str, Any]: ...


class Unwatched:
    """A collector that looks at nothing."""

    def after_cell(self, space: Mapping[str, Any]) -> None:
        """Nothing."""

    def values(self, space: Mapping[str, Any]) -> Mapping[str, Any]:
        """None."""
        return {}


class Kernel:
    """The client's handle on the kernel, in the form that nbclient asks of a kernel manager."""

    has_kernel = True

    def __init__(self, pid: int, folder: Path, key: bytes) -> None:
        self.pid, self.folder, self.key = pid, folder, key
        self.ended = False
        self.expression = ARTEFACT

    def run(self, cells: Sequence[Cell], *, seconds: float) -> tuple[NotebookRun, dict[str, Any]]:
        """Executes the cells; how that went, and the collector's values (none where the kernel is gone)."""
        run, answer = run_all(cells, self, seconds=seconds, progress=_tell)
        return run, {name: value for name, value in _values(answer).items() if not hasattr(run, name)}

    def probed(self, cells: Sequence[Cell], request: bytes, *, seconds: float) -> wire.Frame:
        """Executes the cells and puts the request to what they defined; the reply. Raises `Breach` where none came."""
        self.expression = f"get_ipython().probed({base64.b64encode(request).decode()!r})"
        run, answer = run_all(cells, self, seconds=seconds, progress=_tell)
        try:
            return _frame(answer)
        except (ValueError, struct.error):
            told = f"code cell {run.failed} of {run.cells} did not end" if run.failed else "no answer came"
            raise wire.Breach(f"the whole notebook was run for it, and {told}") from None

    def is_alive(self) -> bool:
        if not self.ended:
            with contextlib.suppress(ChildProcessError):
                self.ended = os.waitpid(self.pid, os.WNOHANG)[0] != 0
        return not self.ended

    def client(self) -> Any:
        from jupyter_client.asynchronous.client import AsyncKernelClient

        kernel = self

        class Client(AsyncKernelClient):
            def start_channels(self, *_arguments: Any, **_named: Any) -> None:
                super().start_channels(stdin=False, hb=False)  # waitpid knows better than a heart beat

            async def is_alive(self) -> bool:
                return kernel.is_alive()

            _async_is_alive = is_alive

        made = Client(**connection(self.folder))
        made.session.key = self.key
        return made

    def artefact(self, client: Any, seconds: float) -> str:
        """What the kernel's collector says, still encoded; "" where no answer came in time."""
        code = {"code": "", "silent": True, "user_expressions": {"artefact": self.expression}}
        with contextlib.suppress(Exception):  # whatever a kernel may send in place of an answer
            identity = client.kc.execute(**code)
            client.timeout_func = None
            client.timeout = max(1, int(min(seconds, 10)))
            reply = client.wait_for_reply(identity)
            return str(reply["content"]["user_expressions"]["artefact"]["data"]["text/plain"])
        return ""

    # What nbclient calls when it clears up; the judge ends the kernel, with everything that it left.
    def shutdown_kernel(self, **_named: Any) -> None: ...
    def interrupt_kernel(self) -> None: ...
    def cleanup_resources(self) -> None: ...


def connection(folder: Path) -> dict[str, Any]:
    """Where the five channels are: UNIX sockets in `folder`."""
    return {"transport": "ipc", "ip": f"{folder}/s", **{f"{name}_port": at for at, name in enumerate(CHANNELS, 1)}}


def _tell(cell: int, cells: int) -> None:
    print(f"\x1ecode cell {cell} of {cells}", flush=True)


def _values(answer: str) -> dict[str, Any]:
    """The collector's values from a kernel's answer, read as strictly as the judge reads a worker's."""
    try:
        return dict(_frame(answer).values)
    except (ValueError, wire.Breach, struct.error):
        return {}


def _frame(answer: str) -> wire.Frame:
    """The frame in a kernel's answer. Raises `ValueError`, `Breach` or `struct.error` for anything that is none."""
    data = base64.b64decode(answer.strip("'\""), validate=True)
    header, body = wire.lengths(data[: wire.PREFIX.size])
    cut = wire.PREFIX.size + header
    return wire.decode(data[wire.PREFIX.size : cut], data[cut : cut + body])


# -------------------------------------------------------------------------------------- inside the kernel


Respond = Callable[[bytes, dict[str, Any]], bytes]
"""The reply to a request that is put to a kernel's names, both as frames."""


def start(
    folder: Path,
    collector: Collector,
    plain: Callable[[Any], Any],
    confined: Callable[[], Any],
    respond: Respond | None = None,
) -> Kernel:
    """Forks the kernel, which calls `confined` before it does anything else. `plain` makes values of tensors."""
    key = secrets.token_hex(16).encode()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(3)  # the channel to the judge is the client's
            os.chdir(folder)
            confined()
            _serve(folder, key, collector, plain, respond)
        except BaseException:
            import traceback

            os.write(2, traceback.format_exc().encode())  # sys.stderr is the client's by now
        os._exit(70)
    return Kernel(pid, folder, key)


def _serve(
    folder: Path, key: bytes, collector: Collector, plain: Callable[[Any], Any], respond: Respond | None
) -> NoReturn:
    sys.modules["debugpy"] = None  # type: ignore[assignment]  # its server would listen on TCP
    own = folder / ".kernel"
    os.environ.update(dict.fromkeys(("IPYTHONDIR", "MPLCONFIGDIR"), str(own)))
    os.environ.update(dict.fromkeys(("HOME", "TMPDIR", "TORCHINDUCTOR_CACHE_DIR"), str(folder)))
    from ipykernel.iostream import IOPubThread
    from ipykernel.kernelapp import IPKernelApp

    class App(IPKernelApp):
        """Without what reaches beyond this process: files that tell of it, and sockets but its own."""

        def init_connection_file(self) -> None: ...
        def write_connection_file(self, **_named: Any) -> None: ...
        def init_signal(self) -> None: ...

        def init_profile_dir(self) -> None:
            startup = own / "profile_default" / "startup"
            startup.mkdir(parents=True)
            (startup / "README").touch()  # or IPython would copy its own, with chmod
            super().init_profile_dir()

        def init_control(self, context: Any) -> None:
            import zmq
            from ipykernel.control import ControlThread
            from ipykernel.shellchannel import ShellChannelThread

            self.control_socket = context.socket(zmq.ROUTER)
            self.control_port = self._bind_socket(self.control_socket, self.control_port)
            self.debugpy_socket, self.debug_shell_socket = context.socket(zmq.STREAM), context.socket(zmq.DEALER)
            self.control_thread = ControlThread(daemon=True)
            self.shell_channel_thread = ShellChannelThread(context, daemon=True)

        def init_iopub(self, context: Any) -> None:
            import zmq

            self.iopub_socket = context.socket(zmq.XPUB)
            self.iopub_port = self._bind_socket(self.iopub_socket, self.iopub_port)
            self.configure_tornado_logger()
            # The pipe for children's output would listen on TCP; there are no children here.
            self.iopub_thread = IOPubThread(self.iopub_socket, pipe=False, session=self.session)
            self.iopub_thread.start()
            self.iopub_socket = self.iopub_thread.background_socket

    # Where the system sends no signal when a parent dies, ipykernel looks for itself.
    quiet = {"capture_fd_output": False, "log_level": "CRITICAL", "parent_handle": os.getppid()}
    app = App.instance(**connection(folder), **quiet)
    app.config.HistoryManager.enabled = False
    app.session.key = key
    app.initialize([])
    _prepare(app.shell, folder, collector, plain)
    if respond is not None:
        shell: Any = app.shell
        shell.probed = lambda text: base64.b64encode(respond(base64.b64decode(text), shell.user_ns)).decode()
    app.start()
    os._exit(0)


def _prepare(shell: Any, folder: Path, collector: Collector, plain: Callable[[Any], Any]) -> None:
    """What real notebooks count on that is not here must not stop them before they come to the point."""

    def nothing(*_arguments: Any, **_named: Any) -> None:
        return None

    files.install(disk_first=True)
    machine.furnish()
    jupyter.furnish(shell, folder)
    shell.ask_exit = nothing  # exit() would let its cell run on, and end the kernel some time later
    # Nobody reads what is displayed, nor more of an error than its last line, and both can take long.
    shell.display_pub.publish = shell.display_pub.clear_output = nothing
    shell.displayhook.register_hook(nothing)
    shell.InteractiveTB.set_mode("Minimal")
    shell.compile.get_code_name = lambda _raw, _code, number: f"code cell {number}"
    left = MOST_OUTPUT

    def brief(write: Callable[[str], int]) -> Callable[[str], int]:
        def written(text: str) -> int:
            nonlocal left
            if left > 0 and isinstance(text, str):
                left -= len(text)
                write(text[: left + len(text)])
            return len(text)

        return written

    for stream in (sys.stdout, sys.stderr):
        stream.write = brief(stream.write)  # type: ignore[method-assign]

    def after(_result: Any) -> None:
        nonlocal left
        left = MOST_OUTPUT
        collector.after_cell(shell.user_ns)

    shell.events.register("post_run_cell", after)

    def artefact() -> str:
        values = {name: plain(value) for name, value in collector.values(shell.user_ns).items()}
        return base64.b64encode(wire.encode(wire.Frame("artefact", values=values))).decode()

    shell.artefact = artefact
