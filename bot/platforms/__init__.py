"""The platforms' rims: Telegram, Discord and the page, which know nothing of each other.

`telegram`, `discord` and `web` implement `ports.Platform` and are where to start; files with a longer name are their parts.
`listener` is what the page and Telegram's webhook listen with, `page/` what the browser gets.
"""
