"""The hub: the operator. Is it well, what is the owner told, and what to ask of one that runs."""
