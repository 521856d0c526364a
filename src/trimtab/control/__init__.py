"""Steering: what to do next in a live loop, from what is known of its dynamics."""
