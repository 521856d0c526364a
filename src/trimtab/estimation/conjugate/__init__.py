"""The matrix-normal inverse-Wishart posterior of (A, b, Q): its law, its prior, and how it is written down."""
