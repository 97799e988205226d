"""Which reader reads which path."""

from collections.abc import Callable
from pathlib import Path

from ..core import DataError
from .arrays import read_npy, read_npz
from .folders import PICTURES, read_folder
from .hub import is_saved_dataset, read_hub, read_saved
from .options import Options
from .raw import Raw
from .tables import read_csv, read_parquet

_READERS: dict[str, Callable[[Path, Options], Raw]] = {
    ".npy": read_npy, ".npz": read_npz, ".csv": read_csv, ".tsv": read_csv, ".txt": read_csv, ".parquet": read_parquet,
    **dict.fromkeys(PICTURES, read_folder),
}  # fmt: skip


def looks_like_path(source: str) -> bool:
    """Whether a source is meant as a file, a folder or a name on the Hub, rather than as the name of a data set."""
    path = Path(source).expanduser()
    return source.startswith(("hf:", ".", "/", "~")) or path.suffix.lower() in _READERS or path.exists()


def read_file(source: str, options: Options) -> Raw:
    """The data at a path, or on the Hub for "hf:..."; raises `DataError` where there is nothing that can be read."""
    if source.startswith("hf:"):
        return read_hub(source.removeprefix("hf:"), options)
    path = Path(source)
    if not path.exists():
        raise DataError(f"there is no file or folder {source!r}: check the path.")
    if path.is_dir():
        return read_saved(path, options) if is_saved_dataset(path) else read_folder(path, options)
    if path.suffix.lower() not in _READERS:
        raise DataError(
            f"{source!r} is of no known kind: give a folder of pictures or a file of {', '.join(sorted(_READERS))}."
        )
    return _READERS[path.suffix.lower()](path, options)
