"""docs/recipes.md is correct: every block is run against a gateway with a real Druid."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT
from tests.serving import D, Gateway

PAGE: Final = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
PROGRAMS: Final = {"sh": ["bash", "-euo", "pipefail"], "python": [sys.executable, "-W", "error"]}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A program of the page, and what the page says that it prints."""

    line: int
    language: str
    text: str
    output: str | None


RECIPES: Final = [
    Recipe(PAGE.count("\n", 0, match.start()) + 1, match[1], match[2], match[3])
    for match in re.finditer(
        r"^```(sh|python)\n(.*?)^```$(?:\n\n```output\n(.*?)^```$)?", PAGE, re.DOTALL | re.MULTILINE
    )
]


@pytest.mark.parametrize("recipe", RECIPES, ids=[f"line-{recipe.line}" for recipe in RECIPES])
def test_a_recipe_works(recipe: Recipe, hand_counted_gateway: Gateway, tmp_path: Path) -> None:
    program = tmp_path / "recipe"
    program.write_text(recipe.text, encoding="utf-8")
    environment = {
        **os.environ,
        "GATEWAY_URL": hand_counted_gateway.url,
        "GATEWAY_TOKEN": hand_counted_gateway.tokens[D],
        "GATEWAY_ORGANIZATION_ID": D,
    }
    done = subprocess.run(
        [*PROGRAMS[recipe.language], str(program)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert done.stdout
    if recipe.output is not None:
        assert done.stdout == recipe.output


def test_the_page_has_recipes() -> None:
    assert {recipe.language for recipe in RECIPES} == {"sh", "python"}
