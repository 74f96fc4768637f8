"""From slides, tables, Keras and PyTorch listings to the text of programs."""
