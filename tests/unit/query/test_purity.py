"""Neither the modules of gateway/query nor the modules of this project that they import do I/O."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODULES = sorted(path for path in (ROOT / "gateway" / "query").glob("**/*.py"))
PURE = {
    "collections", "dataclasses", "datetime", "decimal", "difflib", "enum", "functools", "itertools", "json", "math",
    "operator", "re", "types", "typing", "bisect", "codecs", "heapq", "zoneinfo", "jsonschema_rs", "orjson", "pydruid",
    "tzdata",
}  # fmt: skip
OURS = {"gateway.tenancy", "gateway.errors", "gateway.catalog", "gateway.query"}
WAITS_OR_TALKS = {"aiohttp", "asyncio", "sqlalchemy", "structlog", "logging.config", "uvloop", "sqlite3", "aiosqlite"}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: import by full name"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_imports_nothing_that_does_io(path: Path) -> None:
    for name in imported(path):
        ours = any(name == each or name.startswith(f"{each}.") for each in OURS)
        assert ours or name.split(".")[0] in PURE, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_does_not_wait_open_files_or_read_a_clock(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await)
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"open", "print", "input", "exec", "eval"}, called
            assert called.rpartition(".")[2] not in {"now", "today", "utcnow", "time", "monotonic"}, called


def test_importing_the_package_loads_nothing_that_waits_or_does_io() -> None:
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES]
    code = f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\nprint(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    )
    ours = {name for name in loaded if name.startswith("gateway.")}
    assert {name for name in ours if not name.startswith(("gateway.query", "gateway.catalog"))} == {
        "gateway.tenancy", "gateway.tenancy.organization_id", "gateway.tenancy.tenant", "gateway.tenancy.principal",
        "gateway.errors",
    }  # fmt: skip
    assert not loaded & WAITS_OR_TALKS
