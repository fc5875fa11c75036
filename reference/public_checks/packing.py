"""Finds the files that count, whatever Colab or a browser called them, and packs them into submission.zip."""

import hashlib
import os
import re
import zipfile
from pathlib import Path, PurePosixPath

from public_checks.questions import GRADED

ZIP, LIST = "submission.zip", "FILES.txt"
OURS = {"check.py", "test_public.py", "README.md", ZIP, LIST}
"""Handed out, or made here: nothing of it is your work."""
JUNK = {
    *("__pycache__", "public_checks", "__macosx", "node_modules", "site-packages", "dist-packages", "wandb"),
    *("data", "checkpoints", "venv", "env", "lightning_logs"),
}
"""Folders that tools and training leave behind. Python files in the first level of data, checkpoints and env count."""
PACKAGES = {"data", "checkpoints", "env"}
BESIDE = {".py", ".json", ".toml", ".yaml", ".yml", ".ini", ".cfg", ".txt", ".csv"}
"""What your code may read or import; pictures and notebooks count only if they are graded or run by one that is."""
LARGEST = 5 * 1024**2
"""Bytes of a file that comes along; code and settings are much smaller."""
LARGEST_GRADED = 40 * 1024**2
COPY = re.compile(r"^copy[ _-]*of[ _-]*|[ _-]*\(\d+\)$|[ _-]*copy[ _-]*\d*$", re.IGNORECASE)
"""What Colab, browsers and Jupyter add to the name of a file that is there already."""
UNWRITTEN = b"raise NotImplementedError("


class Found:
    """The files of the homework in a folder: `graded` by the grader's names, `more` that come along, `notes`."""

    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        self.graded, self.notes = {}, []
        self._files = list(_files(self.folder))
        for name in GRADED:
            path = self._find(name)
            if path is not None:
                self.graded[name] = path

    def path(self, name):
        """The file that is graded under this name; None where there is none."""
        return self.graded.get(name)

    def _find(self, name):
        wanted = self.folder / name
        if name.endswith(".png"):
            return self._picture(wanted)
        like = [path for path in self._files if path == wanted or _alike(path.relative_to(self.folder), name)]
        if not like:
            return None
        if len(like) > 1:  # what is filled in before what is not, then the right place, then the newest
            # The nearest name is no reason: "policy_gradient (1).ipynb" is what a second download is called.
            like.sort(key=lambda path: (_unwritten(path), -path.stat().st_mtime, path != wanted, str(path)))
            contents = {path.read_bytes() for path in like if path.stat().st_size <= LARGEST_GRADED}
            if len(contents) > 1:
                others = ", ".join(_shown(path, self.folder) for path in like[1:4])
                self.notes.append(
                    f"There is more than one {PurePosixPath(name).name}: {_shown(like[0], self.folder)} was taken, not "
                    f"{others}. Please delete what does not count."
                )
        chosen = like[0]
        if chosen != wanted:
            self.notes.append(f"{_shown(chosen, self.folder)} was taken as {name}.")
        return chosen

    def _picture(self, wanted):
        """The newest of the pictures beside the code and in results/, where experiment.py writes it."""
        places = [wanted, wanted.parent / "results" / wanted.name, self.folder / wanted.name]
        places += [path.with_suffix(suffix) for path in places for suffix in (".jpg", ".jpeg")]
        there = [path for path in places if path.is_file()]
        return max(there, key=lambda path: path.stat().st_mtime, default=None)

    def packed(self):
        """What goes into the zip: {name in the zip: path}, the graded files first."""
        plan = dict(self.graded)
        vae = sorted(self.folder.glob("gan_vae/results/*probabilities.png"), key=lambda path: path.stat().st_mtime)
        if vae:  # easier to read than the sampled pixels; the grader takes the better one
            plan["gan_vae/vae_probabilities.png"] = vae[-1]
        for path in self._files:
            name = self._beside(path)
            if path in plan.values() or name is None or name in plan:
                continue
            if path.stat().st_size > LARGEST:
                self.notes.append(f"{_shown(path, self.folder)} was left out: it has more than 5 MB.")
                continue
            plan[name] = path
        return plan

    def _beside(self, path):
        """The name in the zip of a file that comes along with the code; None if it does not."""
        inside = path.relative_to(self.folder)
        if path.suffix.casefold() == ".ipynb":
            counts = any(path.name.encode() in one.read_bytes() for one in self._notebooks())
        else:
            counts = path.suffix.casefold() in BESIDE and path.name not in OURS
        if path.suffix != ".py" and any(part.casefold() in PACKAGES for part in inside.parts[:-1]):
            counts = False
        if not counts or any(_alike(inside, name) for name in GRADED):  # another copy of what was chosen
            return None
        for name, chosen in self.graded.items():  # a module goes where the code goes that imports it
            target = PurePosixPath(name).parent
            moved = chosen.parent.relative_to(self.folder).as_posix() != target.as_posix()
            if moved and chosen.suffix in (".py", ".ipynb") and path.is_relative_to(chosen.parent):
                return (target / path.relative_to(chosen.parent).as_posix()).as_posix()
        return inside.as_posix()

    def _notebooks(self):
        return [
            path for path in self.graded.values() if path.suffix == ".ipynb" and path.stat().st_size <= LARGEST_GRADED
        ]


def _files(folder):
    """The files below the folder that may be of the homework."""
    for place, folders, names in os.walk(folder):
        here = Path(place)
        depth = len(here.relative_to(folder).parts)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and (name.casefold() not in JUNK or (name.casefold() in PACKAGES and depth < 2))
            and not (here / name / "pyvenv.cfg").exists()
            and not name.endswith((".egg-info", ".dist-info"))
        )
        for name in sorted(names):
            path = here / name
            if not name.startswith((".", "~")) and path.is_file() and not path.is_symlink():
                yield path


def _alike(inside, name):
    """Whether a path is a graded file's under another name: a copy's name, or in another folder."""
    wanted = PurePosixPath(name)
    suffix = inside.suffix.casefold()
    if suffix != wanted.suffix:
        return False
    if suffix == ".py":
        ends = [part.casefold() for part in inside.parts[-len(wanted.parts) + 1 :]]
        return len(inside.parts) >= len(wanted.parts) - 1 and ends == list(wanted.parts[1:]) and _is_homework(inside)
    return COPY.sub("", COPY.sub("", inside.stem)).strip().casefold() == wanted.stem.casefold()


def _is_homework(inside):
    """Whether a Python file lies where gan_vae/ or what it holds may lie, and not in a package of its own."""
    return len(inside.parts) <= 4


def _unwritten(path):
    """Whether a file still holds what was handed out to be written."""
    if path.suffix not in (".py", ".ipynb") or path.stat().st_size > LARGEST_GRADED:
        return 0
    return path.read_bytes().count(UNWRITTEN)


def _shown(path, folder):
    return path.relative_to(folder).as_posix()


def write(found):
    """Writes submission.zip beside check.py, by rename, and returns [(name, bytes)]. Raises OSError."""
    plan = found.packed()
    target = found.folder / ZIP
    new = target.with_name(f"{ZIP}.new")
    sizes, lines = [], []
    try:
        with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, path in plan.items():
                data = path.read_bytes()
                sizes.append((name, len(data)))
                lines.append(f"{hashlib.sha256(data).hexdigest()}  {len(data):>9}  {name}\n")
                entry = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, data)
            archive.writestr(zipfile.ZipInfo(LIST), "".join(lines))
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
    return sizes
