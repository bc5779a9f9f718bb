# SPDX-License-Identifier: Apache-2.0
"""decides.py: the hash of what decides how kernels look in machine code: their sources, with all of ours
that they include, and nvcc's options. Comments and blank lines decide nothing. The version of ptxas stands
beside it in the tables."""
import hashlib
import os
import pathlib
import random
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "scripts/lint_parts"), str(ROOT / "tests/emulator")]
from gates import table  # noqa: E402
from files import closure, read_all  # noqa: E402
from mutation_sources import decisive_text  # noqa: E402

KERNELS = ("src/", "bench/probes/")
OPTIONS = ("cmake/cuda.cmake", "bench/probes/CMakeLists.txt")


def kernel_sources(files):
    return [path for path in files if path.startswith(KERNELS) and path.endswith(".cu")]


def sources_hash(root=ROOT):
    files = read_all(root)
    digest = hashlib.sha256()
    for path in sorted(closure(files, *kernel_sources(files))):
        digest.update(f"\0{path}\0{decisive_text(files[path].text)}".encode())
    for path in OPTIONS:
        if path in files:
            digest.update(f"\0{path}\0{files[path].text}".encode())
    return digest.hexdigest()[:32]


def version_of(nvcc):
    """Of its ptxas, too. Empty where it says none."""
    said = subprocess.run([nvcc, "--version"], check=False, text=True, stdout=subprocess.PIPE).stdout
    found = re.search(r", V([\d.]+)", said)
    return found.group(1) if found else ""


def to_build(paths, nvcc_version, sources):
    """(the architectures of these tables that must be built, why). What is in a table of these very
    sources is not proven again, but one of them is, drawn by TCONV_LOT."""
    names = [path.stem.removeprefix("sm_") for path in paths]
    for path in paths:
        version, recorded = table.recorded(path) if path.exists() else ("", "")
        if recorded != sources:
            return names, f"{path.name} is of other sources"
        if version != nvcc_version:
            return names, f"{path.name} is for ptxas {version}, here is {nvcc_version or 'none'}"
    seed = os.environ.get("TCONV_LOT") or str(random.randrange(10**6))
    if seed == "all":
        return names, "TCONV_LOT=all"
    return [random.Random(f"{seed} architecture").choice(names)], \
        f"the tables are of these very sources; drawn, TCONV_LOT={seed}"
