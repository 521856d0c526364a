"""Full-text search over a folder of notes, ranked by how often the words occur."""
import os
import pickle

INDEX_FILE = "notes.index"
STOP_WORDS = ["the", "a", "an", "and", "or", "of", "to", "in", "is", "it", "for", "on", "with", "as", "at", "by"]


def words(text):
    result = []
    word = ""
    for character in text.lower():
        if character.isalnum():
            word += character
        else:
            if word != "" and word not in STOP_WORDS:
                result.append(word)
            word = ""
    if word != "" and word not in STOP_WORDS:
        result.append(word)
    return result


def build_index(folder):
    index = []
    for root, dirs, files in os.walk(folder):
        for name in files:
            if name.endswith(".txt") or name.endswith(".md"):
                path = os.path.join(root, name)
                try:
                    text = open(path).read()
                except:
                    continue
                index.append((path, words(text)))
    pickle.dump(index, open(INDEX_FILE, "wb"))
    return index


def load_index(folder):
    if os.path.exists(INDEX_FILE):
        return pickle.load(open(INDEX_FILE, "rb"))
    return build_index(folder)


def search(folder, query, limit=10):
    results = []
    for path, document in load_index(folder):
        score = 0
        for wanted in words(query):
            for word in document:
                if word == wanted:
                    score += 2
                elif word.startswith(wanted):
                    score += 1
        if score > 0:
            results.append((score / len(document), path))
    results.sort(reverse=True)
    return results[:limit]


def snippet(path, query, width=60):
    """Return a few words around the first hit."""
    text = open(path).read()
    for word in words(query):
        position = text.lower().find(word)
        if position >= 0:
            start = max(0, position - width // 2)
            return text[start : start + width].replace("\n", " ")
    return text[:width]
