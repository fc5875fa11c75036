"""The command line. `./run_autograder PATH` grades one submission; `--help` lists the rest."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_pool, "1")  # before numpy is imported: small products on idle pools cost double


def _in_environment() -> None:
    """Goes on in the environment that setup.sh makes, if this interpreter lacks what is needed."""
    import importlib.util

    needed = ("numpy", "scipy", "torch", "rich", *(("pyseccomp", "landlockpy") if sys.platform == "linux" else ()))
    if not all(importlib.util.find_spec(name) for name in needed):
        command = ["bash", str(ROOT / "setup.sh"), "--python"]
        setup = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if setup.returncode != 0 or os.environ.get("AUTOGRADER_ENVIRONMENT") == "made":
            print("The environment could not be set up; the lines above say why.", file=sys.stderr)
            sys.exit(3)
        environment = {**os.environ, "AUTOGRADER_ENVIRONMENT": "made"}
        program = [setup.stdout.strip(), str(Path(__file__).resolve()), *sys.argv[1:]]
        os.execve(program[0], program, environment)


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="autograder", description="Grades homework whose answers are random.", allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    grade = commands.add_parser("grade", help="grade one submission (zip or folder) and write results.json")
    grade.add_argument("path", nargs="?", type=Path, help="zip or folder; on Gradescope: none")
    grade.add_argument("--out", type=Path, help="where results.json goes (default: ./results.json)")
    grade.add_argument("--homework", default="autograder.hw11", help="the homework's package")
    grade.add_argument("--seconds", type=float, default=480.0, help="for the whole submission (default: %(default)s)")

    doctor = commands.add_parser("doctor", help="try the sandbox, list versions, say what to do about weaknesses")
    doctor.add_argument("--homework", default="autograder.hw11", help="the homework's package")

    bench = commands.add_parser("bench", help="measure the figures that the README states")
    bench.add_argument("--quick", action="store_true", help="fewer repetitions")
    bench.add_argument("--question", default="", metavar="ID", help="only that question's right and wrong solutions")
    bench.add_argument("--times", type=int, default=0, help="gradings of each wrong solution (default: 200, quick: 1)")
    bench.add_argument("--homework", default="autograder.hw11", help="the homework's package")

    commands.add_parser("template", help="make student_template/ from reference/")

    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    if options.command == "template":
        from autograder import template

        print(template.run(ROOT))
        return 0
    if options.command == "bench":
        try:
            from autograder.audit import bench as benchmark
        except ImportError:
            print("The benchmark is not in this copy; it comes with the whole repository.", file=sys.stderr)
            return 2
        return benchmark.run(options.homework, quick=options.quick, question=options.question, times=options.times)
    from autograder import terminal

    if options.command == "doctor":
        return terminal.doctor(options.homework)
    return terminal.grade(options.path, options.out, options.homework, options.seconds)


if __name__ == "__main__":
    if not sys.path or Path(sys.path[0]).resolve() != ROOT:
        sys.path.insert(0, str(ROOT))
    _in_environment()
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)
