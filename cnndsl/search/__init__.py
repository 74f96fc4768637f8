"""Search: variants of a program drawn, trained and ranked."""
