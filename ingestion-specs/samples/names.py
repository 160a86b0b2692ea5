# ruff: noqa: INP001 a file to run, in a folder that is no package
"""Names of the users, teams and rooms of the sample data, for lookups in Druid.

    python ingestion-specs/samples/names.py --organizations 12 --seed 1 --out names.json

The file contains one lookup for each kind of id: {"user_names": {id: name}, "team_names": …, "room_names": …}. The same
number of organizations and the same seed name the ids of the generators' rows. Some ids have no name.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random

from generator_common import Organization, organizations

_FIRST = ("Aino", "Bela", "Chidi", "Dana", "Eino", "Fatima", "Goran", "Hana", "Ivo", "Jana", "Kofi", "Lumi")
_LAST = ("Aalto", "Berg", "Costa", "Diaz", "Eriksen", "Fischer", "Garcia", "Hill", "Ito", "Jansen", "Khan", "Lind")
_TEAMS = ("Sales", "Support", "Billing", "Returns", "Evenings", "Key accounts")
_ROOMS = ("Front page", "Checkout", "Help", "Shop", "Careers", "Contact", "Blog", "Account")


def names(owners: tuple[Organization, ...], seed: int) -> dict[str, dict[str, str]]:
    """Return the lookups by name. Every twelfth user has none."""
    rng = Random(f"{seed}/names")  # noqa: S311 made-up data, not secrets
    users = [user for owner in owners for user in owner.users]
    teams = {owner.organization_id: unique_teams(owner) for owner in owners}
    return {
        "user_names": {
            user.user_id: f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"
            for number, user in enumerate(users)
            if number % 12 != 11
        },
        "team_names": {team: _TEAMS[number % len(_TEAMS)] for ids in teams.values() for number, team in enumerate(ids)},
        "room_names": {
            room: _ROOMS[number % len(_ROOMS)] for owner in owners for number, room in enumerate(owner.room_ids)
        },
    }


def unique_teams(owner: Organization) -> list[str]:
    return sorted({team for user in owner.users for team in user.team_ids})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--organizations", type=int, default=12, help="as for the rows (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="as for the rows (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="a .json file")
    arguments = parser.parse_args()
    found = names(organizations(arguments.organizations, arguments.seed), arguments.seed)
    arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
