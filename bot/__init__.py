"""Magpie (喜鹊): a self-hosted chat bot that answers with GLM and Qwen."""
