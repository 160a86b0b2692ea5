"""The layout that ARCHITECTURE.md promises."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gateway.web.pages import FOLDER

ROOT = Path(__file__).parents[2]
MOST_LINES = 300
FOLDERS = ("gateway", "druid", "tests", "benchmarks", "ingestion-specs")


def test_every_module_can_be_read_in_one_go() -> None:
    sizes = {
        path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines())
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }
    assert sizes
    assert {path: size for path, size in sizes.items() if size > MOST_LINES} == {}


def test_the_root_of_the_package_has_five_modules() -> None:
    modules = {path.stem for path in (ROOT / "gateway").glob("*.py")} - {"__init__"}
    assert modules == {"__main__", "app", "configuration", "errors", "settings"}


@pytest.mark.slow
def test_the_wheel_contains_the_client_with_its_types_and_the_pages(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    [wheel] = tmp_path.iterdir()
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"gateway/py.typed", "gateway/client/__init__.py", "gateway/client/async_client.py"} <= names
    pages = {f"gateway/web/pages/{each.name}" for each in FOLDER.iterdir()} if FOLDER.exists() else set()
    assert pages <= names
    assert not [name for name in names if not name.startswith(("gateway/", "druid_gateway-"))]
