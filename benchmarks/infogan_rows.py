"""Rows of published.py: the categorical code of InfoGAN as a classifier of MNIST, which has seen no label."""

from row import Row

CHEN = "InfoGAN, Chen and others 2016"
# A weak λ leaves the generator time to find the shapes before categories are fixed; without continuous codes none of them
# takes over what tells digits apart.
CLUSTERING = {"width": 32, "latent": 30, "continuous": 0, "weight": 0.3, "batch_size": 64, "epochs": 10, "schedule": "linear",
              "precision": "bf16"}  # fmt: skip
INFOGAN = [
    Row(
        f"infogan-mnist-{figure}",
        "infogan",
        "mnist",
        [CLUSTERING],
        published,
        f"{CHEN}, {how}",
        figure=figure,
        run="infogan-mnist",
        seeds=3,
    )
    for figure, published, how in (
        ("matched", 0.05, "after matching; one run, its seed not told"),
        ("majority", None, "the same runs"),
    )
]
