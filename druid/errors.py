"""Errors of the cluster, with messages for the user of the command line."""

from druid.services import Service


class ClusterError(Exception):
    """The message names the problem and the remedy."""


class NotReadyError(ClusterError):
    """Nothing was started. The message has one sentence for each unmet requirement."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ShuttingDownError(ClusterError):
    def __init__(self) -> None:
        super().__init__("The cluster is stopping. Wait until `python -m druid stop` says that it has stopped.")


class ServiceFailedError(ClusterError):
    """A service ended, or did not become healthy in time."""

    def __init__(self, service: Service, reason: str, log: tuple[str, ...]) -> None:
        super().__init__(f"{service} {reason}")
        self.service = service
        self.reason = reason
        self.log = log


class NotServedError(ClusterError):
    """All services are healthy, but some segments are not served. `unserved` has their number by data source."""

    def __init__(self, unserved: dict[str, int]) -> None:
        missing = ", ".join(f"{count} of {source}" for source, count in sorted(unserved.items()))
        super().__init__(
            f"All services are healthy and left running, but segments are not served: {missing or 'unknown'}. "
            "`python -m druid logs historical` says why."
        )
