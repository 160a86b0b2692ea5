"""docs/security.md names tests that there are, and settings with the defaults that they have."""

import re
from pathlib import Path

from gateway.settings import Settings

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text()


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    there = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)\(", file.read_text(), re.MULTILINE)
    }
    assert len(named) > 30
    assert named - there == set()


def test_every_file_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`((?:gateway|tests)/[\w/]+\.py)`", PAGE))
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_limits_have_the_defaults_that_the_page_says() -> None:
    rows = re.findall(r"\| ([\d,]+) \| `GATEWAY_(\w+)` \|", PAGE)
    assert len(rows) == 4
    for default, name in rows:
        assert Settings.model_fields[name.lower()].default == int(default.replace(",", ""))


def test_every_threat_that_applies_has_a_test() -> None:
    threats = re.findall(r"^\| (API\d+) .*\|(.*)\|$", PAGE, re.MULTILINE)
    assert [name for name, _ in threats] == [f"API{number}" for number in range(1, 11)]
    assert [name for name, shown in threats if "test_" not in shown] == ["API6"]
