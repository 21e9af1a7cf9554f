"""The hub: background work. Jobs that are rows of the store between two steps."""
