"""Your own account: the profile, the preferences, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import anyio
import pytest

from auth import profiles
from auth.errors import SessionEnded
from base import clock

from .rest import refused

if TYPE_CHECKING:
    from .rest import Person, Rest

ME = "/api/users/me"
PREFERENCES = "/api/users/me/preferences"

DEFAULTS = {
    "defaultTempo": 120.0,
    "defaultKeyNote": 0,
    "defaultFlavor": "major",
    "useGlassUI": True,
    "autoPlay": False,
    "showBeatNumbers": True,
    "defaultVolume": 0.8,
    "theme": "auto",
    "language": "en",
    "notificationsEnabled": True,
    "emailNotifications": True,
    "collaborationNotifications": True,
}

NASTY = ["'; DROP TABLE users; --", "' OR '1'='1", "\\", "%s %(x)s {0} $1", "<script>", "../.."]


async def test_you_see_your_whole_account_and_no_secret(rest: Rest) -> None:
    anna = await rest.person("anna")
    found = (await anna("GET", ME)).json()
    assert found == (await anna("GET", "/api/auth/me")).json()["user"]
    assert found.keys() == {
        "id",
        "email",
        "emailVerified",
        "username",
        "displayName",
        "avatarUrl",
        "bio",
        "isAdmin",
        "lastLoginAt",
        "createdAt",
    }
    assert found["lastLoginAt"].endswith("Z")
    assert (found["displayName"], found["avatarUrl"], found["bio"]) == ("", None, "")


async def test_a_change_keeps_what_it_does_not_name(rest: Rest) -> None:
    anna = await rest.person("anna")
    picture = "https://pictures.example/anna.png?size=2"
    first = await anna("PUT", ME, json={"displayName": "  Anna É. ", "avatarUrl": picture})
    assert first.status_code == 200
    second = (await anna("PUT", ME, json={"bio": "Night\nmusic"})).json()
    assert second["displayName"] == "Anna É."
    assert second["avatarUrl"] == picture
    assert second["bio"] == "Night\nmusic"
    assert (await anna("GET", ME)).json() == second
    bare = (await anna("PUT", ME, json={"avatarUrl": None, "displayName": ""})).json()
    assert (bare["avatarUrl"], bare["displayName"], bare["bio"]) == (None, "", "Night\nmusic")


async def test_a_name_is_changed_and_free_for_others(rest: Rest) -> None:
    anna, bert = await rest.person("anna"), await rest.person("bert")
    for name in ("Bert", "\uff42\uff45\uff52\uff54", " BERT "):
        refused(await anna("PUT", ME, json={"username": name}), 409, "username_taken")
    assert (await anna("PUT", ME, json={"username": "Anna.2"})).json()["username"] == "Anna.2"
    assert (await bert("PUT", ME, json={"username": "anna"})).status_code == 200
    assert (await anna("GET", ME)).json()["username"] == "Anna.2"


async def test_of_many_who_want_one_name_at_once_one_gets_it(rest: Rest) -> None:
    people = [await rest.person() for _ in range(5)]
    answers: list[int] = []

    async def rename(number: int) -> None:
        answer = await people[number]("PUT", ME, json={"username": "wanted"})
        answers.append(answer.status_code)

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(rename, number)
    assert sorted(answers) == [200] + [409] * 4


@pytest.mark.parametrize(
    ("body", "code", "path"),
    [
        ({"username": "an\u0430"}, "username_invalid", "$.username"),  # Cyrillic at its end
        ({"username": "\u0391nna"}, "username_invalid", "$.username"),  # a Greek capital
        ({"username": "anna\u200d"}, "username_invalid", "$.username"),
        ({"username": "a" * 100_000}, "username_invalid", "$.username"),
        ({"username": "anna\x00"}, "validation_failed", "$.username"),
        ({"username": None}, "validation_failed", "$.username"),
        ({"displayName": "x" * 101}, "validation_failed", "$.displayName"),
        ({"displayName": "a\u202eb"}, "validation_failed", "$.displayName"),
        ({"displayName": None}, "validation_failed", "$.displayName"),
        ({"bio": "x" * 2001}, "validation_failed", "$.bio"),
        ({"bio": "a\x00b"}, "validation_failed", "$.bio"),
        ({"avatarUrl": ""}, "validation_failed", "$.avatarUrl"),
        ({"avatarUrl": "http://pictures.example/a"}, "validation_failed", "$.avatarUrl"),
        ({"avatarUrl": "javascript:alert(1)"}, "validation_failed", "$.avatarUrl"),
        ({"avatarUrl": "https://"}, "validation_failed", "$.avatarUrl"),
        ({"avatarUrl": "https://[::1"}, "validation_failed", "$.avatarUrl"),
        ({"avatarUrl": "https://a.example:x/"}, "validation_failed", "$.avatarUrl"),
        ({"avatarUrl": "https://anna:secret@a.example/"}, "validation_failed", "$.avatarUrl"),
        ({"avatarUrl": 'https://a.example/"onerror='}, "validation_failed", "$.avatarUrl"),
        ({"avatarUrl": "https://a.example/\n"}, "validation_failed", "$.avatarUrl"),
        ({"avatarUrl": "https://a.example/" + "x" * 2000}, "validation_failed", "$.avatarUrl"),
        ({"isAdmin": True}, "validation_failed", "$"),
        ({"email": "bert@example.com"}, "validation_failed", "$"),
        ({"emailVerified": True}, "validation_failed", "$"),
        ({"id": "x"}, "validation_failed", "$"),
    ],
)
async def test_a_wrong_profile_is_refused_where_it_is_wrong(
    rest: Rest, body: dict[str, object], code: str, path: str
) -> None:
    anna = await rest.person("anna")
    before = (await anna("GET", ME)).json()
    assert refused(await anna("PUT", ME, json=body), 422, code)["path"] == path
    assert (await anna("GET", ME)).json() == before


@pytest.mark.parametrize("text", NASTY)
async def test_what_looks_like_sql_is_text(rest: Rest, text: str) -> None:
    anna = await rest.person("anna")
    changed = await anna("PUT", ME, json={"displayName": text, "bio": text})
    assert (changed.json()["displayName"], changed.json()["bio"]) == (text, text)
    refused(await anna("PUT", ME, json={"username": text}), 422, "username_invalid")
    chosen = await anna("PUT", PREFERENCES, json={"defaultFlavor": text})
    assert chosen.json()["defaultFlavor"] == text
    assert (await anna("GET", PREFERENCES)).json()["defaultFlavor"] == text


async def test_preferences_begin_with_defaults_and_keep_what_was_chosen(rest: Rest) -> None:
    anna = await rest.person("anna")
    assert (await anna("GET", PREFERENCES)).json() == DEFAULTS
    chosen = {"defaultTempo": 174, "theme": "dark", "language": "pt-BR", "useGlassUI": False}
    assert (await anna("PUT", PREFERENCES, json=chosen)).json() == DEFAULTS | chosen
    more = {"defaultVolume": 0, "defaultFlavor": " dorian ", "theme": "light"}
    kept = DEFAULTS | chosen | more | {"defaultFlavor": "dorian"}
    assert (await anna("PUT", PREFERENCES, json=more)).json() == kept
    assert (await anna("PUT", PREFERENCES, json={})).json() == kept
    assert (await anna("GET", PREFERENCES)).json() == kept


async def test_choices_that_are_made_at_once_are_all_kept(rest: Rest) -> None:
    anna = await rest.person("anna")
    chosen: dict[str, object] = {
        "defaultTempo": 90.5,
        "autoPlay": True,
        "theme": "dark",
        "language": "de",
    }
    async with anyio.create_task_group() as group:
        for name, value in chosen.items():
            group.start_soon(_choose, anna, name, value)
    assert (await anna("GET", PREFERENCES)).json() == DEFAULTS | chosen


async def _choose(anna: Person, name: str, value: object) -> None:
    assert (await anna("PUT", PREFERENCES, json={name: value})).status_code == 200


async def test_only_what_was_chosen_is_stored(rest: Rest) -> None:
    anna = await rest.person("anna")
    await anna("PUT", PREFERENCES, json={"useGlassUI": False, "defaultTempo": 99})
    async with rest.services.database.connection() as tx:
        row = await (await tx.execute("SELECT chosen FROM user_preferences")).fetchone()
    assert row == ({"use_glass_ui": False, "default_tempo": 99},)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"defaultTempo": 19.9}, "$.defaultTempo"),
        ({"defaultTempo": 999.1}, "$.defaultTempo"),
        ({"defaultTempo": "120"}, "$.defaultTempo"),
        ({"defaultTempo": None}, "$.defaultTempo"),
        ({"defaultKeyNote": 12}, "$.defaultKeyNote"),
        ({"defaultKeyNote": 1.5}, "$.defaultKeyNote"),
        ({"defaultVolume": -0.1}, "$.defaultVolume"),
        ({"defaultFlavor": "x" * 51}, "$.defaultFlavor"),
        ({"theme": "pink"}, "$.theme"),
        ({"language": "e"}, "$.language"),
        ({"language": "en\n"}, "$.language"),
        ({"language": "en_US"}, "$.language"),
        ({"language": "en" + "-abcdefgh" * 4}, "$.language"),
        ({"autoPlay": 1}, "$.autoPlay"),
        ({"use_glass_ui": True}, "$"),
        ({"unknown": 1}, "$"),
    ],
)
async def test_a_wrong_preference_is_refused_where_it_is_wrong(
    rest: Rest, body: dict[str, object], path: str
) -> None:
    anna = await rest.person("anna")
    answer = await anna("PUT", PREFERENCES, json=body)
    assert refused(answer, 422, "validation_failed")["path"] == path
    assert (await anna("GET", PREFERENCES)).json() == DEFAULTS


async def test_a_choice_that_there_is_no_more_does_no_harm(rest: Rest) -> None:
    anna = await rest.person("anna")
    await anna("PUT", PREFERENCES, json={"theme": "dark"})
    async with rest.services.database.connection() as tx:
        await tx.execute("""UPDATE user_preferences SET chosen = chosen || '{"gone": 1}'""")
    assert (await anna("GET", PREFERENCES)).json() == DEFAULTS | {"theme": "dark"}


async def test_in_one_persons_name_nobody_elses_account_is_there(rest: Rest) -> None:
    anna, bert = await rest.person("anna"), await rest.person("bert")
    await bert("PUT", PREFERENCES, json={"theme": "dark"})
    before = (await bert("GET", ME)).json()
    thief, victim = _id(anna.user), _id(bert.user)
    database = rest.services.database
    async with database.acting(thief) as tx:
        assert await profiles.preferences(tx, victim) == {}
    with pytest.raises(SessionEnded):
        async with database.acting(thief) as tx:
            await profiles.change(tx, victim, bio="stolen", now=clock.now())
    with pytest.raises(Exception, match="row-level security"):
        async with database.acting(thief) as tx:
            await profiles.choose(tx, victim, {"theme": "light"}, clock.now())
    assert (await bert("GET", ME)).json() == before
    assert (await bert("GET", PREFERENCES)).json()["theme"] == "dark"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_without_signing_in_there_is_no_me(rest: Rest, method: str) -> None:
    answer = await rest.client.request(method, ME, json={})
    refused(answer, 401, "token_missing")


def _id(user: dict[str, str]) -> UUID:
    return UUID(user["id"])
