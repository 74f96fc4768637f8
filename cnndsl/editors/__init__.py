"""What editors need: one table of tokens, a Pygments lexer, a TextMate grammar."""
