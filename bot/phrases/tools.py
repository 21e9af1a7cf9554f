"""What people see while a built-in tool runs, by the tool's name."""

from collections.abc import Mapping

from bot.phrases.phrase import Phrase

NOTICES: Mapping[str, Phrase] = {
    "current_time": Phrase("looks at the clock", "查看时间"),
    "add_to_date": Phrase("looks at the calendar", "查看日历"),
    "days_between": Phrase("looks at the calendar", "查看日历"),
    "calculate": Phrase("calculates", "计算"),
    "get_weather": Phrase("looks up the weather", "查询天气"),
    "read_web_page": Phrase("reads a web page", "阅读网页"),
    "search_web": Phrase("searches the web", "搜索网络"),
}
