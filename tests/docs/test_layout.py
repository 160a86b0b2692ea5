"""The layout that ARCHITECTURE.md promises."""

from pathlib import Path

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
