"""The data sets that have a name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from ..core import ConfigError
from . import root, shapes, stacked, toys
from .options import Options
from .raw import Raw


@dataclass(frozen=True)
class DataSet:
    """A named data set: how it is read, a line about it, the shape of its events, and where it comes from.

    `draws` says that the number of its examples may be chosen though it is made of files.
    """

    read: Callable[[Options], Raw]
    summary: str
    shape: str
    origin: Literal["embedded", "drawn", "data root"]
    draws: bool = False

    def load(self, options: Options) -> Raw:
        """The data as they are; raises `ConfigError` for options that only drawn sets have."""
        for name in ("size", "n"):
            if getattr(options, name) is not None and not (self.origin == "drawn" or (name == "n" and self.draws)):
                drawn = [key for key, data in DATASETS.items() if data.origin == "drawn" or (name == "n" and data.draws)]
                raise ConfigError(f"{name} is for drawn data ({', '.join(drawn)}): leave {name} out.")
        return self.read(options)


def _file(name: str, path: str, summary: str, shape: str) -> DataSet:
    return DataSet(partial(root.arrays_file, name=name, path=path), summary, shape, "data root")


_UCI = {
    "adult": 123, "connect4": 126, "dna": 180, "mushrooms": 112, "nips-0-12": 500, "ocr-letters": 128,
    "web-resplit": 300, "rcv1-valid-only": 150,
}  # fmt: skip
_DEBD = {
    "accidents": 111, "ad": 1556, "baudio": 100, "bbc": 1058, "bnetflix": 100, "book": 500, "c20ng": 910, "cr52": 889,
    "cwebkb": 839, "debd-dna": 180, "jester": 100, "kdd": 64, "kosarek": 190, "msnbc": 17, "msweb": 294, "nltcs": 16,
    "plants": 69, "pumsb_star": 163, "tmovie": 500, "tretail": 135,
}  # fmt: skip
_CONTINUOUS = {"wine_red": 11, "wine_white": 11, "parkinsons": 22, "ionosphere": 34, "boston_housing": 14}
_ANOMALIES = {
    "2_annthyroid": 6, "4_breastw": 9, "6_cardio": 21, "7_Cardiotocography": 21, "14_glass": 7, "18_Ionosphere": 32,
    "20_letter": 32, "25_musk": 166, "28_pendigits": 16, "29_Pima": 8, "37_Stamps": 9, "38_thyroid": 6,
    "39_vertebral": 6, "42_WBC": 9, "44_Wilt": 5,
}  # fmt: skip
_UNUSUAL = {
    "web-resplit": "binary, of the NADE paper, in another split",
    "rcv1-valid-only": "binary, of the NADE paper, its validation rows only",
}

DATASETS: dict[str, DataSet] = {
    "digits": DataSet(toys.digits, "handwritten digits, 17 grey levels, 10 classes", "1×8×8", "embedded"),
    "shapes": DataSet(shapes.shapes, "a coloured shape with caption, attributes and mask", "3×32×32", "drawn"),
    "rings": DataSet(toys.rings, "8 Gaussians on a circle, for counting modes", "2", "drawn"),
    "grid25": DataSet(toys.grid25, "25 Gaussians on a grid, for counting modes", "2", "drawn"),
    "swissroll": DataSet(toys.swissroll, "a spiral in the plane", "2", "drawn"),
    "mnist": DataSet(partial(root.mnist, name="mnist"), "70,000 handwritten digits", "1×28×28", "data root"),
    "fashion_mnist": DataSet(
        partial(root.mnist, name="fashion_mnist"), "70,000 pictures of clothes, 10 kinds", "1×28×28", "data root"
    ),
    "stacked_mnist": DataSet(
        stacked.stacked_mnist, "three digits as colour channels, 1,000 modes to count", "3×28×28", "data root", draws=True
    ),
    "stacked_digits": DataSet(
        stacked.stacked_digits, "the same of small digits, 1,000 modes to count", "3×8×8", "embedded", draws=True
    ),
    "binarized_mnist": DataSet(
        root.binarized_mnist, "MNIST in its fixed binarisation, for published likelihoods", "1×28×28", "data root"
    ),
    "cifar10_subset": _file(
        "cifar10_subset", "cifar10_subset/cifar10_first4000.npz", "the first 4,000 images of CIFAR-10, 10 classes", "3×32×32"
    ),
    "emoji": DataSet(
        partial(root.emoji, name="emoji", styles=root.STYLES),
        "12,220 emoji with names, label = 4 styles",
        "3×64×64",
        "data root",
    ),
    **{
        f"emoji-{style}": DataSet(
            partial(root.emoji, name=f"emoji-{style}", styles=[style]),
            "3,055 emoji with names, label = tone",
            "3×64×64",
            "data root",
        )
        for style in root.STYLES
    },
    "flowers": DataSet(root.flowers, "3,667 photographs of flowers, 5 kinds", "3×64×64", "data root"),
    "att_faces": DataSet(root.att_faces, "400 faces of 40 people, who are not shared by splits", "1×64×64", "data root"),
    "nlvr": DataSet(root.nlvr, "2,964 pictures of three boxes with sentences, label = true", "3×32×96", "data root"),
    **{
        name: _file(name, f"uci_binary/{name}.npz", _UNUSUAL.get(name, "binary, of the NADE paper"), str(d))
        for name, d in _UCI.items()
    },
    **{
        name: _file(name, f"debd/{name.removeprefix('debd-')}.npz", "binary, of the 20 density-estimation sets", str(d))
        for name, d in _DEBD.items()
    },
    **{
        name: _file(name, f"uci_continuous/{name}.npz", "continuous, of the RNADE paper", str(d))
        for name, d in _CONTINUOUS.items()
    },
    **{
        f"adbench/{name.split('_')[1].lower()}": _file(
            f"adbench/{name.split('_')[1].lower()}", f"adbench/{name}.npz", "table with anomalies, label 1 = anomaly", str(d)
        )
        for name, d in _ANOMALIES.items()
    },
}
