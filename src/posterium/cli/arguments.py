"""Arguments and options, each with its help, under the names that commands share."""

from typing import Annotated, Any

import typer


def _option(metavar: str, explained: str, *names: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=explained)


def _flag(name: str, explained: str) -> Any:
    return typer.Option(name, help=explained)


Table = Annotated[
    str, typer.Argument(metavar="DATA", help="CSV or Parquet file, or - for standard input.")
]
ModelFile = Annotated[str, typer.Argument(metavar="MODEL", help="File that fit --out wrote.")]
RecipeName = Annotated[
    str | None,
    typer.Argument(metavar="ID", help="See posterium recipe list; R1 or R1.more for all in it."),
]

Header = Annotated[
    bool | None,
    _flag("--header/--no-header", "The first line names the columns; they are 1, 2, ... if not."),
]
Separator = Annotated[
    str | None, _option("CHAR", "What stands between cells; found out if left out.")
]
Decimal = Annotated[str | None, _option("CHAR", "The decimal mark: . or ,")]
Encoding = Annotated[str | None, _option("NAME", "The encoding of the text; utf-8 if left out.")]

Missing = Annotated[
    str | None,
    _option("refuse|drop|impute", "Missing cells: refuse the table, drop rows, or fill them in."),
]
Unseen = Annotated[
    str | None,
    _option("refuse|other", "Categories not seen in fitting: refuse them, or take them as other."),
]
Categorical = Annotated[
    list[str] | None, _option("COLUMN", "Take this column as categories; repeatable.")
]
Drop = Annotated[list[str] | None, _option("COLUMN", "Leave this column out; repeatable.")]

Target = Annotated[str, _option("COLUMN", "The column to predict.")]
Event = Annotated[
    str | None,
    _option("COLUMN", "The target is a time; 1 where its event was seen, 0 where cut off."),
]
Task = Annotated[
    str | None, _option("regression|classification", "Chosen by the target if left out.")
]
MethodName = Annotated[str, _option("NAME", "See posterium methods.")]
Settings = Annotated[
    list[str] | None, _option("KEY=VALUE", "A setting of the method; repeatable.", "--set")
]
Likelihood = Annotated[
    str | None, _option("NAME", "gaussian, student_t, poisson, ordinal and more: see the docs.")
]
Prior = Annotated[
    str | None,
    _option("NAME", "normal, laplace, student_t, spike_and_slab, horseshoe or flat."),
]
PriorPrecision = Annotated[
    str | None, _option("P", "Fix the prior precision of the weights, for standardised columns.")
]
NoiseSd = Annotated[str | None, _option("SD", "Fix the noise sd, in the target's units.")]
Precision = Annotated[str | None, _option("float32|float64", "What a fit is computed in.")]
TestFraction = Annotated[str, _option("F", "Share of the rows held out and scored; 0 for none.")]
Refit = Annotated[bool, _flag("--refit", "Then fit again on all rows, and save that model.")]
Draws = Annotated[str | None, _option("N", "Functions drawn for a prediction.")]
Seed = Annotated[str, _option("N", "Seed of all randomness.")]
Checkpoint = Annotated[str | None, _option("DIR", "Where a fit that was stopped goes on.")]
Strict = Annotated[bool, _flag("--strict", "Exit status 1 unless the verdict is ok.")]

Out = Annotated[str | None, _option("FILE", "Save the model here.")]
Predictions = Annotated[str | None, _option("FILE", "CSV of predictions of the held-out rows.")]
Json = Annotated[str | None, _option("FILE", "Scores as JSON.")]
Report = Annotated[str | None, _option("FILE", "A report in HTML.")]
Log = Annotated[
    str | None, _option("FILE", "Log what the fit records while it runs: .jsonl or .csv.")
]
ReportFile = Annotated[str | None, _option("FILE", "The page; report.html if left out.")]
Csv = Annotated[str | None, _option("FILE", "CSV file; standard output if left out.")]
Plots = Annotated[str | None, _option("DIR", "Folder for plots.")]
Level = Annotated[str, _option("P", "Probability of the interval from lower to upper.")]
Overwrite = Annotated[bool, _flag("--overwrite", "Replace files that are there.")]
Every = Annotated[bool, _flag("--all", "Run all of them; one that fails does not stop it.")]
Fast = Annotated[bool, _flag("--fast", "Fewer steps or draws.")]
Jobs = Annotated[str, _option("N", "Processes that several recipes share.")]
