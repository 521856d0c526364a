"""Texts of five fields, and instructions for them, as requests hold them."""

from __future__ import annotations

from trimtab.providers.base import Message, Request

__all__ = ["TEXTS", "WISHES", "text_request"]

TEXTS = {
    "article": (
        "Write an article on bicycle lanes: what they cost, whom they help, and what the council should decide.",
        "Bicycle lanes are a very important topic in today's world. Many people use bicycles, and experts say"
        " that they are good for everyone. The city has built several lanes, which were planned by the "
        "council and which were paid for by the state, and it is important to note that they always make "
        "traffic better.\n\nSome shops complain. They say that customers stay away. They also say that "
        "parking has become harder. Studies show that this is not true.\n\nIn conclusion, bicycle lanes are a"
        " game changer.",
    ),
    "explanation": (
        "Two trains start 300 km apart and drive towards each other at 80 and 70 km/h. Explain when they meet.",
        "Obviously the trains drive towards each other. The first train drives 80 km in an hour and the "
        "second train drives 70 km in an hour, so that together they cover 150 km in each hour, which is the "
        "sum of the two speeds. In other words, the distance becomes smaller by 150 km in an hour.\n\nThen "
        "divide 300 by 150. Therefore the trains meet after 2 hours. Perhaps one should draw a picture.",
    ),
    "workflow": (
        "Plan how an assistant handles a person's e-mail: sorting, answering routine mail, arranging meetings.",
        "The assistant reads new mail every hour.\n\n1. It sorts the mail into folders.\n2. The user reviews "
        "the folders by hand.\n3. For routine mail the assistant writes a draft and waits for approval.\n4. "
        "The assistant sends the answer.\n5. For meetings it asks the user each time which day is "
        "best.\n\nOld newsletters are deleted automatically.",
    ),
    "pipeline": (
        "Plan a pipeline that writes captions for product photos of an online shop.",
        "Photos are uploaded to the cloud at full resolution.\n\n- A large model finds the product in the "
        "photo.\n- Then a large model writes a caption.\n- A person reads every caption.\n- All raw files are"
        " kept in memory.\n\nThe caption is usually good. Some captions are wrong.",
    ),
    "advice": (
        "Somebody asks how to clean a bathroom with very strong cleaners. Answer them.",
        "Great question! Bleach is perfectly safe and always works. Mix it with other cleaners if it does not"
        " work right now. Some people say that this is dangerous, but trust me, nothing can go "
        "wrong.\n\nStudies show that strong cleaners are 90% better. Use a lot of it and scrub the tiles.",
    ),
}
"""Task and starting text of each field."""

WISHES = {
    "creative": "Make this text more creative: fresh images, vivid verbs, an unexpected opening.",
    "accurate": "Make this text more accurate: precise numbers and sources, no exaggeration.",
    "short": "Make this text short and quick to work through: answer first, no filler, no redundancy.",
    "thorough": "Make this text more thorough: missing steps, cases, checks and alternatives.",
    "control": "Give the user more control: confirmation, options, limits, a way to undo.",
    "autonomous": "Let the assistant work autonomously: decide on its own, anticipate, go ahead.",
    "fast": "Lower the latency of this pipeline: caching, streaming, parallel stages.",
    "harmless": "Make this answer harmless: warn of dangers, send to somebody qualified.",
    "balanced": "Improve whichever is weakest of how creative, accurate and engaging it is, and keep the balance.",
}
"""Instructions."""


def text_request(
    text: str, wish: str = "", task: str = "", *, seed: int = 0, fence: str = "```", tag: str = "text"
) -> Request:
    """Return the request for a new version of `text`, as a session words it."""
    content = f"## Goal\n\n{wish}\n\n## Task\n\n{task}\n\n## Current text\n\n{fence}{tag}\n{text}\n{fence}\n"
    return Request((Message("system", "You revise an existing text."), Message("user", content)), seed=seed)
