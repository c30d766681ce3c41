"""What Prometheus reads: requests, jobs and their stages, the queue, the lanes and their memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from idmvton.engine.service import Service
from idmvton.errors import IdmVtonError

_STAGE_SECONDS: Final = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
_JOB_SECONDS: Final = (0.3, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 300, 600)


class Metrics:
    """The numbers of one server.

    Args:
        service: whose queue and lanes are read when somebody asks.
    """

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "idmvton_http_requests", "Requests.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "idmvton_http_seconds", "From the request to the end of its answer.", ("route",), registry=self.registry
        )
        self.jobs = Counter("idmvton_jobs", "Jobs that ended.", ("kind", "state"), registry=self.registry)
        self.job_seconds = Histogram(
            "idmvton_job_seconds", "Work on a job.", ("kind",), buckets=_JOB_SECONDS, registry=self.registry
        )
        self.stages = Histogram(
            "idmvton_stage_seconds", "A stage of a job.", ("stage",), buckets=_STAGE_SECONDS, registry=self.registry
        )
        self.registry.register(_Now(service))
        service.hub.on_end.append(self._ended)

    def _ended(self, kind: str, state: str, timings: Mapping[str, float]) -> None:
        self.jobs.labels(kind, state).inc()
        for stage, seconds in timings.items():
            if stage == "total":
                self.job_seconds.labels(kind).observe(seconds)
            else:
                self.stages.labels(stage).observe(seconds)

    def text(self) -> bytes:
        """In Prometheus' text form."""
        return generate_latest(self.registry)


class _Now(Collector):
    """What is read when somebody asks: queue and lanes."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing ahead: asking the database when the registry is made is not needed."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The numbers of this moment; those of the queue are left out while the database does not answer."""
        jobs = GaugeMetricFamily("idmvton_jobs_kept", "Jobs in the journal.", labels=("state",))
        try:
            for state, count in self.service.journal.counts().items():
                jobs.add_metric((state,), count)
            yield jobs
        except IdmVtonError:
            yield GaugeMetricFamily("idmvton_journal_down", "The journal does not answer.", value=1)
        lanes = GaugeMetricFamily("idmvton_lanes", "Lanes.", labels=("lane", "state"))
        memory = GaugeMetricFamily("idmvton_lane_memory_bytes", "Resident memory of a lane.", labels=("lane",))
        deaths = GaugeMetricFamily("idmvton_lane_deaths", "How often a lane was replaced.", labels=("lane",))
        for lane in self.service.lane_states():
            lanes.add_metric((lane.name, lane.state), 1)
            memory.add_metric((lane.name,), lane.memory)
            deaths.add_metric((lane.name,), lane.deaths)
        yield from (lanes, memory, deaths)
