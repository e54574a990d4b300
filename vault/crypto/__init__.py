"""Envelopes, keys in custody, and the key service's port and local daemon."""
