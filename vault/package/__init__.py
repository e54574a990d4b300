"""From records to an answer: documents, letters, manifest, and the seals around them."""
