from pathlib import Path

import pytest

from levada.domain.errors import SetupError
from levada.domain.run import RunKind
from levada.runs.limits import RunLimits
from levada.serve import Settings


def test_nothing_set_means_the_documented_defaults() -> None:
    settings = Settings.from_environment({})
    assert (settings.http_host, settings.http_port, settings.sftp_port, settings.workers) == ("127.0.0.1", 8080, 2222, 1)
    assert settings.data_dir == Path.cwd() / ".levada"
    assert settings.database_url is None
    assert settings.clock.is_real


@pytest.mark.parametrize(
    ("name", "value"),
    [("LEVADA_HTTP_PORT", "http"), ("LEVADA_SFTP_PORT", "0"), ("LEVADA_WORKERS", "-1"), ("LEVADA_LOG", "xml"), ("LEVADA_CLOCK", "soon"), ("LEVADA_RUN_MEMORY_MB_PLAN", "much"), ("LEVADA_BACKGROUND_JOBS", "0")],
)
def test_a_variable_that_cannot_be_read_is_named_with_what_to_do(name: str, value: str) -> None:
    with pytest.raises(SetupError, match=rf"{name} is '{value}'; "):
        Settings.from_environment({name: value})


def test_a_kind_of_run_has_the_limits_of_all_or_its_own() -> None:
    usual = Settings.from_environment({}).run_limits[RunKind.PLAN]
    assert usual == RunLimits()
    for_all = Settings.from_environment({"LEVADA_RUN_MEMORY_MB": "500", "LEVADA_RUN_CPU_S": "60"}).run_limits[RunKind.PLAN]
    assert (for_all.memory_bytes, for_all.larger_memory_bytes, for_all.cpu_s) == (500 << 20, 1000 << 20, 60)
    own = Settings.from_environment({"LEVADA_RUN_MEMORY_MB": "500", "LEVADA_RUN_MEMORY_MB_PLAN": "700", "LEVADA_RUN_MEMORY_MAX_MB": "900"}).run_limits[RunKind.PLAN]
    assert (own.memory_bytes, own.larger_memory_bytes) == (700 << 20, 900 << 20)
