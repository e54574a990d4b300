"""From bytes that a stranger sent to a request, within limits and without belief in any header."""
