"""How much memory there is for a table, so that one too large is refused and nothing is killed."""

import os
import resource
import sys
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> int:
    """Return how many bytes this process may still take, as far as the system says."""
    return max(0, min(_of_machine(), _of_container(), _of_process()))


def _of_machine() -> int:
    """Return what the machine can give without swapping."""
    try:
        lines = MEMINFO.read_text().splitlines()
        return next(int(w.split()[1]) for w in lines if w.startswith("MemAvailable:")) * 1024
    except (OSError, StopIteration, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return sys.maxsize


def _of_container() -> int:
    """Return what the limit of a container leaves; caches of files do not count as taken."""
    try:
        limit = int((CGROUP / "memory.max").read_text())
        taken = int((CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return limit - taken + int(stat.get("inactive_file", 0))
    except (OSError, ValueError):
        return sys.maxsize


def _of_process() -> int:
    """Return the limit on the addresses of this process."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit
