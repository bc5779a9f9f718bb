# SPDX-License-Identifier: Apache-2.0
"""environment.py: what frameworks read when they are imported."""

import os


def environment(threads):
    """What must be set before the frameworks are imported."""
    count = str(threads)
    return {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count,
            "NPROC": count, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3",
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'} "
                         + os.environ.get("XLA_FLAGS", "")}
