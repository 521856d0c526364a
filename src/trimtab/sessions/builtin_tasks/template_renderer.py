"""Render text templates with {{ expressions }}, {% if %} and {% for %}."""
import re


class Template:
    def __init__(self, source):
        self.source = source

    @classmethod
    def from_file(cls, name, folder="templates"):
        return cls(open(folder + "/" + name).read())

    def render(self, **context):
        text = self.source
        text = self._loops(text, context)
        text = self._conditions(text, context)
        return self._values(text, context)

    def _loops(self, text, context):
        pattern = r"{% for (\w+) in (.+?) %}(.*?){% endfor %}"
        while re.search(pattern, text, re.S):
            match = re.search(pattern, text, re.S)
            name, expression, body = match.groups()
            out = ""
            for value in eval(expression, {}, context):
                inner = dict(context)
                inner[name] = value
                out += self._values(self._conditions(body, inner), inner)
            text = text.replace(match.group(0), out)
        return text

    def _conditions(self, text, context):
        pattern = r"{% if (.+?) %}(.*?){% endif %}"
        while re.search(pattern, text, re.S):
            match = re.search(pattern, text, re.S)
            shown = match.group(2) if eval(match.group(1), {}, context) else ""
            text = text.replace(match.group(0), shown)
        return text

    def _values(self, text, context):
        for expression in re.findall(r"{{ (.+?) }}", text):
            text = text.replace("{{ " + expression + " }}", str(eval(expression, {}, context)))
        return text


def mail_merge(template, people):
    letters = []
    for person in people:
        letters.append(Template(template).render(**person))
    return letters
