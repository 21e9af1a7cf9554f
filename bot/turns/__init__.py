"""The hub: turns. Claimed, run, shown and committed, in order, each once."""
