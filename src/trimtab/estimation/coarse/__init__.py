"""Loops that stand still and scores that come in few levels: a hurdle model, a Markov chain, and the choice of one."""
