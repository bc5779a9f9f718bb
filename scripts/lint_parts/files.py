# SPDX-License-Identifier: Apache-2.0
"""files: the repository's own files, and what they include. As a program: the sources in C++ and CUDA."""
import pathlib
import re
import subprocess

CPP = (".cpp", ".h", ".c", ".cu", ".cuh")
# Not ours: what is built, and what scripts/pack_gpu_deps put beside a source archive.
FOREIGN = ("build", "gpu_deps", ".git")
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


class File:
    """One text file. `path` is relative to the root and written with slashes."""

    def __init__(self, root, path):
        self.path = path
        self.suffix = pathlib.PurePosixPath(path).suffix
        data = (root / path).read_bytes()
        self.binary = b"\0" in data
        self.text = "" if self.binary else data.decode(errors="replace")
        self.lines = self.text.splitlines()

    @property
    def is_cpp(self):
        return self.suffix in CPP

    @property
    def is_python(self):
        return self.suffix == ".py" or (not self.suffix and "python3" in self.first_line)

    @property
    def is_bash(self):
        return self.suffix == ".sh" or (not self.suffix and "bash" in self.first_line)

    @property
    def first_line(self):
        return self.lines[0] if self.lines and self.lines[0].startswith("#!") else ""

    def includes(self):
        """(line, quote, what) of every include."""
        for number, line in enumerate(self.lines, 1):
            if match := INCLUDE.match(line):
                yield number, match.group(1), match.group(2)


def names_in(root):
    """All files of the repository, new ones included; in a source archive all but FOREIGN."""
    if (root / ".git").exists():
        listed = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            check=True, stdout=subprocess.PIPE, text=True).stdout.split("\0")
    else:
        listed = (path.relative_to(root).as_posix() for path in root.rglob("*"))
        listed = (path for path in listed if path.split("/")[0] not in FOREIGN
                  and not path.endswith(".pyc"))
    return sorted({path for path in listed if path and (root / path).is_file()})


def read_all(root):
    return {path: File(root, path) for path in names_in(root)}


def resolve(files, path, what):
    """The file of ours that `path` means by including `what`: from the root, from include/, or beside
    it. None for a header of somebody else."""
    beside = (pathlib.PurePosixPath(path).parent / what).as_posix()
    for candidate in (what, f"include/{what}", beside):
        if candidate in files:
            return candidate
    return None


def closure(files, *paths):
    """These files, and all of ours that they include."""
    found, left = set(paths), list(paths)
    while left:
        file = files[left.pop()]
        targets = {resolve(files, file.path, what) for _, _, what in file.includes()} - {None}
        left += targets - found
        found |= targets
    return found


if __name__ == "__main__":
    for name in names_in(pathlib.Path(__file__).resolve().parents[2]):
        if name.endswith(CPP):
            print(name)
