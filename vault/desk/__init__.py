"""The desk: web pages on which staff decide; its own process, with its own signing key."""
