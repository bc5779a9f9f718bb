# SPDX-License-Identifier: Apache-2.0
"""rooms: what may include what."""
import pathlib

from files import resolve

# From the ground up. A file includes its own room and the rooms before it, never one after it.
# `*` is one family: src/cuda/NAME/ or src/cuda/NAME.cu. Families stand side by side, so none includes
# another. The program (src/cli) is a user like any other: it includes include/ and itself.
ROOMS = (
    "include",
    "src/host/problem", "src/host/conventions", "src/host/device", "src/host/plan",
    "src/host/cpu", "src/host/cpu/simd", "src/host/verify", "src/host/explain", "src/host/run",
    "src/host/c_api",
    "src/cuda/ptx", "src/cuda/common", "src/cuda/runtime", "src/cuda/*",
    "src/cli",
)
ABOVE_ALL = ("tests", "bench")
# Headers as they are installed: ours, and a copy of older ones, against which an old caller is compiled.
INSTALLED = ("include/", "tests/host/c_api/old_header/")
# Written by CMake into the build folder (cmake/families.cmake).
GENERATED = ("families.inc",)


def room_of(path):
    """The innermost room of a path under include/ or src/, a family by its own name; or None."""
    parts = path.split("/")
    inside = [room for room in ROOMS if parts[:len(room.split("/"))] == room.split("/")]
    if inside:
        return max(inside, key=len)
    if parts[:2] == ["src", "cuda"] and len(parts) > 2:
        return "src/cuda/" + pathlib.PurePosixPath(parts[2]).stem
    return None


def floor_of(room):
    return ROOMS.index(room) if room in ROOMS else ROOMS.index("src/cuda/*")


def why_not(path, target):
    """Why the file `path` must not include our file `target`; empty if it may."""
    room, other = room_of(path), room_of(target)
    if target.split("/")[0] in ABOVE_ALL:
        return f"src and include never include {target.split('/')[0]}/"
    if other is None:
        return f"{target} lies in no room"
    if room == other or other == "include":
        return ""
    if room == "src/cli":
        return "src/cli includes only include/ and src/cli"
    if floor_of(other) > floor_of(room):
        return f"includes point downwards: {room} lies below {other}"
    if floor_of(other) == floor_of(room):
        return f"a family includes no other family: {room} and {other} stand side by side"
    return ""


def check_form(files, file, number, quote, what):
    """An include of ours is written from the root, in quotes; tconv's headers also as users write them."""
    if what in GENERATED:
        return
    target = resolve(files, file.path, what)
    written = target is not None and what in (target, target.removeprefix("include/"))
    # An installed header finds its neighbours wherever it is installed, or copied to.
    beside = target is not None and any(
        file.path.startswith(place) and target.startswith(place) for place in INSTALLED)
    if quote == '"' and not written and not beside:
        yield number, f'an include is written from the root: "{what}" is not a file there'
    if target and pathlib.PurePosixPath(target).suffix == ".cuh" and file.suffix in (".h", ".cpp") \
            and file.path.startswith(("include/", "src/")):
        yield number, f".h and .cpp are plain C++ and include no .cuh: {what}"


def check_includes(files, file):
    """(line, what is wrong)"""
    inside = file.path.startswith(("include/", "src/"))
    if inside and room_of(file.path) is None:
        yield 1, "lies in no room (scripts/lint_parts/rooms.py lists them)"
        return
    for number, quote, what in file.includes():
        yield from check_form(files, file, number, quote, what)
        target = resolve(files, file.path, what)
        if inside and target and (reason := why_not(file.path, target)):
            yield number, reason


def unit_of(path):
    """What includes must not lead back to: a file; in the program, whose files are its rooms, a header
    with its source."""
    return path.rsplit(".", 1)[0] if path.startswith("src/cli/") else path


def cycles(files):
    """(path, line, what is wrong). Between rooms there is none, for they are in one order."""
    arrows = {}  # unit -> {unit: (path, line)}
    for file in files.values():
        if not file.is_cpp:
            continue
        for number, _, what in file.includes():
            target = resolve(files, file.path, what)
            if target and unit_of(target) != unit_of(file.path):
                arrows.setdefault(unit_of(file.path), {}).setdefault(unit_of(target), (file.path, number))
    done, way = set(), []

    def visit(unit):
        if unit in way:
            circle = way[way.index(unit):] + [unit]
            path, number = arrows[circle[-2]][unit]
            yield path, number, "includes in a circle: " + " -> ".join(circle)
        elif unit not in done:
            way.append(unit)
            for other in arrows.get(unit, ()):
                yield from visit(other)
            way.pop()
            done.add(unit)

    for unit in sorted(arrows):
        yield from visit(unit)
