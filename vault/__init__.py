"""The product: answers people who ask what is held about them."""
