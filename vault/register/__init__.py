"""The patient register, a port: no log receipt, no plaintext."""
