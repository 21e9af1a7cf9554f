"""The words that turn something on and off, in lower case. A command with a further setting adds its own to them."""

ON_WORDS = frozenset({"on", "yes", "开", "打开", "开启", "開", "打開", "開啟"})
OFF_WORDS = frozenset({"off", "no", "关", "关闭", "關", "關閉"})
