# SPDX-License-Identifier: Apache-2.0
"""Memory and streams of a GPU, from the framework of the array that lies there.

A workspace goes back to the framework's allocator when the call returns: what it hands out next on the
same stream comes after the run.
"""

from __future__ import annotations

from typing import Any


class TorchMemory:
    def __init__(self, like: Any) -> None:
        self.like = like

    def empty(self, shape: list[int], innermost: int, dtype: str) -> Any:
        """`innermost`: the dimension that is so in memory, where it is not the last one; else -1."""
        import torch
        if innermost < 0:
            return torch.empty(shape, dtype=getattr(torch, dtype), device=self.like.device)
        order = [i for i in range(len(shape)) if i != innermost] + [innermost]
        made = torch.empty([shape[i] for i in order], dtype=getattr(torch, dtype),
                           device=self.like.device)
        return made.permute([order.index(i) for i in range(len(shape))])

    def workspace(self, nbytes: int) -> Any:
        import torch
        return torch.empty(nbytes, dtype=torch.uint8, device=self.like.device)

    def stream(self) -> int:
        import torch
        return int(torch.cuda.current_stream(self.like.device).cuda_stream)


class CupyMemory:
    def __init__(self, like: Any) -> None:
        self.like = like

    def empty(self, shape: list[int], innermost: int, dtype: str) -> Any:
        import cupy
        return cupy.empty(shape, dtype=dtype)

    def workspace(self, nbytes: int) -> Any:
        import cupy
        return cupy.empty(nbytes, dtype="uint8")

    def stream(self) -> int:
        import cupy
        return int(cupy.cuda.get_current_stream().ptr)
