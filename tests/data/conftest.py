import os
from pathlib import Path

import pytest


@pytest.fixture
def root() -> str:
    """The data root, from the environment or beside the repository; skips where there is none."""
    path = Path(os.environ.get("POFX_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not path.is_dir():
        pytest.skip("no data root: set POFX_DATA")
    return str(path)


@pytest.fixture
def arrow_cache(tmp_path, monkeypatch):
    """🤗 datasets with a cache of its own and without progress bars."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    yield datasets
    datasets.enable_progress_bars()
