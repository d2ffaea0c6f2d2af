"""Commands and their options. What they do is imported only when they run."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from posterium.cli import arguments as given
from posterium.cli.messages import DONE, abrupt
from posterium.tables.errors import UserError, plain

Action = Callable[[], int]

app = typer.Typer(
    name="posterium",
    help="Bayesian neural networks: a table in, predictions with uncertainty out.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
recipes = typer.Typer(help="Textbook computations with known answers.", rich_markup_mode=None)
app.add_typer(recipes, name="recipe")


def parse(argv: Sequence[str] | None) -> Action:
    """Return what the arguments ask for, to be called; help is printed at once.

    Raises
    ------
    UserError
        When the arguments make no command.
    """
    usage_error = typer.BadParameter.__mro__[1]
    try:
        with abrupt():
            asked = app(argv, prog_name="posterium", standalone_mode=False)
    except usage_error as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "posterium"
        text = plain(" ".join(error.format_message().split()))  # type: ignore[attr-defined]
        raise UserError(text, f"See {command} --help.") from None
    return asked if callable(asked) else lambda: DONE


def _later(module: str, *args: Any, function: str = "run", **options: Any) -> Action:
    """Return the call of a function in a module of this package, imported when it is made."""

    def action() -> int:
        with abrupt():
            command = getattr(import_module(f"posterium.cli.{module}"), function)
        return command(*args, **options)

    return action


@app.callback(invoke_without_command=True)
def posterium(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Bayesian neural networks: a table in, predictions with uncertainty out."""
    if version:
        from importlib.metadata import version as installed

        print(installed("posterium"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit


@app.command()
def fit(
    data: given.Table,
    target: given.Target,
    event: given.Event = None,
    task: given.Task = None,
    method: given.MethodName = "default",
    settings: given.Settings = None,
    likelihood: given.Likelihood = None,
    prior: given.Prior = None,
    prior_precision: given.PriorPrecision = None,
    noise_sd: given.NoiseSd = None,
    precision: given.Precision = None,
    out: given.Out = None,
    predictions: given.Predictions = None,
    json: given.Json = None,
    report: given.Report = None,
    log: given.Log = None,
    test_fraction: given.TestFraction = "0.1",
    refit: given.Refit = False,
    draws: given.Draws = None,
    seed: given.Seed = "0",
    checkpoint: given.Checkpoint = None,
    header: given.Header = None,
    separator: given.Separator = None,
    decimal: given.Decimal = None,
    encoding: given.Encoding = None,
    missing: given.Missing = None,
    unseen: given.Unseen = None,
    categorical: given.Categorical = None,
    drop: given.Drop = None,
    strict: given.Strict = False,
    overwrite: given.Overwrite = False,
) -> Action:
    """Fit a table: hold rows out, fit the others, score, save."""
    return _later(
        "fit", data, target=target, task=task, method=method, settings=settings,
        likelihood=likelihood, prior=prior, prior_precision=prior_precision,
        noise_sd=noise_sd, precision=precision, out=out, predictions=predictions, json=json,
        report=report, log=log,
        test_fraction=test_fraction, refit=refit, draws=draws, seed=seed, checkpoint=checkpoint,
        reading=_reading(header, separator, decimal, encoding), missing=missing, unseen=unseen,
        categorical=categorical, drop=drop, event=event, strict=strict, overwrite=overwrite,
    )  # fmt: skip


@app.command()
def predict(
    model: given.ModelFile,
    data: given.Table,
    out: given.Csv = None,
    level: given.Level = "0.9",
    draws: given.Draws = None,
    header: given.Header = None,
    separator: given.Separator = None,
    decimal: given.Decimal = None,
    encoding: given.Encoding = None,
    missing: given.Missing = None,
    unseen: given.Unseen = None,
    overwrite: given.Overwrite = False,
) -> Action:
    """Predict the rows of a table, in their order; columns are found by name."""
    return _later(
        "predict", model, data, out=out, level=level, draws=draws,
        reading=_reading(header, separator, decimal, encoding), missing=missing, unseen=unseen,
        overwrite=overwrite,
    )  # fmt: skip


@app.command()
def evaluate(
    model: given.ModelFile,
    data: given.Table,
    json: given.Json = None,
    draws: given.Draws = None,
    header: given.Header = None,
    separator: given.Separator = None,
    decimal: given.Decimal = None,
    encoding: given.Encoding = None,
    missing: given.Missing = None,
    unseen: given.Unseen = None,
    overwrite: given.Overwrite = False,
) -> Action:
    """Score a model on the rows of a table that holds the target."""
    return _later(
        "evaluate", model, data, json=json, draws=draws,
        reading=_reading(header, separator, decimal, encoding), missing=missing, unseen=unseen,
        overwrite=overwrite,
    )  # fmt: skip


@app.command()
def report(
    model: given.ModelFile,
    data: given.Table,
    out: given.ReportFile = None,
    header: given.Header = None,
    separator: given.Separator = None,
    decimal: given.Decimal = None,
    encoding: given.Encoding = None,
    missing: given.Missing = None,
    unseen: given.Unseen = None,
    overwrite: given.Overwrite = False,
) -> Action:
    """Write a page on a model and the rows of a table that holds the target."""
    return _later(
        "report", model, data, out=out,
        reading=_reading(header, separator, decimal, encoding), missing=missing, unseen=unseen,
        overwrite=overwrite,
    )  # fmt: skip


@app.command()
def info(model: given.ModelFile) -> Action:
    """Say what a model file holds."""
    return _later("info", model)


@app.command()
def methods() -> Action:
    """List the methods."""
    return _later("methods")


@recipes.command("list")
def recipe_list() -> Action:
    """List the recipes."""
    return _later("recipe", function="show")


@recipes.command("run")
def recipe_run(
    name: given.RecipeName = None,
    every: given.Every = False,
    out: given.Plots = None,
    seed: given.Seed = "0",
    fast: given.Fast = False,
    jobs: given.Jobs = "2",
) -> Action:
    """Run a recipe; the last line it prints is JSON. Exit status 0 when its gates are passed."""
    return _later("recipe", name, every=every, out=out, seed=seed, fast=fast, jobs=jobs)


def _reading(
    header: bool | None, separator: str | None, decimal: str | None, encoding: str | None
) -> dict[str, Any]:
    """Return the options for reading that were given."""
    every = {
        "header": header, "separator": separator, "decimal": decimal, "encoding": encoding,
    }  # fmt: skip
    return {name: value for name, value in every.items() if value is not None}
