# SPDX-License-Identifier: Apache-2.0
"""machine: what is here: GPU, CUDA compiler, cuDNN. Only looks; no setting of the GPU is touched."""
import csv
import glob
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
GPU_FIELDS = {  # of nvidia-smi, and their names in the head line
    "name": "gpu", "compute_cap": "compute_capability", "driver_version": "driver",
    "memory.total": "memory", "clocks.sm": "clock_sm", "clocks.mem": "clock_memory",
    "clocks.max.sm": "clock_sm_max", "clocks.max.mem": "clock_memory_max",
    "power.draw": "power_draw", "power.limit": "power_limit", "temperature.gpu": "temperature",
    "persistence_mode": "persistence_mode", "mig.mode.current": "mig_mode",
}  # fmt: skip


def say(command, variables=None):
    """What a command prints, or "" where it is not there, fails or does not answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=variables)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def gpu():
    """The first GPU's fields; empty without one."""
    program = shutil.which("nvidia-smi") or "/usr/local/nvidia/bin/nvidia-smi"
    # A driver that does not know one of the fields answers none of them.
    for fields in (list(GPU_FIELDS), list(GPU_FIELDS)[:3]):
        query = "--query-gpu=" + ",".join(fields)
        rows = list(csv.reader(io.StringIO(say([program, query, "--format=csv,noheader"]))))
        if rows:
            names = (GPU_FIELDS[field] for field in fields)
            return dict(zip(names, map(str.strip, rows[0]))) | {"gpus": len(rows)}
    return {}


def architecture(gpu_fields):
    """As TCONV_CUDA_ARCHITECTURES has it. Hopper's own instructions are in 90a alone."""
    number = gpu_fields.get("compute_capability", "9.0").replace(".", "")
    return "90a" if number == "90" else number


def wheels(pattern):
    """What PyPI's packages of NVIDIA (PyTorch brings them) have, in the order of Python's path."""
    found = []
    for folder in sys.path:
        found += sorted(glob.glob(os.path.join(glob.escape(folder or "."), "nvidia", pattern)))
    return found


def nvcc():
    """The CUDA compiler, or None."""
    candidates = [os.environ.get("CUDACXX", ""), "nvcc"]
    candidates += [os.path.join(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "bin", "nvcc")]
    candidates += sorted(glob.glob("/usr/local/cuda*/bin/nvcc"), reverse=True)
    candidates += [str(ROOT / "build" / "deps" / "cuda" / "bin" / "nvcc")]  # scripts/setup's
    candidates += wheels("cu*/bin/nvcc")
    return next(filter(None, (shutil.which(name) for name in candidates if name)), None)


def nvcc_version(compiler):
    release = re.search(r"V([0-9.]+)", say([compiler, "--version"]))
    return release.group(1) if release else "unknown"


def cudnn_headers(compiler):
    """The folder of cuDNN's headers: the toolkit's, else PyTorch's; None where there are none."""
    toolkit = pathlib.Path(compiler).resolve().parents[1]
    folders = [str(toolkit / "include"), "/usr/include", "/usr/local/include"]
    folders += glob.glob("/usr/include/*-linux-gnu") + wheels("cudnn/include")
    return next((at for at in folders if os.path.exists(os.path.join(at, "cudnn_backend.h"))), None)


def cublas_headers(compiler):
    """The folder in PyPI's packages, where the toolkit has none; else None."""
    toolkit = pathlib.Path(compiler).resolve().parents[1]
    if (toolkit / "include" / "cublas_v2.h").exists():
        return None
    found = wheels("*/include/cublas_v2.h")
    return os.path.dirname(found[0]) if found else None


def cudnn_version(variables):
    """Of the library that our programs will open."""
    ask = "import ctypes; print(ctypes.CDLL('libcudnn.so.9').cudnnGetVersion())"
    number = say([sys.executable, "-c", ask], variables)
    if not number.isdigit():
        return "none"
    return f"{int(number) // 10000}.{int(number) // 100 % 100}.{int(number) % 100}"


def sanitizer(compiler):
    beside = pathlib.Path(compiler).resolve().parent / "compute-sanitizer"
    inside = sorted(glob.glob("/usr/local/cuda*/compute-sanitizer/compute-sanitizer"))
    candidates = ["compute-sanitizer", str(beside), *inside]
    return next(filter(None, map(shutil.which, candidates)), None)


def environment():
    """For our programs: cuDNN, and what it opens, may lie in PyPI's packages alone."""
    variables = dict(os.environ)
    folders = []
    for library in ("libcudnn.so.*", "libcublasLt.so.*", "libnvrtc.so.*"):
        folders += [os.path.dirname(path) for path in wheels(os.path.join("*", "lib", library))]
    before = variables.get("LD_LIBRARY_PATH", "").split(":")
    variables["LD_LIBRARY_PATH"] = ":".join(filter(None, dict.fromkeys(before + folders)))
    if not variables["LD_LIBRARY_PATH"]:
        del variables["LD_LIBRARY_PATH"]
    return variables
