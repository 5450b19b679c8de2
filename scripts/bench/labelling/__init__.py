"""What scripts/bench/labels.py is made of."""
