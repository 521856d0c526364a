"""Stock keeping for a small shop."""
import json
import os


class Item:
    def __init__(self, sku, name, quantity, price):
        if quantity < 0:
            raise ValueError("quantity cannot be negative")
        if price < 0:
            raise ValueError("price cannot be negative")
        self.sku = sku
        self.name = name
        self.quantity = quantity
        self.price = price


class Inventory:
    def __init__(self, path="inventory.json"):
        self.path = path
        self.items = []
        if os.path.exists(path):
            self.load()

    def load(self):
        with open(self.path) as f:
            for entry in json.load(f):
                self.items.append(Item(entry["sku"], entry["name"], entry["quantity"], entry["price"]))

    def save(self):
        data = []
        for item in self.items:
            data.append({"sku": item.sku, "name": item.name, "quantity": item.quantity, "price": item.price})
        with open(self.path, "w") as f:
            json.dump(data, f, indent=2)

    def find(self, sku):
        for item in self.items:
            if item.sku == sku:
                return item
        return None

    def add(self, sku, name, quantity, price):
        """Add an item, or more of one that is there."""
        item = self.find(sku)
        if item is not None:
            item.quantity += quantity
            item.price = price
        else:
            self.items.append(Item(sku, name, quantity, price))
        self.save()

    def remove(self, sku, quantity):
        item = self.find(sku)
        if item.quantity < quantity:
            raise ValueError("only %d left" % item.quantity)
        item.quantity -= quantity
        self.save()

    def ship_order(self, order):
        """Ship an order given as a list of (sku, quantity)."""
        for sku, quantity in order:
            self.remove(sku, quantity)

    def value(self):
        return sum([item.quantity * item.price for item in self.items])

    def low_stock(self, threshold=5):
        names = []
        for i in range(len(self.items)):
            if self.items[i].quantity <= threshold:
                names.append(self.items[i].name)
        return names
