"""The services of the cluster, their ports, and their readiness endpoints."""

import enum
from dataclasses import dataclass, fields
from typing import Self

# A larger offset would move the highest port, that of Kafka's controller, beyond 65535.
MAX_PORT_OFFSET = 65535 - 9093


class Service(enum.StrEnum):
    """Each service is a process. The value is its name in commands, logs and Druid's own command line."""

    ZOOKEEPER = "zookeeper"
    COORDINATOR = "coordinator"
    HISTORICAL = "historical"
    BROKER = "broker"
    INDEXER = "indexer"


# A coordinator is ready when it is the leader, a broker or historical when it knows its segments. /status/health says
# only that the process answers. ZooKeeper has a protocol of its own.
READY_PATHS = {
    Service.COORDINATOR: "/druid/indexer/v1/isLeader",
    Service.HISTORICAL: "/druid/historical/v1/readiness",
    Service.BROKER: "/druid/broker/v1/readiness",
    Service.INDEXER: "/status/health",
}


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on 127.0.0.1. The defaults are those of Druid."""

    zookeeper: int = 2181
    coordinator: int = 8081
    historical: int = 8083
    broker: int = 8082
    indexer: int = 8091
    derby: int = 1527
    # Not in `named`, because Kafka is started separately.
    kafka: int = 9092
    kafka_controller: int = 9093

    @classmethod
    def shifted(cls, offset: int) -> Self:
        """Return all default ports plus `offset` (0 to MAX_PORT_OFFSET)."""
        usual = cls()
        return cls(*(getattr(usual, port.name) + offset for port in fields(cls)))

    def of(self, service: Service) -> int:
        """Return the port for clients of the service."""
        match service:
            case Service.ZOOKEEPER:
                return self.zookeeper
            case Service.COORDINATOR:
                return self.coordinator
            case Service.HISTORICAL:
                return self.historical
            case Service.BROKER:
                return self.broker
            case Service.INDEXER:
                return self.indexer

    def named(self) -> tuple[tuple[str, int], ...]:
        """Return every port with the name of its service."""
        services = tuple((service.value, self.of(service)) for service in Service)
        return (*services, ("derby, the coordinator's metadata store", self.derby))

    @property
    def label(self) -> str:
        """An identifier of these ports. supervisord reports it as its own identifier."""
        return "druid-" + "-".join(str(port) for _, port in self.named())


USUAL_PORTS = Ports()
