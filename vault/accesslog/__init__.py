"""The access log: who read what of whom, provable by anybody with the public key."""
