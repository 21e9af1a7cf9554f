"""Every documented error of the vendors: business code, HTTP status, wording. Data only.

GLM: the table of docs.bigmodel.cn (2026) with its older codes; DashScope: help.aliyun.com's error page. The codes
decide, never the status: GLM says "no money" with 429, DashScope with 400.
"""

from collections.abc import Mapping
from typing import NamedTuple

from bot.simulator.words import Refusal


class Stock(NamedTuple):
    """A documented error as the vendor words it; `{}` stands for the field, model or API in question."""

    status: int
    message: str


GLM: Mapping[str, Stock] = {
    "500": Stock(500, "内部错误。"),
    "1000": Stock(401, "身份验证失败。"),
    "1001": Stock(401, "Header 中未收到 Authentication 参数，无法进行身份验证。"),
    "1002": Stock(401, "Authentication Token 非法，请确认 Authentication Token 正确传递。"),
    "1003": Stock(401, "Authentication Token 已过期，请重新生成/获取。"),
    "1004": Stock(401, "通过提供的 Authentication Token 的验证失败。"),
    "1005": Stock(401, "账户需要完成双重身份验证。"),
    "1110": Stock(429, "您的账户当前处于非活动状态。请检查账户信息。"),
    "1111": Stock(429, "您的账户不存在。"),
    "1112": Stock(429, "您的账户已被锁定，请联系客服解锁。"),
    "1113": Stock(429, "余额不足或无可用资源包,请充值。"),
    "1120": Stock(429, "无法成功访问您的账户，请稍后重试。"),
    "1121": Stock(429, "账户因存在违规行为，已被锁定。"),
    "1200": Stock(500, "API 调用失败。"),
    "1210": Stock(400, "API 调用参数有误，请检查文档。"),
    "1211": Stock(400, "模型不存在，请检查模型代码。"),
    "1212": Stock(400, "当前模型不支持{}调用方式。"),
    "1213": Stock(400, "未正常接收到{}参数。"),
    "1214": Stock(400, "{} 参数非法。请检查文档。"),
    "1215": Stock(400, "{} 不能同时设置，请检查文档。"),
    "1220": Stock(403, "您无权访问 {}。"),
    "1221": Stock(400, "API {} 已下线。"),
    "1222": Stock(400, "API {} 不存在。"),
    "1230": Stock(500, "API 调用流程出错。"),
    "1234": Stock(500, "网络错误，错误id：20261122093941{}，请联系客服。"),
    "1261": Stock(400, "Prompt 超长。"),
    "1301": Stock(
        400, "系统检测到输入或生成内容可能包含不安全或敏感内容，请您避免输入易产生敏感内容的提示语，感谢您的配合。"
    ),
    "1302": Stock(429, "您的账户已达到速率限制，请您控制请求频率。"),
    "1303": Stock(429, "您当前使用该 API 的频率过高，请降低频率，或联系客服增加限额。"),
    "1304": Stock(429, "该 API 已达今日调用次数限额，如有更多需求，请联系客服购买。"),
    "1305": Stock(429, "该模型当前访问量过大，请您稍后再试。"),
    "1308": Stock(429, "已达到 5 小时的使用上限。您的限额将在 2026-11-22 15:00:00 重置。"),
    "1309": Stock(429, "您的 GLM Coding Plan 套餐已到期，暂无法使用。"),
    "1310": Stock(429, "已达到每周/每月使用上限。您的限额将在 2026-12-01 00:00:00 重置。"),
    "1311": Stock(429, "当前订阅套餐暂未开放 {} 权限。"),
    "1312": Stock(429, "该模型当前访问量过大，请您尝试其他模型。"),
    "1313": Stock(429, "您的账户当前使用模式不符合公平使用策略，请求频率已受限。"),
    "1314": Stock(429, "企业套餐额度已用尽。"),
    "1315": Stock(429, "企业套餐密钥额度已用尽。"),
}

DASHSCOPE: Mapping[str, Stock] = {
    "InvalidParameter": Stock(400, "Required parameter(s) missing or invalid, please check the request parameters."),
    "InvalidURL": Stock(400, "Required URL is missing or invalid, please check the request URL."),
    "InvalidFile.Size": Stock(400, "The file size is not supported."),
    "UnsupportedOperation": Stock(400, "Failed to cancel the task, please confirm if the task is in PENDING status."),
    "DataInspectionFailed": Stock(400, "Input data may contain inappropriate content."),
    "Arrearage": Stock(400, "Access denied, please make sure your account is in good standing."),
    "APIConnectionError": Stock(400, "Connection error."),
    "InvalidApiKey": Stock(401, "Invalid API-key provided."),
    "AccessDenied": Stock(403, "Access denied."),
    "AccessDenied.Unpurchased": Stock(
        403, "Access to model denied. Please make sure you are eligible for using the model."
    ),
    "Model.AccessDenied": Stock(403, "Model access denied."),
    "AllocationQuota.FreeTierOnly": Stock(
        403,
        "The free tier of the model has been exhausted. If you wish to continue access the model on a paid basis, "
        'please disable the "use free tier only" mode in the management console.',
    ),
    "ModelNotFound": Stock(404, "Model can not be found."),
    "Model.NotExist": Stock(404, "Model not exist."),
    "WorkSpaceNotFound": Stock(404, "WorkSpace can not be found."),
    "Conflict": Stock(409, "Model instance already exists, please update model instance or delete it first."),
    "RequestEntityTooLarge": Stock(413, "Request Entity Too Large"),
    "Throttling": Stock(429, "Requests throttling triggered."),
    "Throttling.RateQuota": Stock(429, "Requests rate limit exceeded, please try again later."),
    "Throttling.BurstRate": Stock(
        429,
        "Request rate increased too quickly. To ensure system stability, please adjust your client logic to scale "
        "requests more smoothly over time.",
    ),
    "Throttling.AllocationQuota": Stock(429, "Allocated quota exceeded, please increase your quota limit."),
    "LimitRequests": Stock(429, "You exceeded your current requests list."),
    "CommodityNotPurchased": Stock(429, "Commodity has not purchased yet."),
    "PrepaidBillOverdue": Stock(429, "The prepaid bill is overdue."),
    "PostpaidBillOverdue": Stock(429, "The postpaid bill is overdue."),
    "InternalError": Stock(500, "An internal error has occured, please try again later or contact service support."),
    "InternalError.Algo": Stock(500, "inference internal error."),
    "InternalError.Timeout": Stock(
        500, "An internal timeout error has occured during execution, please try again later."
    ),
    "SystemError": Stock(500, "An system error has occured, please try again later."),
    "ResponseTimeout": Stock(500, "Response time out!"),
    "RequestTimeOut": Stock(500, "Request timed out, please try again later."),
    "ModelServingError": Stock(
        503, "Too many requests. Your requests are being throttled due to system capacity limits."
    ),
    "ServiceUnavailable": Stock(503, "Service unavailable, please try again later."),
}

OPENAI: Mapping[str, Stock] = {
    "invalid_request_error": Stock(400, "Invalid request."),
    "context_length_exceeded": Stock(400, "This model's maximum context length is {} tokens."),
    "content_filter": Stock(400, "The response was filtered due to the prompt triggering a content management policy."),
    "invalid_api_key": Stock(401, "Incorrect API key provided."),
    "insufficient_balance": Stock(402, "Insufficient Balance"),
    "model_not_found": Stock(404, "The model `{}` does not exist or you do not have access to it."),
    "insufficient_quota": Stock(429, "You exceeded your current quota, please check your plan and billing details."),
    "rate_limit_exceeded": Stock(429, "Rate limit reached for requests."),
    "server_error": Stock(500, "The server had an error while processing your request."),
    "overloaded": Stock(503, "The server is overloaded, please try again later."),
}

TABLES: Mapping[str, Mapping[str, Stock]] = {"glm": GLM, "dashscope": DASHSCOPE, "openai": OPENAI}


def refusal(vendor: str, code: str, about: str = "", *, message: str = "", status: int = 0) -> Refusal:
    """A vendor's error with its documented status and wording, unless others are given.

    `about` fills the wording's gap. An undocumented code needs both a `status` and a `message`.
    """
    stock = TABLES[vendor].get(code)
    if stock is None:
        if not (status and message):
            raise ValueError(f"{vendor} documents no error {code!r}: give its status and message")
        return Refusal(code, message, status)
    return Refusal(code, message or stock.message.replace("{}", about), status or stock.status)
