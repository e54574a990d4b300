"""Handing over: mail and post, with the intent recorded before the act."""
