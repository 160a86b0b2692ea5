"""Reads what a first data set file needs to know about a data source."""

import asyncio

from gateway.catalog.draft import Inspection
from gateway.druid.api.broker import Broker, NoAnswer
from gateway.druid.api.coordinator import Coordinator
from gateway.druid.api.http import ServiceError, describe
from gateway.druid.api.inspection import schema_of, values_of
from gateway.druid.intervals import ALWAYS
from gateway.druid.schema_reader import BATCH, REQUEST_SECONDS, SchemaNotRead
from gateway.errors import InvalidDruidResponse


async def inspect(broker: Broker, coordinator: Coordinator | None, data_source: str) -> Inspection | None:
    """Return what the newest segments contain; None if no server has a segment. Raises SchemaNotRead."""
    try:
        served = await broker.candidates(data_source, ALWAYS, _deadline())
        segments = sorted((each.segment for each in served if each.servers), reverse=True)[:BATCH]
        if not segments:
            return None
        schema = await schema_of(broker, data_source, segments, _deadline())
        values = {
            name: await values_of(broker, data_source, segments, name, _deadline())
            for name, column in schema.columns.items()
            if column.types == {"STRING"}
        }
        lookups = {} if coordinator is None else await coordinator.lookups()
    except NoAnswer as error:
        reason = describe(error.__cause__ or error, tls=broker.name.startswith("https"))
        raise SchemaNotRead(f"the broker {broker.name} cannot be reached: {reason}") from error
    except ServiceError as error:
        raise SchemaNotRead(str(error)) from error
    except InvalidDruidResponse as error:
        raise SchemaNotRead(str(error.__cause__ or error)) from error
    return Inspection(data_source, schema, len(segments), values, tuple(sorted(lookups)))


def _deadline() -> float:
    return asyncio.get_running_loop().time() + REQUEST_SECONDS
