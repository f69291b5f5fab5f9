"""Bytes by name in a bucket or a folder, for inputs of runs that are not to lie in the database: any S3-compatible store, and what else obstore knows.

Names are TENANT/SHA-256. What lies there is written once and never changed. Credentials come from the store's own variables (AWS_ACCESS_KEY_ID,
AWS_ENDPOINT_URL and the like), never from the address.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Self
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from levada.domain.errors import SetupError

__all__ = ["Objects", "ObjectsAway"]

SCHEMES = ("s3", "gs", "az", "file")
_RETRIES, _RETRY_S = 4, 20.0
_TROUBLE = (BaseError, OSError, ValueError)
"""What obstore raises: exceptions of its own, and Python's for files that are missing or may not be read."""


class ObjectsAway(ConnectionError):
    """The store does not answer, or refuses: nothing is wrong with what was to be kept."""


class Objects:
    """One store. `url` is what messages call it."""

    def __init__(self, url: str, store: ObjectStore) -> None:
        self.url = url
        self._store = store

    @classmethod
    def at(cls, url: str) -> Self:
        """The store at s3://BUCKET/PREFIX, gs://..., az://... or file:///FOLDER. Raises SetupError for another address; does not ask the store yet."""
        parts = urlsplit(url)
        wrong = ""
        if parts.scheme not in SCHEMES:
            wrong = f"has the scheme {parts.scheme!r}"
        elif "@" in parts.netloc or not (parts.netloc or parts.path.strip("/")):
            wrong = "names no bucket, or holds credentials"
        if wrong:
            remedy = "set it to s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER, with credentials in the store's own variables"
            raise SetupError(f"LEVADA_BUNDLE_STORE {wrong}", remedy)
        retry = {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_S)}
        try:
            store = from_url(url, mkdir=True) if parts.scheme == "file" else from_url(url, retry_config=retry)  # type: ignore[call-overload]
        except _TROUBLE as e:
            raise SetupError(f"the bundle store at {url} cannot be opened: {_first_line(e)}", "mend LEVADA_BUNDLE_STORE and the store's own variables") from e
        return cls(url, store)

    async def check(self) -> None:
        """Ask the store something. Raises SetupError where it does not answer or refuses."""
        try:
            async for _ in obstore.list(self._store, "none"):
                break
        except _TROUBLE as e:
            raise SetupError(f"the bundle store at {self.url} cannot be used: {_first_line(e)}", "start it, or mend LEVADA_BUNDLE_STORE and the store's own variables") from e

    async def put(self, name: str, content: bytes) -> None:
        """Raises ObjectsAway."""
        with self._reached(f"did not take {name}"):
            await obstore.put_async(self._store, name, content)

    async def get(self, name: str) -> bytes | None:
        """None where it is not there. Raises ObjectsAway."""
        with self._reached(f"did not give {name}"):
            try:
                return bytes(await (await obstore.get_async(self._store, name)).bytes_async())
            except FileNotFoundError:
                return None

    async def names(self, folder: str) -> AsyncIterator[list[str]]:
        """Names in a folder (without it), some hundreds at a time. Raises ObjectsAway."""
        with self._reached(f"did not list {folder}"):
            async for batch in obstore.list(self._store, folder, chunk_size=500):
                yield [str(found["path"]).removeprefix(f"{folder}/") for found in batch]

    async def delete(self, names: Sequence[str]) -> None:
        """Raises ObjectsAway."""
        with self._reached(f"did not delete {len(names)} objects"):
            await obstore.delete_async(self._store, list(names))

    @contextmanager
    def _reached(self, otherwise: str) -> Iterator[None]:
        try:
            yield
        except _TROUBLE as e:
            raise ObjectsAway(f"the bundle store at {self.url} {otherwise}: {_first_line(e)}") from e


def _first_line(error: BaseException) -> str:
    """What the store said; further lines are the library's own insides."""
    return str(error).strip().split("\n", 1)[0]
