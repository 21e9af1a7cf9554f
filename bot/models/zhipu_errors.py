"""What GLM's errors mean, and whether they cost anything. Its codes decide, never the status: "no money" is HTTP 429."""

from __future__ import annotations

import json
from collections.abc import Mapping

import aiohttp
from zhipuai import (  # type: ignore[import-untyped]  # the SDK ships no types
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    ZhipuAIError,
)

from bot.errors import ModelError, Trouble
from bot.models.vendor import MALFORMED, by_status, retry_after, told

# docs.bigmodel.cn's table of codes (2026) with its older ones.
TROUBLES: Mapping[str, Trouble] = {
    **dict.fromkeys(("1113",), Trouble.NO_MONEY),
    **dict.fromkeys(("1309",), Trouble.NO_MONEY),  # the coding plan ended
    **dict.fromkeys(("1000", "1001", "1002", "1003", "1004", "1005"), Trouble.BAD_KEY),
    **dict.fromkeys(("1110", "1111", "1112", "1121"), Trouble.BAD_KEY),  # the account is inactive, unknown, locked
    **dict.fromkeys(("1302", "1303"), Trouble.BUSY),
    **dict.fromkeys(("1305", "1312"), Trouble.OVERLOADED),
    **dict.fromkeys(("1304", "1308", "1310", "1313", "1314", "1315"), Trouble.QUOTA),
    **dict.fromkeys(("1301",), Trouble.REFUSED),
    **dict.fromkeys(("1261",), Trouble.TOO_LONG),
    **dict.fromkeys(
        ("1211", "1220", "1221", "1222", "1311"), Trouble.NO_MODEL
    ),  # unknown, not allowed, gone, not in the plan
    **dict.fromkeys(("1210", "1212", "1213", "1214", "1215"), Trouble.BAD_REQUEST),
    **dict.fromkeys(("500", "1120", "1200", "1230", "1234"), Trouble.FAULT),
}
RAISED = (ZhipuAIError, aiohttp.ClientError, OSError, *MALFORMED)  # by a call of the SDK, or by reading its answer
FAILED = "FAIL"  # the code of a task that the vendor gave up: what its own `task_status` says


def translated(error: Exception, model: str) -> ModelError:
    """One of `RAISED`. `unbilled`: a refusal with HTTP 4xx, or for want of servers, came before any work; one inside a stream,
    an inner error or a connection that broke may have come after it."""
    if isinstance(error, APIStatusError):
        response = error.response
        code, message, found = _read(_json(response.text))
        status = response.status_code
        refused = ModelError(
            TROUBLES.get(code) or by_status(status),
            vendor="glm",
            model=model,
            status=status,
            code=code,
            request_id=found or response.headers.get("x-request-id", "") or response.headers.get("x-log-id", ""),
            vendor_message=message or response.text[:500],
            retry_after=retry_after(response.headers),
        )
        refused.unbilled = (400 <= status < 500 and status != 408) or status == 503
        return refused
    if isinstance(error, APIConnectionError):  # also its APITimeoutError: no connection, so nothing was asked
        why = str(error.__cause__ or error)
        away = ModelError(Trouble.UNREACHABLE, vendor="glm", model=model, vendor_message=why)
        away.unbilled = True
        return away
    if isinstance(error, APIResponseError):
        code, message, found = _read({"error": error.json_data})
        trouble = TROUBLES.get(code, Trouble.CUT)
        return ModelError(
            trouble,
            vendor="glm",
            model=model,
            status=200,
            code=code,
            request_id=found,
            vendor_message=message,
        )
    return ModelError(Trouble.CUT, vendor="glm", model=model, vendor_message=told(error))


def unsent(model: str, why: str) -> ModelError:
    """What we do not even ask."""
    error = ModelError(Trouble.BAD_REQUEST, vendor="glm", model=model, vendor_message=why)
    error.unbilled = True
    return error


def empty(model: str, request_id: str, why: str) -> ModelError:
    """It answered, and what was ordered is not there: it may have been made, and be billed."""
    error = ModelError(Trouble.FAULT, vendor="glm", model=model, status=200, request_id=request_id, vendor_message=why)
    error.begun = True
    return error


def failed(model: str, request_id: str, reason: object) -> ModelError:
    """A task that ended without anything made: refused by the filter, or `FAILED`, which no further look changes. `reason` is
    the error that the vendor may have put beside it."""
    code, message, _ = _read({"error": reason})
    refused = TROUBLES.get(code) is Trouble.REFUSED
    error = ModelError(
        Trouble.REFUSED if refused else Trouble.FAULT,
        vendor="glm",
        model=model,
        status=200,
        code=code if refused else FAILED,
        request_id=request_id,
        vendor_message=f"{code} {message}".strip(),
    )
    error.begun = True
    error.unbilled = True  # it bills what it made
    return error


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _read(body: object) -> tuple[str, str, str]:
    """(code, message, request id) of `{"error": {"code", "message"}, "request_id"}`."""
    if not isinstance(body, dict):
        return "", "", ""
    error = body.get("error")
    if not isinstance(error, dict):
        return "", str(error or "")[:500], str(body.get("request_id") or "")
    found = body.get("request_id") or error.get("request_id") or ""
    return str(error.get("code") or ""), str(error.get("message") or "")[:500], str(found)
