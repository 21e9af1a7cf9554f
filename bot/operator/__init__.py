"""The hub: the operator. Is it set up well, is it well, what is the owner told, and what to ask of one that runs."""
