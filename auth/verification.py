"""Proving that an e-mail address is somebody's own: a code of six digits, sent there.

A million codes are soon guessed, so a code bears five tries, counted in the same atomic step that
compares, and letters are few. A stranger's address costs the same work and gets the same answer.
Keys in Redis: `verification:{email}`, `verification-minute:{email}`, `verification-hour:{email}`,
and the same behind `nobody:` for addresses that wait for no code. What follows from a proof (the
account's mark, invitations that waited) is here too, for resets and providers as well.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Final, LiteralString

from auth import accounts, audit, identifiers, invitations, letters
from auth.backoff import of_all
from auth.errors import EmailInvalid
from base import redis
from base.errors import AppError

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from auth.backoff import Backoff
    from auth.mail import Mail
    from base.db import Database, Tx

DIGITS: Final = 6
TRIES: Final = 5
"""Guesses that a code bears."""

LETTERS_PER_HOUR: Final = 5
"""To one address, of one kind; and at most one a minute."""

QUOTA: Final = f"""
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local sent = redis.call('INCR', KEYS[2])
if sent == 1 then redis.call('EXPIRE', KEYS[2], 3600) end
if sent > {LETTERS_PER_HOUR} then return 0 end
redis.call('SET', KEYS[1], '1', 'EX', 60)
"""
"""The beginning of a script that leads to a letter: KEYS are the counters of a minute and an hour."""

_ISSUE: Final = (
    QUOTA
    + """
redis.call('DEL', KEYS[3])
redis.call('HSET', KEYS[3], 'mac', ARGV[1])
redis.call('PEXPIRE', KEYS[3], ARGV[2])
return 1"""
)

# ARGV: the mac, and whether a right one is used up.
_TRY: Final = f"""
local mac = redis.call('HGET', KEYS[1], 'mac')
if not mac then return 0 end
if mac == ARGV[1] then
    if ARGV[2] == '1' then redis.call('DEL', KEYS[1]) end
    return 1
end
local tries = redis.call('HINCRBY', KEYS[1], 'tries', 1)
if tries >= {TRIES} then redis.call('DEL', KEYS[1]) end
return 0"""

PROVE: LiteralString = """
    UPDATE users SET email_verified_at = %s, updated_at = %s
    WHERE id = %s AND email_verified_at IS NULL"""


class CodeInvalid(AppError):
    """The code is wrong or no longer good; ask for another one."""

    code = "code_invalid"


class Codes:
    """Makes codes and takes them back. Every method may raise RedisUnavailable."""

    def __init__(self, store: redis.Redis, secret: str | bytes, *, life: timedelta) -> None:
        raw = secret.encode() if isinstance(secret, str) else secret
        self._store = store
        self._key = hmac.digest(raw, b"syncsphere mail code 1", "sha256")
        self.life = life

    async def issue(self, address: str, *, waits: bool) -> str | None:
        """A new code in place of an older one; None when enough letters went there lately.

        waits: whether an account waits for it. If not, the same is done where it opens nothing
        and counts for nobody: else a stranger could use up the letters of somebody to come.
        """
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        nobody = "" if waits else "nobody:"
        names = ("verification-minute", "verification-hour", "verification")
        life = max(1, int(self.life.total_seconds() * 1000))
        keys = [f"{nobody}{name}:{address}" for name in names]
        issued = await redis.script(self._store, _ISSUE, keys, self._mac(address, code), life)
        return code if issued else None

    async def check(self, address: str, code: str) -> None:
        """See whether a code is right, which stays good. Raises CodeInvalid, whatever is wrong."""
        await self._try(address, code, use_up=False)

    async def redeem(self, address: str, code: str) -> None:
        """Use a code up. Raises CodeInvalid, whatever is wrong with it."""
        await self._try(address, code, use_up=True)

    async def _try(self, address: str, code: str, *, use_up: bool) -> None:
        keys, mac = [f"verification:{address}"], self._mac(address, code)
        if not await redis.script(self._store, _TRY, keys, mac, int(use_up)):
            raise CodeInvalid

    def _mac(self, address: str, code: str) -> str:
        # Six digits under a bare hash would be read back at once by whoever sees Redis.
        return hmac.digest(self._key, f"{address}\0{code}".encode(), "sha256").hex()


async def send(database: Database, codes: Codes, mail: Mail, email: str) -> None:
    """Send a code to an address if an account waits for one; tells nobody whether it does."""
    try:
        address = identifiers.email(email)
    except EmailInvalid:
        return
    async with database.connection() as tx:
        user = await accounts.by_email(tx, address)
    waits = user is not None and user.email_verified_at is None and user.disabled_at is None
    code = await codes.issue(address, waits=waits)
    if waits and code is not None:
        mail.post(letters.verification(address, code, codes.life.total_seconds() / 60))


async def verify(
    database: Database,
    codes: Codes,
    backoff: Backoff,
    *,
    email: str,
    code: str,
    now: datetime,
    ip: str,
    agent: str,
) -> list[UUID]:
    """Take a code for the proof that it is; answers the projects that were entered by it.

    Raises CodeInvalid, TooManyAttempts.
    """
    try:
        address = identifiers.email(email)
    except EmailInvalid as wrong:
        raise CodeInvalid from wrong
    # The code itself bears five tries wherever they come from; strangers cannot keep its owner out.
    # A guesser's own account must not wipe the slate of the address that the guesses come from.
    own = (f"address:{address}|{ip}", of_all(f"address:{address}"))
    guard = backoff.attempt("code", *own, of_all(f"ip:{ip}", kept=True), wrong=CodeInvalid)
    async with guard:
        typed = "".join(code.split())
        await codes.check(address, typed)
        async with database.transaction() as tx:
            user = await accounts.by_email(tx, address)
            if user is None:
                raise CodeInvalid  # erased since the code was sent
            entered = await prove(tx, user, now=now, ip=ip, agent=agent)
            # Last: what fails before leaves the code good, and what fails here changes nothing.
            await codes.redeem(address, typed)
    return entered


async def prove(
    tx: Tx, user: accounts.User, *, now: datetime, ip: str | None, agent: str | None
) -> list[UUID]:
    """Mark an address as its account's own, and enter the projects it was invited to.

    In the server's transaction; afterwards `Changes.tell(ProjectChanged(…))` for each project of
    the answer. An address that was proven before is left alone.
    """
    cursor = await tx.execute(PROVE, (now, now, user.id))
    if cursor.rowcount == 0:
        return []
    kind = audit.Kind.EMAIL_VERIFIED
    await audit.record(tx, kind, at=now, user=user.id, actor=user.id, ip=ip, agent=agent)
    return await invitations.accept_all(tx, user.id, user.email, now)
