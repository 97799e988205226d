"""From a name to a model: the registry, presets, and models on disk."""

import inspect
import tomllib
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import torch
from torch import Tensor
from torch.distributions import constraints

from .core import ConfigError, DataError, GenerativeModel, describe_support, suggest
from .data import DATASETS, Data, Split, load_data
from .models import MODELS
from .training import Settings
from .training.checkpoint import read_tensors
from .training.directory import RunDirectory


def model_class(name: str) -> type[GenerativeModel]:
    """The class behind a name of the registry, or a `ConfigError` that suggests one."""
    if name not in MODELS:
        raise ConfigError(f"there is no model {name!r}: {suggest(name, MODELS)}.")
    return MODELS[name]


def build(name: str, event_shape: Sequence[int], **arguments: Any) -> GenerativeModel:
    """Build a model of the registry for events of a shape; further arguments are those of its constructor.

    Raises `ConfigError` where the name or an argument is unknown, or a value has the wrong type.

    >>> build("nade", (1, 8, 8), hidden=32).parameter_count()
    4192
    """
    cls = model_class(name)
    hints = get_type_hints(cls.__init__)
    known = [k for k in inspect.signature(cls).parameters if k != "event_shape"]
    for key, value in arguments.items():
        if key not in known:
            raise ConfigError(f"{name} has no argument {key!r}: {suggest(key, known)}.")
        if not _fits(value, hints[key]):
            raise ConfigError(f"{name} expects {key} to be {_in_words(hints[key])}, got {value!r}.")
    return cls(tuple(event_shape), **arguments)


def build_for(name: str, data: Data, seed: int = 0, **arguments: Any) -> GenerativeModel:
    """Build a model that suits the data: its preset's and the data's own arguments, with what is given here on top.

    `seed` fixes the initial weights.
    """
    preset, _ = read_preset(name, data.name)
    suited = model_class(name).configure_for(data.event_shape, data.support)
    if "levels" in suited and arguments.get("levels", suited["levels"]) != suited["levels"]:
        raise ConfigError(
            f"{data.name} has {suited['levels']} levels, got levels={arguments['levels']} for {name}: leave it out, a model's "
            "levels follow the data, which load_data(levels=K) (--levels) makes coarser."
        )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(name, data.event_shape, **{**preset, **suited, **arguments})


def read_preset(name: str, data_name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The preset of a model: constructor arguments and training settings, those for this data set on top.

    >>> read_preset("nade", "digits")[0]["hidden"]
    500
    """
    model_class(name)
    text = resources.files("pofx").joinpath("presets", f"{name}.toml").read_text(encoding="utf-8")
    preset = tomllib.loads(text)
    special = preset.get("data", {}).get(data_name, {})
    return (
        {**preset.get("model", {}), **special.get("model", {})},
        {**preset.get("training", {}), **special.get("training", {})},
    )


def settings_for(name: str, data: Data) -> dict[str, Any]:
    """The training settings of a model's preset; on small data with smaller batches, so that an epoch has about 20 steps."""
    _, settings = read_preset(name, data.name)
    fitting = max(8, len(data.train) // 20)
    return {**settings, "batch_size": min(settings.get("batch_size", Settings.batch_size), fitting)}


def load(path: str | Path) -> GenerativeModel:
    """Load a model that `pofx.save` or `pofx.fit` left in a directory; the inverse of `pofx.save`.

    Raises `DataError` where the directory holds none.
    """
    run = RunDirectory(path)
    described = run.read_config()["model"]
    if not run.weights.is_file():
        raise DataError(f"{run.path} holds no weights yet (model.safetensors): train it first, or go on with --resume.")
    arguments = dict(described["config"])
    model = build(described["name"], arguments.pop("event_shape"), **arguments)
    tensors, _ = read_tensors(run.weights)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(f"{run.weights} does not fit the model that {run.config} describes ({error}): train again.") from error
    return model.eval()


def load_run_data(path: str | Path, source: str | None = None, root: str | None = None, **options: Any) -> Data:
    """The data of a run, or other data prepared exactly as its own were (same scaling, binarisation, label names)."""
    described = RunDirectory(path).read_config().get("data")
    if not described:
        if source is None:
            raise DataError(f"{path} was saved without data: name the data to use.")
        return load_data(source, root=root, **options)
    return load_data(source or described["transform"]["source"], root=root, transform=described["transform"], **options)


def load_run_rows(path: str | Path, source: str, part: str | None = None, root: str | None = None, **options: Any) -> Split:
    """Rows of data, prepared as those of a run: a split of named data, all rows of a file in their order.

    `part` is train, valid, test or all; by default test for named data and all for files. `options` are `load_data`'s.
    """
    parts = ("train", "valid", "test", "all")
    if part is not None and part not in parts:
        raise ConfigError(f"split={part!r} is unknown: {suggest(part, parts)}.")
    named = source in DATASETS
    if part == "all" or (part is None and not named):
        if named:
            data = load_run_data(path, source, root, **options)
            return Split(torch.cat([s.x for s in data.splits.values()]), _joined([s.label for s in data.splits.values()]))
        return load_run_data(path, source, root, split=(0.0, 0.0, 1.0), **options).test
    return load_run_data(path, source, root, **options).splits[part or "test"]


def load_data_for(models: Sequence[str], source: str, options: dict[str, Any], say: Callable[[str], None]) -> Data:
    """Load data for models; with binarize "auto" pictures are binarised or dequantised where a model wants it, said aloud."""
    options = {k: v for k, v in options.items() if v is not None}
    how = str(options.pop("binarize", "auto"))
    if how != "auto":
        return load_data(source, binarize=_binarize(how), **options)
    data = load_data(source, **options)
    given = data.support is constraints.boolean or options.get("dequantize") or options.get("levels")
    if len(data.event_shape) == 3 and not given:
        binary = [name for name in models if model_class(name).prefers_binary]
        if binary:
            say(f"{binary[0]} is best at binary pictures: binarised at 0.5 (--binarize no: {describe_support(data.support)}).")
            return load_data(source, binarize=True, **options)
        unfit = _unfit(models, data)
        if unfit and not _unfit(models, smooth := load_data(source, **options | {"dequantize": True})):
            say(f"{unfit[0]} cannot learn values in {describe_support(data.support)}: dequantised (--dequantize).")
            return smooth
    return data  # where nothing helps, building the model says what it needs


def suitable(models: Sequence[str], data: Data) -> list[str]:
    """Those models that can learn such data at all."""
    unfit = _unfit(models, data)
    return [name for name in models if name not in unfit]


def _unfit(models: Sequence[str], data: Data) -> list[str]:
    """The models that cannot learn such data."""
    found = []
    for name in models:
        try:
            model_class(name).configure_for(data.event_shape, data.support)
        except ConfigError:
            found.append(name)
    return found


def _binarize(how: str) -> bool | float | str:
    words: dict[str, bool | str] = {"yes": True, "true": True, "no": False, "false": False}
    if how.lower() in ("draw", "redraw"):
        return how.lower()
    if how.lower() in words:
        return words[how.lower()]
    try:
        return float(how)
    except ValueError:
        raise ConfigError(f"binarize may be auto, yes, no, draw, redraw or a threshold such as 0.4, got {how!r}.") from None


def _joined(labels: list[Tensor | None]) -> Tensor | None:
    present = [label for label in labels if label is not None]
    return torch.cat(present) if len(present) == len(labels) else None


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    if get_origin(hint) is None:
        plain = isinstance(value, bool) if hint is bool else not isinstance(value, bool) and isinstance(value, hint)
        return plain or (hint is float and isinstance(value, int) and not isinstance(value, bool))
    if get_origin(hint) in (list, tuple) or getattr(get_origin(hint), "__name__", "") == "Sequence":
        return isinstance(value, list | tuple) and all(_fits(v, get_args(hint)[0]) for v in value)
    return any(_fits(value, option) for option in get_args(hint))


def _in_words(hint: Any) -> str:
    words = {int: "a whole number", float: "a number", str: "a word", bool: "true or false", type(None): "None"}
    if hint in words:
        return words[hint]
    if getattr(get_origin(hint), "__name__", "") == "Sequence":
        return f"a list, each entry {_in_words(get_args(hint)[0])}"
    return " or ".join(_in_words(option) for option in get_args(hint)) or str(hint)
