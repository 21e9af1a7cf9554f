"""What Magpie says in its own voice, in English and Chinese. No logic but choosing and filling in.

Here are the sentences that many rooms use; a feature with many of its own has a file beside this one: `phrases.jobs.CANCEL`.
"""

from __future__ import annotations

from bot.phrases import answering as answering
from bot.phrases import compare as compare
from bot.phrases import documents as documents
from bot.phrases import jobs as jobs
from bot.phrases import long_reading as long_reading
from bot.phrases import search as search
from bot.phrases import thinking as thinking
from bot.phrases import tools as tools
from bot.phrases import voice as voice
from bot.phrases.phrase import Language as Language
from bot.phrases.phrase import Phrase as Phrase

# Turn and delivery
OUR_FAULT = Phrase("Something went wrong on my side. Please try again.", "我这边出了点问题，请再试一次。")
STORAGE = Phrase(
    "My storage is in trouble; I keep trying. The owner has to look after it.",
    "我的存储出了问题，我会继续重试。需要管理员处理。",
)
UNREADABLE = Phrase(
    "I could not read that message. Please send it another way.", "我读不懂这条消息，请换一种方式发送。"
)
NO_PICTURE = Phrase(
    "I cannot open that as a picture. Send it as PNG, JPEG or WebP.",
    "这个文件不是我能打开的图片，请用 PNG、JPEG 或 WebP 格式发送。",
)
PICTURE_TOO_LARGE = Phrase(
    "That picture is too large ({width}×{height} pixels): I take at most 40 million pixels.",
    "图片太大了（{width}×{height} 像素）：最多 4000 万像素。",
)
TOO_LARGE = Phrase("That file is too large: I take at most {limit}.", "文件太大了：最多 {limit}。")
STOP = Phrase("Stop", "停止")
STOPPED = Phrase("stopped", "已停止")
NOTHING_RUNS = Phrase("Nothing is running.", "现在没有正在进行的回答。")
RESET = Phrase("A new conversation. I have forgotten the old one.", "新的对话开始了，之前的内容我已忘记。")
RESET_CLOSED = Phrase(
    "{reset} Messages that were still waiting and will not be answered: {count}.",
    "{reset}还在排队、将不再回答的消息：{count} 条。",
)
RESET_CANCELLED = Phrase(
    "{reset} Questions in the background (`/later`) that are cancelled: {count}.",
    "{reset}已取消的后台提问（`/later`）：{count} 个。",
)
THINKING = Phrase("thinking …", "正在思考……")
POISON = Phrase(
    "I tried to answer this several times and broke down each time. I leave it now; the owner can see it in the log.",
    "我多次尝试回答这条消息都失败了，现在先放下；管理员可以在日志里看到。",
)
CUT = Phrase("(the answer broke off here)", "（回答在此处中断）")
LENGTH = Phrase("(cut at the model's length limit)", "（已达到模型的长度上限）")

# Vendors, by errors.Trouble
TROUBLE: dict[str, Phrase] = {
    "no money": Phrase(
        "The account at the model's vendor has no money left. The owner has to top it up.",
        "模型服务商账户余额不足，需要管理员充值。",
    ),
    "bad key": Phrase(
        "The vendor does not accept my key. The owner has to check it.", "服务商不接受我的密钥，需要管理员检查。"
    ),
    "busy": Phrase("The vendor lets me ask no faster. Please try again in a minute.", "请求太频繁，请一分钟后再试。"),
    "overloaded": Phrase(
        "The model is overloaded at its vendor. Please try again in a few minutes, or choose another with /model.",
        "模型服务商目前过载，请几分钟后再试，或用 /model 换一个模型。",
    ),
    "quota": Phrase(
        "The vendor's quota for this model is used up. Choose another with /model, or wait until it opens again.",
        "这个模型的配额已用完。请用 /model 换一个模型，或等待配额恢复。",
    ),
    "refused": Phrase(
        "The vendor's content filter refused this. I leave the question out of our conversation.",
        "服务商的内容审核拒绝了这个请求，这个问题不会进入后续对话。",
    ),
    "too long": Phrase(
        "That is too long for this model. Shorten it, or /reset to begin anew.",
        "内容超出了模型的长度，请缩短，或用 /reset 重新开始。",
    ),
    "no such model": Phrase(
        "The vendor no longer knows this model. Choose another with /model.",
        "服务商已没有这个模型，请用 /model 换一个。",
    ),
    "bad request": Phrase(
        "The vendor did not accept the request. Try /retry, or another model with /model.",
        "服务商没有接受这个请求。请试试 /retry，或用 /model 换一个模型。",
    ),
    "fault": Phrase("The vendor's servers failed. Please try again.", "服务商的服务器出错了，请再试一次。"),
    "unreachable": Phrase("I cannot reach the vendor right now. Please try again.", "现在连不上服务商，请稍后再试。"),
    "silent": Phrase(
        "The model did not begin to answer in time. Please try again.", "模型没有及时开始回答，请再试一次。"
    ),
    "cut": Phrase("The answer broke off at the vendor. Please try again.", "回答在服务商处中断了，请再试一次。"),
}
BUDGET_SPENT = Phrase(
    "Today's budget is spent. It opens again at {opens}; free models go on working (see /model).",
    "今天的预算已用完，{opens} 重新开放；免费模型仍可使用（见 /model）。",
)
BUDGET_TOO_SMALL = Phrase(
    "This could cost more than the owner allows for a whole day. Choose a cheaper or a free model with /model.",
    "这可能超过管理员设定的每日预算。请用 /model 换一个更便宜或免费的模型。",
)

# Conversations and commands
RETRY = Phrase("Retry", "重试")
CONTINUE = Phrase("Continue", "继续")
TRY_OTHER = Phrase("Try {model}", "改用 {model}")
ANSWER_NOW = Phrase("Answer now", "现在回答")
AGAIN = Phrase("Again", "再画一张")
OTHER_MODEL = Phrase("Other model", "换个模型")
CONTINUE_PROMPT = Phrase("Continue exactly where you stopped.", "请从中断的地方继续。")
DOCUMENT_PROMPT = Phrase("Summarise this document.", "请概括这份文件。")
NOT_OPENED = Phrase("{name} was not read: {why}", "未读取 {name}：{why}")
TOO_MANY_DOCUMENTS = Phrase("I read the first {count} files only.", "我只读前 {count} 个文件。")
FILE_LOST = Phrase("I could not fetch the file. Please send it again.", "没能取到文件，请重新发送。")
PICTURE_PROMPT = Phrase("What is in this picture?", "这张图片里有什么？")
LATE = Phrase("While I was away you wrote: “{words}”", "我不在的时候你写道：“{words}”")
EMPTY_QUESTION = Phrase(
    "What would you like to know? Write your question in the same message; /help shows what else I can do.",
    "想问什么？请把问题写在同一条消息里；/help 列出其他功能。",
)
NO_ANSWER = Phrase("The model gave an empty answer. Please try again.", "模型给出了空的回答，请再试一次。")
NO_ROOM = Phrase(
    "The model used up its length before it said a word. Please try again, or another model with /model.",
    "模型还没开口就用完了长度。请再试一次，或用 /model 换一个模型。",
)
QUESTION_TOO_LONG = Phrase(
    "That is too long for {model}: about {tokens} tokens, and it takes {room}. Shorten it, or choose a model with a larger "
    "window (/model).",
    "内容太长：约 {tokens} 个 token，而 {model} 最多接受 {room} 个。请缩短，或用 /model 换一个窗口更大的模型。",
)
SHORTENED = Phrase(
    "Our conversation has become too long for this model: I leave out its older half.",
    "对话超出了模型的长度：我略去较早的一半。",
)
NO_MODEL = Phrase("No model is set up here for that.", "这里没有配置可用的模型。")
MODEL_GONE = Phrase(
    "{model} is no longer set up here; {other} answers. Choose with /model.",
    "这里已不再提供 {model}，改由 {other} 回答。可用 /model 选择。",
)
NO_VISION = Phrase(
    "{vendor} has no model here that sees pictures. Choose one that does with /model.",
    "{vendor} 在这里没有能看图片的模型。请用 /model 选择一个。",
)
PICTURE_LOST = Phrase("I could not fetch the picture. Please send it again.", "没能取到图片，请重新发送。")
TOO_MANY_PICTURES = Phrase("I look at the first {count} pictures only.", "我只看前 {count} 张图片。")
NOT_READ = Phrase("I cannot read this: {what}.", "我读不了：{what}。")
ONLY_TEXT_AND_PICTURES = Phrase(
    "I cannot read this: {what}. I take text, pictures, documents, and recordings in OGG, MP3, WAV or FLAC.",
    "我读不了：{what}。我能接收文字、图片、文档，以及 OGG、MP3、WAV、FLAC 格式的录音。",
)
KINDS: dict[str, Phrase] = {
    "image": Phrase("picture", "图片"),
    "file": Phrase("file", "文件"),
    "voice": Phrase("voice message", "语音消息"),
    "video": Phrase("video", "视频"),
    "other": Phrase("something else", "其他内容"),
}
BUTTON_OLD = Phrase("This button no longer works.", "这个按钮已失效。")
BUTTON_FOREIGN = Phrase("{name}, this button is for someone else.", "{name}，这个按钮是给别人用的。")
MOVED_ON = Phrase("The conversation has moved on since then.", "在那之后对话已经继续了。")
EDIT_TOO_OLD = Phrase(
    "That question is no longer the last one: editing it changes nothing. Reply to its answer to go on from there.",
    "这不是最后一个问题，修改它不会改变什么。回复它的答案可以从那里继续。",
)

# The page
WEB_WRONG_HOST = Phrase(
    "This address is not one of mine. If it is how the page is reached, set WEB_URL to it and start again.",
    "这个地址不在允许范围内。如果这就是页面的访问地址，请将 WEB_URL 设为它并重新启动。",
)
WEB_WRONG_ORIGIN = Phrase("This request came from another site: refused.", "请求来自其他站点，已拒绝。")
WEB_LOGIN_FIRST = Phrase("Please log in first.", "请先登录。")
WEB_WRONG_TOKEN = Phrase("That is not the token.", "令牌不正确。")
WEB_TOO_MANY_TRIES = Phrase("Too many wrong tokens. Try again in a minute.", "错误次数过多，请一分钟后再试。")
WEB_MALFORMED = Phrase(
    "The page sent something I do not understand. Reload it.", "页面发来的内容无法识别，请刷新页面。"
)
WEB_TEXT_TOO_LONG = Phrase("That message is too long.", "消息太长了。")
WEB_NO_PICTURE = Phrase("I take PNG, JPEG, GIF and WebP pictures.", "只支持 PNG、JPEG、GIF 和 WebP 图片。")
WEB_NOT_FOUND = Phrase("There is nothing here.", "这里什么也没有。")
START = Phrase(
    "Hello, I am Magpie. Write to me and I answer, with {model} at the moment; send me a picture and I look at it; "
    "`/image a red fox in snow` draws one. I remember our conversation until you /reset it. /help lists the rest.",
    "你好，我是喜鹊。直接给我发消息就行，现在由 {model} 回答；可以发图片给我看；"
    "`/image 雪地里的红狐狸` 可以画图。我会记得我们的对话，直到你 /reset。/help 列出其余功能。",
)
SIMULATED = Phrase(
    "*No model is set up here: the built-in simulator answers. The owner turns on real models with `ZHIPUAI_API_KEY` or "
    "`DASHSCOPE_API_KEY`.*",
    "*这里没有配置模型，由内置模拟器回答。管理员可以用 `ZHIPUAI_API_KEY` 或 `DASHSCOPE_API_KEY` 开启真实模型。*",
)
SIMULATED_PICTURE = Phrase("(drawn by the built-in simulator)", "（由内置模拟器绘制）")
HELP = Phrase(
    "Write to me, or send a picture with a question. In a group, mention me or reply to me. Edit your last question to ask it "
    "anew; reply to an older answer to go on from there. Commands:",
    "直接给我发消息，或者发图片并附上问题。在群里请 @我 或回复我。修改最后一个问题会重新回答；"
    "回复较早的答案可以从那里继续。命令：",
)
HELP_START = Phrase("what I am", "我是谁")
HELP_HELP = Phrase("what I can do", "我能做什么")
HELP_RESET = Phrase("begin a new conversation", "开始新的对话")
HELP_MODEL = Phrase("show or choose the model of this chat", "查看或选择本聊天的模型")
HELP_ASK = Phrase("ask without the conversation", "单独提问，不带上下文")
HELP_SYSTEM = Phrase("this chat's instructions; “off” clears them", "本聊天的指令；输入 off 可清除")
HELP_RETRY = Phrase("answer the last question again", "重新回答上一个问题")
HELP_UNDO = Phrase("take back the last question and its answer", "撤回上一个问题和回答")
HELP_STOP = Phrase(
    "stop the answer to you; where none runs, cancel your latest task", "停止正在给你的回答；没有时取消你最近的任务"
)
HELP_INFO = Phrase("model, tokens, time and cost of the last answer", "上一个回答的模型、用量、耗时和费用")
ARG_MODEL = Phrase("[name]", "[名称]")
ARG_ASK = Phrase("question", "问题")
ARG_PICTURE = Phrase("picture", "图片")
ARG_FILE = Phrase("file", "文件")
ARG_SYSTEM = Phrase("[text]", "[内容]")
UNKNOWN_COMMAND = Phrase("I know no /{name}. /help lists what there is.", "没有 /{name} 这个命令。/help 列出所有命令。")
UNKNOWN_COMMAND_NEAR = Phrase(
    "I know no /{name}. Did you mean {nearest}? /help lists what there is.",
    "没有 /{name} 这个命令。你是想用 {nearest} 吗？/help 列出所有命令。",
)
SEND_ANEW = Phrase("Please send that command as a new message.", "请把这个命令作为新消息发送。")
ASK_WHAT = Phrase(
    "Write the question behind it: `/ask why is the sky blue?`", "请在命令后写上问题：`/ask 天为什么是蓝的？`"
)
SYSTEM_NONE = Phrase(
    "This chat has no instructions of its own. `/system Answer like a pirate` sets some.",
    "本聊天没有专门的指令。用 `/system 请用文言文回答` 来设置。",
)
SYSTEM_SHOWN = Phrase(
    "This chat's instructions (`/system off` clears them):\n\n{text}", "本聊天的指令（`/system off` 清除）：\n\n{text}"
)
SYSTEM_SET = Phrase("Noted: from the next answer on.", "记下了，从下一个回答开始生效。")
SYSTEM_CLEARED = Phrase("This chat's instructions are cleared.", "本聊天的指令已清除。")
SYSTEM_TOO_LONG = Phrase("That is too long: at most {limit} characters.", "太长了：最多 {limit} 个字符。")
NOTHING_TO_RETRY = Phrase("There is no question to answer again.", "没有可以重新回答的问题。")
NOTHING_TO_UNDO = Phrase("There is nothing to take back.", "没有可以撤回的内容。")
UNDONE = Phrase("Taken back, with its answer: “{words}”", "已撤回这个问题和它的回答：“{words}”")
DRAWING = Phrase("drawing with {model} …", "正在用 {model} 画图……")
DRAW_WITH = Phrase("Draw it with:", "用哪个模型画：")
SIZE_LIST = Phrase("{model} cannot draw {size}. It draws: {sizes}", "{model} 画不了 {size}。可选尺寸：{sizes}")
SIZE_RULE = Phrase(
    "{model} cannot draw {size}. Each side takes {low} to {high} px in steps of {step}, {most} px in all at most; "
    "for example: {sizes}",
    "{model} 画不了 {size}。每边 {low} 到 {high} 像素，须为 {step} 的倍数，总像素最多 {most}；例如：{sizes}",
)
VENDORS: dict[str, str] = {"glm": "GLM (Zhipu AI)", "qwen": "Qwen (Alibaba Cloud)", "openai": "OpenAI-compatible"}
SEES = Phrase("sees pictures", "能看图片")
THINKS = Phrase("always thinks first", "总是先思考")
FREE = Phrase("free", "免费")
PRICE_TOKENS = Phrase("¥{read} in, ¥{written} out per million tokens", "每百万 token 输入 ¥{read}、输出 ¥{written}")
MODEL_LIST = Phrase(
    "This chat uses `{model}`. `/model name` chooses another; `/model glm` and `/model qwen` mean each vendor's default. "
    "The figures: context, and price in / out per million tokens.",
    "本聊天使用 `{model}`。用 `/model 名称` 选择；`/model glm` 和 `/model qwen` 表示各家的默认模型。"
    "数字依次为上下文长度和每百万 token 的输入 / 输出价格。",
)
COMMA = Phrase(", ", "，")
COLON = Phrase(": ", "：")
MODEL_CHOSEN = Phrase("This chat now uses `{model}` ({price}).", "本聊天现在使用 `{model}`（{price}）。")
MODEL_UNKNOWN = Phrase("I know no model “{model}”. /model lists them.", "没有叫“{model}”的模型。/model 列出所有模型。")
MODEL_UNKNOWN_NEAR = Phrase("I know no model “{model}”. Did you mean:", "没有叫“{model}”的模型。你是想用：")
MODEL_NEEDS_KEY = Phrase(
    "“{model}” needs a key of its vendor: set `{variable}` and start me again.",
    "“{model}”需要它的服务商的密钥：请设置 `{variable}` 并重新启动。",
)
MODEL_NOT_HERE = Phrase(
    "“{model}” is not set up here. /model lists what is.", "这里没有配置“{model}”。/model 列出可用的模型。"
)
INFO_NONE = Phrase("No model has answered in this chat yet.", "本聊天还没有模型回答过。")
INFO_FAILED = Phrase(
    "The call failed; the sentence under the question says how.", "调用失败；问题下面的那句话说明了原因。"
)
INFO_MODEL = Phrase("Model", "模型")
INFO_REQUEST = Phrase("Vendor's request id", "服务商请求编号")
INFO_STATUS = Phrase("HTTP status and code", "HTTP 状态和代码")
INFO_FINISH = Phrase("Finish reason", "结束原因")
INFO_TOKENS = Phrase("Tokens", "用量")
INFO_COUNTS = Phrase(
    "{prompt} in ({cached} cached), {completion} out", "输入 {prompt}（缓存 {cached}），输出 {completion}"
)
INFO_PICTURES = Phrase("Pictures", "图片")
INFO_TIMES = Phrase("Time", "耗时")
INFO_SECONDS = Phrase("{first} s to the first text, {seconds} s in all", "首字 {first} 秒，共 {seconds} 秒")
INFO_COST = Phrase("Cost", "费用")
INFO_VENDOR = Phrase("The vendor says", "服务商的原话")
INFO_MEANS = Phrase("That means", "含义")

# Waiting for a vendor
VENDOR_BUSY = Phrase("the model is busy, trying again in {seconds} s …", "模型繁忙，{seconds} 秒后重试……")
QUEUED = Phrase("you are number {place} in the queue for {model} …", "正在排队等待 {model}，您是第 {place} 位……")
VENDOR_FAILED = Phrase("the vendor failed, trying again in {seconds} s …", "服务商出错，{seconds} 秒后重试……")

# Strangers
STRANGER = Phrase(
    "I answer only people whom my owner has let in. To be let in, give the owner your id: {id}",
    "我只回答管理员允许的人。如需使用，请把你的 ID 发给管理员：{id}",
)

# Discord
DISCORD_STOPPED = Phrase("Stopped.", "已停止。")
DISCORD_REFUSED = Phrase(
    "I cannot take that right now, and will not come back to it. Please try again in a minute.",
    "我现在无法处理这个请求，之后也不会补办。请一分钟后再试。",
)

# Alarms, by alarms.Cause; `about` is a vendor or a platform
ALARM: dict[str, Phrase] = {
    "no money": Phrase(
        "{about}: the account has no money left, so its paid models do not answer. Top it up at the vendor; nothing has to be "
        "restarted.",
        "{about}：账户余额不足，付费模型无法回答。请到服务商处充值，无需重启。",
    ),
    "bad key": Phrase(
        "{about} does not accept my key, so its models do not answer. Make a new one at the vendor, write it into the settings "
        "and start me again; `magpie doctor` checks it.",
        "{about} 不接受我的密钥，它的模型无法回答。请到服务商处新建密钥，写入设置并重新启动；可用 `magpie doctor` 检查。",
    ),
    "revoked token": Phrase(
        "{about} does not accept my token, so I am off there. Make a new one, write it into the settings and start me again.",
        "{about} 不接受我的令牌，我在那里已离线。请新建令牌，写入设置并重新启动。",
    ),
    "dead letter": Phrase(
        "I gave up on a message: it could not be read, or broke me again and again. `magpie dead` shows who is affected and "
        "why, `magpie dead retry ID` tries it again.",
        "有一条消息我已放弃：无法读取，或多次导致故障。`magpie dead` 显示涉及谁和原因，`magpie dead retry ID` 会再试一次。",
    ),
    "disk nearly full": Phrase(
        "The disk that holds my data is nearly full: make room. On a full disk I take no more messages.",
        "存放数据的磁盘快满了，请清理空间。磁盘满后我将无法接收消息。",
    ),
    "no such model": Phrase(
        "The vendor does not know this model any more, or our account may not use it: {about} (these have names like it). "
        "Choose another in CHAT_MODEL or with /model; CATALOG_FILE adds new ones.",
        "服务商已不认识此模型，或账户无权使用：{about}（名称相近者）。请在 CHAT_MODEL 或 /model 中另选；"
        "新模型可写入 CATALOG_FILE。",
    ),
    "deaf": Phrase(
        "I have heard nothing from {about} for minutes. I keep trying; look at this machine's network and proxy, and whether "
        "{about} has an outage.",
        "我已有几分钟收不到 {about} 的任何消息，正在不断重试。请检查本机的网络和代理，以及 {about} 是否故障。",
    ),
}
