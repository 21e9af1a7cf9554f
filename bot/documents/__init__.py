"""Files that people send, read into text for a model: plain text and code, CSV, PDF, DOCX, XLSX, PPTX, HTML.

A file may be made to harm whoever opens it. So only small plain text is read in this process; everything else goes to a
child process with little memory, little time and no environment (`process` starts it, `child` is what runs in it), and
nothing that comes from a file is believed: not its name, not the sizes that it tells of itself.

A file for each format: `plain`, `pdf`, `word`, `workbook`, `slides`, `page`; `package` is what the three of Office share, and
`gathering` what all put their text into. `framing` says how documents stand in a question, `parts` cuts a long text for
answering it by parts. How a document enters the conversation is not decided here.
"""

from bot.documents.document import Document, Limits, Unopened
from bot.documents.kinds import is_document
from bot.documents.process import read_document

__all__ = ["Document", "Limits", "Unopened", "is_document", "read_document"]
