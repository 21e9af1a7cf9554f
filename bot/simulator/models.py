"""The models that the simulator knows: the vendors' names, windows and abilities. Data, and one look-up."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["chat", "image", "video", "hear", "speak"]
Thinking = Literal["never", "off", "on", "always"]  # off, on: the default where the caller may choose
K = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """`window` and `output` in tokens; `sees`: pictures; `multimodal`: DashScope serves it at multimodal-generation only.
    `edits`: pictures that it takes to be changed, and then at least one; `most`: pictures that one call draws."""

    name: str = ""
    kind: Kind = "chat"
    window: int = 128 * K
    output: int = 16 * K
    thinking: Thinking = "never"
    sees: bool = False
    multimodal: bool = False
    task: bool = False  # DashScope: drawn as an asynchronous task
    edits: int = 0
    most: int = 1
    streams_thoughts_only: bool = False  # open Qwen3 models: no thinking without a stream

    @property
    def draws(self) -> bool:
        return self.kind == "image"


def _models(names: str, like: Model) -> Iterable[tuple[str, Model]]:
    return ((name, replace(like, name=name)) for name in names.split())


GLM: dict[str, Model] = dict(
    [
        *_models("glm-5.3", Model(window=1024 * K, output=128 * K, thinking="always")),
        *_models("glm-5.3-flash", Model(window=1024 * K, output=128 * K, thinking="on", sees=True)),
        *_models("glm-5.2", Model(window=1024 * K, output=128 * K, thinking="on")),
        *_models(
            "glm-5.1 glm-5-turbo glm-5 glm-4.7 glm-4.6 glm-4.7-flash glm-4.7-flashx",
            Model(window=200 * K, output=128 * K, thinking="on"),
        ),
        *_models("glm-4.5 glm-4.5-air glm-4.5-flash", Model(output=96 * K, thinking="on")),
        *_models("glm-4-flash-250414 glm-4-flash glm-4-flashx-250414 glm-4-air-250414", Model()),
        *_models("glm-4-plus", Model(output=4 * K)),
        *_models("glm-5v-turbo", Model(window=200 * K, output=128 * K, thinking="on", sees=True)),
        *_models("glm-4.6v glm-4.6v-flash", Model(output=32 * K, thinking="on", sees=True)),
        *_models("glm-4.5v", Model(window=64 * K, thinking="on", sees=True)),
        *_models("glm-4.1v-thinking-flash", Model(window=64 * K, thinking="always", sees=True)),
        *_models("glm-4v-flash", Model(window=16 * K, output=1 * K, sees=True)),
        *_models("cogview-3-flash cogview-4 cogview-4-250304 glm-image", Model(kind="image")),
        *_models("cogvideox-flash cogvideox-2 cogvideox-3", Model(kind="video")),
        *_models("viduq1-text viduq1-image vidu2-image", Model(kind="video")),
        *_models("glm-asr-2512", Model(kind="hear")),
        *_models("glm-tts", Model(kind="speak")),
    ]
)

# DashScope's reference gives text models and multimodal ones (qwen3.5-plus, qwen3-vl-plus, …) an endpoint each.
DASHSCOPE: dict[str, Model] = dict(
    [
        *_models("qwen3.8-max-preview qwen3.7-max", Model(window=1024 * K, output=64 * K, thinking="on")),
        *_models("qwen3-max", Model(window=256 * K, output=64 * K, thinking="off")),
        *_models(
            "qwen3.6-plus qwen3.5-plus qwen3.8-flash qwen3.7-flash qwen3.5-flash",
            Model(window=1024 * K, output=64 * K, thinking="on", sees=True, multimodal=True),
        ),
        *_models("qwen-plus", Model(window=1024 * K, output=32 * K, thinking="off")),
        *_models("qwen-max", Model(window=32 * K, output=8 * K)),
        *_models("qwen-turbo qwen-flash", Model(window=1024 * K, output=16 * K, thinking="off")),
        *_models("qwen-long", Model(window=10240 * K, output=8 * K)),
        *_models("qwen3-32b", Model(thinking="on", streams_thoughts_only=True)),
        *_models(
            "qwen3-vl-plus qwen3-vl-flash",
            Model(window=256 * K, output=32 * K, thinking="off", sees=True, multimodal=True),
        ),
        *_models("qwen-vl-max qwen-vl-plus", Model(output=8 * K, sees=True, multimodal=True)),
        *_models(
            "qwen-image qwen-image-plus qwen-image-max qwen-image-2.0 z-image-turbo",
            Model(kind="image", multimodal=True),
        ),
        *_models("wan2.6-t2i", Model(kind="image", multimodal=True, most=4)),
        *_models("qwen-image-edit", Model(kind="image", multimodal=True, edits=3)),
        *_models("qwen-image-edit-plus qwen-image-edit-max", Model(kind="image", multimodal=True, edits=3, most=6)),
        *_models("wan2.2-t2i-flash wan2.2-t2i-plus wan2.5-t2i-preview", Model(kind="image", task=True, most=4)),
        *_models("wan2.5-i2i-preview", Model(kind="image", task=True, edits=3, most=4)),
        *_models("wan2.6-t2v wan2.6-i2v wan2.5-t2v-preview wan2.5-i2v-preview", Model(kind="video", task=True)),
        *_models("qwen3-asr-flash", Model(kind="hear", multimodal=True)),
        *_models("qwen3-tts-flash", Model(kind="speak", multimodal=True)),
    ]
)


def thinks(model: Model, asked: bool | None) -> bool:
    """Whether a model thinks, given the caller's wish (None: not said)."""
    if model.thinking in {"never", "always"}:
        return model.thinking == "always"
    return model.thinking == "on" if asked is None else asked
