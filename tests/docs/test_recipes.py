"""docs/recipes.md and docs/client.md are correct: every block is run against a gateway with a real Druid."""

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

PAGES: Final = ("recipes.md", "client.md")
PROGRAMS: Final = {"sh": ["bash", "-euo", "pipefail"], "python": [sys.executable, "-W", "error"]}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A program of a page, and what the page says that it prints."""

    name: str
    language: str
    text: str
    output: str | None


def recipes_of(page: str) -> list[Recipe]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = r"^```(sh|python)\n(.*?)^```$(?:\n\n```output\n(.*?)^```$)?"
    return [
        Recipe(f"{page}-line-{text.count(chr(10), 0, match.start()) + 1}", match[1], match[2], match[3])
        for match in re.finditer(blocks, text, re.DOTALL | re.MULTILINE)
    ]


RECIPES: Final = [recipe for page in PAGES for recipe in recipes_of(page)]


@pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.name for recipe in RECIPES])
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


def test_the_pages_have_programs() -> None:
    assert {recipe.language for recipe in recipes_of("recipes.md")} == {"sh", "python"}
    assert len(recipes_of("client.md")) >= 4


@pytest.mark.slow
def test_a_type_checker_accepts_the_programs_of_the_client(tmp_path: Path) -> None:
    for number, recipe in enumerate(recipes_of("client.md")):
        (tmp_path / f"program_{number}.py").write_text(recipe.text, encoding="utf-8")
    options = f"strict = True\nmypy_path = {ROOT}\n[mypy-gateway.*]\nfollow_imports = silent\n"
    (tmp_path / "mypy.ini").write_text(f"[mypy]\n{options}")
    command = [sys.executable, "-m", "mypy", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout
