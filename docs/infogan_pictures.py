"""The picture of InfoGAN's codes and the figures of its page: `POFX_DATA=... python docs/infogan_pictures.py [RUN]`.

Without RUN it trains what `pofx fit infogan mnist` trains, in runs/infogan-mnist, or takes up where that was interrupted.
"""

import sys
from pathlib import Path

import torch
from PIL import Image

import pofx
from pofx.building import settings_for
from pofx.latents import traverse_code
from pofx.metrics import clustering_error, majority_labels, matched_labels
from pofx.models import InfoGAN
from pofx.scoring import in_blocks
from pofx.strips import titled_grid

SEED, ROWS, GAP = 0, 5, 12
ANGLES = (-20, -10, 0, 10, 20)  # degrees by which test digits are turned
PICTURE = Path(__file__).parent / "pictures" / "infogan-codes.png"


def picture(model: InfoGAN) -> None:
    """The grids of all codes side by side: the first category by category, the others from −2 to 2, for five draws."""
    labels = torch.arange(model.codes.categories[0]).roll(-1)[:ROWS]
    sheets = []
    for code, name in enumerate(model.codes.names):
        given = None if code == 0 else labels
        x, _, titles = traverse_code(model, code, ROWS, 9, 2.0, given, SEED)
        sheets.append(titled_grid(x, [f"{name}" if i == ROWS // 2 else "" for i in range(ROWS)], titles))
    wide, high = sum(s.width for s in sheets) + GAP * (len(sheets) - 1), max(s.height for s in sheets)
    whole, left = Image.new("RGB", (wide, high), "white"), 0
    for sheet in sheets:
        whole.paste(sheet, (left, 0))
        left += sheet.width + GAP
    whole.save(PICTURE, optimize=True)


def turned(x: torch.Tensor, degrees: float) -> torch.Tensor:
    """Pictures turned about their middle."""
    a = torch.deg2rad(torch.tensor(degrees))
    theta = torch.stack([torch.stack([a.cos(), a.sin(), a * 0]), torch.stack([-a.sin(), a.cos(), a * 0])])
    grid = torch.nn.functional.affine_grid(theta.expand(len(x), 2, 3), list(x.shape), align_corners=False)
    return torch.nn.functional.grid_sample(x, grid, align_corners=False).clamp(0, 1)


def figures(model: InfoGAN, data: pofx.Data) -> None:
    """The error of c1 as a classifier, and the correlation of each continuous code with the angle of turned test digits."""
    valid, test = (in_blocks(model.category_probabilities, split.x, model) for split in (data.valid, data.test))
    assert data.valid.label is not None
    assert data.test.label is not None
    for how, rule in (("one a label", matched_labels), ("majority", majority_labels)):
        error = clustering_error(test, data.test.label, rule(valid, data.valid.label))
        print(f"test error of c1, {how}: {error.value:.4f} ± {error.stderr:.4f}")
    codes = torch.stack([in_blocks(model.encode, turned(data.test.x, angle), model) for angle in ANGLES])
    for i in range(model.codes.continuous):
        value = codes[..., sum(model.codes.categories) + i]
        angle = torch.tensor(ANGLES).float()[:, None].expand_as(value)
        together = torch.corrcoef(torch.stack([value.flatten(), angle.flatten()]))[0, 1]
        print(f"correlation of {model.codes.names[len(model.codes.categories) + i]} with the angle: {together:.3f}")


def main() -> None:
    """The picture and the figures."""
    torch.set_num_threads(1)
    data = pofx.load_data("mnist")
    if len(sys.argv) > 1:
        model = pofx.load(sys.argv[1])
    else:
        model = pofx.build_for("infogan", data, SEED)
        pofx.fit(model, data, "runs/infogan-mnist", seed=SEED, **settings_for("infogan", data))
    assert isinstance(model, InfoGAN)
    picture(model)
    figures(model, data)


if __name__ == "__main__":
    main()
