"""Pictures of the adversarial autoencoder's codes, and the figures of its page: `python docs/latent_pictures.py`."""

import argparse
from collections.abc import Callable
from typing import Any

import torch
from diagrams import blank, save
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

import pofx
from pofx.building import settings_for
from pofx.data import Data
from pofx.metrics import classifier_test, cluster_labels, clustering_error, mmd_test
from pofx.models import AAE

SEED, CLASSES = 0, 10
PRIOR_COLOUR = "#d9d9d9"


def trained(data: Data, **arguments: Any) -> AAE:
    """The model that `pofx fit aae digits` gives with these arguments."""
    model = pofx.build_for("aae", data, seed=SEED, **arguments)
    assert isinstance(model, AAE)
    pofx.fit(model, data, seed=SEED, progress=False, **settings_for("aae", data))
    return model


def held_out(data: Data) -> tuple[Tensor, Tensor]:
    """Events and labels that training has not seen."""
    x = torch.cat([data.valid.x, data.test.x])
    assert data.valid.label is not None
    assert data.test.label is not None
    return x, torch.cat([data.valid.label, data.test.label])


def codes(model: AAE, x: Tensor) -> Tensor:
    """z of events, without the categories."""
    return model.encode(x)[:, model.categories :]


def figures(model: AAE, data: Data) -> str:
    """What a row of the page's table says: error of reconstruction, and how far the codes are from the prior."""
    x, _ = held_out(data)
    z = codes(model, x)
    draws = model.prior.sample(len(z), torch.Generator().manual_seed(SEED))
    distance, told = mmd_test(z, draws), classifier_test(z, draws)
    error = model.anomaly_score(x)
    return (
        f"½‖x − x̂‖² {error.mean():.3f} ± {error.std() / len(x) ** 0.5:.3f} | "
        f"MMD² {distance.distance.value:.4f} ± {distance.distance.stderr:.4f}, p = {distance.p_value:.3f} | "
        f"accuracy {told.distance.value:.3f} ± {told.distance.stderr:.3f}, p = {told.p_value:.2g}"
    )


def scatter(axes: Axes, model: AAE, data: Data, title: str) -> Any:
    """Codes of held-out digits, a colour a label, over draws of the prior in grey."""
    x, label = held_out(data)
    z, draws = codes(model, x), model.prior.sample(4000, torch.Generator().manual_seed(SEED))
    blank(axes).scatter(*draws.T, s=2, color=PRIOR_COLOUR, linewidth=0, rasterized=True)
    points = axes.scatter(*z.T, s=9, c=label, cmap="tab10", vmin=-0.5, vmax=9.5, linewidth=0)
    reach = 1.15 * float(draws.abs().max())
    axes.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach), title=title)
    return points


def latent_picture(models: dict[str, AAE], data: Data, name: str, columns: int = 3) -> None:
    """Panels of two-dimensional codes over their priors, of models by title."""
    rows = -(-len(models) // columns)
    figure = Figure(figsize=(3.3 * columns + 0.7, 3.5 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, (title, model) in zip(panels.flat, models.items(), strict=True):
        points = scatter(axes, model, data, title)
    bar = figure.colorbar(points, ax=panels, ticks=range(CLASSES), shrink=0.6, label="label")
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
    save(figure, name)


def priors(data: Data) -> None:
    """Four priors without labels, and two whose parts the labels name."""
    free = [("gaussian", "N(0, I)"), ("uniform", "uniform"), ("mixture", "mixture"), ("swiss_roll", "swiss roll")]
    models = {title: trained(data, latent=2, prior=prior) for prior, title in free}
    for prior, title in (("mixture", "mixture, labels"), ("swiss_roll", "swiss roll, labels")):
        models[title] = trained(data, latent=2, prior=prior, supervision="prior", classes=CLASSES)
    for title, model in models.items():
        print(f"{title}: {figures(model, data)}", flush=True)
    latent_picture(models, data, "aae-priors")


def grid(axes: Axes, x: Tensor, columns: int, title: str) -> None:
    """Pictures (n, 1, h, w) in rows, dark on white."""
    padded = torch.nn.functional.pad(x[:, 0], (1, 1, 1, 1))
    whole = padded.unflatten(0, (-1, columns)).movedim(2, 1).flatten(2).flatten(0, 1)
    blank(axes).imshow(1 - whole, cmap="gray", vmin=0, vmax=1)
    axes.set_title(title)


def labels(data: Data) -> None:
    """Labels told to the decoder, clusters without labels, and classes from few labels; their errors."""
    style = trained(data, latent=3, supervision="style", classes=CLASSES)
    z = style.prior.sample(12, torch.Generator().manual_seed(SEED))
    told = torch.arange(CLASSES).repeat_interleave(12)
    figure = Figure(figsize=(9.5, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[12, 12])
    grid(left, style.decode(z.repeat(CLASSES, 1), told), 12, "style: a label a row, a code z a column")
    print(f"style: {figures(style, data)}", flush=True)
    clusters = trained(data, latent=4, categories=16)
    names = cluster_labels(clusters.category_probabilities(data.valid.x), data.valid.label)
    error = clustering_error(clusters.category_probabilities(data.test.x), data.test.label, names)
    print(f"16 clusters, test error {error.value:.3f} ± {error.stderr:.3f}: {figures(clusters, data)}", flush=True)
    order = names.argsort(stable=True).repeat_interleave(18)
    grid(right, clusters.sample(len(order), order, torch.Generator().manual_seed(SEED)), 18, "clusters: one a row")
    save(figure, "aae-labels")


def few(data: Data, labelled: int = 50) -> None:
    """The test error of a classifier that learned from few labels."""
    model = trained(pofx.load_data("digits", labelled=labelled), supervision="classes", classes=CLASSES, input_noise=0.2)
    wrong = (model.classify(data.test.x) != data.test.label).double()
    spread = wrong.std().item() / len(wrong) ** 0.5
    print(f"{labelled} labels, test error {wrong.mean():.3f} ± {spread:.3f}: {figures(model, data)}", flush=True)


PARTS: dict[str, Callable[[Data], None]] = {"priors": priors, "labels": labels, "few": few}


def main() -> None:
    """Make all of it, or one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="one part instead of all")
    chosen = parser.parse_args().only
    data = pofx.load_data("digits")
    for name in [chosen] if chosen else PARTS:
        PARTS[name](data)


if __name__ == "__main__":
    main()
