# SPDX-License-Identifier: Apache-2.0
"""build: configures and builds what the parts need, offline, from the packed folder and what the machine
has. What does not compile takes only its own part with it."""
import os
import pathlib
import re

import machine
from step import run

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "gpu_check"
PACKED = ROOT / "gpu_deps"
CONFIGURE_LIMIT_S = 120
ERROR_CHARACTERS = 3000  # of what a failing build said at last
PLACES = {"test": "tests/gpu", "probe": "probes", "bench": "bench"}  # by the word before the _
WANTED = re.compile(r"tconv_cli|test_\w+_gpu|probes|bench_gpu|tconv_emulated")


class CannotBuild(Exception):
    """The reason, which names the log."""


class Unfinished(Exception):
    """The time was too short; what compiled so far stays."""


def configure_arguments(compiler, architecture, definitions):
    arguments = [
        "cmake", "-S", ROOT, "-B", FOLDER, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
        f"-DCMAKE_PREFIX_PATH={PACKED}", f"-DCMAKE_CUDA_COMPILER={compiler}",
        f"-DTCONV_CUDA_ARCHITECTURES={architecture}", "-DTCONV_CUDA_PTX=OFF",
        "-DTCONV_TEST_ALL=OFF", "-DTCONV_TESTS=ON", "-DTCONV_BENCH=ON",
        f"-DCUDNN_FRONTEND_INCLUDE_DIR={PACKED / 'cudnn_frontend' / 'include'}",
    ]  # fmt: skip
    headers = machine.cudnn_headers(compiler)
    if headers:
        arguments.append(f"-DCUDNN_INCLUDE_DIR={headers}")
    blas = machine.cublas_headers(compiler)
    if blas:  # last in the order: the toolkit's own headers stay the toolkit's
        arguments.append(f"-DCMAKE_CXX_FLAGS=-idirafter {blas}")
    arguments += [f"-D{definition}" for definition in definitions]
    return [str(argument) for argument in arguments]


def targets():
    listed = run(["cmake", "--build", str(FOLDER), "--target", "help"], CONFIGURE_LIMIT_S, None)
    return re.findall(r"^([\w.+-]+): phony$", listed.output, re.MULTILINE)


def first_failure(output):
    """What Ninja prints between the first FAILED and its next step."""
    failure = re.search(r"^FAILED: .*?(?=^\[\d+/|\Z)", output, re.MULTILINE | re.DOTALL)
    return (failure.group(0) if failure else output).strip()[:ERROR_CHARACTERS]


class Build:
    """The folder, after build(): which targets there are, and where their programs lie."""

    def __init__(self, log_path):
        self.log_path = log_path
        self.targets = []
        self.complete = False
        self.current = {}  # target: does it compile; asked where something does not
        self.notes = []  # what CMake says that it found or left out

    def _run(self, command, limit_s, environment):
        result = run([str(word) for word in command], limit_s, environment)
        with open(self.log_path, "a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(map(str, command))}\n{result.output}{result.errors}\n")
        return result

    def configure(self, compiler, architecture, definitions, environment):
        os.makedirs(FOLDER, exist_ok=True)
        arguments = configure_arguments(compiler, architecture, definitions)
        result = self._run(arguments, CONFIGURE_LIMIT_S, environment)
        if result.exit_code != 0:
            said = (result.errors or result.output).strip()[-ERROR_CHARACTERS:]
            raise CannotBuild(f"cmake could not configure (see {self.log_path}):\n{said}")
        self.notes = re.findall(r"^-- (tconv: .*)$", result.output, re.MULTILINE)
        self.targets = targets()

    def build(self, limit_s, environment):
        """True if all of it compiled. The program alone has to be there."""
        wanted = sorted(filter(WANTED.fullmatch, self.targets))
        command = ["cmake", "--build", FOLDER, "--target", *wanted, "--parallel", str(os.cpu_count())]
        result = self._run([*command, "--", "-k", "0"], limit_s, environment)
        if result.exit_code is None:
            raise Unfinished()
        self.complete = result.exit_code == 0
        if not self.program("tconv_cli", "tconv"):
            said = first_failure(result.output)
            raise CannotBuild(f"the program tconv did not compile (see {self.log_path}):\n{said}")
        return self.complete

    def program(self, target, name=""):
        """The path of a program that was built from these very sources, or None."""
        path = FOLDER / PLACES.get(target.split("_")[0], ".") / (name or target)
        if not os.access(path, os.X_OK):
            return None
        return str(path) if self.complete or self._is_current(target) else None

    def _is_current(self, target):
        """Something did not compile: is it this? Then an older program may still be there."""
        if target not in self.current:
            command = ["cmake", "--build", str(FOLDER), "--target", target]
            self.current[target] = run(command, CONFIGURE_LIMIT_S, None).exit_code == 0
        return self.current[target]
