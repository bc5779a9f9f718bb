# SPDX-License-Identifier: Apache-2.0
"""mutation_run.py: compiles, links and runs a family's test with one mutation in a copy of its sources.

Exit code 1 of the test is a mutation caught, 0 one that survived. Anything else (a crash, a timeout)
was noticed, too, but no test said what was wrong: it is told apart.
"""
import atexit
import concurrent.futures
import dataclasses
import hashlib
import math
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile

from mutation_lists import Mutation, WrongList
from mutation_sources import normal

CAUGHT, SURVIVED, CRASHED, HUNG = "caught", "survived", "crashed", "hung"
NOT_COMPILED, SAME_OBJECT = "not compiled", "same object"
NOTICED = (CAUGHT, CRASHED, HUNG)
COUNTED = (*NOTICED, SURVIVED)
# A run hangs when it takes this many times the processor's time that it takes without a mutation, but
# never sooner than this: however busy the machine is.
HANGS_AFTER_TIMES, HANGS_AFTER_S = 8, 3
# The copies lie in another folder each time, with files that were written just now: so that ccache,
# where it is present, knows again what it has compiled before, and does not preprocess for it.
CCACHE = {"CCACHE_NOHASHDIR": "1", "CCACHE_DEPEND": "1", "CCACHE_PCH_EXTSUM": "1",
          "CCACHE_SLOPPINESS": "include_file_ctime,include_file_mtime,pch_defines,time_macros"}
# What every unit of the kernel includes first: where headers are most of it, that halves a compilation.
PREFIX = ("prefix.h", "prefix.h.gch", "prefix.h.gch.sum")


@dataclasses.dataclass(frozen=True)
class Result:
    mutation: Mutation
    outcome: str
    output: str = ""


class Runner:
    """`options` has `link` (the words that link, in front of what is linked), `objects` and
    `libraries` (files with one object or library a line), `launcher` and `scratch`."""

    def __init__(self, sources, options):
        self.sources, self.family, self.project = sources, sources.family, sources.project
        self.options = options
        self.baseline = []  # the bytes of the objects without a mutation
        self.kept = pathlib.Path(tempfile.mkdtemp(dir=options.scratch))  # these objects
        atexit.register(shutil.rmtree, self.kept, ignore_errors=True)
        self.cpu_limit_s = math.ceil(self.family.timeout)
        self.run_s = None  # of the first run, which is without a mutation
        self.in_prefix = set()  # files that are in what is precompiled
        self.commands = [self.compile_command(i, source) for i, source in enumerate(sources.units)]
        self.rest = self.rest_of_objects()

    def compile_command(self, i, source):
        unit = self.sources.units[source]
        if source in self.family.host:
            return self.compile_words(unit, unit.words, f"./{source}", f"unit{i}.o")
        words = unit.without("-include")
        words[1:1] = ["-include", f"./{PREFIX[0]}"]
        return self.compile_words(unit, words, f"./{source}", f"unit{i}.o")

    def compile_words(self, unit, words, source, object_file):
        """What compiles in a copy. All names in it are relative, so that the same source gives the same
        object in every copy, and ccache knows it again."""
        words = [source if word == str(unit.source) else word for word in words]
        words[words.index("-o") + 1] = object_file
        words.insert(words.index(f"-I{self.project}"), "-I.")
        launcher = [self.options.launcher] if self.options.launcher else []
        return [*launcher, *words, f"-ffile-prefix-map=./={self.project}/", "-MMD", "-MF", "unit.d"]

    def precompile(self):
        """The prefix: what the units are told to include, and all that they need of the standard
        library. Where the compiler cannot use what is made here, it reads the text."""
        unit = self.sources.units[self.family.units[0]]
        text = "".join([f'#include "{file}"\n' for file in unit.forced] +
                       [f"#include <{name}>\n" for name in self.sources.standard_headers()])
        header, precompiled, checksum = (self.kept / name for name in PREFIX)
        header.write_text(text)
        files = unit.reached_from(unit.forced)
        # For ccache, in the place of what is precompiled, which is never twice the same.
        texts = text + "".join(file.read_text() for file in files)
        checksum.write_text(hashlib.sha256(texts.encode()).hexdigest())
        words = unit.without("-include")
        words[words.index("-c"):words.index("-c")] = ["-x", "c++-header"]
        self.execute(self.compile_words(unit, words, f"./{header.name}", precompiled.name), self.kept,
                     more=CCACHE)
        self.in_prefix = {str(file.relative_to(self.project)) for file in files}

    def rest_of_objects(self):
        """A file with the objects that the test links besides the units. They are linked behind them:
        of functions in headers the mutated copies win."""
        left_out = self.sources.objects_of([*self.sources.units, *self.family.without])
        objects = pathlib.Path(self.options.objects).read_text().split()
        rest = self.kept / "objects"
        rest.write_text("\n".join(o for o in objects if normal(o) not in left_out))
        return rest

    def copy_sources(self, copy, mutated=""):
        names = PREFIX[:1] if mutated in self.in_prefix else PREFIX
        for name in names:
            (copy / name).symlink_to(self.kept / name)
        for name in self.sources.mutable():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.project / name, copy / name)

    def apply(self, copy, mutation):
        path = copy / mutation.file
        if not path.exists():
            raise WrongList(f"{mutation.file} is included by no unit")
        lines = path.read_text().split("\n")
        first, end = mutation.line - 1, mutation.line + mutation.old.count("\n")
        line = "\n".join(lines[first:end])
        assert line.strip() == mutation.old
        lines[first:end] = [line.replace(mutation.old, mutation.new)]
        path.write_text("\n".join(lines))

    def execute(self, words, folder, timeout=None, more=None):
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=timeout, check=False, cwd=folder,
                              env={**os.environ, **(more or {})})

    def build(self, copy, i):
        """One unit's object, and why it could not be made, or None."""
        done = self.execute(self.commands[i], copy, more=CCACHE)
        return copy / f"unit{i}.o", done.stdout if done.returncode != 0 else None

    def link_and_run(self, copy, objects, test_filter):
        words = [*self.options.link, *map(str, objects), f"@{self.rest}", f"@{self.options.libraries}",
                 "-o", "program"]
        done = self.execute(words, copy)
        if done.returncode != 0:
            raise WrongList(f"the link command fails:\n{done.stdout}")
        before = processor_s()
        limited = ["sh", "-c", 'ulimit -S -t "$0" && exec "$@"', str(self.cpu_limit_s)]
        try:
            done = self.execute([*limited, copy / "program", "--gtest_fail_fast=1",
                                 f"--gtest_filter={test_filter}"], copy, self.family.timeout)
        except subprocess.TimeoutExpired:
            return HUNG, ""
        if self.run_s is None:
            self.run_s = processor_s() - before
        outcome = {0: SURVIVED, 1: CAUGHT, -signal.SIGXCPU: HUNG}.get(done.returncode, CRASHED)
        return outcome, done.stdout

    def code_bytes(self, copy, object_file):
        """The object without its debug information, which knows columns."""
        stripped = copy / "stripped.o"
        self.execute(["strip", "-g", object_file, "-o", stripped], copy)
        return stripped.read_bytes()

    def try_one(self, mutation):
        """The units that a mutation reaches are made in their order, and the tests run after each: what
        they notice then needs no other unit. Of a file that units of the library include, too, all are
        made first, for they must agree."""
        alone = not any(mutation.file in self.sources.reached[unit] for unit in self.family.host)
        with tempfile.TemporaryDirectory(dir=self.options.scratch) as folder:
            copy = pathlib.Path(folder)
            self.copy_sources(copy, mutation.file)
            self.apply(copy, mutation)
            objects = [self.kept / f"unit{i}.o" for i in range(len(self.commands))]
            result, untested = Result(mutation, SAME_OBJECT), False
            for i, reached in enumerate(self.sources.reached.values()):
                if mutation.file not in reached:
                    continue
                object_file, error = self.build(copy, i)
                if error is not None:
                    return Result(mutation, NOT_COMPILED, error)
                if self.code_bytes(copy, object_file) == self.baseline[i]:
                    continue
                objects[i] = object_file
                first = self.family.first_filter if i == 0 else ""
                untested = not alone or bool(first)
                if alone:
                    result = Result(mutation, *self.link_and_run(copy, objects,
                                                                 first or self.family.filter))
                    if result.outcome != SURVIVED:
                        return result
            if untested:
                result = Result(mutation, *self.link_and_run(copy, objects, self.family.filter))
            return result

    def check_baseline(self):
        """Without a mutation the tests pass. Keeps the objects."""
        self.precompile()
        with tempfile.TemporaryDirectory(dir=self.options.scratch) as folder:
            copy = pathlib.Path(folder)
            self.copy_sources(copy)
            built = [self.build(copy, i) for i in range(len(self.commands))]
            for _, error in built:
                if error is not None:
                    raise WrongList(f"without any mutation: {NOT_COMPILED}\n{error}")
            objects = [object_file for object_file, _ in built]
            self.baseline = [self.code_bytes(copy, o) for o in objects]
            outcome, output = self.link_and_run(copy, objects, self.family.filter)
            for object_file in objects:
                shutil.copy(object_file, self.kept)
        if outcome != SURVIVED:
            raise WrongList(f"without any mutation: {outcome}\n{output}")
        limit = max(HANGS_AFTER_S, HANGS_AFTER_TIMES * self.run_s)
        self.cpu_limit_s = math.ceil(min(self.family.timeout, limit))


def processor_s():
    """Of all programs that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
