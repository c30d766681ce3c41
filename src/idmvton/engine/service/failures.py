"""Why the service does not take an order, or no longer knows one."""

from __future__ import annotations

from idmvton.errors import IdmVtonError


class ServiceError(IdmVtonError):
    """Base of these; ``code`` is the one word for programs."""

    code = "failed"


class QueueFullError(ServiceError):
    """There is no room for another order.

    Attributes:
        seconds: after which there may be.
    """

    code = "queue_full"

    def __init__(self, what: str, *, got: object, expected: object, seconds: float) -> None:
        fix = f"ask again in {seconds:.0f} s"
        super().__init__(what, got=got, expected=expected, fix=fix)
        self.seconds = seconds


class UnknownJobError(ServiceError):
    """No job has this id: it never had, or it was erased."""

    code = "not_found"


class ConflictError(ServiceError):
    """The order contradicts something that is there."""

    code = "conflict"


class UnavailableError(ServiceError):
    """The database does not answer, or no lane is ready."""

    code = "unavailable"
