"""Importing the arithmetic compiles nothing, and a kernel is never served from a cache of other sources."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import models.quant

FOLDER = Path(models.quant.__file__).parent
ROOT = FOLDER.parent.parent
MODULES = sorted(f"models.quant.{path.stem}" for path in FOLDER.glob("*.py") if path.stem != "__init__")


def python(program: str, folder: Path = ROOT) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_every_module_imports_no_compiler_no_scipy_and_no_kernel() -> None:
    program = f"""
import importlib, sys
for name in {MODULES!r}:
    importlib.import_module(name)
heavy = ("numba", "llvmlite", "scipy", "models.quant.kernels.")
layout = "models.quant.kernels.layout"  # names and numbers only: it stands there for the cache to notice its changes
print([name for name in sys.modules if name.startswith(heavy) and name != layout])
"""
    assert python(program) == "[]"


def test_warming_loads_every_kernel() -> None:
    loaded = python("import sys; from models.quant.warming import warm; warm(); print(*sys.modules)").split()
    kernels = {f"models.quant.kernels.{path.stem}" for path in (FOLDER / "kernels").glob("*.py")} - {
        "models.quant.kernels.__init__"
    }
    assert kernels <= set(loaded)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package by itself, without anything compiled."""
    shutil.copytree(FOLDER, tmp_path / "models" / "quant", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "models" / "__init__.py").touch()
    return tmp_path


WHERE = "from models.quant.kernels import jit; import numba; print(numba.config.CACHE_DIR, jit._cache_folder())"


def test_the_cache_moves_when_any_kernel_source_changes_and_only_then(copy: Path) -> None:
    first, again = python(WHERE, copy).split()
    assert first == again == python(WHERE, copy).split()[0]
    assert str(copy) in first
    part = copy / "models" / "quant" / "kernels" / "special.py"
    part.write_text(part.read_text() + "\n# another day\n")
    changed = python(WHERE, copy).split()[0]
    assert changed != first
    (copy / "models" / "quant" / "kernels" / "new.py").touch()
    assert python(WHERE, copy).split()[0] not in (first, changed)
    (copy / "models" / "quant" / "kernels" / "new.py").unlink()
    assert python(WHERE, copy).split()[0] == changed
    outside = copy / "models" / "quant" / "pricing.py"
    outside.write_text(outside.read_text() + "\n# no kernel\n")
    assert python(WHERE, copy).split()[0] == changed


def test_what_one_process_compiled_the_next_one_finds(copy: Path) -> None:
    """The smallest kernel, so that the test is quick."""
    (copy / "models" / "quant" / "kernels" / "probe.py").write_text(
        '"""A kernel of one line."""\n'
        "from models.quant.kernels.jit import kernel\n\n\n"
        '@kernel("f8(f8)")\n'
        "def twice(x):\n"
        "    return 2.0 * x\n"
    )
    told = (
        "from models.quant.kernels.probe import twice\n"
        "print(sum(twice.stats.cache_hits.values()), sum(twice.stats.cache_misses.values()), twice(21.0))"
    )
    assert python(told, copy) == "0 1 42.0"
    assert python(told, copy) == "1 0 42.0"


def test_a_kernel_refuses_other_types_than_its_own() -> None:
    from models.quant.kernels import black

    with pytest.raises(TypeError):
        black.forward_prices([1.0], [1.0], [0.1], [True], [0.0])


def test_a_turn_to_compile_is_one_processs_at_a_time(copy: Path) -> None:
    """A second process is told so at once, or waits until the first one has left."""
    ask = "from models.quant.kernels.jit import turn\nwith turn('probe', wait={wait}) as mine: print(mine)"
    held = (
        "import sys; from models.quant.kernels.jit import turn\n"
        "with turn('probe', wait=True): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", held], cwd=copy, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None and first.stdin is not None
        assert first.stdout.readline().strip() == "held"
        assert python(ask.format(wait=False), copy) == "False"
        second = subprocess.Popen(
            [sys.executable, "-c", ask.format(wait=True)], cwd=copy, stdout=subprocess.PIPE, text=True
        )
        first.stdin.close()
        first.wait(30)
    assert second.communicate(timeout=30)[0].strip() == "True"
    assert python(ask.format(wait=False), copy) == "True"
