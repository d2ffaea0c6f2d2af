"""Threads and processes: the same bits as in sequence, or a refusal that says why."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from posterium import MAP, BayesianClassifier, BayesianRegressor, Ensemble

RNG = np.random.default_rng(4)
X = RNG.normal(size=(40, 2))
Y = X @ [1.0, -2.0] + 0.3 * RNG.normal(size=40)
MODE = MAP(steps=40, learning_rate=0.05)


def test_eight_threads_predict_what_one_does():
    model = BayesianRegressor(method=Ensemble(MODE, 2)).fit(X, Y)
    parts = [X[i : i + 20] for i in range(8)]
    expected = [np.stack(model.predict(part, return_std=True)).tobytes() for part in parts]

    def ask(number):
        return {
            np.stack(model.predict(parts[number], return_std=True)).tobytes() for _ in range(200)
        }

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [{bits} for bits in expected]


def test_four_threads_fit_four_models_as_one_does():
    def fitted(number):
        if number % 2:
            model = BayesianClassifier(method=MODE, random_state=number, precision="float64")
            return model.fit(X, Y > 0).predict_proba(X).tobytes()
        return BayesianRegressor(method=MODE, random_state=number).fit(X, Y).predict(X).tobytes()

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fitted, range(4)))
    assert together == [fitted(number) for number in range(4)]
    assert len(set(together)) == 4


SCRIPT = """
import multiprocessing, sys, warnings
import numpy as np
from posterium import BayesianRegressor

x = np.random.default_rng(0).normal(size=(20, 2))
y = x[:, 0] + 0.1 * np.arange(20)


def made():
    return BayesianRegressor(method="exact").fit(x, y)


def asked(model):
    try:
        return model.predict(x).tobytes()
    except RuntimeError as error:
        return str(error)


def fitted(_):
    try:
        return made().predict(x).tobytes()
    except RuntimeError as error:
        return str(error)


if __name__ == "__main__":
    start, late = sys.argv[1:]
    warnings.simplefilter("ignore")  # JAX warns of every fork
    context = multiprocessing.get_context(start)
    if late == "early":
        with context.Pool(1) as pool:
            found = pool.map_async(fitted, [0]).get(timeout=30)
            assert found == [fitted(0)], found
    else:
        model = made()
        with context.Pool(2) as pool:
            found = pool.map_async(asked, [model] * 2).get(timeout=30)
            again = pool.map_async(fitted, [0]).get(timeout=30)
        if start == "spawn":
            assert found == [asked(model)] * 2, found
        else:
            assert all("forked" in text and "spawn" in text for text in found + again)
    print("done")
"""


def in_workers(tmp_path, start, late):
    (tmp_path / "script.py").write_text(SCRIPT)
    run = subprocess.run(
        [sys.executable, "script.py", start, late],
        cwd=tmp_path, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert run.stdout == "done\n", run.stderr


def test_forked_workers_say_at_once_that_they_should_be_spawned(tmp_path):
    in_workers(tmp_path, "fork", "late")


@pytest.mark.slow
@pytest.mark.parametrize(("start", "late"), [("fork", "early"), ("spawn", "late")])
def test_workers_answer_where_jax_starts_in_them(tmp_path, start, late):
    in_workers(tmp_path, start, late)
