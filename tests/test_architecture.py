"""The house rules as a test: who may import whom, where SQL and the environment live, and how files look."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from models.settings import VARIABLES

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("app", "agents", "bridge", "adapters", "database", "models")
MAX_LINES = 400

MAY_IMPORT = {
    "app": {"app", "database", "models"},
    "agents": {"agents", "bridge", "adapters", "database", "models"},
    "bridge": {"bridge", "adapters.base", "database", "models"},
    "adapters": {"adapters", "models"},
    "database": {"database", "models"},
    "models": {"models"},
    "models.quant": {"models.quant"},
}
EXTRA = {"bridge/main.py": {"adapters.connect"}}
QUANT_LIBRARIES = {"numpy", "numba", "scipy", "talib"}
QUANT_FORBIDDEN = {"os", "time", "random", "pathlib", "socket", "subprocess", "asyncio", "threading", "io", "logging"}
ENVIRONMENT_ALLOWED = {
    "agents/desk.py", "app/cockpit.py",
    "agents/command.py", "bridge/main.py", "app/main.py", "adapters/simulator/__main__.py",  # where processes begin
    "agents/supervisor.py", "adapters/simulator/launch.py", "app/staff.py",  # hand theirs on to a child process
}  # fmt: skip
MODE_ALLOWED = {"models/settings.py", "app/shell.py"}
SQL_ALLOWED = {"bridge/database_manager.py"}
SCRIPTS = ("app/main.py", "app/screens/")


def sources() -> list[Path]:
    return sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py") if "versions" not in p.parts)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports_of(path: Path) -> Iterator[str]:
    """Every module imported anywhere in the file, lazily or not, with names taken from packages resolved."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno} relative import; name the room"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if is_own_module(whole) else str(node.module)


def is_own_module(name: str) -> bool:
    base = ROOT / Path(*name.split("."))
    return base.with_suffix(".py").exists() or (base / "__init__.py").exists()


def within(name: str, rooms: set[str]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


IDS = [name_of(p) for p in sources()]


@pytest.mark.parametrize("path", sources(), ids=IDS)
def test_imports_point_down(path: Path) -> None:
    module = module_of(path)
    room = "models.quant" if module.startswith("models.quant") else module.split(".")[0]
    allowed = MAY_IMPORT[room] | EXTRA.get(name_of(path), set())
    own = [name for name in imports_of(path) if name.split(".")[0] in (*ROOMS, "tests")]
    wrong = [name for name in own if not within(name, allowed)]
    assert not wrong, f"{name_of(path)} may not import {wrong}"


@pytest.mark.parametrize("path", [p for p in sources() if "models/quant" in name_of(p)], ids=str)
def test_arithmetic_is_pure(path: Path) -> None:
    for name in imports_of(path):
        top = name.split(".")[0]
        library = top in QUANT_LIBRARIES or top == "models" or top in sys.stdlib_module_names
        assert library and top not in QUANT_FORBIDDEN, f"{name_of(path)} imports {name}"
    for node in ast.walk(tree_of(path)):
        call = node.func if isinstance(node, ast.Call) else None
        if isinstance(call, ast.Attribute) and call.attr in ("now", "utcnow", "today"):
            pytest.fail(f"{name_of(path)}:{node.lineno} asks the clock; the moment is a parameter")


def test_the_simulator_keeps_its_own_state() -> None:
    for path in sources():
        if name_of(path).startswith("adapters/simulator"):
            assert not [n for n in imports_of(path) if n.startswith("database")], name_of(path)


@pytest.mark.parametrize("path", sources(), ids=IDS)
def test_sql_lives_in_the_memory(path: Path) -> None:
    name = name_of(path)
    if name.startswith("database/") or name in SQL_ALLOWED:
        return
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("sqlalchemy", "sqlmodel"):
            assert name.startswith("models/"), f"{name}:{node.lineno} speaks SQL"
            spoken = {a.name for a in node.names} & {"select", "insert", "update", "delete", "text"}
            assert not spoken, f"{name}:{node.lineno} speaks SQL: {spoken}"


@pytest.mark.parametrize("path", sources(), ids=IDS)
def test_the_environment_is_read_at_the_door_only(path: Path) -> None:
    if name_of(path) in ENVIRONMENT_ALLOWED:
        return
    for node in ast.walk(tree_of(path)):
        asks = isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "load_dotenv", "dotenv_values")
        assert not asks, f"{name_of(path)}:{getattr(node, 'lineno', 0)} reads the environment"


@pytest.mark.parametrize("path", sources(), ids=IDS)
def test_nobody_asks_whether_it_is_the_demo(path: Path) -> None:
    name = name_of(path)
    if name.startswith("adapters/") or name in MODE_ALLOWED:
        return
    for node in ast.walk(tree_of(path)):
        asks = isinstance(node, ast.Attribute) and node.attr == "DEMO"
        assert not asks, f"{name}:{getattr(node, 'lineno', 0)} asks for DEMO"


def test_no_broker_library_is_reachable_from_the_cockpit() -> None:
    seen: set[str] = set()
    waiting = [module_of(p) for p in sources() if name_of(p).startswith("app/")]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        base = ROOT / Path(*module.split("."))
        path = base.with_suffix(".py") if base.with_suffix(".py").exists() else base / "__init__.py"
        if path.exists():
            waiting.extend(imports_of(path))
    reached = {name.split(".")[0] for name in seen}
    assert not reached & {"ib_async", "ibind", "tastytrade", "ibapi", "adapters", "bridge", "agents"}


AT_IMPORT = (
    ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign,
)  # fmt: skip


@pytest.mark.parametrize("path", [p for p in sources() if not name_of(p).startswith(SCRIPTS)], ids=str)
def test_importing_does_no_work(path: Path) -> None:
    for node in tree_of(path).body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        guard = isinstance(node, ast.If) and isinstance(node.test, ast.Compare | ast.Name)
        assert isinstance(node, AT_IMPORT) or docstring or guard, f"{name_of(path)}:{node.lineno} works at import"


@pytest.mark.parametrize("path", sources(), ids=IDS)
def test_files_are_small_and_say_what_they_are(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES, f"{name_of(path)} is over {MAX_LINES} lines; split it by meaning"
    if text.strip():
        assert ast.get_docstring(tree_of(path)), f"{name_of(path)} opens without a sentence"


def test_every_variable_is_in_the_example_with_its_line() -> None:
    named = {
        line.lstrip("# ").split("=")[0]
        for line in (ROOT / ".env.example").read_text().splitlines()
        if "=" in line and line.lstrip("# ").split("=")[0].isupper()
    }
    assert named == set(VARIABLES)


def test_every_requirement_is_pinned() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-bench.txt"):
        for line in (ROOT / name).read_text().splitlines():
            requirement = line.split("#")[0].strip()
            if requirement and not requirement.startswith("-r"):
                assert "==" in requirement, f"{name}: {requirement} is not pinned"
