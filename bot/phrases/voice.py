"""What is said about voice messages, and about answers that are spoken. No logic."""

from __future__ import annotations

from bot.phrases.phrase import Phrase

HELP = Phrase("answers as voice messages as well", "同时用语音回答")
ARGUMENT = Phrase("[on|off|VOICE]", "[开|关|音色]")

# Hearing
NO_SOUND = Phrase(
    "I cannot hear this: it is damaged, or no recording in OGG, MP3, WAV or FLAC.",
    "这段录音无法播放：文件已损坏，或不是 OGG、MP3、WAV、FLAC 格式。",
)
TOO_LONG = Phrase(
    "This recording is longer than {minutes} minutes, the most that I listen to. Send it in parts.",
    "录音超过 {minutes} 分钟，我最多听这么长。请分段发送。",
)
NOTHING_UNDERSTOOD = Phrase(
    "I understood no word of this recording. Please say it again, or write it.",
    "没能从录音里听出内容。请再说一遍，或改为打字。",
)
NO_EARS = Phrase(
    "No model here understands speech. ZHIPUAI_API_KEY (GLM) or DASHSCOPE_API_KEY (Qwen) turns one on.",
    "这里没有能听懂语音的模型。设置 ZHIPUAI_API_KEY（GLM）或 DASHSCOPE_API_KEY（千问）即可启用。",
)
HEARD = Phrase(
    "I hear recordings in OGG, MP3, WAV and FLAC; what is said in a video I cannot hear.",
    "我能听 OGG、MP3、WAV、FLAC 格式的录音；视频里的声音听不到。",
)
TOO_MANY = Phrase("Only the first {count} recordings were heard.", "只听了前 {count} 段录音。")

# Speaking
SPEAKING = Phrase("🔊 speaking …", "🔊 正在朗读……")
NOT_SPOKEN = Phrase("The answer could not be spoken: {why}", "没能朗读这个回答：{why}")
NO_MOUTH = Phrase(
    "No model here speaks. ZHIPUAI_API_KEY (GLM) or DASHSCOPE_API_KEY (Qwen) turns one on.",
    "这里没有能朗读的模型。设置 ZHIPUAI_API_KEY（GLM）或 DASHSCOPE_API_KEY（千问）即可启用。",
)
ON = Phrase(
    "Answers in this chat are also spoken, by **{voice}** (`{model}`); those of `/compare` are not.",
    "本聊天的回答会同时由 **{voice}**（`{model}`）朗读；`/compare` 的回答除外。",
)
OFF = Phrase("Answers in this chat are not spoken.", "本聊天的回答不会朗读。")
VOICES = Phrase("Voices of `{model}`: {voices}", "`{model}` 的音色：{voices}")
UNKNOWN = Phrase(
    "There is no voice called “{name}” here. Write `/voice on`, `/voice off`, or one of these.",
    "这里没有名为“{name}”的音色。请写 `/voice 开`、`/voice 关`，或选择下列之一。",
)
TOO_LARGE_HERE = Phrase(
    "The file has {size} MB; Discord takes {limit} MB from a bot at most.",
    "文件有 {size} MB，而 Discord 最多允许机器人发送 {limit} MB。",
)

TURN_ON = Phrase("On", "开")
TURN_OFF = Phrase("Off", "关")
