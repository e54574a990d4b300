"""Import: files of another system become records of our own register; nothing is doubled, nothing lost silently."""
