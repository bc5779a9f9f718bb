# SPDX-License-Identifier: Apache-2.0
"""table.py: a group of results as text."""

from report_parts.standing import geometric_mean

SMALL_GFLOP = 0.6
NAMES = {"pytorch": "PyTorch", "pytorch_packed": "PyTorch packed", "tensorflow": "TensorFlow",
         "onnxruntime": "ONNX Runtime", "jax": "JAX"}


def display_name(kernel):
    return NAMES.get(kernel, kernel)


def time_text(us):
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if us >= size:
            return f"{us / size:.3g} {unit}"
    return f"{us:.3g} us"


def count_of(rows):
    return f"{len(rows)} row" + "s" * (len(rows) != 1)


def summary(group):
    """One sentence for all rows and one for each class of size."""
    rows = group.compared
    if not rows:
        return ["No row was compared"]
    worst, count = rows[0], {word: group.count(word) for word in ("win", "tie", "loss")}
    sentences = [f"{count_of(rows)}: geometric mean {group.mean():.2f}; wins {count['win']}, ties {count['tie']}, "
                 f"losses {count['loss']}; worst {worst.ratio:.2f}: {worst.name}"]
    small = [row.ratio for row in rows if row.gflop <= SMALL_GFLOP]
    large = [row.ratio for row in rows if row.gflop > SMALL_GFLOP]
    if small and large:
        sentences.append(f"Up to {SMALL_GFLOP} GFLOP {geometric_mean(small):.2f} ({count_of(small)}), "
                         f"above {geometric_mean(large):.2f} ({count_of(large)})")
    return sentences


def text(group):
    machine = group.settings[0]
    out = [f"{machine}; {group.title}; ratio: time of the best rival over ours (above 1: ours is faster)",
           f"{'ratio':>6} {'95 % from':>13}  {'':4} {'ours':>9} {'family':<12} "
           f"{'rival':>9} {'best rival':<15} {'GFLOP':>7}  row"]
    for row in group.compared:
        low, high = row.interval
        out.append(f"{row.ratio:6.2f} {f'{low:.2f} to {high:.2f}':>13}  {row.verdict:4} "
                   f"{time_text(row.ours.us):>9} {row.ours.kernel:<12} {time_text(row.best.us):>9} "
                   f"{display_name(row.best.kernel):<15} {row.gflop:7.3f}  {row.name}")
    for row in group.alone:
        if row.ours is not None and row.ours.timed:
            out.append(f"{'-':>6} {'':13}  {'':4} {time_text(row.ours.us):>9} {row.ours.kernel:<12} "
                       f"{'-':>9} {'no rival':<15} {row.gflop:7.3f}  {row.name}")
    for (who, word, reason), names in group.not_timed().items():
        where = names[0] if len(names) == 1 else f"{count_of(names)} ({names[0]}, ...)"
        out.append(f"   {display_name(who)} {word} on {where}: {reason}")
    return "\n".join(out + summary(group)) + "\n"
