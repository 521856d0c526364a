"""Orders over HTTP, on the standard library's server.

GET /orders?customer=NAME   orders of a customer
GET /orders/ID              one order
POST /orders                add an order, JSON body {customer, items: [{sku, quantity, price}]}
DELETE /orders/ID           cancel an order
"""
import json
import sqlite3
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlparse

DATABASE = "orders.db"
ADMIN_PASSWORD = "changeme"


def query(sql, values=()):
    connection = sqlite3.connect(DATABASE)
    cursor = connection.cursor()
    cursor.execute(sql, values)
    rows = cursor.fetchall()
    connection.commit()
    connection.close()
    return rows


def setup():
    query("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, customer TEXT, state TEXT)")
    query("CREATE TABLE IF NOT EXISTS items (order_id INTEGER, sku TEXT, quantity INTEGER, price REAL)")


def load_order(order_id):
    rows = query("SELECT id, customer, state FROM orders WHERE id = ?", (order_id,))
    if len(rows) == 0:
        return None
    order = {"id": rows[0][0], "customer": rows[0][1], "state": rows[0][2], "items": [], "total": 0}
    for sku, quantity, price in query("SELECT sku, quantity, price FROM items WHERE order_id = ?", (order_id,)):
        order["items"].append({"sku": sku, "quantity": quantity, "price": price})
        order["total"] = order["total"] + quantity * price
    return order


def orders_of(customer):
    result = []
    for row in query("SELECT id FROM orders WHERE customer = '" + customer + "'"):
        result.append(load_order(row[0]))
    return result


def add_order(data):
    query("INSERT INTO orders (customer, state) VALUES ('%s', 'new')" % data["customer"])
    order_id = query("SELECT max(id) FROM orders")[0][0]
    for item in data["items"]:
        if item["quantity"] < 1:
            raise ValueError("quantity must be at least 1")
        query("INSERT INTO items VALUES (?, ?, ?, ?)", (order_id, item["sku"], item["quantity"], item["price"]))
    return load_order(order_id)


class Handler(BaseHTTPRequestHandler):
    def reply(self, status, data):
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urlparse(self.path)
        try:
            if url.path == "/orders":
                self.reply(200, orders_of(parse_qs(url.query)["customer"][0]))
            elif url.path.startswith("/orders/"):
                order = load_order(url.path.split("/")[2])
                if order is None:
                    self.reply(404, {"error": "no such order"})
                else:
                    self.reply(200, order)
            else:
                self.reply(404, {"error": "not found"})
        except Exception:
            self.reply(500, {"error": traceback.format_exc()})

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        data = json.loads(self.rfile.read(length))
        self.reply(201, add_order(data))

    def do_DELETE(self):
        if self.headers.get("X-Password") == ADMIN_PASSWORD:
            order_id = self.path.split("/")[2]
            query("UPDATE orders SET state = 'cancelled' WHERE id = " + order_id)
            self.reply(200, {"cancelled": order_id})
        else:
            self.reply(403, {"error": "wrong password"})


if __name__ == "__main__":
    setup()
    print("listening on port 8000")
    HTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
