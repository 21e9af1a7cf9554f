"""The first connection to PostgreSQL: what can be wrong with it, in sentences that say what to do, and the schema."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from bot.errors import StorageRefused
from storage.dialect import script
from storage.migrating import migrations, refuse_newer

OLDEST = 120000  # server_version_num: 12
CONNECT = 5.0  # seconds to connect
COMMAND = 10.0  # seconds that one statement may take before the connection is given up
PATIENCE = 5.0  # seconds at the start for a server that is starting, too
MIGRATING = 0x6D616770  # the advisory lock of whoever migrates
# A worker that was stopped in the middle of a commit holds locks: the server lets go of them.
LET_GO = "SET idle_in_transaction_session_timeout = '2s'"
# What a connection ends with: it is made anew.
LOST = (
    OSError,  # a TimeoutError is one
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
)


async def connect(url: str) -> asyncpg.Connection[Any]:
    connection = await asyncpg.connect(
        url,
        timeout=CONNECT,
        command_timeout=COMMAND,
        statement_cache_size=300,
        server_settings={"application_name": "magpie"},
    )
    try:
        await connection.execute(LET_GO)  # not as a setting of the connection: pgbouncer refuses those
    except BaseException:
        connection.terminate()
        raise
    return connection


def told(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


async def prepare(url: str, oldest: int = OLDEST) -> None:
    """Bring the schema up to date. `oldest`: the server's version, as it numbers it. Raises StorageRefused."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2] or "the socket"  # of several hosts all
    connection = await _first(url, place)
    try:
        await _check(connection, oldest)
        await _migrate(connection)
    except asyncpg.InsufficientPrivilegeError as error:
        raise StorageRefused(
            f"PostgreSQL does not let {parts.username} create tables ({error}): "
            f"as its administrator: GRANT ALL ON SCHEMA public TO {parts.username};"
        ) from error
    except (asyncpg.PostgresError, *LOST) as error:
        raise StorageRefused(f"PostgreSQL at {place}: {told(error)}") from error
    finally:
        connection.terminate()


async def _first(url: str, place: str) -> asyncpg.Connection[Any]:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await connect(url)
        except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
            raise StorageRefused(
                f"PostgreSQL at {place} does not let us in ({error}): check user and password."
            ) from error
        except asyncpg.InvalidCatalogNameError as error:
            raise StorageRefused(f"PostgreSQL at {place}: {error}. Create it: CREATE DATABASE …;") from error
        except (ssl.SSLError, asyncpg.ClientConfigurationError, ValueError) as error:
            raise StorageRefused(
                f"STORAGE_URL: {told(error)}. Write postgresql://user:password@host:5432/database."
            ) from error
        except (asyncpg.PostgresError, *LOST) as error:
            if time.monotonic() > deadline:
                raise StorageRefused(
                    f"PostgreSQL does not answer at {place} ({told(error)}): is it running, and is STORAGE_URL right?"
                ) from error
        await asyncio.sleep(0.25)


async def _check(connection: asyncpg.Connection[Any], oldest: int) -> None:
    version = connection.get_server_version()
    if int(await connection.fetchval("SHOW server_version_num")) < oldest:
        raise StorageRefused(f"PostgreSQL {version.major} is too old: Magpie needs {oldest // 10_000} or newer.")
    if await connection.fetchval("SHOW transaction_read_only") == "on":
        raise StorageRefused("PostgreSQL is read-only here (a standby?): name the primary in STORAGE_URL.")
    if await connection.fetchval("SHOW server_encoding") != "UTF8":
        raise StorageRefused("The database is not in UTF8: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0;")


async def _migrate(connection: asyncpg.Connection[Any]) -> None:
    """One file per transaction; one worker at a time."""
    await connection.execute("SELECT pg_advisory_lock($1)", MIGRATING, timeout=60.0)
    await connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL)")
    version = int(await connection.fetchval("SELECT coalesce(max(version), 0) FROM schema_version"))
    files = migrations()
    refuse_newer(version, len(files))
    for number, file in enumerate(files[version:], start=version + 1):
        async with connection.transaction():
            await connection.execute(script(file.read_text("utf-8")), timeout=600.0)
            await connection.execute("DELETE FROM schema_version")
            await connection.execute("INSERT INTO schema_version VALUES ($1)", number)
