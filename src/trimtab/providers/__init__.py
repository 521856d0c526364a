"""From messages to text: what stands at the other end of a loop."""
