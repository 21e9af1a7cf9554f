// What the page says in its own voice, in English and Chinese, and which of the two is chosen.

const WORDS = {
  en: {
    newChat: "New chat", chats: "Chats", noChats: "Your chats appear here.", conversation: "Conversation",
    you: "You", bot: "Magpie", placeholder: "Message Magpie", message: "Your message",
    send: "Send", stop: "Stop", attach: "Add files", remove: "Remove", copy: "Copy", copied: "Copied",
    copyCode: "Copy code", reply: "Continue from here", edit: "Edit", cancel: "Cancel", discard: "Discard", again: "Try again",
    editing: "Editing your last message", replying: "Continuing from an earlier answer",
    theme: "Appearance", themes: { auto: "Automatic", light: "Light", dark: "Dark" }, language: "中文", logout: "Log out",
    menu: "Open the list of chats", closeMenu: "Close the list of chats", latest: "To the latest message",
    skip: "Skip to your message", commands: "Commands", code: "Code", table: "Table", thoughts: "Thoughts",
    lost: "Connection lost. Trying again …", offline: "You are offline.", back: "Connected again.", asleep: "Paused in this tab.",
    waiting: "Not sent yet: waiting for the server.", failed: "Not sent:", working: "Magpie is writing …", yourPicture: "Your picture",
    answered: "Magpie answered:", answer: "An answer is ready", tooLarge: "A file may have at most 20 MB.",
    uploading: "Your files are still on their way.", tooMany: "At most ten files.", uploadFailed: "This file could not be sent.",
    drop: "Drop files here", hello: "What is on your mind?",
    hint: "Enter sends, Shift+Enter starts a new line, / lists the commands.",
    starters: ["Compare Telegram and Discord in a table", "Show me some Python code", "/image a magpie in a snowy garden", "/help"],
    simulated: "The built-in simulator answers here. For a real model set {variables}.", or: "or",
    loginTitle: "Log in", loginText: "Open the one-time link from the start-up log, or enter the token (WEB_TOKEN).",
    token: "Token", login: "Log in", linkUsed: "This link was used already, or the server has started anew. The log has the latest one.",
    noServer: "The server cannot be reached.",
    record: "Record a voice message", sendRecording: "Send the recording", recording: "Recording", yourVoice: "Your voice message",
    microphoneDenied: "The browser may not use the microphone. Allow it in the browser's settings for this page.",
    microphoneHttps: "Browsers give the microphone only to pages served over https, or on this computer itself.",
    noMicrophone: "No microphone was found.", tooShort: "Nothing was recorded: click, speak, and click again, or hold the button down.",
    recordingLost: "The recording could not be sent yet. Send it again.",
  },
  zh: {
    newChat: "新对话", chats: "对话", noChats: "你的对话会出现在这里。", conversation: "对话内容",
    you: "你", bot: "喜鹊", placeholder: "给喜鹊发消息", message: "你的消息",
    send: "发送", stop: "停止", attach: "添加文件", remove: "移除", copy: "复制", copied: "已复制",
    copyCode: "复制代码", reply: "从这里继续", edit: "编辑", cancel: "取消", discard: "丢弃", again: "重试",
    editing: "正在编辑上一条消息", replying: "从之前的回答继续",
    theme: "外观", themes: { auto: "跟随系统", light: "浅色", dark: "深色" }, language: "English", logout: "退出登录",
    menu: "打开对话列表", closeMenu: "关闭对话列表", latest: "回到最新消息",
    skip: "跳到输入框", commands: "命令", code: "代码", table: "表格", thoughts: "思考过程",
    lost: "连接已断开，正在重试……", offline: "你已离线。", back: "已重新连接。", asleep: "此标签页已暂停。",
    waiting: "尚未发送：正在等待服务器。", failed: "未能发送：", working: "喜鹊正在回答……", yourPicture: "你的图片",
    answered: "喜鹊回答：", answer: "回答好了", tooLarge: "文件不能超过 20 MB。",
    uploading: "文件还在上传。", tooMany: "最多十个文件。", uploadFailed: "这个文件未能上传。",
    drop: "把文件拖到这里", hello: "想聊点什么？",
    hint: "回车发送，Shift+回车换行，输入 / 查看命令。",
    starters: ["用表格比较 Telegram 和 Discord", "给我看一段 Python 代码", "/image 雪后庭院里的一只喜鹊", "/help"],
    simulated: "这里由内置模拟器回答。设置 {variables} 即可使用真实模型。", or: "或",
    loginTitle: "登录", loginText: "打开启动日志里的一次性链接，或输入令牌（WEB_TOKEN）。",
    token: "令牌", login: "登录", linkUsed: "这个链接已用过，或服务已重新启动。最新的链接在日志里。",
    noServer: "无法连接服务器。",
    record: "录制语音消息", sendRecording: "发送录音", recording: "正在录音", yourVoice: "你的语音消息",
    microphoneDenied: "浏览器不允许使用麦克风。请在浏览器设置中为本页面开启权限。",
    microphoneHttps: "浏览器只向 https 页面或本机页面开放麦克风。",
    noMicrophone: "没有找到麦克风。", tooShort: "没有录到内容：点一下，说话，再点一下；或按住按钮说话。",
    recordingLost: "录音暂时没能发出，请再发送一次。",
  },
};

const stored = localStorage.getItem("magpie.language");
let chosen = stored in WORDS ? stored : navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";

export const language = () => chosen;
export const t = (name) => WORDS[chosen][name];

export function setLanguage(value) {
  chosen = value;
  localStorage.setItem("magpie.language", value);
  translate(document);
}

// data-t: the text; data-t-label: the accessible name (and tooltip); data-t-placeholder: the placeholder.
export function translate(root) {
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  for (const e of root.querySelectorAll("[data-t]")) e.textContent = t(e.dataset.t);
  for (const e of root.querySelectorAll("[data-t-placeholder]")) e.placeholder = t(e.dataset.tPlaceholder);
  for (const e of root.querySelectorAll("[data-t-label]")) {
    e.setAttribute("aria-label", t(e.dataset.tLabel));
    if (e.tagName === "BUTTON") e.title = t(e.dataset.tLabel);
  }
}

// A server's refusal in the chosen language.
export const sentence = (error) => error?.[chosen] ?? t("noServer");
