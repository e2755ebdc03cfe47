"""The names that each package offers: all are there, none costs what it does not need."""

from __future__ import annotations

import ast
import os
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("fabric", "objectives", "optimizer", "optimizer.samplers")
NAMES = [(package, name) for package in PACKAGES for name in import_module(package).__all__]


def _python(code: str, *folders: Path) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh process that finds the project, and packages in the folders after it."""
    path = os.pathsep.join(map(str, (ROOT, *folders)))
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)


def _stub(package: str) -> ast.Module:
    """What a package says that it offers."""
    return ast.parse((ROOT / package.replace(".", "/") / "__init__.pyi").read_text(encoding="utf-8"))


def _modules(package: str) -> dict[str, str]:
    """Public names, with the modules that define them."""
    imports = [node for node in _stub(package).body if isinstance(node, ast.ImportFrom)]
    return {alias.name: f"{package}.{node.module}" for node in imports for alias in node.names}


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_a_public_name_is_what_its_module_defines(package: str, name: str) -> None:
    module = import_module(_modules(package)[name])
    assert getattr(import_module(package), name) is getattr(module, name)


@pytest.mark.parametrize("name", PACKAGES)
def test_people_type_checkers_and_python_see_the_same_names(name: str) -> None:
    package = import_module(name)
    (listed,) = [node.value for node in _stub(name).body if isinstance(node, ast.Assign)]
    assert sorted(ast.literal_eval(listed)) == sorted(_modules(name)) == sorted(package.__all__)
    assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize("name", PACKAGES)
def test_no_public_name_is_that_of_a_submodule(name: str) -> None:
    """Once a submodule is imported it is an attribute of its package, and would hide the public name."""
    package = import_module(name)
    assert not {module.name for module in pkgutil.iter_modules(package.__path__)} & set(package.__all__)


@pytest.mark.parametrize("name", PACKAGES)
def test_what_is_not_there_is_named(name: str) -> None:
    package = import_module(name)
    with pytest.raises(AttributeError, match=f"^No {name} attribute nothing$"):
        _ = package.nothing
    assert not hasattr(package, "nothing")
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec(f"from {name} import nothing")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import fabric", {"torch"}),
        ("import objectives", {"torch"}),
        ("import optimizer", {"torch"}),
        ("from objectives import Context, Objective, combine", {"torch"}),
        (
            "from optimizer import GaussianProcessSampler, SCORES, pareto",
            {"diffusers", "transformers", "fastapi", "open_clip", "fabric", "objectives", "experiments"},
        ),
    ],
)
def test_an_import_brings_no_more_than_it_needs(code: str, absent: set[str]) -> None:
    loaded = _python(f"import sys\n{code}\nprint(*sys.modules)").stdout.split()
    assert code.split()[1] in loaded
    assert not absent & set(loaded)


def test_the_ssh_library_beside_it_is_warned_of(tmp_path: Path) -> None:
    assert _python("import fabric").stderr == ""
    (tmp_path / "fabric-3.2.2.dist-info").mkdir()
    (tmp_path / "fabric-3.2.2.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: fabric\nVersion: 3.2.2\n"
    )
    warning = _python("import fabric", tmp_path).stderr
    assert "UserWarning: fabric 3.2.2 (the SSH library) and fabric-bo both install a package named fabric" in warning
    assert warning.count("\n") == 1
