"""Check the links of a website: start at a page, follow links on the same host, and report broken ones."""
import re
import sys
import urllib.error
import urllib.request
from urllib.parse import urljoin, urlparse


def fetch(url):
    try:
        response = urllib.request.urlopen(url)
        return response.status, response.read().decode("utf-8", "ignore")
    except urllib.error.HTTPError as error:
        return error.code, ""
    except Exception:
        return 0, ""


def links(page, base):
    found = []
    for target in re.findall(r'href="([^"]+)"', page):
        url = urljoin(base, target).split("#")[0]
        if url not in found:
            found.append(url)
    return found


def crawl(start, max_pages=500):
    host = urlparse(start).netloc
    queue = [start]
    visited = []
    broken = []
    while queue and len(visited) < max_pages:
        url = queue.pop(0)
        if url in visited:
            continue
        visited.append(url)
        status, page = fetch(url)
        if status != 200:
            broken.append((status, url))
            continue
        if urlparse(url).netloc == host:
            for link in links(page, url):
                if link not in visited and link not in queue:
                    queue.append(link)
    return visited, broken


if __name__ == "__main__":
    visited, broken = crawl(sys.argv[1])
    print("checked", len(visited), "pages")
    for status, url in broken:
        print(status, url)
