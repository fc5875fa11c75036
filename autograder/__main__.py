"""The command line. `./run_autograder PATH` grades one submission; `--help` lists the rest."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autograder.intake.chosen import Asked

ROOT = Path(__file__).resolve().parents[1]
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_pool, "1")  # before numpy is imported: small products on idle pools cost double


def _in_environment() -> None:
    """Goes on in the environment that setup.sh makes, if this interpreter lacks what is needed."""
    import importlib.util

    from autograder import front

    needed = ("numpy", "scipy", "rich", "yaml", "pyseccomp", "landlockpy")
    if not all(importlib.util.find_spec(name) for name in needed):
        front.go_on_in_environment()


EPILOG = """exit status of every command: 0 success, 2 the arguments or files cannot be used, 3 a fault of the grader
(also a full disk), 130 stopped by Ctrl-C. The status describes the files that were written, not the printed text.
./run_autograder PATH is the short form of `grade PATH`. Each command has a --help of its own."""
STAFFS_ROOMS = ("autograder.audit", "autograder.classroom", "autograder.output.pages")
STAFFS = "This copy does not contain the command. Use the whole repository."


def _parser() -> argparse.ArgumentParser:
    """Every command with its arguments, in the order of their use."""
    parser = argparse.ArgumentParser(
        prog="python3 -m autograder",
        description="Grades homework whose answers are random.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def add(name: str, told: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=told, description=f"{told[0].upper()}{told[1:]}.", allow_abbrev=False)

    def homework(command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "--homework",
            metavar="HOMEWORK",
            help="the folder of a homework, anywhere, or its Python package (default: this repository's)",
        )

    grade = add("grade", "grade one submission and write its results.json")
    grade.add_argument("path", nargs="?", type=Path, help="zip or folder (default: where Gradescope puts it)")
    grade.add_argument("--out", type=Path, metavar="FILE", help="the result (default: ./results.json)")
    grade.add_argument("--leaderboard", action="store_true", help="also write the leaderboard's entries")
    grade.add_argument(
        "--one-at-a-time", action="store_true", help="run a notebook after the other checks, not at the same time"
    )
    _limit(grade)
    _settings(grade)
    homework(grade)

    many = add("class", "grade a whole class: results, gradebook, grades.csv, report")
    many.add_argument("path", type=Path, help="Gradescope's export (zip or folder), a folder of zips, tars or folders")
    many.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder for all results")
    many.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: cores)")
    many.add_argument(
        "--again",
        nargs="*",
        metavar="WHAT",
        help="grade everything again, or only the given questions and checks (by id) and students (as for "
        "--only-student)",
    )
    many.add_argument(
        "--only-student",
        nargs="+",
        action="extend",
        default=[],
        metavar="WHO",
        help="grade only these students, by id, email, student number or name",
    )
    many.add_argument("--no-runs", action="store_true", help="leave out the checks that run a whole notebook")
    many.add_argument(
        "--scheduler", default="", metavar="ADDRESS", help="the address of a Dask cluster that does the grading"
    )
    _limit(many)
    _settings(many)
    homework(many)

    review = add("review", "serve a page for reading written answers and giving points, or exchange a spreadsheet")
    review.add_argument("out", type=Path, help="the folder that `class --out` wrote")
    review.add_argument(
        "--name", default="", help="the name of the person who gives points (default: this machine's user)"
    )
    review.add_argument("--anonymous", action="store_true", help="hide names at first (the page can show them)")
    review.add_argument("--port", type=int, default=0, metavar="N", help="the port on 127.0.0.1 (default: a free port)")
    table = review.add_mutually_exclusive_group()
    table.add_argument("--export", type=Path, metavar="FILE.csv", help="write the answers as a table instead")
    table.add_argument("--import", dest="imported", type=Path, metavar="FILE.csv", help="read points and comments back")
    _graded_homework(review)

    report = add("report", "write the tables and pages of a class again, or pages for the students")
    report.add_argument("out", type=Path, help="the folder that `class --out` wrote")
    report.add_argument(
        "--handout", type=Path, metavar="DIR", help="write only one page without code for each student, into DIR"
    )
    _graded_homework(report)

    replay = add("replay", "write a folder with which one check of one submission can be repeated in a debugger")
    replay.add_argument("out", type=Path, metavar="graded", help="the folder that `class --out` wrote")
    replay.add_argument("student", help="the submission's id, or a student's name, e-mail or id")
    replay.add_argument("check", help="the check's number (4.3) or its id")
    replay.add_argument("--to", type=Path, metavar="DIR", help="the folder to write (default: ./replay-STUDENT-CHECK)")
    _graded_homework(replay)

    compare = add("compare", "show who gained or lost points between two gradings of a class, and why")
    compare.add_argument("old", type=Path, help="the folder that `class --out` wrote before")
    compare.add_argument("new", type=Path, help="the folder that it wrote now")
    homework(compare)

    doctor = add("doctor", "test the sandbox, list versions and settings, and give advice on weaknesses")
    _settings(doctor)
    homework(doctor)

    course = add("course", "check a course's settings file, or print an example")
    course.add_argument("path", nargs="?", type=Path, metavar="FILE", help="default: course.toml beside run_autograder")
    course.add_argument("--example", action="store_true", help="print an example file that explains every key")
    homework(course)

    new = add("new", "write a new homework with one question that can be graded at once")
    new.add_argument(
        "folder", type=Path, metavar="FOLDER", help="the folder to write; its name becomes the homework's id"
    )
    new.add_argument("--title", default="", help="the title that students read (default: from the folder's name)")

    homework(add("template", "make the students' template from the reference"))

    bundle = add("bundle", "pack the zip for Gradescope and the zip for the students")
    bundle.add_argument(
        "--out", type=Path, default=Path("dist"), metavar="DIR", help="the folder for the zips (default: ./dist)"
    )

    bundle.add_argument("--leaderboard", action="store_true", help="make Gradescope show the leaderboard's entries")
    bundle.add_argument("--each", action="store_true", help="pack one zip for each question and each separate part")
    _settings(bundle)
    homework(bundle)

    bench = add("bench", "measure what grading costs, and grade the bank of solutions")
    bench.add_argument("--quick", action="store_true", help="fewer repetitions")
    bench.add_argument("--question", default="", metavar="ID", help="only that question's right and wrong solutions")
    bench.add_argument(
        "--times", type=int, default=0, metavar="N", help="gradings of each wrong solution (default: 200)"
    )
    bench.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="keep the gradings of the bank in DIR, so that a stopped run can continue",
    )
    bench.add_argument(
        "--class",
        dest="students",
        nargs="?",
        type=int,
        const=200,
        metavar="N",
        help="measure a class of N submissions instead (default: 200), and compare with otter-grader and no sandbox",
    )
    bench.add_argument(
        "--profile",
        nargs="?",
        type=Path,
        const=Path(),
        metavar="PATH",
        help="show instead how the CPU time of one grading is spent, by phase (default: the reference)",
    )
    bench.add_argument("--anyway", action="store_true", help="also measure on a busy machine, and mark the figures")
    _write(bench, "the figures")
    homework(bench)

    audit = add("audit", "grade the grader: mutants, false fails, attacks, feedback; writes a report")
    audit.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder for the report and its data")
    audit.add_argument("--quick", action="store_true", help="measure a sample of each part, in a few minutes")
    audit.add_argument(
        "--part", action="append", default=[], metavar="ID", help="measure only this part (can be repeated)"
    )
    _write(audit, "a table of what was promised and measured")
    audit.add_argument(
        "--messages",
        type=Path,
        metavar="FILE",
        help="write every message for the reference and for the wrong solutions into FILE instead",
    )
    audit.add_argument(
        "--before",
        type=Path,
        metavar="FILE",
        help="with --messages: show the messages of this older file next to the new ones",
    )
    audit.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: cores)")
    homework(audit)
    return parser


def _write(command: argparse.ArgumentParser, what: str) -> None:
    told = f"also write {what} into this document, between its marker lines (default: the homework's own)"
    command.add_argument("--write", nargs="?", type=Path, const=True, metavar="FILE", help=told)


def _limit(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seconds", type=float, metavar="S", help="the time for a whole submission (default: 480)")


def _settings(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="PARTS",
        help='grade only this part: questions, groups or checks by id or number, as in vae,4.3 or "summarization.log*"',
    )
    command.add_argument(
        "--course", type=Path, metavar="FILE", help="the course's settings (default: course.toml beside run_autograder)"
    )


def _graded_homework(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--homework", default="", metavar="HOMEWORK", help="the homework of the checks (default: the gradebook's)"
    )


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit status."""
    from autograder import front

    parser = _parser()
    options = parser.parse_args(arguments)
    refusal = front.refusal()
    if options.command is None and not refusal:
        parser.print_help()
        return 0
    options.imports = options.command is None or _needs_environment(options)
    if options.imports:
        if refusal:
            print(refusal, file=sys.stderr)
            return front.OUR_FAULT
        _in_environment()
    from autograder.homeworks import NoHomework

    try:
        return _run(_with_homework(options))
    except NoHomework as fault:
        print(fault, file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith(STAFFS_ROOMS):
            raise
        print(STAFFS, file=sys.stderr)
        return 2


def _needs_environment(options: argparse.Namespace) -> bool:
    """To make this repository's template, and to pack its whole homework as it is, nothing but Python is needed."""
    if options.command in ("bundle", "template") and options.homework is not None:
        return True
    if options.command == "bundle":
        from autograder import homeworks
        from autograder.authoring.bundle import is_of_parts

        given = bool(options.each or options.only or options.course)
        return is_of_parts(homeworks.places(homeworks.usual()), None, each=given)
    return bool(options.command != "template")


def _with_homework(options: argparse.Namespace) -> argparse.Namespace:
    """The options with the homework's canonical name, where the command has one."""
    given = vars(options)
    if "homework" in given:
        from autograder import homeworks

        given["named"] = bool(options.homework)
        if options.homework:
            options.homework = homeworks.canonical(options.homework)
        elif options.homework is None:
            options.homework = homeworks.usual()
    return options


def _run(options: argparse.Namespace) -> int:
    match options.command:
        case "template":
            from autograder.authoring import template

            return template.run(*_folders(options))
        case "new":
            from autograder.authoring import new

            return new.run(options.folder, options.title)
        case "bundle":
            from autograder.authoring import bundle

            asked = _asked(options) if options.imports else None
            if asked is None and options.only:
                return 2
            return bundle.run(
                ROOT,
                options.out,
                leaderboard=options.leaderboard,
                homework=options.homework,
                asked=asked,
                each=options.each,
                folders=_folders(options),
            )
        case "course":
            from autograder.intake import course_command

            return course_command.run(options.path, options.homework, example=options.example)
        case "bench":
            from autograder.audit import bench

            if options.profile is not None:
                from autograder.audit import profile

                return profile.run(options.homework, options.profile if options.profile != Path() else None)
            if options.students is not None:
                from autograder.audit import class_bench

                if options.out or options.question or options.times or options.quick:
                    print("--class N cannot be combined with --out, --question, --times or --quick.", file=sys.stderr)
                    return 2
                return class_bench.run(
                    options.homework, options.students, write_to=options.write, anyway=options.anyway
                )
            return bench.run(
                options.homework,
                quick=options.quick,
                question=options.question,
                times=options.times,
                out=options.out,
                write_to=options.write,
                anyway=options.anyway,
            )
        case "audit":
            from autograder.audit import command

            if options.messages is not None or options.before is not None:
                from autograder.audit import messages

                if options.messages is None or options.part or options.quick or options.write is not None:
                    print(
                        "--before needs --messages, which cannot be combined with --part, --quick or --write.",
                        file=sys.stderr,
                    )
                    return 2
                return messages.run(
                    *(options.homework, options.out, options.messages),
                    jobs=max(1, options.jobs),
                    before=options.before,
                )
            return command.run(
                *(options.homework, options.out),
                quick=options.quick,
                only=options.part,
                jobs=max(1, options.jobs),
                write_to=options.write,
            )
        case "review":
            from autograder.classroom.review import command as review

            return review.run(
                review.ReviewOptions(
                    *(options.out, options.homework, options.name, options.anonymous, options.port),
                    exported=options.export,
                    imported=options.imported,
                )
            )
        case "report":
            from autograder.classroom.review import command as review

            return review.again(options.out, options.homework, options.handout)
        case "replay":
            from autograder.classroom import replay

            return replay.run(options.out, options.student, options.check, options.to, options.homework)
        case "compare":
            from autograder.classroom import compare

            return compare.run(options.old, options.new, options.homework if options.named else "")
        case "class":
            from autograder.classroom import batch
            from autograder.output import terminal

            if (asked := _asked(options)) is None:
                return 2
            chosen = batch.ClassOptions(
                *(options.path, options.out, options.homework, max(1, options.jobs)),
                again=None if options.again is None else tuple(options.again),
                students=tuple(options.only_student),
                runs=not options.no_runs,
                scheduler=options.scheduler,
                asked=asked,
            )
            return batch.run(chosen, terminal.secret())
    from autograder.output import terminal

    if (asked := _asked(options)) is None:
        return 2
    if options.command == "doctor":
        return terminal.doctor(options.homework, asked)
    return terminal.grade(options.path, options.out, options.homework, asked, two=not options.one_at_a_time)


def _folders(options: argparse.Namespace) -> tuple[Path, Path]:
    """The reference and the students' template. This repository's are known without its homework being imported."""
    from autograder import homeworks

    if options.homework == homeworks.DEFAULT and (ROOT / "reference").is_dir():
        return ROOT / "reference", ROOT / "student_template"
    assignment = homeworks.load(options.homework)
    return assignment.reference, assignment.template


def _asked(options: argparse.Namespace) -> Asked | None:
    """The part and the settings that were asked for; None, with a sentence on stderr, where they are none."""
    from autograder.core import CheckFailed
    from autograder.intake import parts
    from autograder.intake.chosen import Asked

    given = vars(options)
    try:
        only = parts.split(options.only) if options.only else ()
    except CheckFailed as fault:
        print(fault, file=sys.stderr)
        return None
    return Asked(only, options.course, given.get("seconds"), given.get("leaderboard", False))


ONLY_WORDS = ("compare", "doctor")
"""Commands of which nothing is left but what they print."""


def entry(arguments: list[str]) -> int:
    """Runs one command as a program: whatever becomes of its output, its status is one of the documented ones."""
    from autograder.output import streams

    with streams.forgiving() as out:
        try:
            status = main(arguments)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever presses it again does not want to wait
            print("\nStopped.", file=sys.stderr)
            status = 130
        out.flush()
        if out.fault:
            print(f"Some output could not be printed: {out.fault}.", file=sys.stderr)
            status = 3 if status == 0 and arguments[:1] and arguments[0] in ONLY_WORDS else status
    return status


def program() -> None:
    """The whole process, as pip installs it."""
    sys.exit(entry(sys.argv[1:]))


if __name__ == "__main__":
    if not sys.path or Path(sys.path[0]).resolve() != ROOT:
        sys.path.insert(0, str(ROOT))
    program()
