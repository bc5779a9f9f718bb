# SPDX-License-Identifier: Apache-2.0
"""mutation_sources.py: how a unit is compiled, what it includes, and the hash of all that decides
how the tests of a family answer.

The hash is the same on every machine. Of a source it knows the text without comments, blank lines,
indentation and includes (what they lead to is in the hash itself), and not where it lies: a file that
moves makes nothing stale. Of a command it knows what changes the code, but no folder, no warning,
and nothing that the machine may lack (-mf16c); the compiler's version stands beside the hash.
"""
import hashlib
import json
import os
import pathlib
import re
import shlex

from mutation_lists import WrongList, drawn_mutations, listed_mutations

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">].*$', re.M)
# Comments, and what only looks like one inside of a literal.
COMMENT_OR_LITERAL = re.compile(
    r'R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.[^\'\n]*|[^\'\\\n])\'|//[^\n]*|/\*.*?\*/', re.S)
DECISIVE_FLAG = re.compile(r"-(O|f(?!(file|debug|macro)-prefix-map|diagnostics)|m(?!f16c)|-param)")
THIS_FOLDER = pathlib.Path(__file__).parent
DRIVER = ("mutation_lists.py", "mutation_run.py")  # they decide what is tried, and how


def decisive_text(text):
    """A C++ source without what changes no object but in its debug information."""
    text = COMMENT_OR_LITERAL.sub(
        lambda m: " " if m.group().startswith(("//", "/*")) else m.group(), text)
    lines = (line.strip() for line in INCLUDE.sub("", text).split("\n"))
    return "\n".join(line for line in lines if line)


def normal(path):
    return pathlib.Path(os.path.normpath(path))


class Unit:
    """A translation unit as an entry of compile_commands.json says."""

    def __init__(self, project, entry):
        self.source = pathlib.Path(entry["file"])
        self.words = shlex.split(entry["command"])
        if pathlib.Path(self.words[0]).name == "ccache":
            self.words = self.words[1:]
        self.object = normal(pathlib.Path(entry["directory"]) / self.after("-o")[0])
        folders = [w[2:] for w in self.words if w.startswith("-I") and len(w) > 2]
        inside = (os.path.relpath(f, project) for f in folders + self.after("-isystem"))
        self.folders = [project / f for f in inside if not f.startswith(("..", "build"))]
        self.forced = [pathlib.Path(f) for f in self.after("-include")]

    def after(self, option):
        return [word for before, word in zip(self.words, self.words[1:]) if before == option]

    def without(self, option):
        """The words without an option and what follows it."""
        return [w for before, w in zip([""] + self.words, self.words) if option not in (before, w)]

    def flags(self):
        return [w for w in self.words if DECISIVE_FLAG.match(w)]

    def files(self):
        """The unit and every file of the project that it includes, directly or not."""
        return self.reached_from([self.source, *self.forced])

    def reached_from(self, files):
        found, waiting = [], list(files)
        while waiting:
            file = waiting.pop()
            if file in found:
                continue
            found.append(file)
            for bracket, name in INCLUDE.findall(file.read_text(errors="replace")):
                folders = ([file.parent] if bracket == '"' else []) + self.folders
                there = next((f / name for f in folders if (f / name).is_file()), None)
                if there:
                    waiting.append(normal(there))
        return found


class Sources:
    """The units of a family, of its test and of the emulator, from compile_commands.json."""

    def __init__(self, project, database, family):
        self.project, self.family = project, family
        self.database = database
        self.entries = json.loads(pathlib.Path(database).read_text())
        self.units = {source: self.unit(source, family.kernels) for source in family.units}
        self.units |= {source: self.unit(source, "tconv_objects") for source in family.host}
        self.reached = {source: {str(f.relative_to(project)) for f in unit.files()}
                        for source, unit in self.units.items()}

    def unit(self, source, target):
        path = str(self.project / source)
        entry = next((e for e in self.of_target(target) if e["file"] == path), None)
        if entry is None:
            raise WrongList(f"{self.database} has no entry for {path} in {target}")
        return Unit(self.project, entry)

    def of_target(self, target):
        return [e for e in self.entries if f"/{target}.dir/" in e["command"]]

    def objects_of(self, sources):
        """What these are compiled to, for whatever target."""
        files = {str(self.project / source) for source in sources}
        return {Unit(self.project, e).object for e in self.entries if e["file"] in files}

    def mutable(self):
        """The files of which a mutation reaches a unit, relative to the project."""
        return sorted(set().union(*self.reached.values()))

    def standard_headers(self):
        """The names of those that the kernel's units include."""
        files = set().union(*(self.reached[unit] for unit in self.family.units))
        found = (INCLUDE.findall((self.project / f).read_text(errors="replace")) for f in files)
        return sorted({name for names in found for bracket, name in names if name.isidentifier()})

    def decisive_files(self):
        files = {self.project / name for name in self.mutable()}
        for pattern in self.family.decide:
            matches = [f for f in self.project.glob(pattern) if f.is_file()]
            if not matches:
                raise WrongList(f"{self.family.name}: no file is {pattern}")
            files.update(matches)
        for target in (self.family.test, "tconv_emulator"):
            for entry in self.of_target(target):
                files.update(Unit(self.project, entry).files())
        return sorted(files)

    def hash(self):
        family = self.family
        texts = [decisive_text(f.read_text(errors="replace")) for f in self.decisive_files()]
        listed = listed_mutations(self.project, family.broken_path)
        explained = json.loads(family.explained_path.read_text())
        facts = {
            "sources": sorted(hashlib.sha256(text.encode()).hexdigest() for text in texts),
            "driver": [(THIS_FOLDER / name).read_text() for name in DRIVER],
            "flags": [unit.flags() for unit in self.units.values()],
            "run": [family.filter, family.first_filter, family.timeout],
            "random": [family.random.count, family.random.seed, family.random.minimum],
            "broken": [(m.name, m.old, m.new) for m in listed],
            "explained": [(e["from"], e["to"]) for e in explained],
            "drawn": [(m.old, m.new) for m in drawn_mutations(self.project, family)],
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
