import asyncio
import sys

PORTS = [21, 22, 23, 25, 53, 80, 110, 143, 443, 445, 3306, 3389, 5432, 8080]


async def ping(host):
    process = await asyncio.create_subprocess_shell(f"ping -c 1 -W 1 {host}", stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return b"1 received" in output or b"1 packets received" in output


async def is_open(host, port):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 0.5)
        writer.close()
        return True
    except:
        return False


async def probe(host):
    if not await ping(host):
        return host + " is down"
    answers = await asyncio.gather(*(is_open(host, port) for port in PORTS))
    return host + " is up, open ports: " + str([port for port, answer in zip(PORTS, answers) if answer])


async def main(path):
    hosts = [line.strip() for line in open(path) if line.strip()]
    lines = await asyncio.gather(*map(probe, hosts))
    report = "\n".join(lines)
    print(report)
    with open("/tmp/probe.txt", "w") as f:
        f.write(report)


asyncio.run(main(sys.argv[1]))
