"""What deploy/ asks the cluster to run exists: commands, variables, the question about the queue, and memory that holds what a worker may take."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
import yaml
from tests.conftest import Installation

from levada import serve
from levada.cli import cli
from levada.serve import Settings

FOLDER = Path(__file__).parents[1] / "deploy" / "kubernetes"
DOCUMENTS: list[dict[str, Any]] = [d for path in sorted(FOLDER.glob("*.yaml")) for d in yaml.safe_load_all(path.read_text())]


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [d for d in DOCUMENTS if d["kind"] in kinds]


def pod(document: dict[str, Any]) -> dict[str, Any]:
    spec = document["spec"]
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    found: dict[str, Any] = spec.get("jobTargetRef", spec)["template"]["spec"]
    return found


WORKLOADS = of_kind("Deployment", "ScaledJob", "CronJob")
VARIABLES: dict[str, str] = next(d for d in DOCUMENTS if d["kind"] == "ConfigMap")["data"]


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w["metadata"]["name"])
def test_each_command_is_one_of_ours_and_its_options_too(workload: dict[str, Any]) -> None:
    (container,) = pod(workload)["containers"]
    program, *words = container["command"]
    assert program == "levada"
    command: click.Command = cli
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    command.make_context(command.name, words)  # raises for what it does not know


def test_there_is_a_workload_for_each_part() -> None:
    words = [pod(w)["containers"][0]["command"][1] for w in WORKLOADS]
    assert set(serve.PARTS) <= set(words)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w["metadata"]["name"])
def test_each_workload_has_the_database_the_settings_and_a_folder_for_its_data(workload: dict[str, Any]) -> None:
    spec = pod(workload)
    (container,) = spec["containers"]
    assert {"name": "LEVADA_DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "levada", "key": "database-url"}}} in container["env"]
    assert {"configMapRef": {"name": "levada"}} in container["envFrom"]
    assert [m["mountPath"] for m in container["volumeMounts"]] == [VARIABLES["LEVADA_DATA_DIR"]]
    assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in spec["volumes"]}
    assert container["resources"]["limits"]["memory"]
    assert spec["securityContext"]["runAsNonRoot"] is True


def test_the_settings_are_read_and_each_is_a_variable_of_ours() -> None:
    settings = Settings.from_environment(VARIABLES)
    assert settings.secure_cookies
    for name in VARIABLES:
        first, _, last = name.rpartition("_")
        assert name in (serve.__doc__ or "") or f"{first}_HOST, {first}_{last}" in (serve.__doc__ or ""), name


def test_a_worker_s_container_holds_the_larger_class_of_memory_for_all_that_it_computes_at_a_time() -> None:
    (worker,) = [pod(w)["containers"][0] for w in of_kind("ScaledJob")]
    held = int(re.fullmatch(r"(\d+)Mi", worker["resources"]["limits"]["memory"])[1]) << 20  # type: ignore[index]
    settings = Settings.from_environment(VARIABLES)
    assert held > 2 * max(limits.larger_memory_bytes for limits in settings.run_limits.values())


def test_services_lead_to_ports_of_workloads() -> None:
    for service in of_kind("Service"):
        (target,) = [w for w in WORKLOADS if w["kind"] == "Deployment" and w["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]]
        ports = {p["name"]: p["containerPort"] for p in pod(target)["containers"][0]["ports"]}
        assert {p["targetPort"] for p in service["spec"]["ports"]} <= set(ports)
        settings = Settings.from_environment(VARIABLES)
        assert set(ports.values()) <= {settings.http_port, settings.sftp_port}


def test_workers_are_started_by_a_question_that_the_queue_s_own_role_may_ask(installation: Installation) -> None:
    (scaled,) = of_kind("ScaledJob")
    (trigger,) = scaled["spec"]["triggers"]
    (authentication,) = of_kind("TriggerAuthentication")
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    assert (trigger["type"], scaled["spec"]["minReplicaCount"]) == ("postgresql", 0)
    with psycopg.connect(installation.worker_url) as connection:
        ((jobs,),) = connection.execute(trigger["metadata"]["query"]).fetchall()
    assert isinstance(jobs, int)
    background, _ = re.findall(r"\d+", trigger["metadata"]["query"])
    assert int(background) == Settings.from_environment(VARIABLES).background_jobs
