"""The command line. Nothing heavy is imported before a command runs, so that help answers at once."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .console import console, say
from .estimating import likelihood
from .exploring import interpolate, reconstruct, traverse
from .options import Model, Out, Part, Root, RunPath, Seed, Source, with_data_options
from .sampling import complete, sample

app = typer.Typer(
    help="Learn p(x) from data: generate new samples, score how likely a sample is, represent what samples have in common.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)


@app.command(epilog="Example: pofx models")
def models() -> None:
    """List the models with their density and what they can do."""
    from rich.table import Table

    from .core import ApproximateDensity, TractableDensity, capabilities
    from .models import MODELS

    table = Table("model", "density", "methods", "what it is")
    for name, cls in MODELS.items():
        tractable, approximate = issubclass(cls, TractableDensity), issubclass(cls, ApproximateDensity)
        kind = "tractable" if tractable else "approximate" if approximate else "implicit"
        methods = ", ".join(dict.fromkeys(c.method for c in capabilities(cls) if c.method != "count"))
        table.add_row(name, kind, methods, cls.summary)
    console().print(table)


@app.command(epilog="Example: pofx data")
def data() -> None:
    """List the data sets that have a name."""
    from rich.table import Table

    from .data import DATASETS

    table = Table("data", "event", "from", "what it is")
    for name, entry in DATASETS.items():
        table.add_row(name, entry.shape, entry.origin, entry.summary)
    console().print(table)
    say("Also: your own .csv, .parquet, .npy, .npz, a folder of pictures, or hf:org/name (a data set of the Hugging Face Hub).")


@app.command(epilog="Example: pofx fit nade digits --out runs/nade --set hidden=200 --epochs 50")
@with_data_options
def fit(
    model: Model,
    source: Source,
    out: Annotated[Path | None, typer.Option("--out", help="The run directory. Default: runs/MODEL-DATA.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of training in steps.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Length of training in passes over the data.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a model argument or training setting.")
    ] = None,
    seed: Seed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the unfinished run in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")] = False,
    options: dict[str, Any] | None = None,
) -> None:
    """Train MODEL on DATA; weights, record and pictures of samples go to the run directory.

    Ctrl-C saves the state; the same command with --resume goes on to the same end. On several processes or machines:
    torchrun --nproc_per_node 2 -m pofx fit ...
    """
    from .building import build_for, load_data_for, model_class, settings_for
    from .specs import parse_assignments, split_settings
    from .training import Settings
    from .training import fit as train

    model_class(model)
    given = parse_assignments(assignments or [])
    lengths = {k: v for k, v in {"steps": steps, "epochs": epochs}.items() if v is not None}
    arguments, settings = split_settings(model, given, Settings.names())
    loaded = load_data_for([model], source, options or {}, say)
    say(loaded.summary)
    built = build_for(model, loaded, seed, **arguments)
    out = out or Path("runs") / f"{model}-{Path(loaded.name).stem.replace('/', '-')}"
    chosen = {"seed": seed, **settings_for(model, loaded), **settings, **lengths}
    run = train(built, loaded, out, resume=resume, overwrite=overwrite, **chosen)
    say(f"{model}: {built.parameter_count():,} parameters, {run.steps:,} steps in {run.seconds:.1f} s -> {out}")
    last = [line for line in run.record if line["step"] == run.record[-1]["step"]]
    figures = {k: v for line in last for k, v in line.items() if "/" in k}
    if figures:
        say("Last figures: " + ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
    say(f"Next: pofx evaluate {out} · pofx sample {out}")


app.command(epilog="Example: pofx sample runs/nade-digits -n 64 --temperature 0.8 --out grid.png")(sample)
app.command(epilog="Example: pofx complete runs/nade-digits digits --keep top -n 6 --rows 8 --out halves.png")(complete)
app.command(epilog="Example: pofx likelihood runs/vae digits --samples 5000 --check")(likelihood)
app.command(epilog="Example: pofx traverse runs/vae-digits --data digits --most 8 --out latents.png")(traverse)
app.command(epilog="Example: pofx interpolate runs/vae-digits digits --rows 0,5,2,7 --out between.png")(interpolate)
app.command(epilog="Example: pofx reconstruct runs/vae-digits digits -n 10 --out again.png")(reconstruct)


@app.command(epilog="Example: pofx score runs/nade-digits my_digits.npz --out scores.csv")
def score(run: RunPath, source: Source, out: Out = None, part: Part = None, root: Root = None) -> None:
    """Score every row of DATA: exact log-probability or lower bound in nats, and an anomaly score (higher = more anomalous)."""
    from .building import load
    from .export import export_table
    from .scoring import score_rows

    model = load(run)
    rows, names = _rows(run, source, part, root)
    columns = score_rows(model, rows)
    path = export_table({**names, **columns}, out or Path(run) / "scores.csv")
    for name, values in columns.items():
        spread = f" ± {values.std() / len(values) ** 0.5:.2f}" if len(values) > 1 else ""
        say(f"{name}: mean {values.mean():.2f}{spread} over {len(values)} rows")
    say(f"Scores -> {path}")


@app.command(epilog="Example: pofx encode runs/vae-digits digits --split all --out codes.csv")
def encode(run: RunPath, source: Source, out: Out = None, part: Part = None, root: Root = None) -> None:
    """Write the feature vector of every row of DATA."""
    from .building import load
    from .core import Encodes, require
    from .export import export_codes
    from .scoring import in_blocks

    model = load(run)
    encoder = require(model, Encodes)
    rows, names = _rows(run, source, part, root)
    codes = in_blocks(encoder.encode, rows.x, model)
    path = export_codes(codes, rows.label, names, out or Path(run) / "codes.npz")
    say(f"{codes.shape[0]} codes of {codes.shape[1]} features -> {path}")


@app.command(epilog="Example: pofx evaluate runs/nade-digits")
def evaluate(
    run: RunPath,
    source: Annotated[str | None, typer.Argument(metavar="[DATA]", help="Other data; default: the run's own.")] = None,
    features: Annotated[
        str | None,
        typer.Option(help="What samples are compared in: inception, or the path of its weights. Default: a small classifier."),
    ] = None,
    seed: Seed = 0,
    root: Root = None,
) -> None:
    """Judge a trained model on generation, density and representation; writes RUN/evaluation.json."""
    from .building import load, load_run_data
    from .evaluation import Judge
    from .report import summary_table
    from .training import RunDirectory
    from .training.checkpoint import read_tensors, write_json

    model, loaded = load(run), load_run_data(run, source, root)
    say(loaded.summary)
    judge, directory = Judge(loaded, seed, features), RunDirectory(run)
    seconds = read_tensors(directory.state)[1].get("seconds") if directory.state.is_file() else None
    figures = judge.judge(model).figures | {"train_seconds": seconds}
    report = {"data": judge.describe(), "models": {model.name: figures}}
    write_json(directory.evaluation, report)
    console().print(summary_table(report))
    for reason in dict.fromkeys(figures["why"].values()):
        say(f"– {reason}")
    say(f"All figures with sample sizes -> {directory.evaluation}")


@app.command(epilog="Example: pofx compare digits --models markov,nade:order=random,vae --out runs/mine")
@with_data_options
def compare(
    source: Source,
    models: Annotated[
        str | None, typer.Option(help="Models, each with its arguments: nade:order=random,hidden=64,vae.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where to write. Default: runs/compare-DATA.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of training in steps, for all models.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Length of training in passes over the data, for all models.")] = None,
    seed: Seed = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the runs in --out.")] = False,
    options: dict[str, Any] | None = None,
) -> None:
    """Train several models on DATA, judge each on the three uses of p(x), write report.html and report.json.

    What an earlier call with the same settings has finished or begun is taken up again.
    """
    from .building import load_data_for
    from .comparison import DISCRETE_MODELS
    from .comparison import compare as run_comparison
    from .report import summary_table, winners
    from .specs import parse_specs

    specs = parse_specs(models) if models is not None else None
    names = [name for name, _ in specs] if specs else DISCRETE_MODELS
    loaded = load_data_for(names, source, options or {}, say)
    say(loaded.summary)
    lengths: dict[str, Any] = {k: v for k, v in {"steps": steps, "epochs": epochs}.items() if v is not None}
    out = out or Path("runs") / f"compare-{Path(loaded.name).stem.replace('/', '-')}"
    command = shlex.join(["pofx", *sys.argv[1:]])
    result = run_comparison(
        loaded, specs, out, seed=seed, overwrite=overwrite, command=command, say=say, **lengths
    )  # fmt: skip
    console().print(summary_table(result.report))
    for sentence in winners(result.report):
        say(f"· {sentence}")
    say(f"Report -> {result.page} (and {out / 'report.json'})")


def _rows(run: Path, source: str, part: str | None, root: str | None) -> tuple[Any, dict[str, Any]]:
    """The rows to work on, and columns that say which they are: of a file all of them in their order, else the test split."""
    from .building import load_run_rows

    rows = load_run_rows(run, source, part, root)
    files = {"file": rows.extras["file"]} if "file" in rows.extras else {}
    return rows, {"row": list(range(len(rows))), **files}


def main() -> None:
    """Run the command line; an error of the user's is one sentence and exit code 2, never a traceback."""
    try:
        app()
    except Exception as error:
        from .core import Interrupted, PofxError

        if not isinstance(error, PofxError | OSError):
            raise
        print(f"{'pofx' if isinstance(error, Interrupted) else 'Error'}: {error}", file=sys.stderr)
        sys.exit(130 if isinstance(error, Interrupted) else 2)
    except KeyboardInterrupt:
        print("pofx: stopped.", file=sys.stderr)
        sys.exit(130)
