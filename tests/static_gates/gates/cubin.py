# SPDX-License-Identifier: Apache-2.0
"""cubin.py: the GPU code in a file, by NVIDIA's cuobjdump and nvdisasm, one row for each kernel."""
import collections
import os
import pathlib
import re
import subprocess

from gates import counts, sass

# The code for one architecture of one translation unit.
Cubin = collections.namedtuple("Cubin", "path architecture")

RESOURCES = re.compile(r" Function (\S+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")
SPILL = re.compile(
    r"spilled to local memory in function '([^']+)', (\d+) bytes spill stores, (\d+) bytes spill loads"
)


class ToolError(Exception):
    pass


def run(command, **options):
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, timeout=300,
        **options,
    )
    if done.returncode != 0:
        raise ToolError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def extract(tools, file, folder):
    """Writes the cubins in an object, library or program into `folder`. A cubin is one itself."""
    file = os.path.abspath(file)
    if file.endswith(".cubin"):
        listed = run([tools / "cuobjdump", "-res-usage", file])
        found = re.search(r"arch = (sm_\w+)", listed)
        if not found:
            raise ToolError(f"cuobjdump does not say for which architecture {file} is")
        return [Cubin(file, found.group(1))]
    run([tools / "cuobjdump", "-xelf", "all", file], cwd=folder)
    paths = sorted(pathlib.Path(folder).glob("*.cubin"))
    return [Cubin(str(path), path.name.split(".")[-2]) for path in paths]


def ptxas_version(cubin):
    found = re.search(rb"Cuda compilation tools, release [\d.]+, V([\d.]+)",
                      pathlib.Path(cubin.path).read_bytes())
    return found.group(1).decode() if found else "unknown"


def warns_of_spills(cubin):
    """Whether ptxas was told to (it notes its options in the code)."""
    return b"-warn-spills" in pathlib.Path(cubin.path).read_bytes()


def spills(messages):
    """Function -> bytes, from what ptxas said. The architecture is not in there: the largest."""
    result = collections.defaultdict(int)
    for name, stores, loads in SPILL.findall(messages):
        result[name] = max(result[name], int(stores) + int(loads))
    return result


def short_name(demangled):
    """`gather<float, long>`: without namespaces that only say whose code it is, and parameters."""
    name = demangled.replace("(anonymous namespace)::", "")
    name = re.sub(r"(CUB|THRUST)_[\w]*?_SM_[\d_]+_?(NS)?::", "", name)
    depth = 0
    for at, character in enumerate(name):
        depth += character in "<{["
        depth -= character in ">}]" and name[at - 1] != "-"
        if character == "(" and depth == 0 and at:
            name = name[:at]
            break
    if "<" in name:  # a template's name begins with what it returns
        name = name.removeprefix("void ")
    return re.sub(r"\btconv::(cuda::|host::)?", "", name).strip()


def demangle(names):
    """Mangled name -> readable one; what is not unique keeps its parameters."""
    full = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True,
                          check=True).stdout.splitlines()
    short = [short_name(name) for name in full]
    times = collections.Counter(short)
    return {name: s if times[s] == 1 else f for name, s, f in zip(names, short, full)}


def analyse(tools, cubin, messages, disassemble=True):
    """[(mangled name, column -> figure), ...] of the kernels in a cubin. What is not disassembled
    has no figures but ptxas's own; that is a tenth of the time."""
    usage = {
        name: tuple(map(int, figures))
        for name, *figures in RESOURCES.findall(run([tools / "cuobjdump", "-res-usage", cubin.path]))
    }
    spilled = spills(messages)
    functions = {}
    if disassemble:
        parsed = sass.parse(run([tools / "nvdisasm", "-c", cubin.path]))
        functions = {function.name: function for function in parsed}
        if set(functions) != set(usage):
            names = ", ".join(sorted(set(functions) ^ set(usage)))
            raise ToolError(f"only one of cuobjdump and nvdisasm shows {names}")
    rows = []
    for name, (registers, stack, shared, local) in usage.items():
        row = {"registers": registers, "stack": stack + local, "shared": shared}
        row["spills"] = spilled[name] if row["stack"] else 0
        row.update(counts.figures(functions[name]) if disassemble else {})
        rows.append((name, row))
    return rows
