"""Figures, text, and one self-contained HTML file."""
