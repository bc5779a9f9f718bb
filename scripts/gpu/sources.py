#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sources: which sources are these? Prints one JSON object: a hash of all that is compiled for a GPU, and
the commit where git knows it.

A GPU machine may have the files without the repository; then the commit is the one that
scripts/pack_gpu_deps wrote down, if the hash is still the same.
"""
import hashlib
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPILED = ("CMakeLists.txt", "cmake", "include", "src", "bench", "tests/gpu", "tests/support",
            "tests/**/*_gpu.cpp")
PACKED = ROOT / "gpu_deps" / "sources.json"


def files():
    for pattern in COMPILED:
        for path in sorted(ROOT.glob(pattern)):
            yield from sorted(path.rglob("*")) if path.is_dir() else [path]


def fingerprint():
    digest = hashlib.sha256()
    for path in files():
        # Results are stored below bench/ and are no sources.
        if path.is_file() and "results" not in path.parts and path.suffix != ".pyc":
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def git(*arguments):
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def commit_of_git():
    """None without a repository of this folder; an archive may lie inside somebody else's."""
    if git("rev-parse", "--show-toplevel") != str(ROOT):
        return None
    commit = git("rev-parse", "HEAD")
    return commit and commit + ("+changes" if git("status", "--porcelain") else "")


def describe():
    sources = fingerprint()
    commit = commit_of_git()
    if commit is None:
        try:
            packed = json.loads(PACKED.read_text())
        except (OSError, ValueError):
            packed = {}
        commit = packed.get("commit") if packed.get("sources") == sources else None
    return {"sources": sources, "commit": commit or "unknown"}


if __name__ == "__main__":
    print(json.dumps(describe()))
