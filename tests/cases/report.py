"""report.py FILE: what a report holds without a script, as JSON: {"rows": [[cell…]…], "rules": …, "tags": {name: count}, "text": …,
"data": …}. Ends with 1 if its tags are not nested, or if one of them could load something."""
import collections
import html.parser
import json
import sys

VOID = {"meta", "input", "br"}
KNOWN = {"html", "head", "meta", "title", "style", "body", "main", "script", "h1", "h2", "h3", "p", "div", "span", "b", "dl", "dt", "dd", "code", "pre",
         "button", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "section", "canvas", "input", "label", "select", "option", "i"}


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text, self.tables, self.scripts = [], collections.Counter(), [], [], []

    def handle_starttag(self, tag, attributes):
        assert tag in KNOWN, f"<{tag}>"
        for name, value in attributes:
            assert name not in ("src", "href", "action", "srcset", "background", "poster") and not name.startswith("on"), f"<{tag} {name}={value!r}>"
        self.tags[tag] += 1
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> in {self.open}"
        self.open.pop()

    def handle_data(self, text):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += text
        elif self.open and self.open[-1] != "style":
            self.text.append(text)
            if any(tag in ("td", "th") for tag in self.open):
                self.tables[-1][-1][-1] += text


def main(path):
    page = Page()
    with open(path, encoding="utf-8") as file:
        text = file.read()
    page.feed(text)
    page.close()
    assert not page.open, f"{page.open} is open at the end"
    assert "@" not in {text[0], text[-1]} and len(page.scripts) == 2
    json.dump({"tables": page.tables, "tags": page.tags, "text": "".join(page.text), "data": json.loads(page.scripts[0])}, sys.stdout)


main(sys.argv[1])
