"""`python -m benchmarks`: what the driver costs, and how the longer measurements are run."""

from benchmarks import driver_overhead

TABLES = """
Every method on tables with published splits (hours; FOLDER holds a folder a table):
    python -m benchmarks.tables run --data FOLDER
    python -m benchmarks.tables report
"""

if __name__ == "__main__":
    driver_overhead.main()
    print(TABLES)
