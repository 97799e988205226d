"""Autoencoders end to end: training by `pofx.fit` against training by pythae 0.1.2 with its own trainer.

    python benchmarks/autoencoder_pairs.py measure wae-mmd --precision fp32 [--repeats 5] [--threads 2]

pythae lives in an environment of its own, named by the variable PYTHAE_PYTHON (by default .venv-pythae/bin/python):

    python -m venv .venv-pythae && .venv-pythae/bin/pip install torch==2.13.0 pythae==0.1.2

Both sides run in fresh processes that take turns. Each trains on the same number of pictures of noise, 28×28, in batches of
100, with pythae's default networks (784-512-10 and back, ReLU; discriminator 10-256-1), without validation, pictures or
progress bars; the first epoch is for warming up, the figure is examples a second over the others, with all that the trainer
does between them. pythae's autocast is for CUDA alone: for bf16 its forward pass is wrapped in the same autocast as ours.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch

ROWS, BATCH, LATENT, EPOCHS = 10_000, 100, 10, 4
SOURCE = "pythae 0.1.2, its own trainer"
DATA = "28×28, batch 100"
#: ours, with pythae's networks and loss, and the name of its model. Its adversarial autoencoder moves encoder and decoder
#: jointly, as WAE-GAN does; the AAE's own phases pass the data through the encoder three times.
MODELS: dict[str, tuple[str, dict[str, Any], str]] = {
    "vae": ("vae", {"likelihood": "gaussian", "variance": 1.0}, "VAE"),
    "aae": ("aae", {"encoder": "gaussian", "discriminator_hidden": [256]}, "Adversarial_AE"),
    "wae-gan": ("wae", {"penalty": "gan", "encoder": "gaussian", "discriminator_hidden": [256]}, "Adversarial_AE"),
    "wae-mmd": ("wae", {"penalty": "mmd"}, "WAE_MMD"),
}
PRECISIONS = ("fp32", "bf16")


def pictures() -> torch.Tensor:
    """The data of both sides."""
    return torch.rand(ROWS, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def our_rate(name: str, precision: str) -> float:
    """Examples a second of `pofx.fit`, by the trainer's own clock."""
    import pofx
    from pofx.data import Data, Split

    model_name, arguments, _ = MODELS[name]
    torch.manual_seed(0)
    model = pofx.build(model_name, (1, 28, 28), latent=LATENT, hidden=[512], **arguments)
    split = Split(pictures())
    data = Data("noise", split, split, split, model.event_shape, model.support)
    settings = {"epochs": EPOCHS, "batch_size": BATCH, "precision": precision, "validate_every": 0, "snapshots": 0}
    run = pofx.fit(model, data, progress=False, cpu=True, **settings)
    warm = next(entry for entry in run.record if entry["examples_seen"] >= ROWS)
    last = run.record[-1]
    return float((last["examples_seen"] - warm["examples_seen"]) / (last["seconds"] - warm["seconds"]))


def pythae_rate(name: str, precision: str) -> float:
    """Examples a second of pythae's trainer, from the end of its first epoch to the end of its last."""
    import pythae.models  # type: ignore[import-not-found]
    import pythae.trainers  # type: ignore[import-not-found]
    from pythae.pipelines import TrainingPipeline  # type: ignore[import-not-found]
    from pythae.trainers.training_callbacks import TrainingCallback  # type: ignore[import-not-found]

    ends: list[float] = []

    class Clock(TrainingCallback):  # type: ignore[misc]
        def on_epoch_end(self, training_config: Any, **kwargs: Any) -> None:
            ends.append(time.perf_counter())

    kind = MODELS[name][2]
    torch.manual_seed(0)
    config = getattr(pythae.models, f"{kind}_Config" if "_" in kind else f"{kind}Config")
    model = getattr(pythae.models, kind)(config(input_dim=(1, 28, 28), latent_dim=LATENT))
    if precision == "bf16":
        forward = model.forward
        model.forward = lambda *a, **k: torch.autocast("cpu", torch.bfloat16)(forward)(*a, **k)
    trainer = "AdversarialTrainerConfig" if kind == "Adversarial_AE" else "BaseTrainerConfig"
    with tempfile.TemporaryDirectory() as out:
        settings = getattr(pythae.trainers, trainer)(
            output_dir=out, num_epochs=EPOCHS, per_device_train_batch_size=BATCH, no_cuda=True
        )
        TrainingPipeline(training_config=settings, model=model)(pictures(), callbacks=[Clock()])
    return (len(ends) - 1) * ROWS / (ends[-1] - ends[0])


SIDES: dict[str, Callable[[str, str], float]] = {"ours": our_rate, "pythae": pythae_rate}


def rate(side: str, name: str, precision: str, threads: int) -> float:
    """A side's examples a second, measured in a process of its own."""
    python = sys.executable if side == "ours" else os.environ.get("PYTHAE_PYTHON", ".venv-pythae/bin/python")
    command = [python, __file__, side, name, "--precision", precision, "--threads", str(threads)]
    quiet = os.environ | {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=quiet)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


def rates(name: str, precision: str, repeats: int = 5, threads: int = 2) -> tuple[list[float], list[float]]:
    """Measurements of ours and of pythae, each side first as often as the other."""
    found: dict[str, list[float]] = {"ours": [], "pythae": []}
    for repeat in range(repeats):
        for side in ("ours", "pythae") if repeat % 2 else ("pythae", "ours"):
            found[side].append(rate(side, name, precision, threads))
    return found["ours"], found["pythae"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Training throughput of autoencoders, ours and pythae's.")
    parser.add_argument(
        "what", choices=["measure", *SIDES], help="measure both, or be one side and print its examples a second"
    )
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.what in SIDES:
        print(SIDES[options.what](options.model, options.precision))
        return
    ours, theirs = rates(options.model, options.precision, options.repeats, options.threads)
    medians = statistics.median(ours), statistics.median(theirs)
    print(f"{options.model}, {options.precision}: ours {medians[0]:.0f}, {SOURCE} {medians[1]:.0f} examples/s, ", end="")
    print(f"quotient {medians[0] / medians[1]:.2f}")


if __name__ == "__main__":
    main()
