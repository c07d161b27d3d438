"""From an error to an HTTP answer: one table of statuses, one shape (RFC 9457).

A code that is not in the table belongs to the start of the server; should one ever come this way,
it is answered as `internal`. A test holds the table against every error class there is. Decides only; nothing is logged or sent here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response

from api.errors import Internal
from api.shapes.common import camel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from base.errors import AppError

MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[Mapping[str, int]] = {
    "malformed_json": 400,
    "malformed_request": 400,
    "malformed_update": 400,
    "poison_update": 400,
    "update_rejected": 400,
    "invalid_credentials": 401,
    "link_invalid": 401,
    "session_ended": 401,
    "token_expired": 401,
    "token_invalid": 401,
    "token_missing": 401,
    "token_reused": 401,
    "account_closed": 403,
    "account_disabled": 403,
    "branch_protected": 403,
    "csrf_failed": 403,
    "email_not_verified": 403,
    "not_allowed": 403,
    "oidc_refused": 403,
    "origin_not_allowed": 403,
    "password_wrong": 403,
    "session_needed": 403,
    "sign_in_again": 403,
    "branch_not_found": 404,
    "bundle_not_found": 404,
    "collaborator_not_found": 404,
    "commit_not_found": 404,
    "document_not_found": 404,
    "invitation_not_found": 404,
    "key_not_found": 404,
    "link_not_found": 404,
    "not_found": 404,
    "oidc_not_configured": 404,
    "project_not_found": 404,
    "session_not_found": 404,
    "tag_not_found": 404,
    "user_not_found": 404,
    "method_not_allowed": 405,
    "body_too_slow": 408,
    "already_collaborator": 409,
    "already_invited": 409,
    "branch_stays": 409,
    "branch_taken": 409,
    "branch_unmerged": 409,
    "branches_full": 409,
    "bundle_unwritable": 409,
    "collaborators_full": 409,
    "email_taken": 409,
    "keys_full": 409,
    "links_full": 409,
    "merge_into_itself": 409,
    "nothing_to_commit": 409,
    "oidc_already_linked": 409,
    "oidc_link_required": 409,
    "other_epoch": 409,
    "owner_stays": 409,
    "owner_unfit": 409,
    "password_not_set": 409,
    "provider_taken": 409,
    "tag_taken": 409,
    "too_many_bundles": 409,
    "too_many_tags": 409,
    "username_taken": 409,
    "too_long_ago": 410,
    "precondition_failed": 412,
    "body_too_large": 413,
    "bundle_too_large": 413,
    "document_too_large": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "branch_name_invalid": 422,
    "bundle_damaged": 422,
    "bundle_unknown": 422,
    "code_invalid": 422,
    "conflict_unknown": 422,
    "content_unreachable": 422,
    "cursor_invalid": 422,
    "document_too_deep": 422,
    "document_unreadable": 422,
    "email_invalid": 422,
    "oidc_email_missing": 422,
    "oidc_link_invalid": 422,
    "oidc_state_invalid": 422,
    "password_too_long": 422,
    "password_too_short": 422,
    "permissions_invalid": 422,
    "reset_invalid": 422,
    "tag_invalid": 422,
    "too_costly": 422,
    "username_invalid": 422,
    "validation_failed": 422,
    "too_many_attempts": 429,
    "too_many_broken_updates": 429,
    "too_many_pending": 429,
    "too_many_requests": 429,
    "internal": 500,
    "snapshot_damaged": 500,
    "oidc_failed": 502,
    "database_unavailable": 503,
    "not_ready": 503,
    "not_yet_durable": 503,
    "oidc_unavailable": 503,
    "redis_unavailable": 503,
    "room_unavailable": 503,
    "server_busy": 503,
}

RETRY_AFTER_SECONDS: Final = 2

_MEMBERS: Final = frozenset({"type", "title", "status", "detail", "code", "instance"})


def status(error: type[AppError] | AppError) -> int:
    """The HTTP status of an error."""
    return STATUS.get(error.code, 500)


def body(error: AppError) -> dict[str, object]:
    """The problem as a mapping; the error's data becomes members, never over the standard ones."""
    data = {camel(name): value for name, value in error.data.items()}
    return {name: value for name, value in data.items() if name not in _MEMBERS} | {
        "type": f"urn:syncsphere:problem:{error.code}",
        "title": type(error).message,
        "status": status(error),
        "detail": error.message,
        "code": error.code,
    }


def response(error: AppError) -> Response:
    """The whole answer. Internal details of an error outside the table do not leave the house."""
    if error.code not in STATUS:
        error = Internal()
    content = msgspec.json.encode(body(error))
    return Response(content, status(error), headers(error), MEDIA_TYPE)


def headers(error: AppError) -> dict[str, str]:
    """What HTTP wants beside the body for this status."""
    match status(error):
        case 401:
            return {"WWW-Authenticate": _challenge(error.code)}
        case 405:
            return {"Allow": ", ".join(_words(error.data.get("allow")))}
        case 416:
            return {"Content-Range": f"bytes */{error.data.get('bytes', '*')}"}
        case 429 | 503:
            # Whoever knows how long it takes, says so.
            seconds = error.data.get("retry_after_seconds", RETRY_AFTER_SECONDS)
            return {"Retry-After": str(seconds)}
        case _:
            return {}


def _challenge(code: str) -> str:
    # RFC 6750, 3.1: no error code when no token was sent.
    if code in {"token_missing", "invalid_credentials"}:
        return 'Bearer realm="SyncSphere"'
    return 'Bearer realm="SyncSphere", error="invalid_token"'


def _words(value: object) -> list[str]:
    return [str(word) for word in value] if isinstance(value, list | tuple) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] (data is any JSON)
