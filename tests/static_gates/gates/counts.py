# SPDX-License-Identifier: Apache-2.0
"""counts.py: what a kernel's instructions say: kinds, widths, divisions, the main loop."""
import collections
import re

from gates.sass import base

TENSOR = re.compile(r"^(UTC)?[A-Z]{1,2}MMA$")
DIVIDE_ROUTINE = re.compile(r"_(div|rem)_[su]\d+")  # ptxas's routines; floats are div_rn_..., rcp_...
KINDS = {
    "generic": {"LD", "ST", "ATOM"},  # ptxas does not know which memory the pointer is of
    "tma": {"UTMALDG", "UTMASTG", "UTMAPF", "UTMAREDG", "UBLKCP", "UBLKPF", "UBLKRED"},
    "barriers": {"BAR", "UCGABAR_ARV", "UCGABAR_WAIT"},
    "mbarriers": {"SYNCS"},
    "shuffles": {"SHFL", "REDUX", "CREDUX", "VOTE", "VOTEU", "MATCH"},
    "atomics": {"RED", "REDG", "ATOMG", "ATOMS", "REDS"},
    "mufu": {"MUFU"},
    "local": {"LDL", "STL"},
}
WIDTHS = {"ldg": "LDG", "stg": "STG", "lds": "LDS", "sts": "STS", "ldgsts": "LDGSTS"}


def bits(instruction):
    """How many bits each thread moves."""
    for part in instruction.opcode.split("."):
        if part in ("64", "128", "256"):
            return int(part)
        if re.fullmatch(r"[US](8|16)", part):
            return int(part[1:])
    return 32


def shared_bytes(instruction):
    """How many bytes of shared memory a warp moves with it. An 8x8 matrix of ldmatrix is 128."""
    kind = base(instruction)
    if kind in ("LDSM", "STSM"):
        count = instruction.opcode.split(".")[-1]
        return 128 * (int(count) if count in ("2", "4") else 1)
    return 32 * bits(instruction) // 8 if kind in ("LDS", "STS", "LDGSTS") else 0


def histogram(keys):
    """`64:2 128:8`: how many of each, numbers by size."""
    counts = collections.Counter(keys)
    order = sorted(counts, key=lambda key: (key if isinstance(key, int) else 0, str(key)))
    return " ".join(f"{key}:{counts[key]}" for key in order)


def is_fma(instruction):
    # ptxas writes small constants with HFMA2 of zero times zero.
    kind = base(instruction)
    return kind in ("FFMA", "FFMA2", "DFMA") or (
        kind == "HFMA2" and "-RZ, RZ" not in instruction.operands
    )


def is_tensor(instruction):
    return bool(TENSOR.match(base(instruction)))


def registers_of(operands):
    return re.findall(r"\bU?R\d+\b", operands)


def corrects_remainder(instructions, index):
    """`if (r >= d) r -= d` after a product: the end of a division whose reciprocal came earlier
    (ptxas moves that out of a loop with a constant divisor). A counter that wraps is no product."""
    subtract = instructions[index]
    if not subtract.predicate or base(subtract) not in ("IMAD", "IADD3", "VIADD", "UIADD3"):
        return False
    target = subtract.operands.split(",")[0].strip()
    sources = ",".join(subtract.operands.split(",")[1:])
    if target not in registers_of(sources) or not re.search(r"-(U?R\d|c\[)", sources):
        return False
    for earlier in reversed(instructions[max(0, index - 200) : index]):
        if earlier.operands.split(",")[0].strip() == target:
            return earlier.opcode in ("IMAD", "UIMAD")
    return False


def divisions(function, members):
    """Integer divisions (and remainders) among the instructions `members`."""
    calls = reciprocals = corrections = products = 0
    for index in members:
        instruction = function.instructions[index]
        if DIVIDE_ROUTINE.search(function.routine_of(index)):
            continue  # the routine is counted where it is called
        if base(instruction) == "CALL":
            calls += bool(DIVIDE_ROUTINE.search(function.call_target(index)))
        elif re.fullmatch(r"U?I2F(P|\.[FSU]\d+|\.)*\.RP", instruction.opcode):
            reciprocals += 1
        elif instruction.opcode.startswith(("IMAD.HI", "UIMAD.HI")):
            products += 1
        elif corrects_remainder(function.instructions, index):
            corrections += 1
    # One reciprocal may serve several divisions, and a constant's is outside of the loop.
    return calls + max(reciprocals, min(corrections, products))


def all_loops(loops):
    for loop in loops:
        yield loop
        yield from all_loops(loop.inner)


def tensor(function, loop):
    return sum(is_tensor(function.instructions[i]) for i in loop.members)


def loops_of_parts(function, loops):
    """The outermost loops, but of one around a main loop those inside it: what it repeats is the
    whole work of a block, whose prologue and epilogue are no loops."""
    for loop in loops:
        if any(tensor(function, inner) for inner in loop.inner):
            yield from loops_of_parts(function, loop.inner)
        else:
            yield loop


def main_loop(function, loops):
    """The figures of an iteration of the innermost loop with the most tensor-core instructions."""
    candidates = [
        loop
        for loop in all_loops(loops)
        if tensor(function, loop) and not any(tensor(function, inner) for inner in loop.inner)
    ]
    if not candidates:
        return {}
    main = max(candidates, key=lambda loop: tensor(function, loop))
    body = [function.instructions[i] for i in main.members]
    kinds = collections.Counter("tensor" if is_tensor(i) else base(i) for i in body)
    mma, ldsm, ldgsts = kinds["tensor"], kinds["LDSM"], kinds["LDGSTS"]
    return {
        "loop_tensor": mma,
        "loop_ldsm": ldsm,
        "loop_ldgsts": ldgsts,
        "loop_other": len(body) - mma - ldsm - ldgsts,
        "loop_slots_per_tensor": f"{len(body) / mma:.2f}",
        "loop_shared_bytes_per_tensor": f"{sum(map(shared_bytes, body)) / mma:.1f}",
    }


def figures(function):
    """Column -> figure, for one kernel."""
    code = function.instructions[: function.length()]
    loops = function.loops()
    in_loops = frozenset().union(*(loop.members for loop in loops_of_parts(function, loops)))
    result = {
        "instructions": len(code),
        "tensor": histogram(".".join(i.opcode.split(".")[:2]) for i in code if is_tensor(i)),
        "fma": sum(map(is_fma, code)),
        "ldsm": histogram(shared_bytes(i) // 128 for i in code if base(i) == "LDSM"),
        "loops": len(list(all_loops(loops))),
        "divisions": divisions(function, range(len(code))),
        "divisions_in_loops": divisions(
            function, function.with_callees(in_loops, DIVIDE_ROUTINE)
        ),
    }
    for column, opcode in WIDTHS.items():
        result[column] = histogram(bits(i) for i in code if base(i) == opcode)
    for column, opcodes in KINDS.items():
        result[column] = sum(base(i) in opcodes for i in code)
    result.update(main_loop(function, loops))
    return result
