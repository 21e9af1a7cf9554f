"""The hub: conversation. What a turn asks for, and how a model comes to answer it."""
