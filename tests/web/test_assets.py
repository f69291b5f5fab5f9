"""What was taken from elsewhere is what README says, unchanged, and is served so that browsers keep it."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from litestar.testing import TestClient

from levada.web.page import ASSETS

README = (ASSETS / "README.md").read_text()


def test_vendored_files_have_the_versions_and_sums_that_the_readme_names() -> None:
    rows = re.findall(r"^\| (\S+\.js) \| (\S+) .*\| (\d+\.\d+\.\d+) \| .* \| ([0-9a-f]{64}) \|$", README, re.MULTILINE)
    assert {name for name, *_ in rows} == {p.name for p in (ASSETS / "vendor").glob("*.js")}
    for name, _, version, sha256 in rows:
        content = (ASSETS / "vendor" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == sha256
        assert version.encode() in content


def test_each_vendored_file_has_its_licence_beside_it() -> None:
    for script in (ASSETS / "vendor").glob("*.js"):
        assert (ASSETS / "vendor" / f"{script.name.split('.')[0]}.LICENSE.txt").stat().st_size > 400


def test_no_asset_of_ours_loads_anything_from_elsewhere() -> None:
    for path in (*ASSETS.glob("*.js"), *ASSETS.glob("*.css")):
        assert not re.search(r"https?://|@import|eval\(|innerHTML", path.read_text()), path.name


def test_assets_are_served_to_be_kept_under_an_address_that_changes_with_their_content(client: TestClient[Any]) -> None:
    page = client.get("/sign-in").text
    address = re.search(r'href="(/assets/levada\.css\?v=[0-9a-f]{12})"', page)
    assert address
    answer = client.get(address[1])
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert "set-cookie" not in answer.headers


def test_nothing_outside_the_assets_is_served(client: TestClient[Any]) -> None:
    for path in ("/assets/../app.py", "/assets/%2e%2e/app.py", "/assets/..%2fapp.py", "/assets//etc/passwd"):
        assert client.get(path).status_code == 404, path
