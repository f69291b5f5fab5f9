"""The API for programs, under /v1: a file a resource. A route states the right it needs, asks the store, returns a document.

tenants.py, plans.py, forecast.py, readings.py, runs.py, files.py; health.py (liveness, readiness, metrics); openapi.py (the
description at /v1/openapi.json and a page of it at /v1/docs). SI units, instants in UTC; errors are application/problem+json.
"""

from levada.web.api.files import list_delivered_files, show_file
from levada.web.api.forecast import show_current_forecast
from levada.web.api.health import healthz, metrics, readyz
from levada.web.api.openapi import openapi_config, show_docs
from levada.web.api.plans import list_published_plans, show_current_plan, show_plan
from levada.web.api.readings import list_all_series, show_readings
from levada.web.api.releases import show_comparisons, show_release, show_usage
from levada.web.api.runs import cancel_one_run, list_all_runs, retry_one_run, show_run, start_a_run
from levada.web.api.tenants import list_own_tenants

__all__ = ["API_ROUTES", "HEALTH_ROUTES", "openapi_config"]

API_ROUTES = [
    show_release,
    show_comparisons,
    show_usage,
    list_own_tenants,
    show_current_plan,
    list_published_plans,
    show_plan,
    show_current_forecast,
    list_all_series,
    show_readings,
    list_all_runs,
    show_run,
    start_a_run,
    cancel_one_run,
    retry_one_run,
    list_delivered_files,
    show_file,
    show_docs,
]
"""What stands under /v1."""

HEALTH_ROUTES = [healthz, readyz, metrics]
