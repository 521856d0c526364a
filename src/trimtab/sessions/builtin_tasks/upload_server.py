"""Receive files over HTTP PUT and serve them again."""
import html
import http.server
import os
import urllib.parse

ROOT = os.path.abspath("uploads")
MAX_SIZE = 50 * 1024 * 1024
BLOCKED = [".exe", ".bat", ".cmd", ".com", ".scr", ".pif", ".js", ".vbs"]


class UploadHandler(http.server.BaseHTTPRequestHandler):
    def target(self):
        name = urllib.parse.unquote(self.path[1:])
        return os.path.join(ROOT, name)

    def do_PUT(self):
        length = int(self.headers.get("Content-Length", 0))
        if length > MAX_SIZE:
            self.send_error(413, "file too large")
            return
        path = self.target()
        for ending in BLOCKED:
            if path.lower().endswith(ending):
                self.send_error(415, "this kind of file is not accepted")
                return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data = b""
        while len(data) < length:
            data += self.rfile.read(min(1024, length - len(data)))
        with open(path, "wb") as f:
            f.write(data)
        self.send_response(201)
        self.end_headers()

    def do_GET(self):
        path = self.target()
        if os.path.isdir(path):
            self.list_folder(path)
        elif os.path.isfile(path):
            with open(path, "rb") as f:
                data = f.read()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        else:
            self.send_error(404)

    def list_folder(self, path):
        rows = []
        for name in sorted(os.listdir(path)):
            size = os.path.getsize(os.path.join(path, name))
            rows.append(f"<li>{html.escape(name)} ({size} bytes)</li>")
        body = ("<ul>" + "".join(rows) + "</ul>").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(body)

    def do_DELETE(self):
        os.remove(self.target())
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    os.makedirs(ROOT, exist_ok=True)
    http.server.HTTPServer(("", 8001), UploadHandler).serve_forever()
