"""A fit in a process of its own: `python job.py METHOD CHECKPOINT OUT CACHE`."""

import sys

import jax
from tests.driver.problems import DATA, KEY, MODEL

from posterium import MAP, VI, Ensemble, fit, save
from posterium.driver import fit as loop

METHODS = {
    "ensemble": Ensemble(MAP(steps=6000, batch_size=5, validation=0.2, patience=2000), 2),
    "vi": VI(steps=6000, batch_size=5),
}

if __name__ == "__main__":
    name, folder, out, cache = sys.argv[1:]
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    loop.CHUNK_SECONDS = 0.05
    found = fit(KEY, MODEL, DATA, METHODS[name], checkpoint=folder or None)
    save(found, out, overwrite=True)
    print("finished")
