"""Commands and their options. What they do is imported only when they run."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

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

Table = Annotated[str, typer.Argument(metavar="DATA", help="CSV file, or - for standard input.")]
ModelFile = Annotated[str, typer.Argument(metavar="MODEL", help="File that fit --out wrote.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")]


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
    data: Table,
    target: Annotated[str, typer.Option(metavar="COLUMN", help="The column to predict.")],
    task: Annotated[
        str | None,
        typer.Option(metavar="regression|classification", help="Chosen by the target if left out."),
    ] = None,
    method: Annotated[str, typer.Option(metavar="NAME", help="See posterium methods.")] = "default",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the method; repeatable."),
    ] = None,
    likelihood: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="gaussian, heteroscedastic, bernoulli or categorical."),
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="FILE", help="Save the model here.")] = None,
    predictions: Annotated[
        str | None, typer.Option(metavar="FILE", help="CSV of predictions of the held-out rows.")
    ] = None,
    json: Annotated[str | None, typer.Option(metavar="FILE", help="Scores as JSON.")] = None,
    test_fraction: Annotated[
        str, typer.Option(metavar="F", help="Share of the rows held out and scored; 0 for none.")
    ] = "0.1",
    refit: Annotated[
        bool, typer.Option("--refit", help="Then fit again on all rows, and save that model.")
    ] = False,
    draws: Annotated[
        str | None, typer.Option(metavar="N", help="Functions drawn for a prediction.")
    ] = None,
    seed: Annotated[str, typer.Option(metavar="N", help="Seed of all randomness.")] = "0",
    checkpoint: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Where a fit that was stopped goes on."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit status 1 unless the verdict is ok.")
    ] = False,
    overwrite: Overwrite = False,
) -> Action:
    """Fit a table: hold rows out, fit the others, score, save."""
    return _later(
        "fit", data, target=target, task=task, method=method, settings=settings or [],
        likelihood=likelihood, out=out, predictions=predictions, json=json,
        test_fraction=test_fraction, refit=refit, draws=draws, seed=seed,
        checkpoint=checkpoint, strict=strict, overwrite=overwrite,
    )  # fmt: skip


@app.command()
def predict(
    model: ModelFile,
    data: Table,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="CSV file; standard output if left out.")
    ] = None,
    level: Annotated[
        str, typer.Option(metavar="P", help="Probability of the interval from lower to upper.")
    ] = "0.9",
    overwrite: Overwrite = False,
) -> Action:
    """Predict the rows of a table, in their order; columns are found by name."""
    return _later("predict", model, data, out=out, level=level, overwrite=overwrite)


@app.command()
def evaluate(
    model: ModelFile,
    data: Table,
    json: Annotated[str | None, typer.Option(metavar="FILE", help="Scores as JSON.")] = None,
    overwrite: Overwrite = False,
) -> Action:
    """Score a model on the rows of a table that holds the target."""
    return _later("evaluate", model, data, json=json, overwrite=overwrite)


@app.command()
def info(model: ModelFile) -> Action:
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
    name: Annotated[str, typer.Argument(metavar="ID", help="See posterium recipe list.")],
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Folder for plots.")] = None,
    seed: Annotated[str, typer.Option(metavar="N", help="Seed of all randomness.")] = "0",
    fast: Annotated[bool, typer.Option("--fast", help="Fewer steps or draws.")] = False,
) -> Action:
    """Run a recipe; the last line it prints is JSON. Exit status 0 when its gates are passed."""
    return _later("recipe", name, out=out, seed=seed, fast=fast)
