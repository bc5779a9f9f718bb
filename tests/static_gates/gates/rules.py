# SPDX-License-Identifier: Apache-2.0
"""rules.py: what no kernel may do, whatever the table says, and who is excused from what."""
import re

COMPARES = "Where element i of a slice lies takes divisions; it checks results and is in no run."
ISSUES_BOXES = "One thread asks for boxes of many kilobytes: they take longer than its divisions."

# Kernels that may divide integers in a loop: (file, name without template arguments) -> why.
DIVIDES_IN_LOOP = {
    ("src/cuda/gather.cu", "gather"): "It stays naive: whether a tap meets an output takes a division.",
    ("src/cuda/runtime/compare.cu", "cub::detail::reduce::DeviceReduceKernel"): COMPARES,
    ("src/cuda/runtime/compare.cu", "cub::detail::reduce::DeviceReduceSingleTileKernel"): COMPARES,
    ("bench/probes/probe_l2_paths.cu", "probes::multicast_rate"): ISSUES_BOXES,
    ("bench/probes/probe_l2_paths.cu", "probes::tma_rate"): ISSUES_BOXES,
    ("bench/probes/probe_nchw.cu", "probes::tma_rate"): ISSUES_BOXES,
    ("bench/probes/probe_tma_boxes.cu", "probes::tma_rate"): ISSUES_BOXES,
}

POTENTIAL_LOSS = re.compile(r"\(C75\d\d\)")


def of_kernel(file, kernel, row):
    """Sentences, empty where the kernel keeps the rules."""
    broken = []
    if row["spills"]:
        broken.append(f"spills {row['spills']} bytes of registers")
    local = row.get("local", 0)
    if row["stack"] or local:
        broken.append(f"uses local memory: {row['stack']} bytes a thread, {local} loads and stores")
    name = kernel.split("<")[0].split("(")[0]
    divisions = row.get("divisions_in_loops", 0)
    if divisions and (file, name) not in DIVIDES_IN_LOOP:
        broken.append(f"divides integers in a loop (at {divisions} places)")
    return broken


def of_messages(messages):
    """ptxas's lines about code that will be slower than written (C75xx: wgmma serialised, ...)."""
    return sorted({line.strip() for line in messages.splitlines() if POTENTIAL_LOSS.search(line)})
