"""Invented patients, sentence by sentence; nobody is described."""
