"""Two processes of B examples are one process of 2B examples."""

import json
import socket
import subprocess
import sys

import torch
from safetensors.torch import load_file

from pofx.models import NADE
from pofx.training import fit

WORKER = """
import os
import sys
import torch
from pofx.data import load_data
from pofx.models import NADE
from pofx.training import fit
torch.set_num_threads(1)
torch.manual_seed(int(os.environ["RANK"]))  # the first process decides
model = NADE((1, 8, 8), hidden=8).double()
fit(model, load_data("digits", binarize=True), sys.argv[1], batch_size=30, steps=22, ema=0.9, log_every=10, cpu=True,
    checkpoint_minutes=0, progress=False, snapshots=1)
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_two_processes_of_half_the_batch_are_one_of_the_whole(digits, tmp_path):
    script, one, two = tmp_path / "worker.py", tmp_path / "one", tmp_path / "two"
    script.write_text(WORKER)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(free_port())]
    done = subprocess.run([*launcher, str(script), str(two)], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr

    torch.manual_seed(0)
    model = NADE((1, 8, 8), hidden=8).double()
    run = fit(
        model, digits, one, batch_size=60, steps=22, ema=0.9, log_every=10, checkpoint_minutes=0, progress=False, snapshots=1
    )
    weights, averages = (load_file(path) for path in (two / "checkpoint" / "state.safetensors", two / "model.safetensors"))
    for name, value in load_file(one / "checkpoint" / "state.safetensors").items():
        torch.testing.assert_close(weights[name], value, rtol=0, atol=1e-9, msg=name)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(averages[name], value, rtol=0, atol=1e-9, msg=name)
    lines = [json.loads(line) for line in (two / "record.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [line["step"] for line in run.record] == [10, 20, 22]
    for line, other in zip(lines, run.record, strict=True):
        assert line["examples_seen"] == other["examples_seen"]
        assert abs(line["model/nll"] - other["model/nll"]) < 1e-4  # recorded in single precision
    assert [file.name for file in (two / "samples").iterdir()] == ["step-000022.png"]
