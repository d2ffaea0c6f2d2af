"""TensorBoard, W&B and MLflow: what they are told, by stand-ins; and the packages themselves."""

import importlib
import sys
from types import ModuleType, SimpleNamespace

import pytest
from matplotlib.figure import Figure
from tests.driver.problems import DATA, KEY, MODEL, SINGLE

from posterium import Log, MLflowLogger, TensorBoardLogger, WandbLogger, fit

ROWS = [({"a/x": 1.0, "a/y": 2.0}, 10), ({"a/x": 3.0}, 20)]


def fake(monkeypatch, name, **members):
    module = ModuleType(name)
    module.__dict__.update(members)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def tensorboard(monkeypatch):
    """Return what writers of event files are told: (purge step, calls)."""
    writers, files = [], set()

    class SummaryWriter:
        def __init__(self, folder, purge_step=None, filename_suffix=""):
            file = (folder, filename_suffix)
            assert file not in files, "One of the same second would be written over."
            files.add(file)
            self.calls = []
            writers.append((purge_step, self.calls))

        def add_scalar(self, name, value, step):
            self.calls.append((name, value, step))

        def add_figure(self, name, figure, step, close):
            self.calls.append((name, figure, step, close))

        def close(self):
            self.calls.append("close")

    fake(monkeypatch, "tensorboardX", SummaryWriter=SummaryWriter)
    return writers


@pytest.fixture
def wandb(monkeypatch):
    """Return what runs of W&B are told: (settings, calls)."""
    runs = []

    class Run:
        def __init__(self, **settings):
            self.calls, self.step = [], 0
            runs.append((settings, self.calls))

        def log(self, values, step):
            self.calls.append((values, step))
            self.step = step

        def finish(self):
            self.calls.append("finish")

    fake(monkeypatch, "wandb", init=Run, Image=lambda picture: picture.size)
    return runs


@pytest.fixture
def mlflow(monkeypatch):
    """Return a stand-in for MLflow: runs by id with their metrics and figures."""
    state = SimpleNamespace(runs={}, active=None, ended=[])

    def run_of(name):
        return SimpleNamespace(info=SimpleNamespace(run_id=name))

    class Client:
        def log_batch(self, run, metrics):
            state.runs.setdefault(run, []).extend((m.key, m.value, m.step) for m in metrics)

        def get_metric_history(self, run, name):
            known = [m for m in state.runs.get(run, []) if m[0] == name]
            return [SimpleNamespace(step=m[2]) for m in known]

        def log_figure(self, run, figure, name):
            state.runs.setdefault(run, []).append((name, figure))

    def start_run(**settings):
        state.active = run_of(settings.get("run_name", "own"))
        return state.active

    def metric(key, value, timestamp, step):
        return SimpleNamespace(key=key, value=value, step=step)

    def end_run():
        state.ended.append(state.active.info.run_id)
        state.active = None

    fake(
        monkeypatch, "mlflow", MlflowClient=Client, active_run=lambda: state.active,
        start_run=start_run, end_run=end_run, entities=SimpleNamespace(Metric=metric),
    )  # fmt: skip
    state.run_of = run_of
    return state


def tell(logger, rows=ROWS):
    for values, step in rows:
        logger.log(values, step)


def test_tensorboard_gets_every_number_and_voids_what_other_files_say_of_later_steps(
    tensorboard, tmp_path
):
    logger, figure = TensorBoardLogger(tmp_path), Figure()
    tell(logger)
    logger.figure("live", figure, 20)
    logger.close()
    ((purged, calls),) = tensorboard
    assert purged == 10
    assert calls == [("a/x", 1.0, 10), ("a/y", 2.0, 10), ("a/x", 3.0, 20),
                     ("live", figure, 20, False), "close"]  # fmt: skip


def test_tensorboard_goes_on_after_closing_and_begins_anew_when_steps_go_back(
    tensorboard, tmp_path
):
    logger = TensorBoardLogger(tmp_path)
    tell(logger)
    logger.close()
    logger.log({"test": 1.0}, 20)
    logger.log({"a/x": 1.0}, 5)
    assert [purged for purged, _ in tensorboard] == [10, None, 5]
    assert tensorboard[1][1] == [("test", 1.0, 20), "close"]


def test_wandb_gets_rows_and_figures_in_a_run_of_its_own_which_is_finished(wandb):
    logger, figure = WandbLogger(project="moons"), Figure(figsize=(3, 2), dpi=100)
    assert wandb == []
    tell(logger)
    logger.figure("live", figure, 20)
    logger.close()
    logger.close()
    ((settings, calls),) = wandb
    assert settings == {"project": "moons"}
    assert calls == [*ROWS, ({"live": (300, 200)}, 20), "finish"]


def test_wandbs_given_run_is_left_open_and_steps_it_has_as_they_are(wandb):
    run = sys.modules["wandb"].init()
    run.step = 15
    logger = WandbLogger(run)
    tell(logger)
    logger.close()
    assert run.calls == [ROWS[1]]


def test_wandb_refuses_a_run_beside_settings_for_one(wandb):
    with pytest.raises(ValueError, match="a run, or settings"):
        WandbLogger(sys.modules["wandb"].init(), project="moons")


def test_mlflow_gets_numbers_and_figures_in_a_run_of_its_own_which_is_ended(mlflow):
    logger, figure = MLflowLogger(run_name="moons"), Figure()
    tell(logger)
    logger.figure("live", figure, 20)
    logger.close()
    logger.close()
    assert mlflow.runs == {"moons": [("a/x", 1.0, 10), ("a/y", 2.0, 10), ("a/x", 3.0, 20),
                                     ("live/00000020.png", figure)]}  # fmt: skip
    assert mlflow.ended == ["moons"]


@pytest.mark.parametrize("way", ["active", "run", "id"])
def test_mlflows_given_run_is_left_open_and_steps_it_has_as_they_are(mlflow, way):
    run = mlflow.run_of("theirs")
    mlflow.active = run if way == "active" else None
    mlflow.runs["theirs"] = [("a/x", 1.0, 10)]
    logger = MLflowLogger({"active": None, "run": run, "id": "theirs"}[way])
    tell(logger)
    logger.close()
    assert mlflow.runs["theirs"] == [("a/x", 1.0, 10), ("a/y", 2.0, 10), ("a/x", 3.0, 20)]
    assert mlflow.ended == []


@pytest.mark.parametrize(
    ("package", "make"),
    [
        ("tensorboardX", lambda: TensorBoardLogger("runs")),
        ("wandb", WandbLogger),
        ("mlflow", MLflowLogger),
    ],
)
def test_a_package_that_is_not_there_is_named_with_its_extra(monkeypatch, package, make):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package}, which is not installed.*posterium\[logg"):
        make()


def really(package):
    """Leave a test out where a package is not installed."""
    return pytest.mark.skipif(
        importlib.util.find_spec(package) is None, reason=f"{package} is not installed"
    )


def film(logger):
    """Log a short fit, and a figure at its end."""
    figure = Figure()
    figure.subplots().plot([0, 1])
    fit(KEY, MODEL, DATA, SINGLE, callbacks=[Log(logger, every=30)])
    logger.figure("live", figure, 60)
    logger.close()


@really("tensorboardX")
@pytest.mark.filterwarnings("ignore")
def test_tensorboard_itself_writes_event_files(tmp_path):
    film(TensorBoardLogger(tmp_path / "runs"))
    held = b"".join(file.read_bytes() for file in (tmp_path / "runs").iterdir())
    assert b"descent/objective" in held
    assert b"live" in held
    assert b"PNG" in held


@really("wandb")
@pytest.mark.filterwarnings("ignore")
def test_wandb_itself_takes_rows_and_figures(tmp_path):
    run = importlib.import_module("wandb").init(
        project="p", mode="offline", dir=tmp_path, settings={"console": "off"}
    )
    film(WandbLogger(run))
    assert run.step == 60
    run.log({"test/rmse": 1.0}, step=61)
    run.finish()
    assert list(tmp_path.rglob("*.wandb"))
    assert list(tmp_path.rglob("live*.png"))


@really("mlflow")
@pytest.mark.filterwarnings("ignore")
def test_mlflow_itself_holds_numbers_and_figures(tmp_path, monkeypatch):
    mlflow = importlib.import_module("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    with mlflow.start_run() as run:
        for _ in range(2):
            film(MLflowLogger())
    client = mlflow.MlflowClient()
    history = client.get_metric_history(run.info.run_id, "descent/objective")
    assert [metric.step for metric in history] == [30, 60]
    assert [part.path for part in client.list_artifacts(run.info.run_id)] == ["live"]
