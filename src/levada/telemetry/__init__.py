"""Names of metrics, traces and log fields: one door for all three.

log.py (structured lines with tenant and run on each), trace.py (one OpenTelemetry trace from a closed upload to the
published plan), metrics.py (the Prometheus families and what they mean). May import domain.
"""
