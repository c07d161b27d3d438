"""Proving that an e-mail address is somebody's own: a code of six digits, sent there.

A million codes are soon guessed, so a code bears five tries from one network and twenty in all,
counted in the same atomic step that compares, and letters are few: also by who asks for them, so
that nobody uses up those of somebody else. A stranger's address costs the same work and gets the
same answer. Keys in Redis: `verification:{email}`, `verification-minute:{email}|{network}`,
`verification-hour:{email}|{network}`, `verification-hour:{email}`, and the same behind `nobody:` for
addresses that wait for no code. What follows from a proof (the account's mark, invitations that
waited) is here too, for resets and providers as well.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

from auth import accounts, audit, doors, identifiers, invitations, letters
from auth.backoff import Subject, of_all
from auth.errors import EmailInvalid
from base import addresses, redis
from base.errors import AppError

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from auth.backoff import Backoff
    from auth.mail import Mail
    from base.db import Database, Tx

DIGITS: Final = 6
TRIES: Final = 5
"""Guesses that a code bears from one network."""

TRIES_OF_ALL: Final = 20
"""And from everywhere."""

LETTERS_PER_HOUR: Final = 5
"""To one address, of one kind, for one network that asks; and at most one a minute."""

LETTERS_OF_ALL: Final = 20
"""And whoever asks."""

QUOTA: Final = f"""
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local sent = redis.call('INCR', KEYS[2])
if sent == 1 then redis.call('EXPIRE', KEYS[2], 3600) end
if sent > {LETTERS_PER_HOUR} then return 0 end
redis.call('SET', KEYS[1], '1', 'EX', 60)
"""
"""The beginning of a script that leads to a letter: KEYS are the counters of a minute and an hour."""

ASKED: Final = f"""
if ARGV[1] ~= '1' then
    if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
    if tonumber(redis.call('GET', KEYS[2]) or '0') >= {LETTERS_PER_HOUR} then return 0 end
    if tonumber(redis.call('GET', KEYS[3]) or '0') >= {LETTERS_OF_ALL} then return 0 end
end
for i = 2, 3 do
    if redis.call('INCR', KEYS[i]) == 1 then redis.call('EXPIRE', KEYS[i], 3600) end
end
redis.call('SET', KEYS[1], '1', 'EX', 60)
"""
"""The same for letters that anybody may ask for: KEYS are those of `counters`, ARGV[1] is '1' for a
letter that goes out in any case. What is refused counts for nobody."""

_ISSUE: Final = (
    ASKED
    + """
redis.call('DEL', KEYS[4])
redis.call('HSET', KEYS[4], 'mac', ARGV[2])
redis.call('PEXPIRE', KEYS[4], ARGV[3])
return 1"""
)

# ARGV: the mac, whether a right one is used up, and who tries.
_TRY: Final = f"""
local mac = redis.call('HGET', KEYS[1], 'mac')
if not mac then return 0 end
if tonumber(redis.call('HGET', KEYS[1], ARGV[3]) or '0') >= {TRIES} then return 0 end
if mac == ARGV[1] then
    if ARGV[2] == '1' then redis.call('DEL', KEYS[1]) end
    return 1
end
redis.call('HINCRBY', KEYS[1], ARGV[3], 1)
if redis.call('HINCRBY', KEYS[1], 'tries', 1) >= {TRIES_OF_ALL} then redis.call('DEL', KEYS[1]) end
return 0"""

PROVE: LiteralString = """
    UPDATE users SET email_verified_at = %s, updated_at = %s
    WHERE id = %s AND email_verified_at IS NULL"""


class CodeInvalid(AppError):
    """The code is wrong or no longer good; ask for another one."""

    code = "code_invalid"


class Proven(NamedTuple):
    """What a proof changed, to be told when it is committed: projects entered, keys revoked."""

    projects: list[UUID]
    keys: list[UUID]


class Codes:
    """Makes codes and takes them back. Every method may raise RedisUnavailable."""

    def __init__(self, store: redis.Redis, secret: str | bytes, *, life: timedelta) -> None:
        raw = secret.encode() if isinstance(secret, str) else secret
        self._store = store
        self._key = hmac.digest(raw, b"syncsphere mail code 1", "sha256")
        self.life = life

    async def issue(self, address: str, *, waits: bool, ip: str, first: bool = False) -> str | None:
        """A new code in place of an older one; None when enough letters went there lately.

        waits: whether an account waits for it. If not, the same is done where it opens nothing
        and counts for nobody: else a stranger could use up the letters of somebody to come.
        ip: who asks. first: the account is just being made; its letter goes out in any case.
        """
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        nobody = "" if waits else "nobody:"
        life = max(1, int(self.life.total_seconds() * 1000))
        keys = [
            *counters(f"{nobody}verification", address, ip),
            f"{nobody}verification:{address}",
        ]
        values = (int(first), self._mac(address, code), life)
        issued = await self._store.script(_ISSUE, keys, *values)
        return code if issued else None

    async def check(self, address: str, code: str, *, ip: str) -> None:
        """See whether a code is right, which stays good. Raises CodeInvalid, whatever is wrong."""
        await self._try(address, code, ip, use_up=False)

    async def redeem(self, address: str, code: str, *, ip: str) -> None:
        """Use a code up. Raises CodeInvalid, whatever is wrong with it."""
        await self._try(address, code, ip, use_up=True)

    async def _try(self, address: str, code: str, ip: str, *, use_up: bool) -> None:
        keys, mac = [f"verification:{address}"], self._mac(address, code)
        who = f"tries:{addresses.group(ip)}"
        if not await self._store.script(_TRY, keys, mac, int(use_up), who):
            raise CodeInvalid

    def _mac(self, address: str, code: str) -> str:
        # Six digits under a bare hash would be read back at once by whoever sees Redis.
        return hmac.digest(self._key, f"{address}\0{code}".encode(), "sha256").hex()


def counters(kind: str, address: str, ip: str) -> list[str]:
    """Where letters of a kind to an address are counted: a minute's and an hour's of who asks, all."""
    asked = f"{address}|{addresses.group(ip)}"
    return [f"{kind}-minute:{asked}", f"{kind}-hour:{asked}", f"{kind}-hour:{address}"]


async def send(
    database: Database, codes: Codes, mail: Mail, email: str, *, ip: str, first: bool = False
) -> None:
    """Send a code to an address if an account waits for one; tells nobody whether it does.

    ip: who asks. first: the account is just being made.
    """
    try:
        address = identifiers.email(email)
    except EmailInvalid:
        return
    async with database.connection() as tx:
        user = await accounts.by_email(tx, address)
    waits = user is not None and user.email_verified_at is None and user.disabled_at is None
    code = await codes.issue(address, waits=waits, ip=ip, first=first)
    if waits and code is not None:
        mail.post(letters.verification(address, code, codes.life.total_seconds() / 60))


async def verify(
    database: Database,
    codes: Codes,
    backoff: Backoff,
    *,
    email: str,
    code: str,
    asker: UUID | None,
    now: datetime,
    ip: str,
    agent: str,
) -> Proven:
    """Take a code for the proof that it is.

    asker: whose session brings it. Anybody else may be the one whom the account was kept from, so
    that what was left in it is dropped. Raises CodeInvalid, TooManyAttempts.
    """
    try:
        address = identifiers.email(email)
    except EmailInvalid as wrong:
        raise CodeInvalid from wrong
    async with database.connection() as tx:
        user = await accounts.by_email(tx, address)
    user_id = user.id if user else None
    network = addresses.group(ip)
    # A guesser's own account must not wipe the slate of the network that the guesses come from.
    subjects: list[str | Subject] = [
        f"address:{address}|{network}",
        of_all(f"ip:{network}", kept=True),
    ]
    # What strangers do elsewhere does not keep its owner out.
    if not await backoff.knows(str(user_id or address), ip):
        subjects.append(of_all(f"address:{address}"))
    try:
        async with backoff.attempt("code", *subjects, wrong=CodeInvalid):
            typed = "".join(code.split())
            await codes.check(address, typed, ip=ip)
            async with database.transaction() as tx:
                user = await accounts.by_email(tx, address)
                if user is None:
                    raise CodeInvalid  # erased since the code was sent
                keys: list[UUID] = []
                if user.email_verified_at is None and user.id != asker:
                    keys = await doors.shut(tx, user.id, now=now, ip=ip, agent=agent)
                projects = await prove(tx, user, now=now, ip=ip, agent=agent)
                # Last: what fails before leaves the code good, what fails here changes nothing.
                await codes.redeem(address, typed, ip=ip)
    except CodeInvalid:
        kind = audit.Kind.CODE_FAILED
        async with database.transaction() as tx:
            await audit.record(tx, kind, at=now, user=user_id, ip=ip, agent=agent)
        raise
    return Proven(projects, keys)


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
