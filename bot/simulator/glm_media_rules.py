"""What GLM's endpoints for pictures, videos, speech and search accept. From the API reference of docs.bigmodel.cn."""

import asyncio
from collections.abc import Sequence

from bot.simulator import sounds
from bot.simulator.backend import Json, Upload
from bot.simulator.glm_rules import MAX_PICTURE, check_engine, check_flags, check_ids, check_number, error, model_of
from bot.simulator.pictures import decode
from bot.simulator.shapes import parse_size
from bot.simulator.words import count_tokens

FILM_SIZES = ("1280x720", "720x1280", "1024x1024", "1920x1080", "1080x1920", "2048x1080", "3840x2160")
MAX_SOUND = 25 * 1024 * 1024  # bytes
LONGEST_SOUND = 30.0  # seconds
VOICES = ("tongtong", "chuichui", "xiaochen", "jam", "kazi", "douji", "luodo", "female")


def check_picture_request(body: Json) -> tuple[str, int, int]:
    """Prompt, width and height in pixels. Raises Refusal."""
    model = model_of(body, "image")
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise error("1213", "prompt")
    if count_tokens(prompt) > 1000:
        raise error("1214", "prompt")
    check_ids(body)
    if body.get("quality") not in (None, "standard", "hd"):
        raise error("1214", "quality")
    glm_image = model.name == "glm-image"
    size = body.get("size") or ("1280x1280" if glm_image else "1024x1024")
    width, height = parse_size(size, "x") or (0, 0)
    step = 32 if glm_image else 16
    low = 512
    fits = all(low <= side <= 2048 and side % step == 0 for side in (width, height))
    if not fits or width * height > 2**21 * (2 if glm_image else 1):
        raise error("1214", "size")
    return prompt, width, height


def check_film_request(body: Json) -> tuple[str, int, int, int]:
    """Prompt, width and height in pixels, seconds. Raises Refusal."""
    name = model_of(body, "video").name
    prompt, picture = body.get("prompt"), body.get("image_url")
    if name.endswith("-image") and not picture:
        raise error("1213", "image_url")
    if name.endswith("-text") and picture:
        raise error("1210", message="模型不支持图片输入")
    if prompt is not None and not isinstance(prompt, str):
        raise error("1214", "prompt")
    if not (prompt and prompt.strip()) and not picture:
        raise error("1213", "prompt")
    if len(prompt or "") > 512:
        raise error("1214", "prompt")
    for one in picture if isinstance(picture, list) else [picture] if picture else []:
        if not isinstance(one, str) or decode(one, max_bytes=MAX_PICTURE) is None:
            raise error("1210", message="图片输入格式/解析错误")
    check_ids(body)
    check_flags(body, "with_audio")
    lengths = (4,) if name.startswith("vidu2") else (5,) if name.startswith("viduq1") else (5, 10)
    for field, allowed in (("quality", ("speed", "quality")), ("fps", (30, 60)), ("duration", lengths)):
        if body.get(field) is not None and body[field] not in allowed:
            raise error("1214", field)
    size = body.get("size") or "1280x720"
    if size not in FILM_SIZES:
        raise error("1214", "size")
    width, height = parse_size(size, "x") or (0, 0)
    return prompt or "", width, height, body.get("duration") or lengths[0]


async def check_sound(body: Json, uploads: Sequence[Upload]) -> float:
    """Seconds of the recording in the form. Raises Refusal."""
    model_of(body, "hear")
    files = [upload for upload in uploads if upload.field == "file"]
    if len(files) != 1:
        raise error("1213", "file")
    check_ids(body)
    if str(body.get("stream") or "false") != "false":
        raise error("1212", "流式")
    if len(str(body.get("prompt") or "")) >= 8_000:
        raise error("1214", "prompt")
    data = files[0].content
    kind = sounds.container(data)
    ending = files[0].filename.rpartition(".")[2].lower()
    if kind not in ("wav", "mp3") or ending != kind or len(data) > MAX_SOUND:
        raise error("1214", "file")
    seconds = await asyncio.to_thread(sounds.length, data)
    if seconds is None or seconds > LONGEST_SOUND:
        raise error("1214", "file")
    return seconds


def check_speech(body: Json) -> tuple[str, str]:
    """What is to be said, and as what. Raises Refusal."""
    model_of(body, "speak")
    text = body.get("input")
    if not isinstance(text, str) or not text.strip():
        raise error("1213", "input")
    if len(text) > 1024:
        raise error("1214", "input")
    check_ids(body)
    check_flags(body, "stream", "watermark_enabled")
    if body.get("stream"):
        raise error("1212", "流式")
    if body.get("voice") not in (None, *VOICES):
        raise error("1214", "voice")
    check_number(body, "speed", 0.5, 2)
    check_number(body, "volume", 0.01, 10)
    form = body.get("response_format") or "pcm"
    if form not in ("wav", "pcm"):
        raise error("1214", "response_format")
    if body.get("encode_format") is not None:  # of a stream alone
        raise error("1214", "encode_format")
    return text, str(form)


def check_search(body: Json) -> tuple[str, int]:
    """What is looked for, and how many pages. Raises Refusal."""
    query = body.get("search_query")
    if query is None or query == "":
        raise error("1213", "search_query")
    if not isinstance(query, str):
        raise error("1214", "search_query")
    check_engine(body, required=True)
    check_ids(body)
    return query, body.get("count") or 10
