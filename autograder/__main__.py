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


EPILOG = """exit status of every command: 0 it did what it says, 2 what it was given cannot be used, 3 a fault of ours
(also a full disk), 130 it was stopped by Ctrl-C. What it wrote counts, not whether its words could be printed.
./run_autograder PATH is the short form of `grade PATH`. Each command has a --help of its own."""
STAFFS_ROOMS = ("autograder.audit", "autograder.classroom", "autograder.output.pages")
STAFFS = "This command is not in this copy; it comes with the whole repository."


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
            help="the folder of a homework, wherever it lies, or its Python package (default: this repository's)",
        )

    grade = add("grade", "grade one submission and write its results.json")
    grade.add_argument("path", nargs="?", type=Path, help="zip or folder (default: where Gradescope puts it)")
    grade.add_argument("--out", type=Path, metavar="FILE", help="the result (default: ./results.json)")
    grade.add_argument("--leaderboard", action="store_true", help="also write the leaderboard's entries")
    grade.add_argument(
        "--one-at-a-time", action="store_true", help="run a notebook after the other checks, never beside them"
    )
    _limit(grade)
    _settings(grade)
    homework(grade)

    many = add("class", "grade a whole class: results, gradebook, grades.csv, report")
    many.add_argument("path", type=Path, help="Gradescope's export (zip or folder), a folder of zips, tars or folders")
    many.add_argument("--out", type=Path, required=True, metavar="DIR", help="where everything goes")
    many.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: cores)")
    many.add_argument(
        "--again",
        nargs="*",
        metavar="WHAT",
        help="grade all anew, or only what is named: questions and checks by id, students as for --only-student",
    )
    many.add_argument(
        "--only-student",
        nargs="+",
        action="extend",
        default=[],
        metavar="WHO",
        help="grade nobody else: ids, emails, student numbers, names",
    )
    many.add_argument("--no-runs", action="store_true", help="leave out the checks that run a notebook whole")
    many.add_argument("--scheduler", default="", metavar="ADDRESS", help="a Dask cluster that grades in our place")
    _limit(many)
    _settings(many)
    homework(many)

    review = add("review", "serve a page to read written answers and give points; or use a spreadsheet")
    review.add_argument("out", type=Path, help="the folder that `class --out` wrote")
    review.add_argument("--name", default="", help="who gives the points (default: this machine's user)")
    review.add_argument("--anonymous", action="store_true", help="begin without names; the page can show them")
    review.add_argument("--port", type=int, default=0, metavar="N", help="on 127.0.0.1 (default: a free one)")
    table = review.add_mutually_exclusive_group()
    table.add_argument("--export", type=Path, metavar="FILE.csv", help="write the answers as a table instead")
    table.add_argument("--import", dest="imported", type=Path, metavar="FILE.csv", help="read points and comments back")
    _graded_homework(review)

    report = add("report", "write tables and pages of a class anew, or the students' pages for handing out")
    report.add_argument("out", type=Path, help="the folder that `class --out` wrote")
    report.add_argument(
        "--handout", type=Path, metavar="DIR", help="only pages without code, one for each student, into DIR"
    )
    _graded_homework(report)

    replay = add("replay", "write a folder that repeats one check of one submission in a debugger")
    replay.add_argument("out", type=Path, metavar="graded", help="the folder that `class --out` wrote")
    replay.add_argument("student", help="the submission's id, or a student's name, e-mail or id")
    replay.add_argument("check", help="the check's number (4.3) or its id")
    replay.add_argument("--to", type=Path, metavar="DIR", help="where it goes (default: ./replay-STUDENT-CHECK)")
    _graded_homework(replay)

    compare = add("compare", "say who gained or lost what between two gradings of a class, and why")
    compare.add_argument("old", type=Path, help="the folder that `class --out` wrote before")
    compare.add_argument("new", type=Path, help="and the one it wrote now")
    homework(compare)

    doctor = add("doctor", "try the sandbox, list versions and settings, say what to do about weaknesses")
    _settings(doctor)
    homework(doctor)

    course = add("course", "check a file of the course's own settings, or show an example of it")
    course.add_argument("path", nargs="?", type=Path, metavar="FILE", help="default: course.toml beside run_autograder")
    course.add_argument("--example", action="store_true", help="print a file that shows and explains every key")
    homework(course)

    new = add("new", "write a new homework of one question, which works at once")
    new.add_argument("folder", type=Path, metavar="FOLDER", help="where it goes; its name is the homework's id")
    new.add_argument("--title", default="", help="what students read (default: from the folder's name)")

    homework(add("template", "make the students' template from the reference"))

    bundle = add("bundle", "pack the zip for Gradescope and the zip for the students")
    bundle.add_argument("--out", type=Path, default=Path("dist"), metavar="DIR", help="where they go (default: ./dist)")

    bundle.add_argument("--leaderboard", action="store_true", help="Gradescope shows the leaderboard's entries")
    bundle.add_argument("--each", action="store_true", help="one zip for each question and each part of its own")
    _settings(bundle)
    homework(bundle)

    bench = add("bench", "measure what grading costs, and grade the bank of solutions")
    bench.add_argument("--quick", action="store_true", help="fewer repetitions")
    bench.add_argument("--question", default="", metavar="ID", help="only that question's right and wrong solutions")
    bench.add_argument(
        "--times", type=int, default=0, metavar="N", help="gradings of each wrong solution (default: 200)"
    )
    bench.add_argument(
        "--out", type=Path, metavar="DIR", help="keep gradings of the bank there; a run that was stopped goes on"
    )
    bench.add_argument(
        "--class",
        dest="students",
        nargs="?",
        type=int,
        const=200,
        metavar="N",
        help="what a class of N costs instead (default: 200), beside otter-grader and no sandbox",
    )
    bench.add_argument(
        "--profile",
        nargs="?",
        type=Path,
        const=Path(),
        metavar="PATH",
        help="where the CPU of grading one submission goes instead, by phase (default: the reference)",
    )
    bench.add_argument(
        "--anyway", action="store_true", help="measure on a busy machine, too; the figures are marked as such"
    )
    _write(bench, "the figures")
    homework(bench)

    audit = add("audit", "grade the grader: mutants, false fails, attacks, feedback; writes a report")
    audit.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where the report goes, and what it needs"
    )
    audit.add_argument("--quick", action="store_true", help="a slice of each part, in some minutes")
    audit.add_argument("--part", action="append", default=[], metavar="ID", help="only this one; can be given again")
    _write(audit, "a table of what was promised and measured")
    audit.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: cores)")
    homework(audit)
    return parser


def _write(command: argparse.ArgumentParser, what: str) -> None:
    told = f"also write {what} into this document, between its marker lines (default: the homework's own)"
    command.add_argument("--write", nargs="?", type=Path, const=True, metavar="FILE", help=told)


def _limit(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seconds", type=float, metavar="S", help="for a whole submission (default: 480)")


def _settings(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="PARTS",
        help='that part alone: questions, groups or checks by id or number, as in vae,4.3 or "summarization.log*"',
    )
    command.add_argument(
        "--course", type=Path, metavar="FILE", help="the course's settings (default: course.toml beside run_autograder)"
    )


def _graded_homework(command: argparse.ArgumentParser) -> None:
    command.add_argument("--homework", default="", metavar="HOMEWORK", help="whose checks (default: the gradebook's)")


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
                    print("--class N stands alone: it keeps nothing, and grades all questions once.", file=sys.stderr)
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
                review.Options(
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
            chosen = batch.Options(
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
    from autograder.core import Reject
    from autograder.intake import parts
    from autograder.intake.chosen import Asked

    given = vars(options)
    try:
        only = parts.split(options.only) if options.only else ()
    except Reject as fault:
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
            print(f"Not all could be printed: {out.fault}.", file=sys.stderr)
            status = 3 if status == 0 and arguments[:1] and arguments[0] in ONLY_WORDS else status
    return status


def program() -> None:
    """The whole process, as pip installs it."""
    sys.exit(entry(sys.argv[1:]))


if __name__ == "__main__":
    if not sys.path or Path(sys.path[0]).resolve() != ROOT:
        sys.path.insert(0, str(ROOT))
    program()
