"""What DashScope's errors mean, and whether they cost anything. Its codes decide, never the status: "no money" is HTTP 400."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import aiohttp

from bot.errors import ModelError, Trouble
from bot.models.vendor import by_status, retry_after, told

# help.aliyun.com's error page. A longer code falls back on its first part.
TROUBLES: Mapping[str, Trouble] = {
    **dict.fromkeys(
        ("Arrearage", "CommodityNotPurchased", "PrepaidBillOverdue", "PostpaidBillOverdue"), Trouble.NO_MONEY
    ),
    **dict.fromkeys(
        ("InvalidApiKey", "invalid_api_key", "AccessDenied", "WorkSpaceNotFound", "Workspace"), Trouble.BAD_KEY
    ),
    **dict.fromkeys(("Throttling", "LimitRequests", "limit_requests"), Trouble.BUSY),
    **dict.fromkeys(("ModelServingError", "ServiceUnavailable", "ModelUnavailable"), Trouble.OVERLOADED),
    **dict.fromkeys(("AllocationQuota", "insufficient_quota"), Trouble.QUOTA),
    **dict.fromkeys(
        ("DataInspectionFailed", "data_inspection_failed", "InvalidParameter.DataInspection", "IPInfringementSuspect"),
        Trouble.REFUSED,
    ),
    **dict.fromkeys(("RequestEntityTooLarge",), Trouble.TOO_LONG),
    **dict.fromkeys(
        ("ModelNotFound", "model_not_found", "Model", "UnsupportedModel", "model_not_supported"), Trouble.NO_MODEL
    ),
    **dict.fromkeys(
        ("InvalidParameter", "InvalidURL", "InvalidFile", "BadRequest", "UnsupportedOperation"), Trouble.BAD_REQUEST
    ),
    **dict.fromkeys(
        ("InternalError", "SystemError", "ResponseTimeout", "RequestTimeOut", "APIConnectionError", "Conflict"),
        Trouble.FAULT,
    ),
}
# Codes that mean several things are told apart by their (English, documented) message.
_TOO_LONG = re.compile(r"range of input length|input (?:token )?length|maximum context", re.IGNORECASE)
_FREE_USED_UP = re.compile(r"free (?:allocated quota|tier)", re.IGNORECASE)
_REFUSED = re.compile(r"inappropriate content", re.IGNORECASE)


def trouble_of(code: str, message: str) -> Trouble | None:
    """None for a code that nobody knows. Tried whole first, then without its last parts: `InternalError.Algo.X`."""
    if _REFUSED.search(message):
        return Trouble.REFUSED
    if code.startswith("InvalidParameter") and _TOO_LONG.search(message):
        return Trouble.TOO_LONG
    if "AllocationQuota" in code and (_FREE_USED_UP.search(message) or "FreeTier" in code):
        return Trouble.QUOTA  # else it is the limit of tokens per minute
    while code:
        if code in TROUBLES:
            return TROUBLES[code]
        code = code.rpartition(".")[0]
    return None


def check(answer: Any, model: str) -> None:
    """Raises what a whole answer that says no means."""
    if answer.status_code != 200:
        raise refusal(answer, model)


def refusal(answer: Any, model: str, request_id: str = "") -> ModelError:
    """An answer that says no. A piece of broken JSON in a stream arrives as the code "Unknown" with HTTP 500."""
    code = str(answer["code"] or "")
    status = int(answer["status_code"])
    headers = answer["headers"] or {}
    found = str(answer["request_id"] or request_id)
    return refused(model, status, code, str(answer["message"] or ""), found, retry_after(headers))


def refused(model: str, status: int, code: str, message: str, request_id: str, wait: float | None = None) -> ModelError:
    """A refusal with HTTP 4xx, or for want of servers, came before any work: `unbilled`. An inner error or a timeout of theirs
    may have come after it."""
    error = ModelError(
        trouble_of(code, message) or by_status(status),
        vendor="qwen",
        model=model,
        status=status,
        code=code,
        request_id=request_id,
        vendor_message=message[:500],
        retry_after=wait,
    )
    error.unbilled = (400 <= status < 500 and status != 408) or status == 503
    return error


def unsent(model: str, why: str) -> ModelError:
    """What we do not even ask."""
    error = ModelError(Trouble.BAD_REQUEST, vendor="qwen", model=model, vendor_message=why)
    error.unbilled = True
    return error


def empty(model: str, request_id: str, why: str) -> ModelError:
    """It answered, and what was ordered is not there: it may have been made, and be billed."""
    error = ModelError(Trouble.FAULT, vendor="qwen", model=model, status=200, request_id=request_id, vendor_message=why)
    error.begun = True
    return error


def broken(error: Exception, model: str) -> ModelError:
    """What the SDK raises, nearly always aiohttp's own errors: no connection, or one that broke."""
    never = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.InvalidURL)
    trouble = Trouble.UNREACHABLE if never else Trouble.CUT
    found = ModelError(trouble, vendor="qwen", model=model, vendor_message=told(error))
    found.unbilled = never
    return found
