"""`python -m benchmarks`: what the driver costs, and how the longer measurements are run."""

from benchmarks import driver_overhead

OTHERS = """
Every method on tables with published splits (hours; FOLDER holds a folder a table):
    python -m benchmarks.tables run --data FOLDER
    python -m benchmarks.tables report

Laplace against laplace-torch (minutes; PYTHON is that of an environment which has it):
    python -m benchmarks.laplace --peer PYTHON

Variational inference against PyTorch, TyXe and PyMC (half an hour; likewise):
    python -m benchmarks.vi --torch PYTHON --tyxe PYTHON --pymc PYTHON

Parallel tempering against one chain of NumPyro (two minutes):
    python -m benchmarks.nuts_relu4

NUTS against NumPyro and PyMC, effective draws a second (a quarter of an hour; likewise):
    python -m benchmarks.nuts_moons --pymc PYTHON

Two ways to compile a phase (some minutes):
    python -m benchmarks.compilation

MC dropout against PyTorch (some minutes; likewise):
    python -m benchmarks.dropout --torch PYTHON
"""

if __name__ == "__main__":
    driver_overhead.main()
    print(OTHERS)
