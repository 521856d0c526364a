"""Double-entry bookkeeping for a club: accounts, transactions, balances and statements.

Amounts are whole cents. Every transaction moves money between two accounts, so that the sum over all accounts
is always zero. The ledger is kept in a text file, one transaction a line, and is only ever appended to.
"""
from __future__ import annotations

import csv
import hashlib
import os
from dataclasses import dataclass
from datetime import date


class LedgerError(Exception):
    """Base of everything that can go wrong with a ledger."""


class UnknownAccount(LedgerError):
    """An account that was never opened."""


class BrokenChain(LedgerError):
    """A line of the file was changed after it was written."""


@dataclass(frozen=True)
class Transaction:
    number: int
    day: date
    debit: str
    credit: str
    cents: int
    text: str

    def line(self) -> str:
        return f"{self.number};{self.day.isoformat()};{self.debit};{self.credit};{self.cents};{self.text}"


class Ledger:
    def __init__(self, path: str, accounts: list[str]):
        self.path = path
        self.accounts = accounts
        if not os.path.exists(path):
            with open(path, "w", encoding="utf-8"):
                pass

    def transactions(self) -> list[Transaction]:
        """Read all transactions and check that none was altered."""
        found = []
        digest = ""
        with open(self.path, encoding="utf-8") as file:
            for line in file:
                body, _, checksum = line.rstrip("\n").rpartition(";")
                digest = hashlib.sha1((digest + body).encode()).hexdigest()
                if checksum != digest:
                    raise BrokenChain(f"line {len(found) + 1} was altered")
                number, day, debit, credit, cents, text = body.split(";", 5)
                found.append(Transaction(int(number), date.fromisoformat(day), debit, credit, int(cents), text))
        return found

    def last_digest(self) -> str:
        digest = ""
        for transaction in self.transactions():
            digest = hashlib.sha1((digest + transaction.line()).encode()).hexdigest()
        return digest

    def post(self, debit: str, credit: str, cents: int, text: str) -> Transaction:
        """Move an amount from the credit to the debit account."""
        for account in (debit, credit):
            if account not in self.accounts:
                raise UnknownAccount(account)
        if cents <= 0:
            raise LedgerError("an amount must be positive")
        transaction = Transaction(len(self.transactions()) + 1, date.today(), debit, credit, cents, text)
        digest = hashlib.sha1((self.last_digest() + transaction.line()).encode()).hexdigest()
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(transaction.line() + ";" + digest + "\n")
        return transaction

    def balance(self, account: str) -> int:
        if account not in self.accounts:
            raise UnknownAccount(account)
        total = 0
        for transaction in self.transactions():
            if transaction.debit == account:
                total += transaction.cents
            if transaction.credit == account:
                total -= transaction.cents
        return total

    def statement(self, account: str) -> str:
        """Return a table of an account's transactions with the running balance."""
        lines = ""
        shown = []
        for transaction in self.transactions():
            if account in (transaction.debit, transaction.credit):
                shown.append(transaction)
                running = sum(t.cents if t.debit == account else -t.cents for t in shown)
                lines += f"{transaction.day}  {transaction.text:<30} {running / 100:>12.2f}\n"
        return lines

    def export(self, path: str) -> None:
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["account", "balance"])
            for account in sorted(self.accounts):
                writer.writerow([account, self.balance(account) / 100])
