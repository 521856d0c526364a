import os
import socket
import sys


def ping(host):
    output = os.popen("ping -c 1 -W 1 " + host).read()
    return "1 received" in output or "1 packets received" in output


def open_ports(host, first=1, last=1024):
    ports = []
    for port in range(first, last + 1):
        s = socket.socket()
        s.settimeout(0.5)
        try:
            s.connect((host, port))
            ports.append(port)
        except:
            pass
        s.close()
    return ports


def main():
    hosts = open(sys.argv[1]).read().split("\n")
    report = ""
    for host in hosts:
        if host == "":
            continue
        if ping(host):
            report += host + " is up, open ports: " + str(open_ports(host)) + "\n"
        else:
            report += host + " is down\n"
    print(report)
    open("/tmp/probe.txt", "w").write(report)


main()
