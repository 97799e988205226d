"""The house: a file imports only from lower floors, heavy libraries only where they are used, and nothing twice."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "src" / "pofx"
FILES = sorted(ROOT.rglob("*.py"))
HEAVY = {"accelerate", "datasets", "gradio", "matplotlib", "pandas", "PIL", "pyarrow", "scipy", "sklearn", "torchmetrics"}

#: what a part of the package may import besides itself, from the ground floor up
BELOW = {
    "core": set(),
    "functional": {"core"},
    "nn": {"core", "functional"},
    "data": {"core"},
    "metrics": {"core"},
    "models": {"core", "functional", "nn"},
    "training": {"core", "data", "metrics"},
    "report": {"core", "data", "metrics"},
}
JUDGING = {
    "building", "evaluation", "factors", "generation", "export", "specs", "drawing", "completion", "integrand", "marginal",
    "likelihood", "latents", "strips",
}  # fmt: skip
FOUR = {*BELOW, "scoring", *JUDGING}
COMMANDS = {"sampling", "estimating", "exploring"}
BELOW |= {"scoring": {"core"}, "options": set(), "console": set()}
BELOW |= dict.fromkeys({*JUDGING, "comparison"}, FOUR) | {name: {*FOUR, "options", "console"} for name in COMMANDS}
BELOW |= {"cli": {*FOUR, "comparison", "options", "console", *COMMANDS}, "__main__": {"cli"}, "__init__": {*FOUR, "comparison"}}


def name_of(file):
    return str(file.relative_to(ROOT))


def part_of(file):
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(nodes, file, deep=True):
    """The absolute names of what is imported; with deep=False only what is imported when the file is."""
    package = ("pofx", *file.relative_to(ROOT).parts[:-1])
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            yield from ([f"{module}.{alias.name}" for alias in node.names] if module == "pofx" else [module])
        elif deep or not (
            isinstance(node, ast.FunctionDef) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        ):
            yield from imports(ast.iter_child_nodes(node), file, deep)


def imported(file, deep=True):
    return set(imports([ast.parse(file.read_text(encoding="utf-8"))], file, deep))


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file_imports_only_from_lower_floors(file):
    part = part_of(file)
    assert part in BELOW, f"give {part} its place in this test and in the design"
    parts = {name.split(".")[1] for name in imported(file) if name.startswith("pofx.")}
    assert parts - {part} <= BELOW[part]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_heavy_libraries_are_imported_where_they_are_used(file):
    assert not {name.split(".")[0] for name in imported(file, deep=False)} & HEAVY


@pytest.mark.parametrize("file", [f for f in FILES if part_of(f) in ("core", "functional", "nn", "models")], ids=name_of)
def test_models_and_what_they_stand_on_need_nothing_but_torch(file):
    assert {name.split(".")[0] for name in imported(file)} <= {"torch", "pofx", *sys.stdlib_module_names}


@pytest.mark.parametrize("file", [f for f in FILES if part_of(f) == "models" and f.stem != "__init__"], ids=name_of)
def test_models_never_import_each_other(file):
    assert not {name for name in imported(file) if name.startswith("pofx.models")}


def test_one_file_knows_accelerate():
    assert [name_of(f) for f in FILES if any(name.split(".")[0] == "accelerate" for name in imported(f))] == [
        "training/engine.py"
    ]


def test_functions_are_not_hidden_by_files_of_their_name():
    script = "import pofx; from pofx.building import load; assert all(map(callable, (pofx.build, pofx.compare, pofx.evaluate)))"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
