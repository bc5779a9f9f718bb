# SPDX-License-Identifier: Apache-2.0
"""sass.py: what nvdisasm prints, as instructions, control flow and loops."""
import collections
import re

Instruction = collections.namedtuple("Instruction", "predicate opcode operands")
# A loop: its instructions by index, and the loops directly inside it.
Loop = collections.namedtuple("Loop", "members inner")

SECTION = re.compile(r"^\.text\.(\S+):$")
LABEL = re.compile(r"^([.$\w]\S*):$")
INSTRUCTION = re.compile(r"^\s+/\*[0-9a-f]+\*/\s+(?:@(!?\w+)\s+)?([A-Z][\w.]*)\s*(.*)$")
LOCAL_TARGET = re.compile(r"\.L_[\w$.]+")
CALL_TARGET = re.compile(r"`\((.+?)\)")

JUMPS = {"BRA", "BRX", "BRXU", "JMP", "JMX", "JMXU"}
ENDS = {"EXIT", "RET", "KILL"}


def base(instruction):
    return instruction.opcode.split(".")[0]


class Function:
    """A kernel with the routines that ptxas put behind it (those have labels that begin with $)."""

    def __init__(self, name):
        self.name = name
        self.instructions = []
        self.labels = {}  # where each label points
        self.routines = []  # (index of the first instruction, label), ascending

    def routine_of(self, index):
        """The label of the routine that an instruction is in; empty in the kernel itself."""
        inside = [label for first, label in self.routines if first <= index]
        return inside[-1] if inside else ""

    def call_target(self, index):
        found = CALL_TARGET.search(self.instructions[index].operands)
        return found.group(1) if found else ""

    def is_jump(self, index):
        # For a jump out of a loop ptxas may write a call of a label in the kernel: none comes back.
        kind = base(self.instructions[index])
        return kind in JUMPS or (kind == "CALL" and self.call_target(index).startswith(".L_"))

    def length(self):
        """Instructions without the padding at the end: a jump to itself and what follows it."""
        count = len(self.instructions)
        while count and self.instructions[count - 1].opcode == "NOP":
            count -= 1
        if count and self._targets(count - 1) == [count - 1]:
            count -= 1
        return count

    def _targets(self, index):
        """Where a jump may go; empty for what is no jump."""
        if not self.is_jump(index):
            return []
        names = LOCAL_TARGET.findall(self.instructions[index].operands)
        return [self.labels[name] for name in names if name in self.labels]

    def _falls_through(self, index):
        instruction = self.instructions[index]
        kind = base(instruction)
        if not self.is_jump(index) and kind not in ENDS:
            return True
        # `@P0 BRA x`, and `BRA.U !UP0, x` or `BRA.DIV UR4, x` with the condition among the operands.
        conditional = kind == "BRA" and not instruction.operands.startswith(("`", "."))
        return bool(instruction.predicate) or conditional

    def blocks(self):
        """(blocks as ranges of instructions, successors of each block). A call comes back."""
        count = len(self.instructions)
        starts = {0} | {at for at in self.labels.values() if at < count}
        for index, instruction in enumerate(self.instructions):
            ends = self.is_jump(index) or base(instruction) in ENDS
            if ends and index + 1 < count:
                starts.add(index + 1)
        starts = sorted(starts) if count else []
        ranges = [range(a, b) for a, b in zip(starts, starts[1:] + [count])]
        number = {block.start: i for i, block in enumerate(ranges)}
        successors = []
        for block in ranges:
            last = block[-1]
            next_blocks = {number[at] for at in self._targets(last) if at < count}
            if self._falls_through(last) and last + 1 < count:
                next_blocks.add(number[last + 1])
            successors.append(next_blocks)
        return ranges, successors

    def loops(self):
        """The outermost loops; what cannot be left (padding) is none."""
        ranges, successors = self.blocks()

        def instructions_of(nodes):
            return frozenset(index for node in nodes for index in ranges[node])

        def convert(forest):
            return [Loop(instructions_of(nodes), convert(inner)) for nodes, inner in forest]

        return convert(
            (nodes, inner)
            for nodes, inner in loop_forest(successors)
            if any(successors[n] - nodes for n in nodes)
            or any(base(self.instructions[i]) in ENDS for i in instructions_of(nodes))
        )

    def with_callees(self, members, skip):
        """`members` and every routine called from there, but those whose label `skip` matches."""
        ranges, successors = self.blocks()
        number = {block.start: i for i, block in enumerate(ranges)}
        seen, todo = set(members), list(members)
        while todo:
            index = todo.pop()
            if base(self.instructions[index]) != "CALL" or self.is_jump(index):
                continue
            target = self.call_target(index)
            if target not in self.labels or skip.search(target):
                continue
            reached = reachable(number[self.labels[target]], successors)
            found = {i for node in reached for i in ranges[node]} - seen
            seen |= found
            todo += found
        return frozenset(seen)


def reachable(first, successors):
    seen, todo = {first}, [first]
    while todo:
        found = successors[todo.pop()] - seen
        seen |= found
        todo += found
    return seen


def loop_forest(successors):
    """[(nodes, loops inside), ...]. A loop is a strongly connected part; the loops inside it are
    those that remain without the jumps back to where it is entered. Works for any control flow."""
    entered_from = [set() for _ in successors]
    for node, targets in enumerate(successors):
        for target in targets:
            entered_from[target].add(node)

    def within(edges):
        forest = []
        for part in strongly_connected(edges):
            if len(part) == 1 and not any(node in edges[node] for node in part):
                continue
            entries = {n for n in part if entered_from[n] - part} or {min(part)}
            inner = {n: [t for t in edges[n] if t in part and t not in entries] for n in part}
            forest.append((part, within(inner)))
        return sorted(forest, key=lambda loop: min(loop[0]))

    return within({node: list(targets) for node, targets in enumerate(successors)})


def strongly_connected(edges):
    """Tarjan's algorithm without recursion. edges: node -> nodes."""
    order, low, stack, on_stack, parts = {}, {}, [], set(), []
    for root in edges:
        if root in order:
            continue
        work = [(root, iter(edges[root]))]
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in order:
                    order[target] = low[target] = len(order)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(edges[target])))
                    break
                if target in on_stack:
                    low[node] = min(low[node], order[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    part = set()
                    while node not in part:
                        part.add(stack.pop())
                    on_stack -= part
                    parts.append(part)
    return parts


def parse(text):
    """The functions in what `nvdisasm -c` printed. Raises ValueError where a line is not understood."""
    functions, function = [], None
    for line in text.splitlines():
        section = SECTION.match(line)
        if section:
            function = Function(section.group(1))
            functions.append(function)
            continue
        label = LABEL.match(line)
        if label and function:
            name = label.group(1)
            function.labels[name] = len(function.instructions)
            if name.startswith("$"):
                function.routines.append((len(function.instructions), name))
            continue
        if "/*" not in line:
            continue
        instruction = INSTRUCTION.match(line)
        if not instruction or not function:
            if line.lstrip().startswith("//"):
                continue
            raise ValueError(f"nvdisasm printed a line that is not understood: {line.strip()}")
        predicate, opcode, operands = instruction.groups()
        function.instructions.append(
            Instruction(predicate or "", opcode, operands.replace(";", "").strip())
        )
    return functions
