"""What `dsr doctor` tries on each part: a probe succeeds by trying what must be refused."""
