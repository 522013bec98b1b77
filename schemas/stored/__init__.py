"""What the tables keep in a store, and how it gets there whole."""
