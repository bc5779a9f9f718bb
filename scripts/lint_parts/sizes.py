# SPDX-License-Identifier: Apache-2.0
"""sizes: how long files and functions are.

A function is counted from the line of its `{` to the line of its `}` (C++, CUDA, bash), or from its `def`
to its last line (Python). A GoogleTest body is a function; a lambda in a function is part of it.
"""
import ast
import re

FILE_LINES = 400
FUNCTION_LINES = 60

# What says nothing about structure, in the order in which it is met: raw strings, comments, literals,
# directives (a macro's body included).
WITHOUT_STRUCTURE = re.compile(
    r'R"(?P<end>[^()\s\\]{0,16})\(.*?\)(?P=end)"'
    r"|//[^\n]*|/\*.*?\*/"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'"
    r"|^[ \t]*#(?:\\\n|[^\n])*", re.DOTALL | re.MULTILINE)
# What may stand between a function's parameters and its body.
AFTER_PARAMETERS = re.compile(
    r"\s*(?:\b(?:const|noexcept|override|final|mutable|try)\b\s*|&&?\s*|(?:->|requires\b).*|:(?!:).*)*",
    re.DOTALL)
SCOPE = re.compile(r"\b(?:namespace|class|struct|union|extern)\b")
TEMPLATE_HEAD = re.compile(r"^\s*template\s*<[^{}]*?>\s*(?=struct|class|union)")


def opens(before, in_data):
    """What a `{` opens, by what stands before it: "scope", "function" or "data"."""
    before = TEMPLATE_HEAD.sub("", before)
    closing = max(before.rfind(")"), before.rfind("]"))
    if not before.strip():
        return "data" if in_data else "function"  # after a constructor's `member{value}`
    if before.rstrip().endswith("="):
        return "data"
    if closing >= 0 and AFTER_PARAMETERS.fullmatch(before, closing + 1):
        return "function"
    return "scope" if SCOPE.search(before) and not in_data else "data"


def cpp_functions(text):
    """(first line of the body, last line)"""
    bare = WITHOUT_STRUCTURE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
    line, start, stack = 1, 0, []
    for match in re.finditer(r"[{};\n]", bare):
        character = match.group()
        if character == "\n":
            line += 1
            continue
        in_function = bool(stack) and stack[-1][0] in ("function", "inside")
        if character == "{":
            in_data = bool(stack) and stack[-1][0] == "data"
            kind = "inside" if in_function else opens(bare[start:match.start()], in_data)
            stack.append((kind, line))
        elif character == "}" and stack:
            kind, first = stack.pop()
            if kind == "function":
                yield first, line
        start = match.end()


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno


BASH_FUNCTION = re.compile(r"^(?:function\s+)?[\w-]+\s*\(\)\s*[{(]\s*(?:#.*)?$")


def bash_functions(lines):
    first = None
    for number, line in enumerate(lines, 1):
        if BASH_FUNCTION.match(line):
            first = number
        elif first and line.rstrip() in ("}", ")"):
            yield first, number
            first = None


def functions_of(file):
    if file.is_cpp:
        return cpp_functions(file.text)
    if file.is_python:
        return python_functions(file.text)
    return bash_functions(file.lines)


def check_sizes(file):
    """(line, what is wrong)"""
    if not (file.is_cpp or file.is_python or file.is_bash):
        return
    if len(file.lines) > FILE_LINES:
        yield FILE_LINES + 1, f"a source has at most {FILE_LINES} lines: here are {len(file.lines)}"
    for first, last in functions_of(file):
        if last - first + 1 > FUNCTION_LINES:
            yield first, f"a function has at most {FUNCTION_LINES} lines: here are {last - first + 1}"
