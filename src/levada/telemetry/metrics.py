"""The Prometheus families of Levada: what each is called, what it means, and how samples become text.

Figures about tenants, files, runs and the queue are read from the database when Prometheus asks, so that they are the same
whichever process answers and none is lost with a process. Names follow Prometheus's rules: base units, `_total` for what only grows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["CONTENT_TYPE", "FAMILIES", "Family", "Sample", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name (without `_total`), kind, labels in order, and what it means."""

    name: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...]
    help: str


FAMILIES = {
    family.name: family
    for family in (
        Family("levada_files", "counter", ("tenant", "state"), "Files delivered, by how they were taken: taken, partly, refused, duplicate"),
        Family("levada_rows", "counter", ("tenant", "outcome"), "Rows of delivered files: taken, or refused and put into quarantine"),
        Family("levada_last_file_timestamp_seconds", "gauge", ("tenant",), "When the newest file arrived, on the installation's clock"),
        Family("levada_data_age_seconds", "gauge", ("tenant",), "Age of the newest measurement"),
        Family("levada_plan_age_seconds", "gauge", ("tenant",), "Time since the instant whose knowledge the current plan uses"),
        Family("levada_plan_valid_seconds", "gauge", ("tenant",), "Time until the current plan expires; negative once it has"),
        Family("levada_plan_cost", "gauge", ("tenant",), "Cost of the current plan over its horizon, in the tenant's currency"),
        Family("levada_plan_lower_bound", "gauge", ("tenant",), "Cost below which no plan of the same problem can come"),
        Family("levada_plan_ladder", "gauge", ("tenant", "ladder"), "1 for the rung that the current plan stands on: new, previous, rules"),
        Family("levada_runs", "gauge", ("tenant", "state"), "Runs by their present state: queued, running, done, failed, cancelled"),
        Family("levada_run_seconds", "counter", ("tenant", "kind"), "Wall-clock time of ended runs, together"),
        Family("levada_run_cpu_seconds", "counter", ("tenant", "kind"), "Processor time of ended runs, together"),
        Family("levada_run_wait_seconds", "counter", ("tenant", "kind"), "Time that ended runs waited in the queue, together"),
        Family("levada_run_ended", "counter", ("tenant", "kind"), "Ended runs that the three above are about"),
        Family("levada_run_peak_memory_bytes", "gauge", ("tenant", "kind"), "Largest memory of a computing process in any ended run"),
        Family("levada_runs_failed_24h", "gauge", ("tenant",), "Runs that failed in the last 24 hours"),
        Family("levada_queue_jobs", "gauge", ("task", "state"), "Jobs in the queue"),
        Family("levada_queue_wait_seconds", "gauge", ("task",), "How long the oldest job that could run has waited"),
        Family("levada_workers", "gauge", (), "Workers that have told of themselves lately"),
        Family("levada_database_bytes", "gauge", (), "Room that the database takes"),
        Family("levada_open_pages", "gauge", (), "Event streams that pages keep open to this process"),
    )
}
"""Every family by name; the reference is made from it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a family, with a text for each of its labels in order."""

    family: str
    labels: tuple[str, ...]
    value: float


class _Samples(Collector):
    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def collect(self) -> Iterable[Metric]:
        for family in FAMILIES.values():
            mine = [s for s in self._samples if s.family == family.name]
            if not mine:
                continue
            metric: CounterMetricFamily | GaugeMetricFamily
            if family.kind == "counter":
                metric = CounterMetricFamily(family.name, family.help, labels=family.labels)
            else:
                metric = GaugeMetricFamily(family.name, family.help, labels=family.labels)
            for sample in mine:
                metric.add_metric(sample.labels, sample.value)
            yield metric


def exposition(samples: Sequence[Sample], *, process: bool) -> bytes:
    """The samples in Prometheus's text form; with `process` also memory, processor time and open files of this process.

    Raises KeyError for a sample of an unknown family.
    """
    for sample in samples:
        FAMILIES[sample.family]
    registry = CollectorRegistry()
    registry.register(_Samples(samples))
    if process:
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
    return generate_latest(registry)
