"""The services of the cluster, their ports, and what each answers when it is ready."""

import enum
from dataclasses import dataclass, fields
from typing import Self

# Above this offset the highest port, that of Kafka's controller, would not be a port any more.
MAX_PORT_OFFSET = 65535 - 9093


class Service(enum.StrEnum):
    """One process each; the value is the name in commands, logs and Druid's own command line."""

    ZOOKEEPER = "zookeeper"
    COORDINATOR = "coordinator"
    HISTORICAL = "historical"
    BROKER = "broker"
    INDEXER = "indexer"


# A coordinator is of use once it leads, a broker or historical once it knows its segments; /status/health says
# only that the process answers. ZooKeeper is asked in its own way.
READY_PATHS = {
    Service.COORDINATOR: "/druid/indexer/v1/isLeader",
    Service.HISTORICAL: "/druid/historical/v1/readiness",
    Service.BROKER: "/druid/broker/v1/readiness",
    Service.INDEXER: "/status/health",
}


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on 127.0.0.1; the defaults are Druid's usual ones."""

    zookeeper: int = 2181
    coordinator: int = 8081
    historical: int = 8083
    broker: int = 8082
    indexer: int = 8091
    derby: int = 1527
    # Not in `named`: Kafka is started by itself.
    kafka: int = 9092
    kafka_controller: int = 9093

    @classmethod
    def shifted(cls, offset: int) -> Self:
        """Every usual port plus `offset` (0 to MAX_PORT_OFFSET)."""
        usual = cls()
        return cls(*(getattr(usual, port.name) + offset for port in fields(cls)))

    def of(self, service: Service) -> int:
        """The port that a client of the service connects to."""
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
        """Every port with the name of what listens on it."""
        services = tuple((service.value, self.of(service)) for service in Service)
        return (*services, ("derby, the coordinator's metadata store", self.derby))

    @property
    def label(self) -> str:
        """Tells one choice of ports from another; supervisord carries it as its identifier."""
        return "druid-" + "-".join(str(port) for _, port in self.named())


USUAL_PORTS = Ports()
