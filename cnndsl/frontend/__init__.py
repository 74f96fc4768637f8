"""From text to network: grammar, syntax tree, names, elaboration, lowering."""
