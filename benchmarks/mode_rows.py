"""Rows of published.py: modes that a generator reaches, of drawn mixtures and of stacked digits."""

from row import Row

PACGAN = "Lin, Khetan, Fanti and Oh 2018"
#: data: (modes, share of samples within three deviations) of the paper's model with the most modes
MIXTURES = {"rings": (7.9, 0.956, "PacGAN of 2"), "grid25": (24.8, 0.936, "PacGAN of 4")}
MODES = [
    Row(
        f"gan-{data}-{figure}",
        "gan",
        data,
        [{}],
        published,
        f"{name}, {PACGAN}, mean of 10 runs",
        figure=figure,
        run=f"gan-{data}",
        seeds=3,
        preset=True,
    )
    for data, (modes, near, name) in MIXTURES.items()
    for figure, published in (("modes", modes), ("near-modes", near))
]

# Half an hour of one thread a seed. With batch normalisation and pack=2 in place of the penalty the discriminator wins: after
# 10,000 steps 973 modes and KL 0.53, against 998 and 0.27 (seed 0).
STACKED_GAN = {"width": 32, "normalise": False, "r1": 1.0, "batch_size": 64, "steps": 25_000, "ema": 0.999}
STACKED = [
    Row(
        f"dcgan-{figure}",
        "dcgan",
        "stacked_mnist",
        [STACKED_GAN],
        published,
        f"PacDCGAN of 2, {PACGAN}",
        figure=figure,
        run="dcgan-stacked",
        seeds=3,
    )
    for figure, published in (("stacked-modes", 1000.0), ("stacked-kl", 0.06))
]

ADVERSARIAL_MODES = [*MODES, *STACKED]
