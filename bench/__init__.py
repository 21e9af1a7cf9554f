"""How fast and how big Magpie is, beside a bare bot that does as little as a bot can: `python -m bench`.

Every process runs by itself, on loopback: the model (`model.py`), the bots (`floor.py`, and Magpie as an operator starts it),
and Telegram with its users, which is the process that measures (`scenario.py`). Figures are for comparing within one run.
"""
