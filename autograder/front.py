"""Says in one sentence what to do where nothing can be graded: another system than Linux, or an old Python.

Any Python 3 must be able to read this file and `__init__.py`, so they use no newer syntax.
"""

import os
import subprocess
import sys

OUR_FAULT = 3
OLDEST = (3, 11)
SETUP = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "setup.sh")  # noqa: PTH100, PTH118, PTH120
NAMES = {"darwin": "macOS", "win32": "Windows", "cygwin": "Windows", "msys": "Windows"}
DOCKER = (
    "Grading needs Linux, which isolates students' code; on {} use Docker: `docker build -t grader .` "
    'once, then `docker run --rm -v "${{PWD}}:/work" -w /work grader /autograder/run_autograder submission.zip` '
    "(docs/machines.md has the other commands)."
)
"""setup.sh says the same."""


def refusal(system: str = sys.platform) -> str:
    """Why nothing can be graded on this system, and what to do; empty on Linux.

    Without seccomp, Landlock and /proc, students' code could read the reference, use the network and outlive its
    grading, and address space has no limit: no score could be believed.
    """
    return "" if system.startswith("linux") else DOCKER.format(NAMES.get(system, system))


def turn_back() -> None:
    """Ends `python3 -m autograder` with a sentence where this Python cannot read the commands.

    On Linux it goes on with the Python of setup.sh.
    """
    if sys.version_info[:2] >= OLDEST:
        return
    sentence = refusal()
    if sentence:
        say(sentence)
        sys.exit(OUR_FAULT)
    go_on_in_environment()


def go_on_in_environment() -> None:
    """Starts the same command in the environment of setup.sh, in place of this process. Ends it where there is none."""
    setup = subprocess.run(["bash", SETUP, "--python"], stdout=subprocess.PIPE, check=False)
    if setup.returncode != 0 or os.environ.get("AUTOGRADER_ENVIRONMENT") == "made":
        say("The environment could not be set up. The lines above say why.")
        sys.exit(OUR_FAULT)
    python = setup.stdout.decode().strip()
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")  # noqa: PTH100, PTH118, PTH120
    os.execve(python, [python, program, *sys.argv[1:]], {**os.environ, "AUTOGRADER_ENVIRONMENT": "made"})


def say(sentence: str) -> None:
    """Writes to standard error, if there is one."""
    if sys.stderr is not None:
        sys.stderr.write(sentence + "\n")
