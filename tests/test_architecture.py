"""The import law of the project, checked on its source text.

`fabric`, `objectives` and `optimizer` import none of each other nor `experiments`, save that
`optimizer` may read `fabric.params`; modules form no circle; none is longer than 400 lines; no two
modules define a public class of one name.
"""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("fabric", "objectives", "optimizer", "experiments")
MAX_LINES = 400


def find_modules(root: Path) -> dict[str, Path]:
    """Every module of the four packages under `root`: dotted name -> file."""
    modules = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def find_imports(name: str, modules: dict[str, Path]) -> set[str]:
    """The dotted names that module `name` imports, wherever in the file it does so.

    Imports inside functions and under TYPE_CHECKING count: they hide a circle, they do not
    remove it. `from a import b` means `a.b` where that is a module of the project, else `a`.
    """
    path = modules[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # One leading dot is the module's own package, each further one its parent.
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join(above + ([node.module] if node.module else []))
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                found.add(submodule if submodule in modules else base)
    return found


def may_import(importer: str, imported: str) -> bool:
    """Whether the import law lets module `importer` import module `imported`."""
    here, there = importer.split(".")[0], imported.split(".")[0]
    if there not in PACKAGES or here in (there, "experiments"):
        return True
    return here == "optimizer" and imported == "fabric.params"


def find_namesakes(modules: dict[str, Path]) -> list[str]:
    """One line for each name that public classes of several modules share."""
    owners: dict[str, list[str]] = {}
    for module, path in modules.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                owners.setdefault(node.name, []).append(module)
    return [f"class {name}: {', '.join(found)}" for name, found in owners.items() if len(found) > 1]


def find_violations(root: Path) -> list[str]:
    """One line for each breach of the law in the tree under `root`; empty if there is none."""
    modules = find_modules(root)
    imports = {name: find_imports(name, modules) for name in modules}
    violations = [
        f"{importer} imports {imported}"
        for importer, found in imports.items()
        for imported in sorted(found)
        if not may_import(importer, imported)
    ]
    try:
        inside = {name: found & modules.keys() for name, found in imports.items()}
        graphlib.TopologicalSorter(inside).prepare()
    except graphlib.CycleError as error:
        violations.append("circle: " + ", ".join(sorted(set(error.args[1]))))
    violations += find_namesakes(modules)
    for path in [*modules.values(), *sorted((root / "tests").rglob("*.py"))]:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_LINES:
            violations.append(f"{path.relative_to(root).as_posix()} has {lines} lines")
    return violations


def test_project_keeps_the_law() -> None:
    assert set(PACKAGES) <= find_modules(ROOT).keys()
    assert find_violations(ROOT) == []


LAWFUL = {
    "fabric/__init__.py": "from fabric.params import FabricParams\n",
    "fabric/params.py": "import dataclasses\n",
    "fabric/steps/__init__.py": "",
    "fabric/steps/one.py": "from .. import params\nfrom . import two\n",
    "fabric/steps/two.py": "import torch\n\n\nclass Picture: ...\n\n\nclass _Hidden: ...\n",
    "objectives/__init__.py": "",
    "optimizer/__init__.py": "from fabric.params import FabricParams\nfrom fabric import params\n",
    "experiments/__init__.py": "import fabric.steps.one, objectives, optimizer\n",
    "tests/test_fabric.py": "import fabric, objectives, optimizer, experiments\n",
}


def write_tree(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_checker_accepts_a_lawful_tree(tmp_path: Path) -> None:
    write_tree(tmp_path, LAWFUL)
    assert find_violations(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "text", "violation"),
    [
        ("fabric/x.py", "import objectives", "fabric.x imports objectives"),
        ("fabric/x.py", "from optimizer import y", "fabric.x imports optimizer"),
        ("fabric/x.py", "import experiments.gone", "fabric.x imports experiments.gone"),
        ("objectives/x.py", "import fabric.params", "objectives.x imports fabric.params"),
        ("objectives/x.py", "import optimizer", "objectives.x imports optimizer"),
        ("objectives/x.py", "def f():\n    import fabric", "objectives.x imports fabric"),
        ("optimizer/x.py", "from fabric import FabricParams", "optimizer.x imports fabric"),
        ("optimizer/x.py", "from fabric.steps import two", "optimizer.x imports fabric.steps.two"),
        ("optimizer/x.py", "import experiments", "optimizer.x imports experiments"),
        (
            "fabric/steps/two.py",
            "from fabric.steps.one import step",
            "circle: fabric.steps.one, fabric.steps.two",
        ),
        ("fabric/params.py", "from . import FabricParams", "circle: fabric, fabric.params"),
        (
            "experiments/x.py",
            "class Picture: ...\nclass _Hidden: ...\n",
            "class Picture: fabric.steps.two, experiments.x",
        ),
        ("experiments/x.py", "\n" * 401, "experiments/x.py has 401 lines"),
        ("tests/test_x.py", "\n" * 401, "tests/test_x.py has 401 lines"),
    ],
)
def test_checker_reports_a_violation(tmp_path: Path, name: str, text: str, violation: str) -> None:
    write_tree(tmp_path, LAWFUL | {name: text})
    assert find_violations(tmp_path) == [violation]
