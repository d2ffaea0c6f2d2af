"""Two small regression tables that come with the package.

Both are from the UCI Machine Learning Repository, CC BY 4.0; ``data/CREDITS.md`` names the authors.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

_SOURCES = {
    "concrete": "Concrete Compressive Strength, I-Cheng Yeh, UCI dataset 165, CC BY 4.0",
    "yacht": (
        "Yacht Hydrodynamics, J. Gerritsma, R. Onnink, A. Versluis, UCI dataset 243, CC BY 4.0"
    ),
}


class Table(NamedTuple):
    """A regression table: numeric features and one target.

    Attributes
    ----------
    x : np.ndarray
        Features, (n, d), float64, in the units of the source.
    y : np.ndarray
        Target, (n,), float64, in the units of the source.
    feature_names : tuple of str
        Names of the d columns of `x`.
    target_name : str
        Name of the target's column in the file.
    source : str
        Title, authors, number in the repository and licence.
    """

    x: np.ndarray
    y: np.ndarray
    feature_names: tuple[str, ...]
    target_name: str
    source: str


def path(name: str) -> Path:
    """Return the place of a bundled table's file.

    The file is a gzip-compressed CSV with one header row; the target is the last column.

    Parameters
    ----------
    name : str
        ``"concrete"`` (1,030 rows, 8 features) or ``"yacht"`` (308 rows, 6 features).

    Raises
    ------
    ValueError
        There is no bundled table of this name.
    """
    if name not in _SOURCES:
        raise ValueError(
            f"expected the name of a bundled table, one of {', '.join(_SOURCES)}; got {name!r}."
        )
    return Path(__file__).parent / "data" / f"{name}.csv.gz"


def load(name: str) -> Table:
    """Read a bundled table.

    Parameters
    ----------
    name : str
        ``"concrete"`` (strength of concrete in MPa from mixture in kg per cubic metre and age in
        days) or ``"yacht"`` (residuary resistance per unit weight of displacement, from hull
        geometry and Froude number; all dimensionless).

    Returns
    -------
    Table
        Features, target, their names and the source.

    Raises
    ------
    ValueError
        There is no bundled table of this name.

    Examples
    --------
    >>> load("concrete").x.shape
    (1030, 8)
    """
    file = path(name)
    header = np.loadtxt(file, delimiter=",", dtype=str, max_rows=1)
    values = np.loadtxt(file, delimiter=",", skiprows=1)
    names = tuple(str(column) for column in header)
    return Table(values[:, :-1], values[:, -1], names[:-1], names[-1], _SOURCES[name])
