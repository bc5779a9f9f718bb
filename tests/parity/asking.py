# SPDX-License-Identifier: Apache-2.0
"""asking.py: asks a framework in a process of its own.

A framework that aborts takes its process with it. So the calls go to a child, which answers one after
the other; where a call kills it, the next child goes on behind that call.
"""

import os
import pickle
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass

import numpy as np

READY = "ready"
SECONDS = 1500  # for one child; its last call then counts as one that killed it


@dataclass
class Answer:
    kind: str  # "result", "refused" or "aborted"
    text: str  # the refusal in the framework's words, or how the process ended
    value: np.ndarray | None = None


def answer(suite):
    """What the child does: reads the calls from stdin, writes an answer for each to stdout."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the framework itself prints

    def send(thing):
        pickle.dump(thing, answers)
        answers.flush()

    suite.load()
    send(READY)
    for call in pickle.load(sys.stdin.buffer):
        try:
            send(Answer("result", "", np.asarray(suite.ask(call))))
        except Exception as error:  # each framework has classes of its own
            send(Answer("refused", f"{type(error).__name__}: {error}"))


def received(stream):
    """Yields what the child sends, until it ends."""
    while True:
        try:
            yield pickle.load(stream)
        except (EOFError, pickle.UnpicklingError):
            return


def one_child(command, calls, environment):
    """The answers of one child, and how it ended if it did not answer all calls."""
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
        pickle.dump(calls, stdin)
        stdin.seek(0)
        with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr,
                              env={**os.environ, **environment}) as child:
            watch = threading.Timer(SECONDS, child.kill)
            watch.start()
            things = list(received(child.stdout))
            code = child.wait()
            watch.cancel()
        stderr.seek(0)
        last = stderr.read().decode(errors="replace").strip()[-2000:]
    if not things:
        raise AssertionError(f"{' '.join(command)} ended with {code} before the first call:\n{last}")
    end = f"signal {-code}" if code < 0 else f"exit code {code}"
    return things[1:], f"{end}: {last}"


def ask(command, calls, environment, most_aborts):
    """An answer to each of `calls` by children that `command` starts."""
    answers, aborts = [], 0
    while len(answers) < len(calls):
        more, end = one_child(command, calls[len(answers):], environment)
        answers += more
        if len(answers) == len(calls):
            break
        answers.append(Answer("aborted", end))
        aborts += 1
        if aborts > most_aborts:
            raise AssertionError(f"more than {most_aborts} calls killed their process; the last "
                                 f"one: {calls[len(answers) - 1]}\n{end}")
    return answers
