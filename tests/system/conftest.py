"""An installation of its own for the system tests: started once, shared by those that do no harm."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from product import Product


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    if shutil.which("sftp") is None or shutil.which("ssh-keygen") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("OpenSSH's sftp is needed for the system tests")
        pytest.skip("NO OPENSSH CLIENT: the system tests need sftp and ssh-keygen")
    made = Product(Path(tmp_path_factory.mktemp("product")))
    made.start()
    yield made
    made.stop()
