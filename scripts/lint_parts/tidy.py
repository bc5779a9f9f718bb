#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: Apache-2.0
"""tidy [--all] [--write] [--seed N] [--root DIR]: clang-tidy 16 over src/**/*.cpp, as build/release
compiles them.

What a change did not touch is not proven again: tidy_clean.txt lists sources that were clean, each with a
hash of itself, of all our headers that it includes, and of .clang-tidy. A source with another hash is
checked, and so is one in ten of the listed, chosen anew each time, for what the hash leaves out (headers of
others) or a list that is wrong. Whoever forgets to renew the list loses time, and nothing else.

  --all     checks the listed as well
  --write   renews the list: what is known to be clean now; as does TCONV_RENEW=1 (scripts/test --all --renew)

TCONV_JOBS=N: so many at a time (default: one per core). Exit codes: 0 nothing found, 1 something found.
"""
import argparse
import concurrent.futures
import hashlib
import json
import math
import os
import pathlib
import random
import re
import subprocess
import sys

from files import closure, read_all

TIDY = ["clang-tidy-16", "--quiet", "--warnings-as-errors=*"]
LIST = "scripts/lint_parts/tidy_clean.txt"
HEADER = ("# SPDX-License-Identifier: Apache-2.0\n"
          "# Sources in which clang-tidy found nothing. Written by `scripts/lint tidy --write`.\n")


def digest_of(files, path):
    digest = hashlib.sha256(files[".clang-tidy"].text.encode())
    for each in sorted(closure(files, path)):
        digest.update(f"\0{each}\0{files[each].text}".encode())
    return digest.hexdigest()[:32]


def read_list(root):
    if not (root / LIST).is_file():
        return {}
    lines = (root / LIST).read_text().splitlines()
    return {path: digest for digest, path in (line.split() for line in lines if not line.startswith("#"))}


def write_list(root, clean):
    text = "".join(f"{digest} {path}\n" for path, digest in sorted(clean.items()))
    (root / LIST).parent.mkdir(parents=True, exist_ok=True)
    (root / LIST).write_text(HEADER + text)


def compiled_sources(root, files):
    """The sources, less those of CUDA that this build leaves out (their headers may be missing)."""
    entries = json.loads((root / "build/release/compile_commands.json").read_text())
    compiled = {os.path.relpath(entry["file"], root) for entry in entries}
    for path in files:
        if not (path.startswith("src/") and path.endswith(".cpp")):
            continue
        if path in compiled or not path.startswith("src/cuda/"):
            yield path  # (clang-tidy takes the command of a source beside it)
        else:
            print(f"-- not compiled here, so not checked: {path}")


def check(root, path):
    """(found nothing, what clang-tidy says)"""
    done = subprocess.run([*TIDY, "-p", str(root / "build/release"), str(root / path)], check=False,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = re.sub(r"^\d+ warnings? (generated|treated).*\n", "", done.stdout, flags=re.MULTILINE)
    return done.returncode == 0, said


def check_all(root, paths):
    """(path, found nothing) of each, as soon as it is known; prints what clang-tidy says."""
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("TCONV_JOBS", os.cpu_count()))) as pool:
        path_of = {pool.submit(check, root, path): path for path in paths}
        for future in concurrent.futures.as_completed(path_of):
            fine, said = future.result()
            print(said, end="", flush=True)
            yield path_of[future], fine


def main(arguments):
    root = arguments.root.absolute()
    files = read_all(root)
    digests = {path: digest_of(files, path) for path in compiled_sources(root, files)}
    listed = {path: digest for path, digest in read_list(root).items() if digests.get(path) == digest}
    changed = [path for path in digests if path not in listed]
    again = sorted(listed)
    if not arguments.all:
        again = random.Random(arguments.seed).sample(again, math.ceil(len(again) / 10))
    print(f"-- {len(digests)} sources: {len(changed)} not known to be clean; "
          f"of the other {len(listed)}, {len(again)} again (--seed {arguments.seed})", flush=True)
    clean, unclean = dict(listed), []
    for path, fine in check_all(root, changed + again):
        if fine:
            clean[path] = digests[path]
        else:
            unclean.append(path)
            clean.pop(path, None)
        if arguments.write:  # each time: what is known counts also where the rest is interrupted
            write_list(root, clean)
    for path in sorted(unclean):
        print(f"not clean: {path}" + (f", which {LIST} lists" if path in listed else ""))
    return 1 if unclean else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--write", action="store_true", default=os.environ.get("TCONV_RENEW") == "1")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parents[2])
    sys.exit(main(parser.parse_args()))
