"""What sampling the full model takes: its density in JAX, and what tells whether the chains can be trusted."""
