"""What Magpie says about files that people send to be read: why one cannot be opened, and what of one was left out."""

from bot.phrases.phrase import Phrase

# Why a file cannot be opened
PASSWORD = Phrase(
    "This file is locked with a password. Remove the password and send it again.",
    "这个文件有密码保护。请去掉密码后重新发送。",
)
DAMAGED = Phrase(
    "I cannot open this file: it is damaged or incomplete. Open it yourself, save it anew and send that.",
    "无法打开这个文件：它已损坏或不完整。请自己打开、重新保存后再发送。",
)
NOT_ITS_NAME = Phrase(
    "The name of this file says {named}, but inside it is {found}. Send it under its right name.",
    "从文件名看这是「{named}」，但内容其实是「{found}」。请用正确的文件名重新发送。",
)
OLD_FORMAT = Phrase(
    "This is in the old format of Office. Save it as .docx, .xlsx or .pptx and send that.",
    "这是旧版 Office 格式。请另存为 .docx、.xlsx 或 .pptx 后发送。",
)
TOO_LARGE_INSIDE = Phrase(
    "This file would become far too large when it is opened, so I leave it closed.",
    "这个文件打开后会变得过于庞大，我没有打开它。",
)
TOO_SLOW = Phrase(
    "Reading this file takes longer than I may spend on one. Send a part of it.",
    "读取这个文件花费的时间超出限制。请只发送其中一部分。",
)
UNKNOWN_KIND = Phrase(
    "I do not read this kind of file. I read text, code, CSV, PDF, DOCX, XLSX, PPTX and HTML.",
    "我读不了这种文件。可以读的有：文本、代码、CSV、PDF、DOCX、XLSX、PPTX 和 HTML。",
)
SCANNED = Phrase(
    "There is no text in this PDF, only pictures of pages (a scan). Send the pages as pictures, and I look at them.",
    "这个 PDF 里没有文字，只有页面图像（扫描件）。请把页面作为图片发送，我可以看图。",
)
EMPTY = Phrase("There is nothing to read in this file.", "这个文件里没有可读的内容。")
FAILED = Phrase(
    "I could not start reading this file just now. Please send it again.", "暂时无法读取这个文件，请重新发送。"
)

# What a file is, for NOT_ITS_NAME
A_TEXT = Phrase("a text", "文本")
A_PDF = Phrase("a PDF", "PDF")
A_WORD = Phrase("a Word document", "Word 文档")
A_WORKBOOK = Phrase("a workbook of Excel", "Excel 工作簿")
A_PRESENTATION = Phrase("a PowerPoint presentation", "PowerPoint 演示文稿")
A_PAGE = Phrase("a web page", "网页")
A_PICTURE = Phrase("a picture", "图片")
AN_ARCHIVE = Phrase("a packed archive", "压缩包")
A_RECORDING = Phrase("sound or video", "音频或视频")
A_PROGRAM = Phrase("a program", "程序")
SOMETHING_ELSE = Phrase("something else", "别的内容")

# What was left out of one that was read
STOPPED_AT_PAGE = Phrase(
    "It is too long to read whole: I stopped at page {page} of {pages}, and what follows is left out.",
    "文件太长，无法全部读取：读到第 {page} 页为止（共 {pages} 页），其余已略去。",
)
STOPPED_AT_SLIDE = Phrase(
    "It is too long to read whole: I stopped at slide {slide} of {slides}, and what follows is left out.",
    "文件太长，无法全部读取：读到第 {slide} 张幻灯片为止（共 {slides} 张），其余已略去。",
)
STOPPED_AT_ROW = Phrase(
    "It is too long to read whole: I stopped at row {row} of the sheet “{sheet}”, and what follows is left out.",
    "文件太长，无法全部读取：读到工作表“{sheet}”第 {row} 行为止，其余已略去。",
)
SHEETS_UNREAD = Phrase("Sheets that I did not come to: {sheets}.", "没有读到的工作表：{sheets}。")
STOPPED_AT_SHARE = Phrase(
    "It is too long to read whole: I read about the first {share} %, and what follows is left out.",
    "文件太长，无法全部读取：大约读了前 {share}%，其余已略去。",
)
PICTURES = Phrase("Pictures and drawings are left out ({count}).", "图片和绘图已略去（{count} 个）。")
CHARTS = Phrase("Charts and diagrams are left out ({count}).", "图表和示意图已略去（{count} 个）。")
PAGES_WITHOUT_TEXT = Phrase(
    "Pages without any text that I can read (scans or pictures): {pages}.", "没有可读文字的页（扫描或图片）：{pages}。"
)
PAGES_BROKEN = Phrase("Damaged pages that I could not read: {pages}.", "已损坏、无法读取的页：{pages}。")
FORMULAS = Phrase(
    "The file holds no results for some formulas ({count}): I show the formulas themselves.",
    "部分公式（{count} 个）在文件中没有计算结果：显示的是公式本身。",
)
HIDDEN_SHEETS = Phrase("Hidden sheets are left out: {sheets}.", "隐藏的工作表已略去：{sheets}。")
HIDDEN_SLIDES = Phrase("Hidden slides are left out: {slides}.", "隐藏的幻灯片已略去：{slides}。")
COMMENTS = Phrase("Comments are left out ({count}).", "批注已略去（{count} 条）。")
HEADERS = Phrase("Headers and footers are left out.", "页眉和页脚已略去。")
UNDECODED = Phrase(
    "Characters that I could not decode are shown as “�” ({count}).", "无法解码的字符显示为“�”（{count} 个）。"
)
