"""What can be wrong with a request before anybody below the door has seen it."""

from __future__ import annotations

from base.errors import AppError


class NotFound(AppError):
    """There is nothing at this address."""

    code = "not_found"


class MethodNotAllowed(AppError):
    """The address exists, but does not answer this method."""

    code = "method_not_allowed"


class UnsupportedMediaType(AppError):
    """The body has a content type that this address does not read."""

    code = "unsupported_media_type"


class MalformedJson(AppError):
    """The body is not valid JSON in UTF-8."""

    code = "malformed_json"


class MalformedRequest(AppError):
    """The request is not well-formed."""

    code = "malformed_request"


class ValidationFailed(AppError):
    """The request does not have the shape that is documented for it."""

    code = "validation_failed"


class BodyTooLarge(AppError):
    """The body is larger than this server reads here."""

    code = "body_too_large"


class BodyTooSlow(AppError):
    """The body took too long to arrive; send it again, at once."""

    code = "body_too_slow"


class NotYetDurable(AppError):
    """The update was applied, but is not yet stored safely; send it again to be sure."""

    code = "not_yet_durable"


class PreconditionFailed(AppError):
    """It is not, or not any more, what the request says in If-Match."""

    code = "precondition_failed"


class RangeNotSatisfiable(AppError):
    """There is nothing in the part that was asked for."""

    code = "range_not_satisfiable"


class OriginNotAllowed(AppError):
    """Pages of this origin may not change anything here."""

    code = "origin_not_allowed"


class NotReady(AppError):
    """The server is up, but something that it needs is not."""

    code = "not_ready"


class Internal(AppError):
    """Something went wrong on our side; the operator finds it in the log under this id."""

    code = "internal"
