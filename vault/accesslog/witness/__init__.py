"""A witness for a machine of the DPO's own: it cosigns what continues all that it saw, after reading all of it."""
