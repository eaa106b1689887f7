"""What the command lines do once their flags are parsed."""
