# SPDX-License-Identifier: Apache-2.0
"""mutation_lists.py: which changes are made to a family's sources, by hand or at random.

A family is a folder with `mutations.json` (class Family says what may be in it) and two lists,
`broken.json` and `explained.json`:
[{"name": ..., "file": ..., "from": ..., "to": ..., "why": ...}]: in `file` the text `from`, which is
there once, becomes `to`. Explained survivors have no name; there `from` and `to` are lines.
"""
import dataclasses
import json
import pathlib
import random
import re


class WrongList(Exception):
    """A list, or a command, that does not fit the sources."""


@dataclasses.dataclass(frozen=True)
class Mutation:
    file: str
    line: int  # from 1
    old: str  # the whole line (or lines) before, without its indentation
    new: str
    name: str = ""
    why: str = ""

    def __str__(self):
        label = f" [{self.name}]" if self.name else ""
        return f"{self.file}:{self.line}{label}\n    - {self.old}\n    + {self.new}"


# ---- A family -------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Random:
    """Random mutations: so many, of these files (default: the units)."""
    count: int
    files: tuple = ()
    begin: str = ""  # only from the first line with this text in it
    end: str = ""  # up to the next with this one
    seed: int = 1
    minimum: float = 95  # percent that must be noticed

    def __post_init__(self):
        object.__setattr__(self, "files", tuple(self.files))


@dataclasses.dataclass(frozen=True)
class Family:
    """What `mutations.json` says; files are relative to the project's root."""
    folder: pathlib.Path
    units: list  # the kernel's translation units, the quickest to compile first
    kernels: str  # the library of tconv_emulated_kernels() that has them
    test: str  # a program that links it
    random: Random
    filter: str = "*"  # which of its tests are run
    first_filter: str = ""  # those that need only the first unit: run before the others are compiled
    host: tuple = ()  # units of the library that the list breaks, too
    without: tuple = ()  # units of the library that others of `units` stand for
    decide: tuple = ()  # other files on which the outcomes depend: patterns
    timeout: float = 30  # of a run, in seconds; less of the processor's where it is quick otherwise

    @property
    def name(self):
        return self.folder.name

    @property
    def random_files(self):
        return self.random.files or self.units

    @property
    def broken_path(self):
        return self.folder / "broken.json"

    @property
    def explained_path(self):
        return self.folder / "explained.json"

    @property
    def results_path(self):
        return self.folder / "results.json"


def read_json(path):
    try:
        return json.loads(pathlib.Path(path).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise WrongList(f"{path}: {error}") from error


def read_family(path):
    path = pathlib.Path(path).absolute()
    entries = read_json(path)
    try:
        chance = Random(**entries.pop("random"))
        return Family(folder=path.parent, random=chance, **entries)
    except (KeyError, TypeError) as error:  # TypeError names what is missing, or not known
        raise WrongList(f"{path}: {error}") from error


# ---- Where a line may be changed ------------------------------------------------------------------

# Binary operators as clang-format writes them: with a space on both sides. Pointers, references and
# the brackets of templates have none.
SWAPS = {
    "+": ["-"], "-": ["+"], "*": ["+"], "/": ["*"], "%": ["/"],
    "<": ["<=", ">="], "<=": ["<"], ">": [">=", "<="], ">=": [">"], "==": ["!="], "!=": ["=="],
    "&&": ["||"], "||": ["&&"], "&": ["|"], "|": ["&"], "^": ["|"], "<<": [">>"], ">>": ["<<"],
    "+=": ["-="], "-=": ["+="], "*=": ["+="], "/=": ["*="],
}
OPERATOR = re.compile(r"(?<= )(" + "|".join(
    re.escape(o) for o in sorted(SWAPS, key=len, reverse=True)) + r")(?= )")
INTEGER = re.compile(r"(?<![\w.])(\d+)(?![\w.])")
# What is no code, or none that runs: literals, comments, directives.
BLANK = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|//[^\n]*|/\*.*?\*/', re.S)
NO_CODE = re.compile(r"\s*(#|using |static_assert|namespace |template |\}? *$)")


def code_of(text):
    """The text with comments and literals blanked out, of the same length."""
    return BLANK.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_changes(code):
    """(start, end, replacement) for everything in a line of code that can be swapped."""
    if NO_CODE.match(code):
        return
    for match in OPERATOR.finditer(code):
        for other in SWAPS[match.group()]:
            yield match.start(), match.end(), other
    for match in INTEGER.finditer(code):
        value = int(match.group())
        for other in {value + 1, max(value - 1, 0)} - {value}:
            yield match.start(), match.end(), str(other)


def between(lines, begin, end):
    """The numbers of the lines from the first with `begin` in it to the next with `end`; "": all."""
    first = next((i for i, line in enumerate(lines, 1) if begin in line), None)
    if first is None:
        return range(0)
    after = (i for i, line in enumerate(lines[first:], first + 1) if end and end in line)
    return range(first, next(after, len(lines) + 1))


def random_mutations(project, files, begin="", end=""):
    """Every mutation of the files, in their order."""
    for file in files:
        text = (project / file).read_text()
        lines, code = text.split("\n"), code_of(text).split("\n")
        mutable = between(lines, begin, end)
        for number, (line, blanked) in enumerate(zip(lines, code), 1):
            if number not in mutable:
                continue
            for start, stop, other in line_changes(blanked):
                changed = line[:start] + other + line[stop:]
                yield Mutation(file, number, line.strip(), changed.strip())


def drawn_mutations(project, family):
    """All of `random_mutations` in the order in which they are tried."""
    chance = family.random
    mutations = list(random_mutations(project, family.random_files, chance.begin, chance.end))
    random.Random(chance.seed).shuffle(mutations)
    return mutations


def read_list(path):
    entries = read_json(path)
    for entry in entries:
        missing = {"file", "from", "to", "why"} - entry.keys()
        if missing:
            raise WrongList(f"{path}: an entry without {', '.join(sorted(missing))}: {entry}")
    return entries


def listed_mutations(project, path):
    for entry in read_list(path):
        name = entry.get("name", "")
        text = (project / entry["file"]).read_text()
        count = text.count(entry["from"])
        if count != 1:
            raise WrongList(f"{path}: {name}: in {entry['file']} {count} times and not once: "
                            f"{entry['from']}")
        number = text[:text.index(entry["from"])].count("\n")
        lines = text.split("\n")[number:number + entry["from"].count("\n") + 1]
        line = "\n".join(lines)
        changed = line.replace(entry["from"], entry["to"])
        if changed == line:
            raise WrongList(f"{path}: {name}: changes nothing")
        yield Mutation(entry["file"], number + 1, line.strip(), changed.strip(), name, entry["why"])


def explained_survivors(project, path):
    """{(file, old line, new line): why}. An entry whose line is gone explains nothing."""
    explained = {}
    for entry in read_list(path):
        lines = [line.strip() for line in (project / entry["file"]).read_text().split("\n")]
        if entry["from"] not in lines:
            raise WrongList(f"{path}: no line of {entry['file']} reads: {entry['from']}")
        explained[entry["file"], entry["from"], entry["to"]] = entry["why"]
    return explained
