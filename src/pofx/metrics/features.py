"""Features in which events are compared, learned from the training split; figures compare only within one extractor."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..core import CapabilityError, DataError
from .estimate import Estimate, share_estimate
from .rows import check_rows

WIDTH = 64  # features of a classifier, and at most of PCA
MOST_EXAMPLES = 60_000  # that a classifier sees in training: about 10 s for 28 x 28 on two cores
PCA_ROWS = 5_000
BATCH = 128


@dataclass(frozen=True)
class FeatureExtractor:
    """A fixed map from events to feature vectors.

    `description` is one sentence that says what the features are; `accuracy` is that of the classifier behind them on
    held-out events, None where there is no classifier or no such events; `head` turns features into its logits.
    """

    network: nn.Module
    description: str
    accuracy: Estimate | None = None
    head: nn.Module | None = None

    def features(self, x: Tensor) -> Tensor:
        """Events x (n, *event_shape) as features (n, f), float32, on the CPU, without gradient."""
        return _apply(self.network, x)

    def probabilities(self, x: Tensor) -> Tensor:
        """What the classifier makes of events x, (n, classes), on the CPU; raises `CapabilityError` where there is none."""
        if self.head is None:
            raise CapabilityError(
                f"These features have no classifier behind them: {self.description} Give train_features labels."
            )
        return _apply(nn.Sequential(self.network, self.head), x).softmax(1)


def train_features(
    x: Tensor,
    label: Tensor | None = None,
    valid: tuple[Tensor, Tensor] | None = None,
    seed: int = 0,
    most_examples: int | None = None,
) -> FeatureExtractor:
    """Features of training events x, images (n, c, h, w) or tables (n, columns), with labels (n,) int64 where there are any.

    Points in the plane keep their coordinates. Labelled events get the last hidden layer of a small classifier, whose
    accuracy is measured on `valid` = (events, labels); unlabelled ones (or of one class) up to 64 principal components.
    Deterministic given `seed`; torch's global generators are left as they were. Cost: at most `most_examples`, by default
    60,000, draws of an image network that works at 16 x 16 or below. Raises `DataError` for NaN, fewer than two events,
    or unfit labels.
    """
    check_rows(x, "x", at_least=2)
    if x.shape[1:] == (2,):
        return FeatureExtractor(nn.Identity(), "The two coordinates themselves.")
    if label is None or len(label.unique()) < 2:
        return _principal_components(x, seed)
    if len(label) != len(x) or int(label.min()) < 0:
        raise DataError(f"train_features expects a label >= 0 per event, got {len(label)} for {len(x)} events.")
    classes = int(label.max()) + 1
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # all its draws are on the CPU, whatever the device of x
        body = (_convolutional(*x.shape[1:]) if x.ndim == 4 else _dense(x.flatten(1).shape[1])).to(x.device)
        head = nn.Linear(WIDTH, classes).to(x.device)
        examples = _train(nn.Sequential(body, head), x, label.to(x.device), most_examples or MOST_EXAMPLES)
    body.eval()
    head.eval()
    kind = "convolutional" if x.ndim == 4 else "dense"
    accuracy = _accuracy(nn.Sequential(body, head), *valid) if valid is not None and len(valid[0]) else None
    held_out = f", {accuracy.value:.1%} accurate on {accuracy.n} held-out events" if accuracy else ""
    return FeatureExtractor(
        body,
        f"The {WIDTH} units of the last hidden layer of a small {kind} classifier of {classes} classes, trained on "
        f"{examples} draws from {len(x)} training events (seed {seed}){held_out}.",
        accuracy,
        head,
    )


def train_channel_features(
    x: Tensor,
    label: Tensor,
    classes: int,
    valid: tuple[Tensor, Tensor] | None = None,
    seed: int = 0,
    most_examples: int | None = None,
) -> FeatureExtractor:
    """Features of pictures (n, c, h, w) whose channels are pictures of their own: those of each channel, side by side.

    The labels (n,) are numbers whose c digits to the base `classes` are the classes of the channels, as in stacked MNIST. One
    small classifier of single channels is trained as by `train_features`; its accuracy is per channel, and `probabilities` are
    those of whole labels, products over the channels. Raises `DataError` for other labels or pictures.
    """
    if x.ndim != 4 or len(label) != len(x) or int(label.min()) < 0 or int(label.max()) >= classes ** x.shape[1]:
        raise DataError(
            f"labels of {x.shape[1]} channels of {classes} classes expect pictures (n, c, h, w), got {tuple(x.shape)}."
        )

    def apart(x: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        places = classes ** torch.arange(x.shape[1] - 1, -1, -1)
        return x.flatten(0, 1).unsqueeze(1), (label.unsqueeze(1) // places % classes).flatten()

    single = train_features(*apart(x, label), None if valid is None else apart(*valid), seed, most_examples)
    return FeatureExtractor(
        _PerChannel(single.network),
        f"Of each channel, side by side: {single.description[0].lower()}{single.description[1:]}",
        single.accuracy,
        None if single.head is None else _WholeLabel(single.head),
    )


class _PerChannel(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.network(x.flatten(0, 1).unsqueeze(1))
        return features.view(len(x), -1)


class _WholeLabel(nn.Module):
    """From the features of all channels to ln p of every whole label."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor) -> Tensor:
        found = features.new_zeros(len(features), 1)
        for channel in self.head(features.view(len(features), -1, WIDTH)).log_softmax(2).unbind(1):
            found = (found.unsqueeze(2) + channel.unsqueeze(1)).flatten(1)
        return found


def _principal_components(x: Tensor, seed: int) -> FeatureExtractor:
    from sklearn.decomposition import PCA

    chosen = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:PCA_ROWS]
    rows = x.detach()[chosen.to(x.device)].flatten(1).float().cpu()
    kept = min(WIDTH, *rows.shape)
    pca = PCA(kept, random_state=seed).fit(rows.numpy())
    project = nn.utils.skip_init(nn.Linear, rows.shape[1], kept)  # draws nothing from the global generator
    with torch.no_grad():
        project.weight.copy_(torch.from_numpy(pca.components_))
        project.bias.copy_(torch.from_numpy(-pca.components_ @ pca.mean_))
    share = float(pca.explained_variance_ratio_.sum())
    return FeatureExtractor(
        nn.Sequential(nn.Flatten(), project),
        f"The first {kept} principal components of {len(rows)} training events (seed {seed}), "
        f"which hold {share:.1%} of the variance.",
    )


def _dense(columns: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(), nn.BatchNorm1d(columns, affine=False), nn.Linear(columns, 2 * WIDTH), nn.ReLU(),
        nn.Linear(2 * WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU(),
    )  # fmt: skip


def _convolutional(channels: int, height: int, width: int) -> nn.Sequential:
    # The first layer strides to 16 x 16 or below, so that large images cost no more than small ones.
    stride = math.ceil(max(height, width) / 16)
    side, filters = math.ceil(max(height, width) / stride), 32
    first = nn.Conv2d(channels, filters, 2 * stride + 1, stride, padding=stride)
    layers: list[nn.Module] = [first, nn.BatchNorm2d(filters), nn.ReLU()]
    while side > 4:
        layers += [nn.Conv2d(filters, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
        side, filters = math.ceil(side / 2), 64
    layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(16 * filters, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU())


@torch.enable_grad()
def _train(classifier: nn.Module, x: Tensor, label: Tensor, most_examples: int) -> int:
    """Trains in place with a one-cycle learning rate; returns the number of examples seen."""
    steps = min(most_examples, max(20 * len(x), 10_000)) // BATCH
    optimizer = torch.optim.Adam(classifier.parameters(), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    classifier.train()
    for _ in range(steps):
        rows = torch.randint(len(x), (BATCH,)).to(x.device)
        loss = nn.functional.cross_entropy(classifier(x[rows].float()), label[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return steps * BATCH


def _accuracy(classifier: nn.Module, x: Tensor, label: Tensor) -> Estimate:
    classifier.eval()
    guesses = _apply(classifier, x).argmax(1)
    return share_estimate(int((guesses == label.cpu()).sum()), len(x))


@torch.no_grad()
def _apply(network: nn.Module, x: Tensor) -> Tensor:
    device = next((p.device for p in network.parameters()), x.device)
    return torch.cat([network(rows.to(device).float()).cpu() for rows in x.split(4 * BATCH)])
