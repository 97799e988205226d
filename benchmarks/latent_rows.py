"""Rows of published.py: autoencoders, variational, adversarial, Wasserstein."""

from row import MEMORY, Row

# The paper binarises MNIST anew at every presentation ("redraw"); on the fixed file a variational autoencoder overfits.
AUTOENCODER = {"latent": 50, "hidden": [200, 200], "activation": "tanh", "learning_rate": 1e-3, "batch_size": 100,
               "ema": 0.9995, "epochs": 150}  # fmt: skip
IWAE_2016 = "Burda, Grosse and Salakhutdinov 2016"
VAE = [
    Row(
        f"{name}-{data}",
        "vae",
        data,
        [AUTOENCODER | objective | ({} if options else {"look_ahead": 30})],
        figure,
        f"{source}, binarised anew at every presentation",
        options=options,
    )
    for data, options in (("mnist", {"binarize": "redraw"}), ("binarized_mnist", {}))
    for name, objective, figure, source in (
        ("vae", {}, -86.76, f"VAE of 1 layer, {IWAE_2016} ({MEMORY})"),
        ("iwae", {"objective": "iwae", "importance_samples": 5}, -85.54, f"IWAE of 1 layer, k = 5, {IWAE_2016} ({MEMORY})"),
    )
]

MAKHZANI = "Makhzani, Shlens, Jaitly, Goodfellow and Frey 2016"
SEMI = {"hidden": [1000, 1000], "discriminator_hidden": [1000, 1000], "latent": 10, "supervision": "classes", "classes": 10,
        "input_noise": 0.3, "batch_size": 200, "epochs": 60, "schedule": "linear", "precision": "bf16"}  # fmt: skip
CLUSTERS = {"hidden": [1000, 1000], "discriminator_hidden": [1000, 1000], "latent": 5, "input_noise": 0.3, "batch_size": 100,
            "epochs": 60, "schedule": "linear", "precision": "bf16"}  # fmt: skip
AAE = [
    *(
        Row(
            f"aae-{labels}-mnist",
            "aae",
            "mnist",
            [SEMI],
            figure,
            f"AAE with {labels:,} labels, {MAKHZANI} (quoted by others)",
            options={"labelled": labels},
            figure="classification",
        )
        for labels, figure in ((100, 0.0190), (1_000, 0.0160))
    ),
    *(
        Row(
            f"aae-{clusters}-clusters-mnist",
            "aae",
            "mnist",
            [CLUSTERS | {"categories": clusters}],
            figure,
            f"AAE of {clusters} clusters, {MAKHZANI} (quoted by others)",
            figure="clustering",
        )
        for clusters, figure in ((16, 0.0955), (30, 0.0410))
    ),
]

# The same networks and steps for all; a VAE that learns its one variance is the one whose samples are judged best.
SAME = {"latent": 8, "hidden": [512, 512], "batch_size": 100, "epochs": 50, "schedule": "cosine"}
JUDGE = {"discriminator_hidden": [512, 512]}
FASHION = [
    Row(
        f"fashion-{name}-{figure}",
        model,
        "fashion_mnist",
        [SAME | arguments],
        None,
        "side by side, the same networks",
        figure=figure,
        run=f"fashion-{name}",
    )
    for name, model, arguments in (
        ("vae", "vae", {"likelihood": "gaussian"}),
        ("aae", "aae", JUDGE),
        ("wae-mmd", "wae", {"penalty": "mmd"}),
        ("wae-gan", "wae", {"penalty": "gan"} | JUDGE),
    )
    for figure in ("frechet", "reconstruction", "sharpness", "probe")
]

LATENT = [*VAE, *AAE, *FASHION]
