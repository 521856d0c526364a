import sys


def clean(text):
    for mark in ".,;:!?()[]\"'-_*":
        text = text.replace(mark, " ")
    return text.lower()


def frequencies(text):
    words = clean(text).split()
    result = {}
    for word in words:
        result[word] = words.count(word)
    return result


def longest_words(text, n=10):
    words = []
    for word in clean(text).split():
        if word not in words:
            words.append(word)
    words.sort(key=len)
    return words[-n:]


def anagrams(text):
    words = longest_words(text, 1000000)
    groups = []
    for a in words:
        for b in words:
            if a != b and sorted(a) == sorted(b):
                if [b, a] not in groups:
                    groups.append([a, b])
    return groups


text = open(sys.argv[1]).read()
f = frequencies(text)
for word in sorted(f, key=lambda w: f[w], reverse=True)[:20]:
    print(word, f[word])
print("longest:", longest_words(text))
print("anagrams:", anagrams(text))
