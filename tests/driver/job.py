"""A fit in a process of its own: `python job.py METHOD CHECKPOINT OUT CACHE WRITE`.

It kills itself in its write of that number, when half of it is done; never with 0.
"""

import itertools
import os
import signal
import sys
from pathlib import Path

import jax
from tests.driver.problems import DATA, FIXED, KEY, MODEL

from posterium import MAP, NUTS, SWAG, VI, Ensemble, fit, save
from posterium.driver import fit as loop

ROOT = Path(__file__).parents[2]
METHODS = {
    "ensemble": Ensemble(MAP(steps=6000, batch_size=5, validation=0.2, patience=2000), 2),
    "vi": VI(steps=6000, batch_size=5),
    "nuts": NUTS(warmup=300, draws=900, chains=2, modes=0),
    "swag": SWAG(steps=4000, batch_size=5, at=MAP(steps=2000, batch_size=5)),
}


def command(name: str, folder: str | Path, out: Path, cache: Path, write: int = 0) -> list[str]:
    """Return what runs a job."""
    given = [name, str(folder), str(out), str(cache), str(write)]
    return [sys.executable, "-m", "tests.driver.job", *given]


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a job."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, **more}


def die_in_write(number: int) -> None:
    """End this process, as `kill -9` does, in the middle of its write of that number."""
    write, count = os.write, itertools.count(1)

    def mortal(handle, data):
        if next(count) == number:
            write(handle, memoryview(data)[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(handle, data)

    os.write = mortal


if __name__ == "__main__":
    name, folder, out, cache, write = sys.argv[1:]
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    loop.CHUNK_SECONDS = 0.05
    if int(write):
        die_in_write(int(write))
    print("begins", flush=True)
    model = FIXED if name == "nuts" else MODEL
    found = fit(KEY, model, DATA, METHODS[name], checkpoint=folder or None)
    save(found, out, overwrite=True)
