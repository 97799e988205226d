"""Progressive GAN against the same final network trained without growing: wall time to the same sliced Wasserstein distance.

    python benchmarks/progressive.py run emoji growing [--seed 0] [--minutes 35] [--out runs/progressive]
    python benchmarks/progressive.py run emoji whole
    python benchmarks/progressive.py table [--out runs/progressive]

Both arms have one recipe: 64×64, networks of at most 64 feature maps, batch 16, WGAN-GP with drift, Adam (0, 0.99) at 1e-3,
averaged weights (0.999), bf16. An arm trains in legs of 8,000 pictures until its clock, which only counts training, has
reached the minutes; after each leg as many samples as there are held-out pictures are compared with these, always from the
same noise. A run that was stopped goes on where it was. The floor is the distance of as many training pictures.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

import pofx
from pofx.metrics.pyramid import sliced_wasserstein

LEG, BATCH = 8_000, 16
ARMS = {"growing": True, "whole": False}
MODEL = {"latent": 64, "base": 512, "most": 64, "fade": 16_000, "hold": 16_000}
TRAINING: dict[str, Any] = {"batch_size": BATCH, "ema": 0.999, "precision": "bf16", "snapshots": 1, "checkpoint_minutes": 2}
MEASURE = {"patches": 32, "directions": 256}


def distance(real: torch.Tensor, fake: torch.Tensor) -> dict[str, float]:
    """The sliced Wasserstein distance at each level and its mean, × 1,000."""
    return {level: round(found.value, 3) for level, found in sliced_wasserstein(real, fake, **MEASURE).items()}


def run(name: str, arm: str, seed: int, minutes: float, out: Path) -> None:
    """Train one arm leg by leg, a line of `distances.jsonl` for each."""
    torch.set_num_threads(1)
    data = pofx.load_data(name, resize=64)
    real, n = data.test.x, len(data.test)
    folder = out / f"{name}-{arm}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    lines = folder / "distances.jsonl"
    done = [json.loads(line) for line in lines.read_text().splitlines()] if lines.is_file() else []
    if not done:
        order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))[:n]
        done.append({"images": 0, "seconds": 0.0, "floor": distance(real, data.train.rows(order).x), "n": n})
        write(lines, done[-1])
    while done[-1]["seconds"] < 60 * minutes:
        images = done[-1]["images"] + LEG
        torch.manual_seed(seed)
        model = pofx.build("progan", data.event_shape, grow=ARMS[arm], **MODEL)
        trained = pofx.fit(model, data, folder / "run", steps=images // BATCH, seed=seed, progress=False, cpu=True, **TRAINING)
        samples = model.sample(n, generator=torch.Generator().manual_seed(1))
        stage = model.stage_at(images - 1)
        done.append({"images": images, "seconds": round(trained.seconds, 1), "stage": stage, **distance(real, samples)})
        write(lines, done[-1])


def write(path: Path, line: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print(path.parent.name, json.dumps(line), flush=True)


def table(out: Path) -> None:
    """Time to what the whole network reached in the end, final distances, and distances at equal numbers of pictures."""
    print(
        "| data, seed | arm | images | minutes | SWD at the end (64 / 32 / 16) | mean | best mean | min to whole's end + 10 % |"
    )
    print("|---|---|---:|---:|---|---:|---:|---:|")
    for whole in sorted(out.glob("*-whole-*/distances.jsonl")):
        name, _, seed = whole.parent.name.rsplit("-", 2)
        goal = 1.1 * read(whole)[-1]["mean"]
        for arm in ARMS:
            path = out / f"{name}-{arm}-{seed}" / "distances.jsonl"
            if not path.is_file():
                continue
            rows, last = read(path), read(path)[-1]
            reached = next((row for row in rows if row["mean"] <= goal), None)
            when = f"{reached['seconds'] / 60:.1f} ({reached['images']:,} images)" if reached else "not reached"
            levels, best = " / ".join(f"{last[level]:.1f}" for level in ("64", "32", "16")), min(row["mean"] for row in rows)
            print(
                f"| {name}, {seed} | {arm} | {last['images']:,} | {last['seconds'] / 60:.1f} | {levels} | {last['mean']:.1f} | "
                f"{best:.1f} | {when} |"
            )
        first = json.loads(whole.read_text().splitlines()[0])
        print(f"| {name}, {seed} | training pictures (floor) | {first['n']:,} | | | {first['floor']['mean']:.1f} | | |")


def read(path: Path) -> list[dict[str, Any]]:
    """The lines after the first, which is the floor."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def main() -> None:
    parser = argparse.ArgumentParser(description="Progressive GAN with and without growing, at 64 × 64.")
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("run")
    train.add_argument("data", choices=("emoji", "flowers"))
    train.add_argument("arm", choices=tuple(ARMS))
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--minutes", type=float, default=35)
    for command in (train, commands.add_parser("table")):
        command.add_argument("--out", type=Path, default=Path("runs/progressive"))
    options = parser.parse_args()
    if options.command == "table":
        table(options.out)
    else:
        run(options.data, options.arm, options.seed, options.minutes, options.out)


if __name__ == "__main__":
    main()
