#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: Apache-2.0
"""rules [ROOT]: the rules of the house that a line of source can break. Prints file:line and the rule.

Exit codes: 0 none is broken, 1 one is.
"""
import pathlib
import re
import sys

from files import read_all
from rooms import check_includes, cycles
from sizes import check_sizes

LICENCE = "SPDX-License-Identifier: Apache-2.0"
ASM = re.compile(r"\b(__asm__|asm)\b\s*(volatile|\()")
ENDS_OR_PRINTS = re.compile(r"(?:^|[^\w:])(?:std::)?(?:abort|exit|printf|puts)\(")
MACHINE_PATH = re.compile(r"(?:^|[^\w.}-])/(?:work|home|root|tmp)/")


def check_words(file):
    """(line, what is wrong)"""
    sources = file.path.startswith(("include/", "src/"))
    for number, line in enumerate(file.lines, 1):
        if sources and not file.path.startswith("src/cuda/ptx/") and ASM.search(line):
            yield number, "asm stands in src/cuda/ptx, one function per instruction"
        if file.path.startswith("src/host/") and ENDS_OR_PRINTS.search(line):
            yield number, "the library neither prints, aborts nor exits"
        if MACHINE_PATH.search(line):
            yield number, "no path of one machine"


def check_licence(file):
    if (file.is_cpp or file.is_python or file.is_bash) and \
            not any(LICENCE in line for line in file.lines[:2]):
        yield 1, f"a source begins with the licence line, {LICENCE}"


def broken_rules(root):
    """(path, line, what is wrong)"""
    files = read_all(root)
    for path, file in files.items():
        checks = [check_words(file), check_licence(file), check_sizes(file)]
        if file.is_cpp:
            checks.append(check_includes(files, file))
        for check in checks:
            for number, what in check:
                yield path, number, what
    yield from cycles(files)


def main(root):
    broken = sorted(broken_rules(root))
    for path, number, what in broken:
        print(f"{path}:{number}: {what}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1
                  else pathlib.Path(__file__).resolve().parents[2]))
