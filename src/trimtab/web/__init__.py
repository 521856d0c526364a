"""What trimtab serves over HTTP."""
