"""A small line-based chat server. Clients send 'NICK name', 'JOIN room', 'SAY text' or 'QUIT'."""
import socket
import threading

clients = []
rooms = {}
log_file = open("chat.log", "a")


class Client:
    def __init__(self, connection, address):
        self.connection = connection
        self.address = address
        self.nick = "guest%d" % (len(clients) + 1)
        self.room = "lobby"

    def send(self, text):
        try:
            self.connection.send((text + "\n").encode())
        except:
            pass


def broadcast(room, text):
    for client in clients:
        if client.room == room:
            client.send(text)
    log_file.write(room + " " + text + "\n")


def handle_command(client, line):
    parts = line.split(" ", 1)
    command = parts[0].upper()
    argument = parts[1] if len(parts) > 1 else ""
    if command == "NICK":
        taken = False
        for other in clients:
            if other.nick == argument:
                taken = True
        if taken:
            client.send("that name is taken")
        else:
            client.nick = argument
            client.send("you are now " + argument)
    elif command == "JOIN":
        broadcast(client.room, client.nick + " leaves")
        client.room = argument
        if argument not in rooms:
            rooms[argument] = []
        rooms[argument].append(client.nick)
        broadcast(client.room, client.nick + " joins")
    elif command == "SAY":
        broadcast(client.room, "<" + client.nick + "> " + argument)
    elif command == "WHO":
        names = ""
        for other in clients:
            if other.room == client.room:
                names = names + other.nick + " "
        client.send(names)
    elif command == "QUIT":
        client.connection.close()
        return False
    else:
        client.send("unknown command")
    return True


def serve_client(client):
    buffer = ""
    while True:
        data = client.connection.recv(16)
        if not data:
            break
        buffer = buffer + data.decode()
        while "\n" in buffer:
            line, buffer = buffer.split("\n", 1)
            if not handle_command(client, line.strip()):
                clients.remove(client)
                return
    clients.remove(client)
    broadcast(client.room, client.nick + " is gone")


def main():
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.bind(("0.0.0.0", 5555))
    server.listen(5)
    while True:
        connection, address = server.accept()
        client = Client(connection, address)
        clients.append(client)
        threading.Thread(target=serve_client, args=(client,)).start()


if __name__ == "__main__":
    main()
