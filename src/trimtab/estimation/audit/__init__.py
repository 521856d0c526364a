"""The questions that a sceptical referee asks of a fit, each with a test or an interval and one plain sentence."""
