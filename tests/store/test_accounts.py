"""Who may come in: people, programs, senders; and the installation's own secrets."""

import asyncio
from datetime import timedelta

import asyncssh
import psycopg
import pytest
from tests.store.conftest import NOW

from levada.domain.errors import DocumentError, NotFound
from levada.domain.tenant import Role, rights_of
from levada.store.accounts import (
    add_sftp_key,
    create_account,
    create_token,
    installation_secret,
    installation_text,
    principal_of,
    principal_of_token,
    set_membership,
    sftp_keys,
    sign_in,
)
from levada.store.database import Database
from levada.store.tenants import create_tenant, list_tenants, tenant_exists


def test_a_person_signs_in_and_has_the_rights_of_their_roles(in_database, installation) -> None:
    one, two = installation.new_tenant(), installation.new_tenant()

    async def work(database: Database) -> None:
        async with database.registry() as registry:
            await create_account(registry, " Ana@Example.org ", "Ana", "correct horse")
            await set_membership(registry, "ana@example.org", one, Role.VIEWER)
            await set_membership(registry, "ana@example.org", two, Role.OPERATOR)
            await set_membership(registry, "ANA@example.org", one, Role.ENGINEER)
            who = await sign_in(registry, "ana@EXAMPLE.org", "correct horse")
            assert who is not None
            assert who.name == "Ana"
            assert who.rights == {one: rights_of(Role.ENGINEER), two: rights_of(Role.OPERATOR)}
            assert await principal_of(registry, "ana@example.org") == who
            assert await sign_in(registry, "ana@example.org", "wrong horse!") is None
            assert await sign_in(registry, "nobody@example.org", "correct horse") is None
            assert await principal_of(registry, "nobody@example.org") is None
            await create_account(registry, "ana@example.org", "Ana", "battery staple")
            assert await sign_in(registry, "ana@example.org", "correct horse") is None
            assert await sign_in(registry, "ana@example.org", "battery staple") == who

    in_database(work)


@pytest.mark.parametrize(("email", "password", "problem"), [("ana", "long enough", "no e-mail"), ("a@b c", "long enough", "no e-mail"), ("a@b", "short", "8 to 1024")])
def test_what_is_no_account_is_refused(in_database, email, password, problem) -> None:
    async def work(database: Database) -> None:
        with pytest.raises(DocumentError, match=problem):
            async with database.registry() as registry:
                await create_account(registry, email, "x", password)

    in_database(work)


def test_a_membership_needs_its_person_and_its_tenant(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        with pytest.raises(NotFound, match="account 'nobody@example.org'"):
            async with database.registry() as registry:
                await set_membership(registry, "nobody@example.org", tenant, Role.VIEWER)
        async with database.registry() as registry:
            await create_account(registry, "rui@example.org", "Rui", "long enough")
        with pytest.raises(NotFound, match="tenant 'atlantis'"):
            async with database.registry() as registry:
                await set_membership(registry, "rui@example.org", "atlantis", Role.VIEWER)

    in_database(work)


def test_a_token_gives_its_rights_in_its_tenant_until_it_expires_and_is_not_stored(in_database, installation, tenant) -> None:
    async def work(database: Database) -> str:
        async with database.registry() as registry:
            token = await create_token(registry, tenant, "scada", frozenset({"plans:read"}), NOW + timedelta(hours=1))
            who = await principal_of_token(registry, token, NOW)
            assert who is not None
            assert who.may(tenant, "plans:read")
            assert not who.may(tenant, "runs:start")
            assert not who.may("other", "plans:read")
            assert await principal_of_token(registry, token, NOW + timedelta(hours=1)) is None
            assert await principal_of_token(registry, token + "x", NOW) is None
            lasting = await create_token(registry, tenant, "lasting", frozenset({"plans:read"}), None)
            assert await principal_of_token(registry, lasting, NOW + timedelta(days=9999)) is not None
            with pytest.raises(DocumentError, match="plans:write"):
                await create_token(registry, tenant, "x", frozenset({"plans:write"}), None)
        with pytest.raises(NotFound):
            async with database.registry() as registry:
                await create_token(registry, "atlantis", "x", frozenset({"plans:read"}), None)
        return token

    token = in_database(work)
    with psycopg.connect(installation.admin_url) as connection:
        rows = connection.execute("SELECT t::text FROM levada.api_token AS t").fetchall()
    assert rows
    assert token not in str(rows)


def test_a_senders_key_is_checked_and_found_by_its_tenant(in_database, installation, tenant) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519", comment="scada")
    public, private = key.export_public_key().decode(), key.export_private_key().decode()

    async def work(database: Database) -> None:
        async with database.registry() as registry:
            fingerprint = await add_sftp_key(registry, tenant, public, "SCADA server")
            assert fingerprint == key.get_fingerprint()
            assert await add_sftp_key(registry, tenant, public, "again") == fingerprint
            assert await sftp_keys(registry, tenant) == [public.strip()]
            assert await sftp_keys(registry, "atlantis") == []
            with pytest.raises(DocumentError, match="private key"):
                await add_sftp_key(registry, tenant, private, "oops")
            with pytest.raises(DocumentError, match="no OpenSSH public key"):
                await add_sftp_key(registry, tenant, "ssh-ed25519 AAAAnonsense", "x")
        with pytest.raises(NotFound):
            async with database.registry() as registry:
                await add_sftp_key(registry, "atlantis", public, "x")

    in_database(work)


def test_a_secret_is_made_once_for_all_processes(in_database) -> None:
    async def work(database: Database) -> None:
        made = []

        def make() -> str:
            made.append(1)
            return f"key {len(made)}"

        async def ask() -> tuple[bytes, str]:
            async with database.registry() as registry:
                return await installation_secret(registry, "session"), await installation_text(registry, "host-key", make)

        first = await ask()
        assert len(first[0]) == 32
        assert {first} == set(await asyncio.gather(ask(), ask(), ask()))
        assert made == [1]

        async def race(i: int) -> bytes:
            async with database.registry() as registry:
                return await installation_secret(registry, "raced")

        assert len(set(await asyncio.gather(*(race(i) for i in range(4))))) == 1

    in_database(work)


def test_a_tenant_has_a_name_that_can_be_a_folder_and_exists_once(in_database) -> None:
    async def work(database: Database) -> None:
        async with database.registry() as registry:
            assert not await tenant_exists(registry, "serra-1")
            await create_tenant(registry, "serra-1", "Serra")
            assert await tenant_exists(registry, "serra-1")
            assert ("serra-1", "Serra") in [(t.tenant_id, t.name) for t in await list_tenants(registry)]
        for tenant_id, problem in (("serra-1", "already"), ("../etc", "lower-case"), ("Serra", "lower-case")):
            with pytest.raises(DocumentError, match=problem):
                async with database.registry() as registry:
                    await create_tenant(registry, tenant_id, "x")

    in_database(work)
