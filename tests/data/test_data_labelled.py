import pytest
import torch

from pofx.core import ConfigError, DataError
from pofx.data import Split, Stream, load_data
from pofx.data.labelled import few_labels
from pofx.evaluation import _parts


def split_of(label, condition=None):
    label = torch.tensor(label)
    x = torch.arange(len(label), dtype=torch.float32).unsqueeze(1)  # an event is its position
    return Split(x, label, {"caption": [f"row {i}" for i in range(len(label))]}, condition)


def test_every_row_comes_once_without_label_and_labelled_rows_make_up_half():
    whole = load_data("digits")
    data = load_data("digits", labelled=50)
    n = len(whole.train)
    assert torch.equal(data.train.x[:n], whole.train.x)
    assert (data.train.label[:n] == -1).all()
    assert len(data.train) == n + 24 * 50  # round(1200 / 50)
    assert torch.equal(data.train.label[n:].bincount(), torch.full((10,), 5 * 24))
    assert torch.equal(data.valid.label, whole.valid.label)
    assert torch.equal(data.test.label, whole.test.label)
    assert "50 labels kept in training, each row that has one 24 times" in data.description


def test_a_labelled_row_keeps_its_own_label_and_extras():
    split = split_of([0, 1, 2] * 20)
    few, _ = few_labels(split, 6, seed=0)
    labelled = few.label >= 0
    position = few.x[:, 0].long()
    assert torch.equal(few.label[labelled], split.label[position[labelled]])
    assert few.extras["caption"] == [f"row {i}" for i in position.tolist()]
    assert len(position[labelled].unique()) == 6
    assert set(position[labelled].bincount()[position[labelled].unique()].tolist()) == {10}


def test_the_draw_belongs_to_the_seed():
    split = split_of([0, 1] * 100)
    rows = [few_labels(split, 10, seed)[0].x for seed in (0, 0, 1)]
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])
    chosen = [few_labels(split, 10, seed)[0].x[200:210, 0] for seed in range(300)]
    share = torch.stack(chosen).long().flatten().bincount(minlength=200) / 300  # each row is kept with probability 1/20
    assert abs(share - 0.05).max() < 5 * (0.05 * 0.95 / 300) ** 0.5


def test_a_number_that_does_not_divide_gives_some_classes_one_more():
    few, _ = few_labels(split_of([0, 1, 2] * 20), 7, seed=0)
    kept = few.label[few.label >= 0].bincount() // round(60 / 7)
    assert sorted(kept.tolist()) == [2, 2, 3]


def test_all_labels_may_be_kept():
    few, _ = few_labels(split_of([0, 1] * 5), 10, seed=0)
    assert few.label[:10].unique().tolist() == [-1]
    assert sorted(few.x[10:, 0].tolist()) == list(range(10))


def test_batches_hold_about_as_many_rows_with_a_label_as_without():
    data = load_data("digits", labelled=100)
    stream = Stream(data.train, batch_size=100)
    shares = torch.tensor([(stream.batch(p).label >= 0).float().mean().item() for p in range(0, 2400, 100)])
    assert shares.mean().item() == pytest.approx(0.5, abs=1e-6)  # an epoch
    assert shares.min() > 0.3  # binomial: deviation 0.05


def test_rows_on_disk_stay_there():
    class Rows:
        def __init__(self):
            self.read_rows = []

        def __len__(self):
            return 20

        def read(self, index):
            self.read_rows += index.tolist()
            return index.float().unsqueeze(1)

    rows = Rows()
    few, _ = few_labels(Split(rows, torch.arange(20) % 2), 4, seed=0)
    assert not few.in_memory
    assert rows.read_rows == []
    batch = few.rows(torch.tensor([0, 39]))
    assert rows.read_rows == batch.x[:, 0].long().tolist()
    assert batch.label.tolist() == [-1, batch.x[1, 0].long() % 2]


def test_the_condition_that_is_the_label_follows():
    few, _ = few_labels(split_of([0, 1] * 5, condition="label"), 2, seed=0)
    assert torch.equal(few.condition, few.label)


def test_what_is_drawn_anew_at_every_visit_still_is():
    split = split_of([0, 1] * 500)
    split.chances = torch.full((1000, 1), 0.3)
    few, _ = few_labels(split, 2, seed=0)
    index = torch.arange(len(few))
    one, two = (few.seen(index, visit) for visit in (0, 1))
    assert torch.equal(one.label, few.label)
    assert abs(one.x.mean() - 0.3) < 4 * (0.21 / 2000) ** 0.5
    assert not torch.equal(one.x, two.x)


def test_a_run_judges_by_all_labels_and_remembers_how_many_it_had():
    data = load_data("digits", labelled=50)
    assert data.transform["labelled"] == 50
    again = load_data("digits", transform=data.transform)
    assert len(again.train) == 1200
    assert again.train.label.min() == 0


def test_a_judge_sees_each_row_once_and_probes_those_with_a_label():
    split = load_data("digits", labelled=50).train
    rows, labelled = _parts(split, 10_000, seed=0)
    assert torch.equal(rows.x, split.x[:1200])
    assert torch.equal(labelled.x, split.x[1200:])
    assert torch.equal(labelled.label, split.label[1200:])
    assert set(_parts(split, 40, seed=0)[1].label.tolist()) > {0, 9}  # of all labels, not the first ones
    whole = load_data("digits").train
    rows, labelled = _parts(whole, 10_000, seed=0)
    assert rows is labelled
    assert torch.equal(rows.label, whole.label)


@pytest.mark.parametrize(
    ("labelled", "error", "sentence"),
    [
        (1, ConfigError, "labelled must be between 2, the number of classes of the data, and 6, .* got 1"),
        (7, ConfigError, "labelled must be between 2, .* and 6, the number of labels in its training split, got 7"),
        (4, DataError, "labelled=4 takes 2 rows of each class, and the data has 1 with label 1"),
    ],
)
def test_numbers_that_cannot_be_kept_are_refused(labelled, error, sentence):
    with pytest.raises(error, match=sentence):
        few_labels(split_of([0, 0, 0, 1, 0, 0]), labelled, seed=0)


def test_data_without_labels_and_numbers_below_one_are_refused():
    with pytest.raises(DataError, match="labelled=5 keeps some labels, and swissroll has none"):
        load_data("swissroll", labelled=5)
    with pytest.raises(ConfigError, match="labelled must be at least 1, got 0"):
        load_data("digits", labelled=0)


def test_the_command_line_keeps_few_labels(call, home):
    code, out, err = call("fit", "independent", "digits", "--binarize", "yes", "--labelled", "30", "--out", "run")
    assert code == 0, err
    assert "30 labels kept in training" in out
    code, _, err = call("fit", "independent", "digits", "--binarize", "yes", "--labelled", "3", "--out", "other")
    assert code == 2
    assert "labelled must be between 10, the number of classes of digits, and 1200" in err
