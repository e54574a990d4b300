"""PostgreSQL and S3, blind: bytes in, bytes out."""
