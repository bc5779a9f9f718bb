# SPDX-License-Identifier: Apache-2.0
"""python -m tconv: the program tconv, which the package carries."""

import os
import sys
from pathlib import Path
from typing import NoReturn


def main() -> NoReturn:
    program = Path(__file__).parent / "bin" / "tconv"
    os.execv(program, [str(program), *sys.argv[1:]])


if __name__ == "__main__":
    main()
