"""Accounts that end: closed by their owner, opened again within the grace, erased after it.

What a closed account shared passes on; what was its own alone is erased for good with it, journal
and all. The audit log keeps the id, not where its owner came from; in the journals of others the
id of an author stays, and belongs to nobody. Knows SQL; not mail or requests.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

import psycopg

from auth import accounts, audit, links, members, resets
from auth.changes import AccountBarred, ProjectChanged
from auth.errors import AccountDisabled, InvalidCredentials
from base.errors import AppError

if TYPE_CHECKING:
    from uuid import UUID

    from auth.backoff import Backoff
    from auth.changes import Changes
    from auth.identity import Identities
    from auth.passwords import Passwords
    from base.db import Database, Tx

FRESH: Final = timedelta(minutes=10)
"""How young a session must be to close an account that has no password."""

CLOSE: LiteralString = """
    UPDATE users SET closed_at = %s, updated_at = %s WHERE id = %s AND closed_at IS NULL"""

OPEN: LiteralString = """
    UPDATE users SET closed_at = NULL, updated_at = %s
    WHERE id = %s AND closed_at > %s AND disabled_at IS NULL"""

DUE: LiteralString = "SELECT id FROM users WHERE closed_at <= %s ORDER BY closed_at"

# Looked at again under the lock: its owner may have come back in the last moment.
TAKE: LiteralString = """
    SELECT email FROM users WHERE id = %s AND closed_at <= %s FOR UPDATE SKIP LOCKED"""

OWNED: LiteralString = "SELECT id FROM projects WHERE owner_id = %s ORDER BY id"

VISIBLE: LiteralString = "SELECT deleted_at IS NULL FROM projects WHERE id = %s FOR UPDATE"

# Nobody whose own time is over: two accounts erased at once must not wait for each other.
HEIRS: LiteralString = """
    SELECT c.user_id FROM project_collaborators c JOIN users u ON u.id = c.user_id
    WHERE c.project_id = %s AND (u.closed_at IS NULL OR u.closed_at > %s)
    ORDER BY u.closed_at IS NULL AND u.disabled_at IS NULL AND u.email_verified_at IS NOT NULL DESC,
        u.closed_at IS NULL AND u.disabled_at IS NULL DESC,
        array_position(ARRAY['admin', 'editor', 'viewer'], c.role), c.joined_at, c.user_id"""

HOLD: LiteralString = "SELECT FROM users WHERE id = %s FOR KEY SHARE"

INHERIT: LiteralString = "UPDATE projects SET owner_id = %s, updated_at = %s WHERE id = %s"

NOT_BESIDES: LiteralString = """
    DELETE FROM project_collaborators WHERE project_id = %s AND user_id = %s"""

# No foreign key leads from the journal to its document.
FORGET_JOURNAL: LiteralString = """
    DELETE FROM journal WHERE document_id IN (SELECT id FROM documents WHERE project_id = %s)"""

FORGET_PROJECT: LiteralString = "DELETE FROM projects WHERE id = %s"

FORGET_INVITATIONS: LiteralString = """
    DELETE FROM project_invitations WHERE email = %s OR invited_by = %s"""

FORGET_LINKS: LiteralString = "DELETE FROM project_links WHERE created_by = %s"

FORGET_PLACES: LiteralString = """
    UPDATE audit_events SET ip = NULL, user_agent = NULL WHERE coalesce(actor_id, user_id) = %s"""

FORGET_USER: LiteralString = "DELETE FROM users WHERE id = %s"


class SignInAgain(AppError):
    """Sign in again first: this needs a session of the last ten minutes."""

    code = "sign_in_again"


class Erased(NamedTuple):
    """What became of an account's projects."""

    passed_on: list[UUID]
    erased: list[UUID]


async def close(
    database: Database,
    passwords: Passwords,
    identities: Identities,
    backoff: Backoff,
    changes: Changes,
    *,
    user_id: UUID,
    session_id: UUID,
    password: str | None,
    now: datetime,
    ip: str,
    agent: str,
) -> accounts.User | None:
    """Close the account of who is asking; every session ends. None: it was closed already.

    The password proves that it is the owner; without one, a session so young that its owner has
    just signed in with the provider. Raises PasswordWrong, SignInAgain, PasswordsBusy,
    TooManyAttempts.
    """
    known = await resets.confirm(
        database,
        passwords,
        backoff,
        user_id=user_id,
        password=password or "",
        now=now,
        ip=ip,
        agent=agent,
    )
    if known is None and now - _begun(session_id) > FRESH:
        raise SignInAgain
    async with database.transaction() as tx:
        closed = await tx.execute(CLOSE, (now, now, user_id))
        if closed.rowcount == 0:
            return None
        kind = audit.Kind.ACCOUNT_CLOSED
        await audit.record(tx, kind, at=now, user=user_id, actor=user_id, ip=ip, agent=agent)
        user = await accounts.find(tx, user_id)
        await identities.end_all(user_id)
        linked = await links.opened_by(tx, user_id)
    # Whoever is inside by a link of theirs has no account that could be barred.
    await changes.tell(AccountBarred(user_id), *map(ProjectChanged, linked))
    return user


async def reopen(
    database: Database,
    passwords: Passwords,
    *,
    name: str,
    password: str,
    now: datetime,
    grace: timedelta,
    ip: str,
    agent: str,
) -> None:
    """Open a closed account again, as long as it is not due to be erased; one that is open stays so.

    Raises InvalidCredentials, AccountDisabled, PasswordsBusy.
    """
    user, _ = await accounts.prove(database, passwords, name, password)
    if user.disabled_at is not None:
        raise AccountDisabled
    if user.closed_at is None:
        return
    # Its owner was told this moment; that the erasing has not come to it yet makes no difference.
    if user.closed_at <= now - grace:
        raise InvalidCredentials
    async with database.transaction() as tx:
        # Waits for who is erasing it, and then finds nothing.
        opened = await tx.execute(OPEN, (now, user.id, now - grace))
        if opened.rowcount == 0 and await accounts.find(tx, user.id) is None:
            raise InvalidCredentials
        if opened.rowcount:
            kind = audit.Kind.ACCOUNT_REOPENED
            await audit.record(tx, kind, at=now, user=user.id, actor=user.id, ip=ip, agent=agent)


async def erase_due(
    database: Database, now: datetime, grace: timedelta, *, changes: Changes | None = None
) -> int:
    """Erase every account that was closed at least `grace` ago; how many this call erased.

    A transaction for each: ended half way, it erased some accounts wholly and none in part. Two
    processes at once share the work. One account that the database refuses to erase does not keep
    the others; it is raised at the end, in an ExceptionGroup. changes: told of every project that
    passed on or is gone.
    """
    due, count, failures = now - grace, 0, list[Exception]()
    async with database.connection() as tx:
        waiting = [row[0] for row in await (await tx.execute(DUE, (due,))).fetchall()]
    for user_id in waiting:
        try:
            async with database.transaction() as tx:
                done = await _erase(tx, user_id, due, now)
        except psycopg.Error as error:
            failures.append(error)
            continue
        if done is None:
            continue
        count += 1
        if changes is not None:
            await changes.tell(*map(ProjectChanged, (*done.passed_on, *done.erased)))
    if failures:
        raise ExceptionGroup("accounts that could not be erased", failures)
    return count


async def _erase(tx: Tx, user_id: UUID, due: datetime, now: datetime) -> Erased | None:
    row = await (await tx.execute(TAKE, (user_id, due))).fetchone()
    if row is None:
        return None  # opened again, or erased by somebody else, or about to be
    done = Erased([], [])
    for (project_id,) in await (await tx.execute(OWNED, (user_id,))).fetchall():
        await members.lock(tx, project_id)
        visible = await (await tx.execute(VISIBLE, (project_id,))).fetchone()
        heir = await _heir(tx, project_id, due) if visible and visible[0] else None
        if heir is None:
            await tx.execute(FORGET_JOURNAL, (project_id,))
            await tx.execute(FORGET_PROJECT, (project_id,))
            done.erased.append(project_id)
        else:
            await tx.execute(INHERIT, (heir, now, project_id))
            await tx.execute(NOT_BESIDES, (project_id, heir))
            kind = audit.Kind.PROJECT_TRANSFERRED
            await audit.record(tx, kind, at=now, user=heir, actor=user_id, project=project_id)
            done.passed_on.append(project_id)
    await tx.execute(FORGET_INVITATIONS, (row[0], user_id))
    await tx.execute(FORGET_LINKS, (user_id,))
    await tx.execute(FORGET_PLACES, (user_id,))
    await tx.execute(FORGET_USER, (user_id,))
    await audit.record(tx, audit.Kind.ACCOUNT_ERASED, at=now, user=user_id)
    return done


async def _heir(tx: Tx, project_id: UUID, due: datetime) -> UUID | None:
    """The strongest collaborator, of those the longest-standing one, held so that they stay."""
    for (user_id,) in await (await tx.execute(HEIRS, (project_id, due))).fetchall():
        if await (await tx.execute(HOLD, (user_id,))).fetchone() is not None:
            return user_id
    return None


def _begun(session_id: UUID) -> datetime:
    """When a session began: the milliseconds at the front of its id (UUIDv7)."""
    return datetime.fromtimestamp((session_id.int >> 80) / 1000, UTC)
