"""The data of the reference systems R0 to R4, with their exact settings and seeds.

Every function returns plain float64 NumPy arrays: inputs x (n, d) and targets y (n,). Class labels
are integers from 0. A function that splits returns ``(x, y)`` of the training part, then of the
other.
"""

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]

# (noise sd, width of x, start of x) of each cluster
_FOUR = ((0.01, 2.1, -4.1), (0.25, 1.2, -1.2), (0.05, 1.4, 0.5), (0.01, 2.0, 4.0))
_TWO = ((0.2, 0.3, -1.0), (0.05, 1.2, 0.5))


def outlier6(standardise: bool = True) -> Pair:
    """Return six points near a line with one outlier (R1); x has mean 0 and population sd 1.

    Left raw, x runs from 1 to 5, and bias and slope of a line are correlated.
    """
    x = np.array([1, 1.5, 2, 3, 4, 5])
    y = np.array([3.1, 2.1, 1.7, 1.3, -5, -0.8]) - 3
    return ((x - x.mean()) / x.std() if standardise else x)[:, None], y


def nonlinear8() -> Pair:
    """Return eight points of a curve with a gap in x (R1)."""
    x = np.array([-2, -1, 0, 1, 1.1, 3.5, 4, 5])
    y = 5 * np.array([3.2, 3.3, 3.2, 1.3, 1.6, 1.1, 2.0, 3.5])
    return x[:, None], y


def classification7() -> Pair:
    """Return seven separable points of two classes on a line (R1)."""
    x = np.array([-2.7, -1.9, -1.3, 0.7, 0.8, 1.4, 2.4])
    return x[:, None], np.array([0, 0, 0, 1, 1, 1, 1])


def identity6() -> Pair:
    """Return six points near y = x, in two groups (R1)."""
    x = np.array([-2, -1.8, -1, 2, 2, 2.1])
    return x[:, None], np.array([-2, -1.9, -1, 2, 1.9, 2.1])


def blobs() -> Pair:
    """Return 400 points of two Gaussian blobs around (-2, -2) and (2, 2), sd 0.8 (R0)."""
    from sklearn.datasets import make_blobs

    centers = np.array([[-2, -2], [2, 2]])
    x, labels, *_ = make_blobs(n_samples=400, centers=centers, cluster_std=0.8, random_state=0)
    return x, labels


def moons() -> Pair:
    """Return 1000 points of two interleaved half circles, noise sd 0.05 (R0)."""
    from sklearn.datasets import make_moons

    return make_moons(n_samples=1000, noise=0.05, random_state=0)


def four_clusters(n: int = 400, seed: int = 906, target: str = "cosine") -> Pair:
    """Draw a curve seen in four clusters of x, each with a noise of its own (R2).

    In cluster j, x is uniform on [offset_j, offset_j + width_j] and y is the curve at x plus
    Gaussian noise. The rows are shuffled.

    Parameters
    ----------
    n : int
        Rows in all, a quarter in each cluster (the remainder of n / 4 is dropped).
    seed : int
        Seed of NumPy's default generator: 906 for the training set, 1 for the test set.
    target : str
        The curve: ``"cosine"`` for cos(x) or ``"cubic"`` for x^3 / 350.

    Returns
    -------
    x, y : np.ndarray
        (n, 1) and (n,).

    Raises
    ------
    ValueError
        The target is neither of the two.
    """
    return _clusters(n, seed, target, _FOUR)


def two_clusters(n: int = 400, seed: int = 906, target: str = "cosine") -> Pair:
    """Draw the variant of `four_clusters` with two clusters, half of the rows in each (R2)."""
    return _clusters(n, seed, target, _TWO)


def scaled_moons() -> tuple[Pair, Pair]:
    """Return two moons with noise sd 0.2, scaled to mean 0 and sd 1, as 700 and 300 rows (R3).

    As in the source, the scaling is taken over all 1000 points, before the split (seed 0).
    """
    from sklearn.datasets import make_moons
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import scale

    x, labels = make_moons(n_samples=1000, noise=0.2, random_state=2009)
    x, x_test, y, y_test = train_test_split(scale(x), labels, test_size=0.3, random_state=0)
    return (x, y), (x_test, y_test)


def cubic() -> tuple[Pair, Pair]:
    """Return a cubic with noise sd 1.5 at 20,000 even points, as 16,000 and 4,000 rows (R4).

    The curve is `cubic_curve` on [-3, 3]. NumPy's legacy generator with seed 1996 draws the noise,
    then the validation rows. Both parts stay in the order of x.
    """
    n = 20_000
    rng = np.random.RandomState(1996)  # the published draws are of this generator
    x = np.linspace(-3, 3, n)
    y = cubic_curve(x) + rng.normal(0, 1.5, n)
    held_out = np.zeros(n, bool)
    held_out[rng.choice(n, n // 5, replace=False)] = True
    return (x[~held_out, None], y[~held_out]), (x[held_out, None], y[held_out])


def cubic_curve(x: np.ndarray) -> np.ndarray:
    """Return the curve of `cubic` without its noise: 0.2 x^3 - 2 x^3 + 8 x."""
    return 0.2 * x**3 - 2 * x**3 + 8 * x


def _clusters(n: int, seed: int, target: str, clusters: tuple[tuple[float, ...], ...]) -> Pair:
    curves = {"cosine": np.cos, "cubic": lambda x: x**3 / 350}
    if target not in curves:
        raise ValueError(f"expected target 'cosine' or 'cubic'; got {target!r}.")
    rng = np.random.default_rng(seed)
    rows = n // len(clusters)
    xs, ys = [], []
    for noise_sd, width, offset in clusters:
        x = offset + width * rng.random(rows)
        xs.append(x)
        ys.append(curves[target](x) + noise_sd * rng.standard_normal(rows))
    order = rng.permutation(rows * len(clusters))
    return np.concatenate(xs)[order, None], np.concatenate(ys)[order]
