"""What the README shows is run as it stands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
SHELL = [line.split("#")[0].strip() for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]
OWN_FILES = ("pictures/", "table.csv", "runs/table", "torchrun", "make ")  # tested with made-up files and in test_processes


def test_the_two_commands_at_the_top_are_targets_of_make():
    makefile = (Path(__file__).parent.parent / "Makefile").read_text()
    for command in [line for line in SHELL if line.startswith("make ")]:
        assert re.search(rf"^{command.split()[1]}:", makefile, re.MULTILINE)


def test_shell_commands(tmp_path):
    commands = [line for line in SHELL if line and not any(mark in line for mark in OWN_FILES)]
    assert len(commands) >= 8
    for command in commands:
        arguments = shlex.split(command)
        assert arguments[0] == "pofx"
        done = subprocess.run([sys.executable, "-m", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert (tmp_path / "scores.csv").is_file()
    assert (tmp_path / "runs" / "orders" / "report.html").is_file()


@pytest.mark.parametrize("code", [text for kind, text in BLOCKS if kind == "python"])
def test_python_code(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
