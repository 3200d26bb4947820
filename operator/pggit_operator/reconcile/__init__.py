"""Decisions: what an object asks for, against what is the case. No kopf, no SQL text."""
