from pathlib import Path

import pytest

from levada.domain.errors import SetupError
from levada.serve import Settings


def test_nothing_set_means_the_documented_defaults() -> None:
    settings = Settings.from_environment({})
    assert (settings.http_host, settings.http_port, settings.sftp_port, settings.workers) == ("127.0.0.1", 8080, 2222, 1)
    assert settings.data_dir == Path.cwd() / ".levada"
    assert settings.database_url is None
    assert settings.clock.is_real


@pytest.mark.parametrize(
    ("name", "value"),
    [("LEVADA_HTTP_PORT", "http"), ("LEVADA_SFTP_PORT", "0"), ("LEVADA_WORKERS", "-1"), ("LEVADA_LOG", "xml"), ("LEVADA_CLOCK", "soon")],
)
def test_a_variable_that_cannot_be_read_is_named_with_what_to_do(name: str, value: str) -> None:
    with pytest.raises(SetupError, match=rf"{name} is '{value}'; "):
        Settings.from_environment({name: value})
