"""What people read about work in the background: pictures, videos, answers for later, and the tasks that they are."""

from __future__ import annotations

from bot.phrases.phrase import Phrase

HELP_IMAGE = Phrase("draw a picture", "画一张图")
HELP_VIDEO = Phrase("make a video, also from a picture", "生成视频，也可以从图片开始")
HELP_LATER = Phrase("ask now, get the answer when it is ready", "现在提问，好了再回答")
HELP_TASKS = Phrase("what runs in the background here", "查看本聊天的后台任务")
HELP_TASK = Phrase("show one task; it can be cancelled there", "查看一个任务，可在那里取消")
ARG_IMAGE = Phrase(
    "[WxH|wide|tall|square] [xN] [--model name] description", "[宽x高|横|竖|方] [xN] [--model 名称] 描述"
)
ARG_VIDEO = Phrase("[WxH] [Ns] [--model name] description", "[宽x高] [N秒] [--model 名称] 描述")
ARG_TASK = Phrase("id", "编号")

# Orders that cannot be placed
IMAGE_WHAT = Phrase(
    "Write what to draw: `/image a red fox in snow`, with a size and a number if you like: `/image 1024x1024 x2 a red fox`. "
    "As a reply to a picture, or with one, write what to change.",
    "请写上要画什么：`/image 雪地里的红狐狸`，也可以指定尺寸和数量：`/image 1024x1024 x2 红狐狸`。"
    "回复一张图片或附上图片时，写上要怎么改。",
)
VIDEO_WHAT = Phrase(
    "Write what the video shows: `/video a fox runs through snow`, or reply with `/video` to a picture that it begins with.",
    "请写上视频内容：`/video 一只狐狸在雪地里奔跑`，或者用 `/video` 回复一张图片，从它开始。",
)
VIDEO_PROMPT = Phrase("Bring this picture to life.", "让这张图片动起来。")
LATER_WHAT = Phrase(
    "Write the question behind it: `/later compare the plots of Hamlet and Macbeth`",
    "请在命令后写上问题：`/later 比较《哈姆雷特》和《麦克白》的情节`",
)
OPTION_UNKNOWN = Phrase(
    "I do not know “{option}”. It goes: `/{command} {usage}`", "没有“{option}”这个选项。用法：`/{command} {usage}`"
)
MODEL_NAMELESS = Phrase(
    "Which model? Write its name behind `--model`: {names}", "哪个模型？请在 `--model` 后写上名称：{names}"
)
MODEL_NONE = Phrase("I know no model “{model}”. These do it: {names}", "没有叫“{model}”的模型。可以用：{names}")
MODEL_UNFIT = Phrase("“{model}” does not do that here. There are: {names}", "“{model}” 在这里做不了。可选：{names}")
COUNT_RANGE = Phrase(
    "{model} draws 1 to {most} pictures at a time, not {count}.", "{model} 一次画 1 到 {most} 张，不能画 {count} 张。"
)
ONE_VIDEO = Phrase("I make one video at a time.", "一次只能生成一个视频。")
SECONDS_LIST = Phrase(
    "{model} makes videos of {seconds} seconds, not {wanted}.",
    "{model} 生成的视频长度为 {seconds} 秒，不能是 {wanted} 秒。",
)
SECONDS_OWN = Phrase("{model} chooses the length itself.", "{model} 自行决定长度。")
SIZE_OWN = Phrase("{model} chooses the size itself: leave {size} out.", "{model} 自行决定尺寸：请去掉 {size}。")
VIDEO_SIZES = Phrase(
    "{model} makes no videos of {size}. It makes: {sizes}", "{model} 不能生成 {size} 的视频。可选尺寸：{sizes}"
)
MAKE_WITH = Phrase("Make it with:", "用哪个模型生成：")
MOST_OPEN = Phrase(
    "{count} tasks run in this chat already: wait for one to end, or cancel one (/tasks).",
    "本聊天已有 {count} 个任务在进行：请等其中一个完成，或取消一个（/tasks）。",
)
PICTURES_ONLY = Phrase("I can take pictures along, but not this: {what}.", "只能附上图片，不能附上：{what}。")
PICTURE_UNSEEN = Phrase(
    "I cannot see what you reply to: send the picture together with the command.",
    "我看不到你回复的内容：请把图片和命令一起发送。",
)
NEEDS_PICTURE = Phrase(
    "{model} works from a picture: reply to one, or send one along.", "{model} 需要图片：请回复一张图片，或附上图片。"
)
NO_EDITING = Phrase("No model here can change a picture.", "这里没有能修改图片的模型。")
NO_ANIMATING = Phrase("No model here makes a video from a picture.", "这里没有能把图片变成视频的模型。")
CANNOT_EDIT = Phrase("{model} cannot change a picture. These can: {names}", "{model} 不能修改图片。可以的有：{names}")
CANNOT_ANIMATE = Phrase(
    "{model} does not begin with a picture. These do: {names}", "{model} 不能从图片开始。可以的有：{names}"
)
TOO_MANY_TO_EDIT = Phrase(
    "At most {most} pictures can be changed at once, not {count}.", "一次最多修改 {most} 张图片，不能是 {count} 张。"
)
TOO_MANY_TO_ANIMATE = Phrase(
    "A video begins with one picture, not {count}.", "视频只能从一张图片开始，不能是 {count} 张。"
)
SIDES = Phrase(
    "{model} takes pictures with sides of {low} to {high} px. Yours has {width}×{height} px: it is too long and narrow to be "
    "scaled to that. Crop it, please.",
    "{model} 接受的图片每边为 {low} 到 {high} 像素。你的图片为 {width}×{height} 像素，过于狭长，无法缩放到该范围，请先裁剪。",
)
PROMPT_TOO_LONG = Phrase(
    "{model} takes a description of at most {most} characters; yours has {count}.",
    "{model} 的描述最多 {most} 个字符，你的有 {count} 个。",
)
PROMPT_CUT = Phrase(
    "Of your {count} characters, {model} may read no more than the first {most}: its vendor cuts off the rest.",
    "你的描述有 {count} 个字符，{model} 可能只读前 {most} 个：其余会被服务商截断。",
)

# While it is made
DRAWING_SOME = Phrase("drawing {count} pictures with {model} …", "正在用 {model} 画 {count} 张图……")
CHANGING = Phrase("changing the picture with {model} …", "正在用 {model} 修改图片……")
FILMING = Phrase(
    "making a video with {model} … that takes minutes; you can go on meanwhile (task {id})",
    "正在用 {model} 生成视频……需要几分钟，期间可以继续聊天（任务 {id}）",
)
LATER = Phrase(
    "Task {id}: I answer here when it is ready ({model}). You can go on meanwhile.",
    "任务 {id}：好了会在这里回答（{model}），期间可以继续聊天。",
)
LATER_HERE = Phrase(
    "Task {id}: {model} answers nothing later, so I ask it now in the background and answer here when it is done. You can "
    "go on meanwhile.",
    "任务 {id}：{model} 不支持稍后取回，我现在在后台提问，完成后在这里回答，期间可以继续聊天。",
)
PROGRESS = Phrase("{waiting} ({state}, {age})", "{waiting}（{state}，{age}）")

# How it ended
MISSING = Phrase("{done} of {count}: {why}", "{count} 张中完成了 {done} 张：{why}")
MISSING_WHY = Phrase("the vendor did not draw the others", "服务商没有画出其余的")
VIDEO_LINK = Phrase(
    "The video is too large to be sent here. [Watch it here]({link}): the link works for about a day, so save what you want "
    "to keep.",
    "视频太大，无法直接发送。[点此观看]({link})：链接约一天内有效，需要保留请及时下载。",
)
DEADLINE = Phrase("It was not ready in time, so I gave up on it.", "没有按时完成，已放弃。")
# Where phrases.TROUBLE speaks of the conversation and its model; by errors.Trouble
TROUBLE: dict[str, Phrase] = {
    "overloaded": Phrase(
        "The model is overloaded at its vendor. Please try again in a few minutes, or with another model.",
        "模型服务商目前过载，请几分钟后再试，或换一个模型。",
    ),
    "quota": Phrase(
        "The vendor's quota for this model is used up. Choose another model, or wait until it opens again.",
        "这个模型的配额已用完。请换一个模型，或等待配额恢复。",
    ),
    "refused": Phrase(
        "The vendor's content filter refused this. Another description or picture may pass, or another model.",
        "服务商的内容审核拒绝了这个请求。可以换个描述或图片，或换一个模型。",
    ),
    "too long": Phrase(
        "That description is too long for this model: please shorten it.", "描述对这个模型来说太长了，请缩短。"
    ),
    "no such model": Phrase(
        "The vendor no longer knows this model. Choose another.", "服务商已没有这个模型，请换一个。"
    ),
    "bad request": Phrase(
        "The vendor did not accept the order. Another description, size or picture may help, or another model.",
        "服务商没有接受这个请求。可以换个描述、尺寸或图片，或换一个模型。",
    ),
}
MODEL_LEFT = Phrase("{model} is no longer set up here.", "这里已不再提供 {model}。")
LOST_FILE = Phrase("A picture that belongs to it is no longer there.", "所需的图片已不存在。")
UNSURE = Phrase(
    "A crash cut the order off: nobody knows whether the vendor took it, and it may be billed. So I do not order it again "
    "unasked.",
    "下单时程序中断：无法确定服务商是否已接受，可能会计费。所以没有你的同意我不会重新下单。",
)
TRY_AGAIN = Phrase("Try again", "再试一次")
ORDER_AGAIN = Phrase("Order again", "重新下单")
AGAIN_VIDEO = Phrase("Again", "再来一次")
ASK_AGAIN = Phrase("Ask again", "重新提问")

# Tasks
CANCEL = Phrase("Cancel", "取消")
CANCELLED_LINE = Phrase("*(cancelled)*", "*(已取消)*")  # where the result would have stood
TASK_CANCELLED = Phrase("Cancelled.", "已取消。")
NOTHING_OF_YOURS = Phrase(
    "No answer to you is running here, and no task of yours.", "这里没有正在给你的回答，也没有你的任务。"
)
TASK_CANCELLED_ID = Phrase("Task {id} is cancelled.", "任务 {id} 已取消。")
TASK_OVER = Phrase("Task {id} is over already: {state}.", "任务 {id} 已经结束：{state}。")
TASK_WHAT = Phrase(
    "Which task? `/task 12` shows number 12; /tasks lists them.",
    "哪个任务？`/task 12` 查看 12 号；/tasks 列出所有任务。",
)
TASK_NONE = Phrase(
    "There is no task {id} in this chat. /tasks lists them.", "本聊天没有任务 {id}。/tasks 列出所有任务。"
)
TASKS_NONE = Phrase(
    "Nothing runs in the background here. /later, /image and /video begin such work.",
    "这里没有后台任务。/later、/image 和 /video 会创建任务。",
)
TASKS = Phrase("This chat's latest tasks (`/task id` shows one):", "本聊天最近的任务（`/task 编号` 查看详情）：")
TASK_LINE = Phrase("`{id}` {kind} “{words}”: {state}, {age} ago", "`{id}` {kind}“{words}”：{state}，{age}前")
KINDS: dict[str, Phrase] = {
    "chat": Phrase("answer", "回答"),
    "image": Phrase("picture", "图片"),
    "video": Phrase("video", "视频"),
}
STATES: dict[str, Phrase] = {
    "queued": Phrase("queued", "排队中"),
    "submitting": Phrase("being ordered", "正在下单"),
    "running": Phrase("being made", "进行中"),
    "cancelling": Phrase("being cancelled", "正在取消"),
    "done": Phrase("done", "已完成"),
    "failed": Phrase("failed", "失败"),
    "cancelled": Phrase("cancelled", "已取消"),
    "unsure": Phrase("cut off by a crash", "因故障中断"),
}
SECONDS = Phrase("{count} s", "{count} 秒")
MINUTES = Phrase("{count} min", "{count} 分钟")
HOURS = Phrase("{count} h", "{count} 小时")
DAYS = Phrase("{count} d", "{count} 天")
