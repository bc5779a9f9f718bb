#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Do the tests of a kernel notice when it is broken?

Each mutation changes one line of a family's sources in a copy of them, compiles what depends on it,
links the test program and runs it (mutation_run.py). Those of the list `broken.json`, made by hand, must
all be caught. Of random ones (operators and integers swapped; mutation_lists.py) at least 95 percent
must be noticed and the others be explained in `explained.json`. One that does not compile, or compiles
to the same object, is none: the next takes its place.

What was tried with the same sources is not tried again: results.json beside the lists holds what every
mutation led to, and a hash of the sources (mutation_sources.py).

  renew   tries all mutations and writes results.json, if all is as it should be
  check   if the hash is that of the sources, tries a random tenth again (TCONV_MUTATION_SEED=N: the
          tenth of a seed printed before). If it is not, tries all, writes what should be checked in
          to the folder --output, and fails

Exit codes: 0 as it should be, 1 not, 2 wrong usage or a list that does not fit the sources.
"""
import argparse
import os
import pathlib
import secrets
import shlex
import shutil
import sys

import mutation_results
from mutation_lists import WrongList, drawn_mutations, listed_mutations, read_family
from mutation_run import (CAUGHT, CRASHED, HUNG, NOT_COMPILED, SAME_OBJECT, SURVIVED, Runner, try_all,
                          with_outcome)
from mutation_sources import Sources

SEED = "TCONV_MUTATION_SEED"


def print_all(title, results, with_output=False):
    if results:
        print(f"\n{title}:")
    for result in results:
        print(f"  {result.mutation}")
        if result.mutation.why:
            print(f"    {result.mutation.why}")
        if with_output:
            print("    | " + "\n    | ".join(result.output.strip().split("\n")[-15:]))


def print_outcomes(outcomes, tried):
    """`tried`: the random ones that do not count, too."""
    print_all("of the list, survived", with_outcome(outcomes.broken, SURVIVED))
    print_all("of the list, noticed, but by a crash or a timeout",
              with_outcome(outcomes.broken, CRASHED, HUNG), True)
    print_all("of the list, changed nothing, or did not compile",
              with_outcome(outcomes.broken, NOT_COMPILED, SAME_OBJECT), True)
    print_all("survived, unexplained", outcomes.unexplained())
    for result in with_outcome(outcomes.chance, SURVIVED):
        if outcomes.why(result) is not None:
            print(f"\nsurvived: {result.mutation}\n    {outcomes.why(result)}")
    print_all("noticed, but by a crash or a timeout", with_outcome(outcomes.chance, CRASHED, HUNG))
    for result in with_outcome(outcomes.chance, CAUGHT):
        if outcomes.why(result) is not None:
            print(f"\nlisted as a survivor, but caught: {result.mutation}")
    print(f"\nnot counted: {len(with_outcome(tried, NOT_COMPILED))} did not compile, "
          f"{len(with_outcome(tried, SAME_OBJECT))} gave the same object")
    print(f"{outcomes.summary()} (seed {outcomes.family.random.seed})")


def print_complaints(outcomes):
    complaints = list(outcomes.complaints())
    for complaint in complaints:
        print(f"not as it should be: {complaint}")
    return bool(complaints)


def try_family(runner, jobs):
    family, project = runner.family, runner.project
    runner.check_baseline()
    listed = list(listed_mutations(project, family.broken_path))
    drawn = drawn_mutations(project, family)
    broken = try_all(runner, listed, len(listed), jobs)
    chance = try_all(runner, drawn, family.random.count, jobs)
    outcomes = mutation_results.Outcomes(project, family, broken, chance)
    print_outcomes(outcomes, chance)
    return outcomes


def renew(runner, options):
    sources_hash = runner.sources.hash()  # of what is tried, should somebody write meanwhile
    outcomes = try_family(runner, options.jobs)
    if print_complaints(outcomes):
        return 1
    path = runner.family.results_path
    mutation_results.write(path, outcomes, sources_hash, options.compiler)
    print(f"written: {path.relative_to(runner.project)}")
    return 0


def try_stale(runner, options, recorded):
    family, sources_hash = runner.family, runner.sources.hash()
    path, renewed = family.results_path.relative_to(runner.project), pathlib.Path(options.output)
    command = f"scripts/test --mutations {family.name}"
    print(f"{path} is stale: it is of sources {recorded}, and these are {sources_hash}.\n"
          f"Renew it: {command}\nAll mutations are tried now.\n", flush=True)
    outcomes = try_family(runner, options.jobs)
    if not print_complaints(outcomes):
        renewed /= f"{family.name}.json"
        mutation_results.write(renewed, outcomes, sources_hash, options.compiler)
        print(f"\nAll is as it should be, but {path} is stale. Check in what this run wrote:\n"
              f"  cp {shlex.quote(str(renewed))} {path}\nor what this writes: {command}")
    return 1


def check(runner, options):
    path = runner.family.results_path
    recorded = mutation_results.recorded_hash(path)
    if recorded != runner.sources.hash():
        return try_stale(runner, options, recorded)
    outcomes = mutation_results.read(path, runner.project, runner.family)
    wrong = print_complaints(outcomes)
    seed = int(os.environ.get(SEED) or secrets.randbelow(10**6))
    before = mutation_results.draw(outcomes, seed)
    print(f"{path.relative_to(runner.project)} is of these sources; {len(before)} again, of seed {seed} "
          f"({SEED}={seed} repeats them)", flush=True)
    runner.check_baseline()
    again = try_all(runner, [r.mutation for r in before], len(before), options.jobs)
    for first, second in zip(before, again):
        if not mutation_results.agree(first.outcome, second.outcome):
            wrong = True
            print_all(f"was {first.outcome}, and now {second.outcome}", [second], True)
    print(f"\n{path.name}: " + ("not as it should be" if wrong else "as before"))
    return 1 if wrong else 0


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["renew", "check"])
    parser.add_argument("family", help="a family's mutations.json")
    parser.add_argument("--project", required=True, help="the root of the sources")
    parser.add_argument("--database", required=True, help="a compile_commands.json")
    parser.add_argument("--link", required=True, help="the words that link, without any object")
    parser.add_argument("--objects", required=True, help="a file: what the test links, one a line")
    parser.add_argument("--libraries", required=True, help="a file: and behind it")
    parser.add_argument("--launcher", help="of the compiler: ccache")
    parser.add_argument("--compiler", required=True, help="its name, for the results")
    parser.add_argument("--output", required=True, help="a folder for results that are not checked in")
    parser.add_argument("--jobs", type=int, default=int(os.environ.get("TCONV_JOBS") or os.cpu_count()))
    parser.add_argument("--scratch", help="where the copies are made, and removed again")
    options = parser.parse_args(arguments)
    options.link = shlex.split(options.link)
    if options.launcher and not shutil.which(options.launcher):
        parser.error(f"--launcher {options.launcher}: no such program")
    return options


def main(arguments):
    options = parse(arguments)
    try:
        family = read_family(options.family)
        sources = Sources(pathlib.Path(options.project), options.database, family)
        runner = Runner(sources, options)
        return {"renew": renew, "check": check}[options.mode](runner, options)
    except (WrongList, OSError) as error:
        print(f"mutate.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
