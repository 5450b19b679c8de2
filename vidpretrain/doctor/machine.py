"""Python, processor, accelerator, memory and disk."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vidpretrain import __version__
from vidpretrain.doctor.row import Row, missing_package

GB = 1e9
_MEMORY_GB = (4.0, 6.0)  # below the first: fail, below the second: warn
_DISK_GB = (1.0, 5.0)


def check_versions() -> Iterator[Row]:
    """The interpreter and this package."""
    where = "in a virtual environment" if os.environ.get("VIRTUAL_ENV") else platform.platform(terse=True)
    yield Row(
        check="versions", status="ok", found=f"vidpretrain {__version__}, Python {platform.python_version()}, {where}"
    )


def check_accelerator() -> Iterator[Row]:
    """What torch will compute on, and whether bfloat16 is fast there."""
    missing = missing_package("accelerator", "torch")
    if missing:
        yield missing
        return
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        bf16 = "bfloat16" if torch.cuda.is_bf16_supported() else "no bfloat16"
        yield Row(check="accelerator", status="ok", found=f"torch {torch.__version__}: cuda, {names}, {bf16}")
    elif torch.backends.mps.is_available():
        yield Row(check="accelerator", status="ok", found=f"torch {torch.__version__}: mps")
    else:
        bf16 = "bfloat16" if _cpu_has_bf16() else "no bfloat16, so float32"
        found = f"torch {torch.__version__}: processor only, {torch.get_num_threads()} threads, {bf16}"
        yield Row(check="accelerator", status="ok", found=found)


def _cpu_has_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def check_memory() -> Iterator[Row]:
    """Memory that can still be used, under the limit of a container if there is one."""
    free = free_memory_bytes()
    if free is None:
        yield Row(check="memory", status="warn", found="cannot be read on this system")
        return
    yield _amount("memory", free, _MEMORY_GB, "free", "use fewer workers: workers=1")


def free_memory_bytes() -> int | None:
    """Free memory in bytes, None where the system does not tell."""
    available: int | None = None
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                available = int(line.split()[1]) * 1024
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text().strip()
    except OSError:
        return available
    if limit == "max":
        return available
    left = int(limit) - int(used)
    return left if available is None else min(available, left)


def check_disk() -> Iterator[Row]:
    """Space where runs are written and where temporary files go."""
    for name, folder in (("here", Path.cwd()), ("for temporary files", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(folder).free
        yield _amount(f"disk {name}", free, _DISK_GB, f"free in {folder}", f"df -h {folder}")


def _amount(check: str, amount: int, bounds: tuple[float, float], what: str, next_command: str) -> Row:
    low, enough = bounds
    gigabytes = amount / GB
    status = "fail" if gigabytes < low else "warn" if gigabytes < enough else "ok"
    found = f"{gigabytes:.1f} GB {what}" + ("" if status == "ok" else f", {enough:.0f} GB are recommended")
    return Row(check=check, status=status, found=found, next="" if status == "ok" else next_command)
