"""Plants a bug into a run of pytest:
`PLANTED_BUG=no-dedupe python -m pytest -p tests.planted.plugin tests/turns/test_engine.py`.

As a plugin it is imported before any test, and so before the product.
"""

from __future__ import annotations

from tests.planted.bug import plant_named

plant_named()
