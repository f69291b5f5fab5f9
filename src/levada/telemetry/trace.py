"""Traces: one trace follows a reading from the closed upload through the queue to the published plan.

The context travels in the job row as W3C `traceparent`. Spans go to an OTLP collector when one is named, else to the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from levada.telemetry.log import get_logger

__all__ = ["carrier", "configure_traces", "continued", "span"]

_tracer = trace.get_tracer("levada")


class _LogExporter(SpanExporter):
    """Writes each finished span as a log line: where no collector runs, the trace is still in the log."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        log = get_logger("trace")
        for done in spans:
            context = done.get_span_context()
            if context is None or done.end_time is None or done.start_time is None:
                continue
            log.info(
                "span",
                name=done.name,
                trace_id=f"{context.trace_id:032x}",
                span_id=f"{context.span_id:016x}",
                parent_id=f"{done.parent.span_id:016x}" if done.parent else None,
                duration_ms=round((done.end_time - done.start_time) / 1e6, 3),
                **{f"attr_{k}": v for k, v in (done.attributes or {}).items()},
            )
        return SpanExportResult.SUCCESS


def configure_traces(process: str, otlp_endpoint: str | None) -> None:
    """Set up tracing of this process: to the OTLP/HTTP collector at `otlp_endpoint` (such as http://collector:4318), else to the log."""
    provider = TracerProvider(resource=Resource.create({"service.name": f"levada-{process}", "service.namespace": "levada"}))
    if otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{otlp_endpoint.rstrip('/')}/v1/traces")))
    else:
        provider.add_span_processor(SimpleSpanProcessor(_LogExporter()))
    trace.set_tracer_provider(provider)


@contextmanager
def span(name: str, **attributes: AttributeValue) -> Iterator[Span]:
    """A span within the current trace, or the first of a new one."""
    with _tracer.start_as_current_span(name, attributes=attributes) as current:
        yield current


def carrier() -> dict[str, str]:
    """The current trace's context, to put beside a job; empty when there is none."""
    out: dict[str, str] = {}
    propagate.inject(out)
    return out


@contextmanager
def continued(carried: Mapping[str, str], name: str, **attributes: AttributeValue) -> Iterator[Span]:
    """A span that goes on with the trace carried by a job."""
    with _tracer.start_as_current_span(name, context=propagate.extract(dict(carried)), attributes=attributes) as current:
        yield current
