"""Three data sets as other companies have them: their files, their original rows, and how Druid gets those.

The rows of the oracle have public names, and what is not in Druid: the original values behind metrics, the names behind
lookups.
"""

from random import Random
from typing import Final

from tests.live.data_sets.world import Json, World, iso, number_of, renamed, several, spec_of
from tests.oracle.columns import Columns
from tests.oracle.odd_rows import MONEY, TEXTS, moments

_OF_NUMBERS: Final = ("avg", "sum", "min", "max", "quantile")

_OWNERS_OF: Final = (0, 0, 0, 1, 2)
"""Which owner a row has: most rows belong to the first one."""


def rolled_up() -> World:
    """Rows merged by the minute, with metrics and sketches, and organizations with numbers as ids."""
    random, owners = Random(1), ("7", "70", "8")
    original = []
    for at in moments():
        # The same values several times a minute: rows that ingestion merges.
        shared = {
            "country": random.choice((None, *TEXTS[:8])),
            "status": random.choice(("new", "paid", "sent")),
            "quantity": random.choice((None, 0, 1, 2, 7)),
        }
        owner = random.choice(_OWNERS_OF)
        partners = random.choice(([owners[owner]], [owners[owner], "70"]))
        original += [
            {
                "timestamp": iso(at),
                **shared,
                "owner": owners[owner],
                "customer": int(owners[owner]),
                "partners": partners,
                "amount": random.choice((None, *MONEY)),
                "visitor": random.choice((None, *(f"v{number}" for number in range(3000)))),
                "device": random.choice((None, *(f"d{number}" for number in range(500)))),
                "session": random.choice((None, *(f"s{number}" for number in range(90)))),
            }
            for _ in range(random.randrange(1, 6))
        ]
    present = {"type": "not", "field": {"type": "null", "column": "amount"}}
    counted = {"type": "count", "name": "amount_values"}
    metrics = (
        {"type": "count", "name": "orders"},
        {"type": "doubleSum", "name": "amount_sum", "fieldName": "amount"},
        {"type": "filtered", "name": "amount_values", "filter": present, "aggregator": counted},
        {"type": "doubleMin", "name": "amount_min", "fieldName": "amount"},
        {"type": "doubleMax", "name": "amount_max", "fieldName": "amount"},
        {"type": "quantilesDoublesSketch", "name": "amount_sketch", "fieldName": "amount", "k": 512},
        {"type": "HLLSketchBuild", "name": "visitor_sketch", "fieldName": "visitor", "lgK": 14},
        {"type": "thetaSketch", "name": "device_sketch", "fieldName": "device"},
        {"type": "hyperUnique", "name": "session_unique", "fieldName": "session"},
    )
    granularity = {"queryGranularity": "minute", "rollup": True}
    columns = ("country", "status", number_of("quantity"), number_of("customer_no"), several("involved"))
    return World(
        "rolled_up",
        """
name: rolled_up
title: Orders by the minute
description: Orders, merged by the minute.
data_source: rolled_up
tenant: {column: customer_no, type: long, partner_column: involved}
rows: {count_metric: orders, granularity: minute}
dimensions:
  - {name: country, description: The country.}
  - {name: status, description: The status., values: [new, paid, sent]}
  - {name: quantity, type: long, description: Pieces., aggregations: [avg, sum, min, max]}
  - {name: customer, column: customer_no, type: long, description: The customer.}
  - name: amount
    type: double
    description: The value.
    aggregations: [avg, sum, min, max, quantile]
    metrics: {sum: amount_sum, count: amount_values, min: amount_min, max: amount_max, quantiles: amount_sketch}
  - {name: visitor, description: Visitors., aggregations: [hyperUnique], metrics: {hll: visitor_sketch}}
  - {name: device, description: Devices., aggregations: [hyperUnique], metrics: {theta: device_sketch}}
  - {name: session, description: Sessions., aggregations: [hyperUnique], metrics: {hyper_unique: session_unique}}
""",
        Columns(
            text=("country", "status", "visitor", "device"),
            sets=(),
            integers=("quantity", "customer"),
            floats=("amount",),
            computed={
                **dict.fromkeys(("avg", "sum", "min", "max"), ("quantity", "amount")),
                "quantile": ("amount",),
                "hyperUnique": ("visitor", "device"),
            },
            enumerated={"status": ("new", "paid", "sent")},
            only_computed=("amount", "visitor", "device"),
            owner="owner",
            involved="partners",
        ),
        owners,
        "customer",
        spec_of(columns, metrics, granularity, "customer_no"),
        original,
        [renamed(row, {"customer": "customer_no", "partners": "involved", "owner": None}) for row in original],
        {},
        step=60_000,
    )


def named() -> World:
    """Columns with unusual names, several values, and names in lookups; organizations with texts as ids."""
    random, owners = Random(2), ("a-7", "a-07", "b-7")
    users = {f"u{number}": random.choice(TEXTS[1:]) for number in range(30)}
    rooms = {f"r{number}": f"Room {number % 4}" for number in range(12)}
    cities = {str(number): f"City {number}" for number in range(5)}
    original, stored = [], []
    for at in moments():
        for _ in range(2):
            owner = random.choice(_OWNERS_OF)
            user = random.choice((None, "", *(f"u{number}" for number in range(40))))
            room_ids = random.choices([f"r{number}" for number in range(16)], k=random.choice((0, 1, 1, 2, 3)))
            city = random.choice((None, *range(8)))
            pieces, price = random.choice((None, 0, 1, 2, 10)), random.choice((None, *MONEY))
            row = {
                "timestamp": iso(at),
                "customer": owners[owner],
                "user_id": user,
                "room_ids": room_ids,
                "city_no": city,
                "pieces": pieces,
                "price": price,
                "partners": random.choice(([owners[owner]], [owners[owner], "a-07"])),
            }
            names = {
                "user_name": users.get(user or ""),
                "room_names": [rooms.get(each) for each in room_ids],
                "city_name": cities.get(str(city)),
            }
            original.append(row | names)
            stored.append(renamed(row, _UNUSUAL))
    columns = (
        "Kunde",
        "user id",
        several('room"s'),
        number_of("city\\no"),
        number_of("it's"),
        number_of("Preis (€)", "double"),
        several("beteiligt"),
    )
    texts = ("customer", "user_id", "user_name", "city_name")
    sets = ("room_ids", "room_names")
    return World(
        "named",
        """
name: named
title: Visits
description: One row for each visit.
data_source: named
tenant: {column: Kunde, id_format: "[ab]-[0-9]+", partner_column: beteiligt}
dimensions:
  - {name: customer, column: Kunde, description: The customer.}
  - {name: user_id, column: user id, description: The user., aggregations: [hyperUnique]}
  - {name: user_name, lookup: LOOKUP_users, of: user_id, description: The user's name., aggregations: [hyperUnique]}
  - {name: room_ids, column: 'room"s', multi_valued: true, description: Rooms., aggregations: [hyperUnique]}
  - {name: room_names, lookup: LOOKUP_rooms, of: room_ids, description: Names of rooms., aggregations: [hyperUnique]}
  - {name: city_no, column: 'city\\no', type: long, description: The city.}
  - {name: city_name, lookup: LOOKUP_cities, of: city_no, description: The city's name.}
  - {name: pieces, column: it's, type: long, description: Pieces., aggregations: [avg, sum, min, max, quantile]}
  - {name: price, column: Preis (€), type: double, description: P., aggregations: [avg, sum, min, max, quantile]}
""",
        Columns(
            text=texts,
            sets=sets,
            integers=("city_no", "pieces"),
            floats=("price",),
            computed={
                **dict.fromkeys(_OF_NUMBERS, ("pieces", "price")),
                "hyperUnique": ("user_id", "user_name", "room_ids", "room_names"),
            },
            looked_up=("user_name", "room_names", "city_name"),
            owner="customer",
            involved="partners",
        ),
        owners,
        "customer",
        spec_of(columns, (), {"queryGranularity": "none", "rollup": False}, "Kunde"),
        original,
        stored,
        {"LOOKUP_users": users, "LOOKUP_rooms": rooms, "LOOKUP_cities": cities},
    )


_UNUSUAL: Final = {
    "customer": "Kunde",
    "user_id": "user id",
    "room_ids": 'room"s',
    "city_no": "city\\no",
    "pieces": "it's",
    "price": "Preis (€)",
    "partners": "beteiligt",
}


def wide() -> World:
    """150 columns; organizations with UUIDs."""
    random = Random(3)
    owners = (
        "b0a1d32b-e82c-11e4-b081-6c4008adf7e8",
        "c7d0f6a4-1c5e-11e5-9f3c-6c4008adf7e8",
        "5d0c7a1e-7f0b-4b1e-8a55-0d9c5f0e2a11",
    )
    texts = ("customer", *(f"text_{number}" for number in range(69)))
    sets = tuple(f"set_{number}" for number in range(20))
    integers = tuple(f"integer_{number}" for number in range(30))
    floats = tuple(f"float_{number}" for number in range(30))
    assert len((*texts, *sets, *integers, *floats)) == 150
    original = []
    for at in moments()[::2]:
        owner = random.choice(_OWNERS_OF)
        original.append(
            {
                "timestamp": iso(at),
                **{name: random.choice((None, *TEXTS)) for name in texts[1:]},
                "customer": owners[owner],
                "partners": random.choice(([owners[owner]], [owners[owner], owners[1]])),
                **{name: random.choices(TEXTS, k=random.choice((0, 1, 2))) for name in sets},
                **{name: random.choice((None, 0, 1, 5, 1_000_000)) for name in integers},
                **{name: random.choice((None, *MONEY)) for name in floats},
            }
        )
    lines = [f"  - {{name: {name}, description: A text., aggregations: [hyperUnique]}}" for name in texts]
    lines += [
        f"  - {{name: {each}, multi_valued: true, description: T., aggregations: [hyperUnique]}}" for each in sets
    ]
    for kind, names in (("long", integers), ("double", floats)):
        lines += [
            f"  - {{name: {each}, type: {kind}, description: A number., aggregations: [avg, sum, min, max, quantile]}}"
            for each in names
        ]
    numbers = (*integers, *floats)
    columns: list[str | Json] = [
        *texts,
        *map(several, (*sets, "partners")),
        *map(number_of, integers),
        *(number_of(name, "double") for name in floats),
    ]
    return World(
        "wide",
        "name: wide\ntitle: Wide\ndescription: 150 columns.\ndata_source: wide\n"
        "tenant: {column: customer, partner_column: partners}\ndimensions:\n" + "\n".join(lines) + "\n",
        Columns(
            text=texts,
            sets=sets,
            integers=integers,
            floats=floats,
            computed={**dict.fromkeys(_OF_NUMBERS, numbers), "hyperUnique": (*texts, *sets)},
            owner="customer",
            involved="partners",
        ),
        owners,
        "customer",
        spec_of(columns, (), {"queryGranularity": "none", "rollup": False}, "customer"),
        original,
        original,
        {},
    )


WORLDS: Final = {"rolled_up": rolled_up, "named": named, "wide": wide}
