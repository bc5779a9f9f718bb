# SPDX-License-Identifier: Apache-2.0
"""machine.py: what the machine is, which of its cores are used, and what it can do at most."""

import os
import platform
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

CORES = len(os.sched_getaffinity(0))  # before this process is bound to some of them
ROOT = Path(__file__).resolve().parents[2]
# Of the processor's flags those that kernels choose by.
INSTRUCTION_SETS = ("sse4_2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512_bf16", "avx512_fp16",
                    "amx_bf16", "amx_fp16", "asimd", "asimdhp", "bf16", "sve", "sve2")


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def cpuinfo():
    """The first processor's fields of /proc/cpuinfo; empty where there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in
            (line.partition(":") for line in text.splitlines())}


def caches():
    """Bytes of the first processor's caches, as the system writes them: {"L1d": "48K", ...}."""
    sizes = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        sizes[f"L{level}{ {'Data': 'd', 'Instruction': 'i'}.get(kind, '') }"] = size
    return sizes


def memory_bytes():
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def siblings(cpu):
    try:
        path = f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return str(cpu)


def choose_cores(threads):
    """`threads` processors that this process may use, of different cores as far as there are so many."""
    allowed = sorted(os.sched_getaffinity(0), reverse=True)  # the first one has the system's own work
    firsts = {siblings(cpu): cpu for cpu in allowed}.values()
    rest = [cpu for cpu in allowed if cpu not in firsts]
    return [*firsts, *rest][:threads]


def commit():
    def git(*arguments):
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None
    try:
        head, changed = git("rev-parse", "--short=12", "HEAD"), git("status", "--porcelain", "-uno")
    except OSError:
        return "unknown"
    return "unknown" if head is None else head + ("-dirty" if changed else "")


def name():
    """As `tconv bench` has it."""
    cpu = cpuinfo().get("model name", platform.processor() or "unknown")
    return f"{cpu}, {CORES} core" + "s" * (CORES != 1)


def facts():
    info, flags = cpuinfo(), set()
    flags.update(info.get("flags", info.get("Features", "")).split())
    return {"machine": name(), "cpu": info.get("model name", platform.processor() or "unknown"),
            "cpu_model": " ".join(f"{name} {info[name]}" for name in
                                  ("vendor_id", "cpu family", "model", "stepping") if name in info),
            "instruction_sets": [name for name in INSTRUCTION_SETS if name in flags],
            "cores": CORES,
            "bound_to": sorted(os.sched_getaffinity(0)), "caches": caches(), "memory_bytes": memory_bytes(),
            "virtual": "hypervisor" in flags, "system": platform.platform(),
            "python": platform.python_version(), "commit": commit()}


def quickest_us(run, least=5, seconds=1.5):
    """The shortest of at least `least` runs."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < least or (time.perf_counter() < end and len(times) < 50):
        begin = time.perf_counter()
        run()
        times.append((time.perf_counter() - begin) * 1e6)
    return min(times)


def words(threads):
    return f"{threads} thread" + "s" * (threads != 1)


def ceiling(what, threads, us, source):
    return {"kind": "ceiling", "id": ceiling_id(what, threads), "what": what, "threads": threads,
            "machine": name(), "us": us, "source": source}


def ceiling_id(what, threads):
    return f"ceiling|{what}|{threads}|{name()}"


def measure_copy(threads):
    import torch
    size = 1 << 30
    source = torch.ones(size // 4, dtype=torch.float32)
    target = torch.empty_like(source)
    us = quickest_us(lambda: target.copy_(source))
    line = ceiling("copy 1 GiB", threads, us, f"torch.Tensor.copy_, {words(threads)}, both ways counted")
    return {**line, "bytes_per_us": 2 * size / us}


def measure_product(dtype, threads):
    import torch
    kind = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32, "f64": torch.float64}[dtype]
    size = 2048
    a, b = (torch.randn(size, size).to(kind) for _ in "ab")
    y = torch.empty(size, size, dtype=kind)
    us = quickest_us(lambda: torch.mm(a, b, out=y))
    line = ceiling(f"product {dtype}", threads, us, f"torch.mm of {size}^3, {words(threads)}")
    return {**line, "macs_per_us": size**3 / us, "tflops": 2e-6 * size**3 / us}


def measure_ceilings(results, dtype, threads):
    """Appends what `results` lacks. Needs PyTorch; without it there is no roofline."""
    try:
        import torch
    except ImportError as error:
        results.append({"kind": "not run", "unit": "ceilings", "what": "ceilings", "reason": str(error)})
        return
    torch.set_num_threads(threads)
    wanted = {f"product {kind}": (measure_product, (kind, threads)) for kind in {dtype, "f32"}}
    if memory_bytes() > 4 << 30:
        wanted["copy 1 GiB"] = (measure_copy, (threads,))
    for what, (measure, arguments) in wanted.items():
        if not results.has_id(ceiling_id(what, threads)):
            results.append(measure(*arguments))
