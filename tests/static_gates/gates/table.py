# SPDX-License-Identifier: Apache-2.0
"""table.py: the checked-in tables, one CSV for each architecture, and how they differ from the code."""
import csv
import io
import pathlib
import re

KEYS = ["file", "kernel"]
COLUMNS = [
    "registers", "stack", "spills", "shared", "instructions", "tensor", "fma",
    "ldg", "stg", "generic", "lds", "sts", "ldsm", "ldgsts", "tma",
    "barriers", "mbarriers", "shuffles", "atomics", "mufu", "local",
    "loops", "divisions", "divisions_in_loops",
    "loop_tensor", "loop_ldsm", "loop_ldgsts", "loop_other",
    "loop_slots_per_tensor", "loop_shared_bytes_per_tensor",
]  # fmt: skip
FIRST_LINE = re.compile(r"# ptxas (\S+);(?: sources (\w+);)?")
UNKNOWN = "unknown"  # rows of several states of the sources


def texts(row):
    return {column: str(row.get(column, "")) for column in COLUMNS}


def recorded(path):
    """(version of ptxas, hash of the sources: decides.py) with which the table was written."""
    with pathlib.Path(path).open(encoding="utf-8") as file:
        found = FIRST_LINE.match(file.readline())
    if not found:
        raise ValueError(f"{path}: the first line does not name the version of ptxas")
    return found.group(1), found.group(2) or UNKNOWN


def read(path):
    """(version of ptxas, {(file, kernel): column -> text})."""
    version, _ = recorded(path)
    _, _, rest = pathlib.Path(path).read_text(encoding="utf-8").partition("\n")
    rows = {}
    for row in csv.DictReader(io.StringIO(rest)):
        key = tuple(row.pop(name) for name in KEYS)
        if key in rows:
            raise ValueError(f"{path}: two rows for {key[1]} of {key[0]}")
        rows[key] = row
    return version, rows


def write(path, version, rows, sources=UNKNOWN):
    text = io.StringIO()
    text.write(f"# ptxas {version}; sources {sources}; "
               "written by tests/static_gates/static_gates --update\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(KEYS + COLUMNS)
    for key in sorted(rows):
        writer.writerow([*key, *(rows[key].get(column) or "" for column in COLUMNS)])
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text(text.getvalue(), encoding="utf-8")


def differences(architecture, wanted, found):
    """What a reader needs to see, kernel by kernel."""
    lines = []
    for key in sorted(set(wanted) | set(found)):
        title = f"{architecture} {key[0]} {key[1]}"
        if key not in wanted:
            lines.append(f"{title}: not in the table")
        elif key not in found:
            lines.append(f"{title}: in the table, but not in the code")
        else:
            old, new = wanted[key], found[key]
            changed = [
                f"    {column}: {old.get(column) or 'none'} -> {new.get(column) or 'none'}"
                for column in COLUMNS
                if (old.get(column) or "") != (new.get(column) or "")
            ]
            if changed:
                lines += [title, *changed]
    return lines
