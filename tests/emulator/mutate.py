#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Do the tests of a kernel notice when it is broken?

Each mutation changes one line of a kernel's sources in a copy of them, compiles what depends on it,
links the test program and runs it. Exit code 1 is a mutation caught, 0 one that survived. Anything
else (a crash, a timeout) was noticed, too, but no test said what was wrong: it is listed apart.

  broken FILE.json   the mutations of a list, made by hand: all must be caught with exit code 1
  random COUNT       COUNT random ones (operators and integers swapped, --seed), of which at least
                     --minimum percent must be noticed and the others be explained (--explained)

A random mutation that does not compile, or compiles to the same object, is none: the next takes its
place. Commands are templates, split like a shell does: {project} is the root, {copy} the folder with
the copied sources, {source} and {object} one translation unit, {objects} all of them, {program} the
test program. Instead of a template, a database (compile_commands.json) says how a unit is compiled:
the copy then goes in front of the root among the include folders.

Lists: [{"name": ..., "file": ..., "from": ..., "to": ..., "why": ...}]: in `file` the text `from`,
which is there once, becomes `to`. Explained survivors have no name; there `from` and `to` are lines.

Exit codes: 0 as it should be, 1 not, 2 wrong usage or a list that does not fit the sources.
"""
import argparse
import atexit
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

CAUGHT, SURVIVED, CRASHED, HUNG = "caught", "survived", "crashed", "hung"
NOT_COMPILED, SAME_OBJECT = "not compiled", "same object"
COUNTED = (CAUGHT, SURVIVED, CRASHED, HUNG)
# A run hangs when it takes this many times as long as without a mutation, but never sooner than this.
HANGS_AFTER_TIMES, HANGS_AFTER_S = 8, 3


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


@dataclasses.dataclass(frozen=True)
class Result:
    mutation: Mutation
    outcome: str
    output: str = ""


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


def read_list(path):
    try:
        entries = json.loads(pathlib.Path(path).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise WrongList(f"{path}: {error}") from error
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


# ---- One mutation ---------------------------------------------------------------------------------

class Runner:
    def __init__(self, options):
        self.options = options
        self.project = pathlib.Path(options.project)
        self.baseline = []  # the bytes of the objects without a mutation
        self.kept = tempfile.TemporaryDirectory(dir=options.scratch)  # these objects
        atexit.register(self.kept.cleanup)
        self.depends = {}  # unit -> the copied files that it includes
        self.timeout = options.timeout
        self.run_s = None  # the first run, which is without a mutation
        units = [unit.partition("@") for unit in options.source]
        self.templates = {source: self.compile_template(source, target)
                          for source, _, target in units}

    def compile_template(self, source, target):
        """The words of the command for one translation unit."""
        if self.options.compile:
            return shlex.split(self.options.compile)
        path = str(self.project / source)
        entries = json.loads(pathlib.Path(self.options.database).read_text())
        part = f"/{target}.dir/" if target else ""
        entry = next((e for e in entries if e["file"] == path and part in e["command"]), None)
        if entry is None:
            raise WrongList(f"{self.options.database} has no entry for {path} {part}")
        words = [w.replace("{", "{{").replace("}", "}}") for w in shlex.split(entry["command"])]
        if pathlib.Path(words[0]).name == "ccache":
            words = words[1:]
        words[words.index(path)] = "{source}"
        words[words.index("-o") + 1] = "{object}"
        words.insert(words.index(f"-I{self.project}"), "-I{copy}")
        # Names of files in the object are those of the project, so that objects can be compared.
        return words + ["-ffile-prefix-map={copy}={project}", "-MMD", "-MF", "{object}.d"]

    def keep(self, copy, objects):
        """Keeps what a build without a mutation made, for units that a mutation does not reach."""
        for source, object_file in zip(self.templates, objects):
            shutil.copy(object_file, self.kept.name)
            names = pathlib.Path(object_file + ".d")
            if names.exists():
                words = names.read_text().replace("\\\n", " ").split()[1:]
                self.depends[source] = {os.path.relpath(w, copy) for w in words}

    def reaches(self, source, mutation):
        return source not in self.depends or mutation.file in self.depends[source]

    def copy_sources(self, copy):
        for folder in self.options.copy:
            shutil.copytree(self.project / folder, copy / folder)

    def command(self, template, **places):
        """The words of a template, with its places filled; {objects} becomes several."""
        words = []
        for word in template:
            if word == "{objects}":
                words += places["objects"]
            else:
                words.append(word.format(project=self.project, **places))
        return words

    def execute(self, words, timeout=None):
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=timeout, check=False)

    def kept_object(self, i):
        return str(pathlib.Path(self.kept.name) / f"unit{i}.o")

    def build(self, copy, i, source):
        """One unit's object, and why it could not be made, or None."""
        object_file = str(copy / f"unit{i}.o")
        done = self.execute(self.command(self.templates[source], copy=copy, object=object_file,
                                         source=copy / source))
        return object_file, done.stdout if done.returncode != 0 else None

    def link_and_run(self, copy, objects, run):
        program = str(copy / "program")
        done = self.execute(self.command(shlex.split(self.options.link), copy=copy,
                                         objects=objects, program=program))
        if done.returncode != 0:
            raise WrongList(f"the link command fails:\n{done.stdout}")
        started = time.monotonic()
        try:
            done = self.execute(self.command(shlex.split(run), copy=copy, program=program),
                                self.timeout)
        except subprocess.TimeoutExpired:
            return HUNG, ""
        if self.run_s is None:
            self.run_s = time.monotonic() - started
        outcome = {0: SURVIVED, 1: CAUGHT}.get(done.returncode, CRASHED)
        return outcome, done.stdout

    def code_bytes(self, object_file):
        """The object without its debug information, which knows columns."""
        stripped = object_file + ".stripped"
        self.execute(["strip", "-g", object_file, "-o", stripped])
        return pathlib.Path(stripped).read_bytes()

    def apply(self, copy, mutation):
        path = copy / mutation.file
        if not path.exists():
            raise WrongList(f"{mutation.file} is in no folder that is copied")
        lines = path.read_text().split("\n")
        first, end = mutation.line - 1, mutation.line + mutation.old.count("\n")
        line = "\n".join(lines[first:end])
        assert line.strip() == mutation.old
        lines[first:end] = [line.replace(mutation.old, mutation.new)]
        path.write_text("\n".join(lines))

    def try_one(self, mutation):
        """In the folder `--one-by-one` the units that a mutation reaches are made in their order, and
        the tests run after each: what they notice then needs no other unit. Otherwise all are made
        first, for they must agree."""
        alone = any(pathlib.Path(mutation.file).is_relative_to(f) for f in self.options.one_by_one)
        with tempfile.TemporaryDirectory(dir=self.options.scratch) as folder:
            copy = pathlib.Path(folder)
            self.copy_sources(copy)
            self.apply(copy, mutation)
            objects = [self.kept_object(i) for i in range(len(self.templates))]
            result, untested = Result(mutation, SAME_OBJECT), False
            for i, source in enumerate(self.templates):
                if not self.reaches(source, mutation):
                    continue
                object_file, error = self.build(copy, i, source)
                if error is not None:
                    return Result(mutation, NOT_COMPILED, error)
                if self.code_bytes(object_file) == self.baseline[i]:
                    continue
                objects[i] = object_file
                first = self.options.first_run if i == 0 else ""
                untested = not alone or bool(first)
                if alone:
                    run = first or self.options.run
                    result = Result(mutation, *self.link_and_run(copy, objects, run))
                    if result.outcome != SURVIVED:
                        return result
            if untested:
                result = Result(mutation, *self.link_and_run(copy, objects, self.options.run))
            return result

    def check_baseline(self):
        """Without a mutation the tests pass. Keeps the objects."""
        with tempfile.TemporaryDirectory(dir=self.options.scratch) as folder:
            copy = pathlib.Path(folder)
            self.copy_sources(copy)
            built = [self.build(copy, i, source) for i, source in enumerate(self.templates)]
            for _, error in built:
                if error is not None:
                    raise WrongList(f"without any mutation: {NOT_COMPILED}\n{error}")
            objects = [object_file for object_file, _ in built]
            self.baseline = [self.code_bytes(o) for o in objects]
            self.keep(copy, objects)
            outcome, output = self.link_and_run(copy, objects, self.options.run)
        if outcome != SURVIVED:
            raise WrongList(f"without any mutation: {outcome}\n{output}")
        limit = max(HANGS_AFTER_S, HANGS_AFTER_TIMES * self.run_s)
        self.timeout = min(self.options.timeout, limit)


# ---- Many -----------------------------------------------------------------------------------------

def try_all(runner, mutations, wanted, jobs):
    """Results in the order of the mutations, until `wanted` of them count. More than needed are
    tried at once; those behind the last that counts are forgotten: a seed gives one answer."""
    results, counted = [], 0
    waiting = iter(mutations)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        running = []
        while counted < wanted:
            while len(running) < jobs and (mutation := next(waiting, None)) is not None:
                running.append(pool.submit(runner.try_one, mutation))
            if not running:
                break
            result = running.pop(0).result()
            results.append(result)
            if result.outcome in COUNTED:
                counted += 1
                print(f"[{counted}/{wanted}] {result.outcome}: {result.mutation.file}:"
                      f"{result.mutation.line} {result.mutation.name}", flush=True)
        for future in running:
            future.cancel()
    return results


def with_outcome(results, *outcomes):
    return [r for r in results if r.outcome in outcomes]


def print_all(title, results, with_output=False):
    if results:
        print(f"\n{title}:")
    for result in results:
        print(f"  {result.mutation}")
        if result.mutation.why:
            print(f"    {result.mutation.why}")
        if with_output:
            print("    | " + "\n    | ".join(result.output.strip().split("\n")[-15:]))


def run_broken(runner, options):
    mutations = list(listed_mutations(runner.project, options.list))
    results = try_all(runner, mutations, len(mutations), options.jobs)
    print_all("survived", with_outcome(results, SURVIVED))
    print_all("noticed, but by a crash or a timeout", with_outcome(results, CRASHED, HUNG), True)
    print_all("changed nothing, or did not compile",
              with_outcome(results, NOT_COMPILED, SAME_OBJECT), True)
    caught = len(with_outcome(results, CAUGHT))
    print(f"\ncaught {caught} / {len(mutations)}")
    return 0 if caught == len(mutations) else 1


def explained_survivors(runner, path):
    """{(file, old line, new line): why}. An entry whose line is gone explains nothing."""
    explained = {}
    for entry in read_list(path) if path else []:
        lines = [line.strip() for line in (runner.project / entry["file"]).read_text().split("\n")]
        if entry["from"] not in lines:
            raise WrongList(f"{path}: no line of {entry['file']} reads: {entry['from']}")
        explained[entry["file"], entry["from"], entry["to"]] = entry["why"]
    return explained


def run_random(runner, options):
    explained = explained_survivors(runner, options.explained)
    mutations = list(random_mutations(runner.project, options.file, options.begin, options.end))
    random.Random(options.seed).shuffle(mutations)
    results = try_all(runner, mutations, options.count, options.jobs)
    counted = with_outcome(results, *COUNTED)
    survivors = with_outcome(results, SURVIVED)
    key = lambda r: (r.mutation.file, r.mutation.old, r.mutation.new)
    unexplained = [r for r in survivors if key(r) not in explained]
    print_all("survived, unexplained", unexplained)
    for result in survivors:
        if key(result) in explained:
            print(f"\nsurvived: {result.mutation}\n    {explained[key(result)]}")
    print_all("noticed, but by a crash or a timeout", with_outcome(results, CRASHED, HUNG))
    for result in with_outcome(results, CAUGHT):
        if key(result) in explained:
            print(f"\nlisted as a survivor, but caught: {result.mutation}")
    print(f"\nnot counted: {len(with_outcome(results, NOT_COMPILED))} did not compile, "
          f"{len(with_outcome(results, SAME_OBJECT))} gave the same object")
    noticed = len(counted) - len(survivors)
    print(f"caught {len(with_outcome(results, CAUGHT))} / {len(counted)}, "
          f"noticed {noticed} / {len(counted)} (seed {options.seed})")
    if len(counted) < options.count:
        print(f"only {len(counted)} mutations could be made of {', '.join(options.file)}")
    enough = counted and 100 * noticed >= options.minimum * len(counted)
    return 0 if enough and not unexplained else 1


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", required=True, help="the root of the sources")
    parser.add_argument("--copy", action="append", required=True,
                        help="a folder that is copied, relative to the root; may be repeated")
    parser.add_argument("--source", action="append", required=True,
                        help="a translation unit to compile from the copy, FILE or FILE@TARGET if "
                        "the database has it more than once; may be repeated")
    parser.add_argument("--one-by-one", action="append", default=[],
                        help="a folder, relative to the root, of whose files each unit has what it "
                        "needs to itself: the tests run after each that a mutation changes; may be "
                        "repeated")
    compiling = parser.add_mutually_exclusive_group(required=True)
    compiling.add_argument("--compile", help="template of a command")
    compiling.add_argument("--database", help="a compile_commands.json")
    parser.add_argument("--link", required=True, help="template of a command")
    parser.add_argument("--run", default="{program}", help="template of a command")
    parser.add_argument("--first-run", default="",
                        help="with --one-by-one, the tests of what the first unit has: run before "
                        "the others are made")
    parser.add_argument("--timeout", type=float, default=30,
                        help="of a run, in seconds; less where a run without a mutation is quick")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--scratch", help="where the copies are made, and removed again")
    modes = parser.add_subparsers(dest="mode", required=True)
    broken = modes.add_parser("broken", help="the mutations of a list")
    broken.add_argument("list")
    chance = modes.add_parser("random", help="random mutations")
    chance.add_argument("count", type=int)
    chance.add_argument("--file", action="append", required=True, help="a file to mutate")
    chance.add_argument("--begin", default="", help="only from the first line with this text in it")
    chance.add_argument("--end", default="", help="only up to the next line with this text in it")
    chance.add_argument("--seed", type=int, default=1)
    chance.add_argument("--minimum", type=float, default=95, help="percent")
    chance.add_argument("--explained", help="the list of survivors that change nothing")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    try:
        runner = Runner(options)
        runner.check_baseline()
        return (run_broken if options.mode == "broken" else run_random)(runner, options)
    except (WrongList, OSError) as error:
        print(f"mutate.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
