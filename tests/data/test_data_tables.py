import sys

import numpy as np
import pytest
import torch
from torch.distributions import constraints

from pofx.core import ConfigError, DataError
from pofx.data import load_data
from pofx.data.csvfile import layout_of, read_exactly, read_fast

ALL = {"split": (1, 0, 0)}


@pytest.fixture
def csv(tmp_path):
    def write(text: str) -> str:
        (tmp_path / "t.csv").write_text(text, encoding="utf-8")
        return str(tmp_path / "t.csv")

    return write


@pytest.fixture(params=["pyarrow", "csv module"])
def reader(request, monkeypatch):
    """Both ways of reading text tables."""
    if request.param == "csv module":
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    else:
        pytest.importorskip("pyarrow")


@pytest.mark.parametrize("text", ["a,b\n1,2.5\n-3,4e2\n", "\ufeffa;b\n1;2.5\n\n-3;4e2", "a\tb\n 1 \t2.5\n-3\t4e2\n"])
def test_tables_with_names_are_read_whatever_the_delimiter(reader, csv, text):
    data = load_data(csv(text), **ALL)
    assert data.train.x.tolist() == [[1.0, 2.5], [-3.0, 400.0]]
    assert data.column_names == ["a", "b"]
    assert data.support is constraints.real


def test_tables_without_names_are_recognised_even_with_text_in_them(reader, csv):
    data = load_data(csv("5.1,3,setosa\n4.9,2,virginica\n4.7,3,setosa\n"), label="2", **ALL)
    assert data.column_names is None
    assert data.train.x[:, 0].tolist() == pytest.approx([5.1, 4.9, 4.7])
    assert data.train.label.tolist() == [0, 1, 0]
    assert data.label_names == ["setosa", "virginica"]


def test_labels_of_numbers_are_sorted_as_numbers(reader, csv):
    data = load_data(csv("a,k\n.5,10\n.25,9\n.5,-1\n.75,10\n"), label="k", **ALL)
    assert data.label_names == ["-1", "9", "10"]
    assert data.train.label.tolist() == [2, 1, 0, 2]
    assert data.event_shape == (1,)


@pytest.mark.parametrize(
    ("text", "support"),
    [("0,1\n1,1\n", constraints.boolean), ("0,1\n1,7\n", "integers"), ("0,1\n1,256\n", constraints.real),
     ("0,1\n-1,1\n", constraints.real), ("0,.5\n1,1\n", constraints.real)],
)  # fmt: skip
def test_the_support_holds_the_values(csv, text, support):
    found = load_data(csv(text), **ALL).support
    if support == "integers":
        assert (found.lower_bound, found.upper_bound) == (0, 7)
    else:
        assert found is support


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("", {}, r"t.csv is empty: give a table with at least one row"),
        ("a,b\n", {}, r"t.csv holds no events"),
        ("a,b\n1,2\n3\n", {}, r"t.csv has 1 fields in line 3, expected are 2 as in its first line"),
        ("a,b\n1,2\n3,4,5\n", {}, r"t.csv has 3 fields in line 3, expected are 2"),
        ("a,b\n1,2\n3,x\n", {}, r"the text 'x' in line 3, column 'b', where a number is expected.*label='b'"),
        (
            "a,b\n1,2\n3,nan\n,inf\n5,6\n",
            {},
            r"NaN, Inf or a missing value in row 1, column 'b', counted from 0 \(2 rows in all\)",
        ),
        ("1,2\n3,-inf\n", {}, r"in row 1, column 1, counted from 0 \(1 row in all\)"),
        ("a,b\n1,1e300\n", {}, r"NaN, Inf or a missing value in row 0, column 'b'"),
        ("aa,b\n1,2\n", {"label": "a"}, r"t.csv has no column 'a' for label: did you mean 'aa'"),
        ("a,a\n1,2\n", {}, r"t.csv has two columns named 'a'"),
        ("a\n1\n", {"label": "a"}, r"t.csv has no column of numbers besides the label"),
        ("a,k\n1,1.5\n", {"label": "k"}, None),
        ("a,k\n1,u\n2,\n", {"label": "k"}, r"has no label in row 1"),
    ],
)
def test_mistakes_are_explained(reader, csv, text, options, sentence):
    if sentence is None:
        assert load_data(csv(text), **options).label_names == ["1.5"]
        return
    with pytest.raises(DataError, match=sentence):
        load_data(csv(text), **options)


def test_text_that_is_no_utf8_is_explained(reader, tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,\xff\xfe\n")
    with pytest.raises(DataError, match=r"t.csv is no table of UTF-8 text"):
        load_data(tmp_path / "t.csv")


def test_the_fast_reader_equals_the_exact_one(tmp_path):
    pytest.importorskip("pyarrow")
    rng, path = np.random.default_rng(0), tmp_path / "t.csv"
    rows = [[repr(float(v)) for v in row] for row in rng.normal(size=(300, 4)) * 10.0 ** rng.integers(-9, 9, (300, 4))]
    rows[7][2], rows[9][0] = "", "NA"
    lines = [",".join([*row, f'"{i % 3}, ü"']) for i, row in enumerate(rows)]
    path.write_text("\n".join(["a,b,c,d,k", *lines]), encoding="utf-8")
    fast, exact = (read(path, layout_of(path), "k", ["d", "a", "c"]) for read in (read_fast, read_exactly))
    assert list(fast) == list(exact) == ["d", "a", "c", "k"]
    for name in ("a", "c", "d"):
        assert np.array_equal(fast[name], exact[name], equal_nan=True)
    assert fast["k"].tolist() == exact["k"].tolist()


def test_columns_of_other_data_are_matched_by_name(csv):
    run = load_data(csv("a,b,k\n1,.5,u\n2,.25,v\n3,.5,v\n"), label="k", **ALL).transform
    data = load_data(csv("b,more,a\n.5,9,1\n.25,9,2\n"), transform=run, **ALL)
    assert data.train.x.tolist() == [[1.0, 0.5], [2.0, 0.25]]
    assert data.train.label is None
    assert load_data(csv("7,8\n"), transform=run, **ALL).train.x.tolist() == [[7.0, 8.0]]
    assert load_data(csv("k,a,b\nv,1,2\n"), transform=run, **ALL).train.label.tolist() == [1]
    with pytest.raises(DataError, match=r"t.csv has no column 'b', which the trained run has"):
        load_data(csv("a,bb\n1,2\n"), transform=run)
    with pytest.raises(DataError, match=r"the label 'w', new to the trained run: Known: u, v"):
        load_data(csv("k,a,b\nw,1,2\n"), transform=run)


def test_parquet_is_read_with_booleans_and_labels(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"a": [1, 2, 3], "b": [True, False, True], "k": ["u", "v", "u"]}), tmp_path / "t.parquet")
    data = load_data(tmp_path / "t.parquet", label="k", **ALL)
    assert data.train.x.tolist() == [[1, 1], [2, 0], [3, 1]]
    assert data.train.label.tolist() == [0, 1, 0]
    with pytest.raises(DataError, match=r"t.parquet holds string in column 'k', where numbers are expected.*label='k'"):
        load_data(tmp_path / "t.parquet")
    pq.write_table(pa.table({"a": [1, None, 3]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"a missing value in row 1, column 'a'"):
        load_data(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"t.parquet is empty or no Parquet file"):
        load_data(tmp_path / "t.parquet")


def test_missing_packages_are_named(tmp_path, csv, monkeypatch):
    (tmp_path / "t.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"reading Parquet needs the package pyarrow: pip install 'pofx\[data\]'"):
        load_data(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"needs the package datasets: pip install 'pofx\[data\]'"):
        load_data(csv("1,2\n"), in_memory=False)


def write_table(path, table: np.ndarray) -> None:
    names = [*"abcd"[: table.shape[1]], "k"]
    if path.suffix == ".csv":
        lines = [",".join([*map(repr, row), f"x{i % 3}"]) for i, row in enumerate(table.tolist())]
        path.write_text("\n".join([",".join(names), *lines]))
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        labels = [f"x{i % 3}" for i in range(len(table))]
        pq.write_table(pa.table(dict(zip(names, [*table.T, labels], strict=True))), path)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("options", [{"standardize": True}, {"dequantize": True}, {}])
def test_tables_on_disk_equal_those_in_memory(arrow_cache, tmp_path, kind, options):
    path = tmp_path / f"t.{kind}"
    write_table(path, np.random.default_rng(0).integers(0, 9, (60, 4)).astype(float))
    memory, disk = (load_data(path, label="k", condition="label", in_memory=where, **options) for where in (True, False))
    assert memory.train.in_memory
    assert not disk.train.in_memory
    assert disk.description == memory.description
    rows = torch.tensor([5, 0, 5, 17])
    for name, split in memory.splits.items():
        assert torch.equal(disk.splits[name].x, split.x)
        assert torch.equal(disk.splits[name].label, split.label)
    batch = disk.train.rows(rows)
    assert torch.equal(batch.x, memory.train.x[rows])
    assert torch.equal(batch.condition, memory.train.label[rows])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_mistakes_on_disk_are_found_in_a_pass_over_the_file(arrow_cache, tmp_path, kind):
    table = np.random.default_rng(0).normal(size=(50, 3))
    table[31, 1] = table[40, 2] = np.nan
    write_table(tmp_path / f"t.{kind}", table)
    with pytest.raises(DataError, match=r"row 31, column 'b', counted from 0 \(2 rows in all\)"):
        load_data(tmp_path / f"t.{kind}", label="k", in_memory=False)


def test_text_in_a_table_on_disk_is_explained(arrow_cache, csv):
    with pytest.raises(DataError, match="the text 'x' in line 3, column 'b'"):
        load_data(csv("a,b\n1,2\n3,x\n"), in_memory=False)
    with pytest.raises(DataError, match="3 fields in line 3, expected are 2"):
        load_data(csv("a,b\n1,2\n3,4,5\n"), in_memory=False)
    with pytest.raises(DataError, match="a missing value in row 1, column 'b'"):
        load_data(csv("a,b\n1,2\n3,?\n"), in_memory=False)


def test_empty_cells_may_be_let_in(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n0.5,1\n2.5,\n,3\n")
    fitted = load_data(save_csv(tmp_path / "fitted.csv", "a,b\n0,0\n2,4\n1,2\n"), standardize=True, split=(1, 0, 0))
    mean, std = (torch.tensor(fitted.transform["known"][key]) for key in ("mean", "std"))
    x = load_data(path, transform=fitted.transform, split=(0, 0, 1), missing=True).test.x
    torch.testing.assert_close(x, (torch.tensor([[0.5, 1], [2.5, torch.nan], [torch.nan, 3]]) - mean) / std, equal_nan=True)
    assert "missing" not in fitted.transform
    with pytest.raises(DataError, match=r"holds NaN, Inf or a missing value in row 1, column 'b'"):
        load_data(path, transform=fitted.transform, split=(0, 0, 1))
    with pytest.raises(ConfigError, match="missing=True and standardize go together only with the transform"):
        load_data(path, standardize=True, missing=True)


@pytest.mark.parametrize("options", [{"binarize": 0.5}, {}])
def test_empty_cells_stay_empty_whatever_is_done_to_the_others(tmp_path, options):
    path = save_csv(tmp_path / "t.csv", "a,b\n0,1\n1,\n,1\n")
    x = load_data(path, split=(0, 0, 1), missing=True, **options).test.x
    assert torch.equal(x.isnan(), torch.tensor([[False, False], [False, True], [True, False]]))
    assert torch.equal(x[~x.isnan()], torch.tensor([0.0, 1, 1, 1]))


def save_csv(path, text):
    path.write_text(text)
    return path
