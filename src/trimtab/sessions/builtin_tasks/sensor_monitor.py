"""Watch temperature sensors: rolling averages, outliers and alerts.

Readings are appended to a text file, one "sensor;seconds;celsius" per line.
"""
import math
import smtplib
import statistics
import subprocess
import time

MAIL_HOST = "mail.example.com"
MAIL_PASSWORD = "changeme"
LIMITS = {"freezer": (-30, -15), "fridge": (1, 8), "server_room": (10, 28)}


def read(path):
    readings = {}
    for line in open(path).read().splitlines():
        sensor, seconds, celsius = line.split(";")
        if sensor not in readings:
            readings[sensor] = []
        readings[sensor].append((float(seconds), float(celsius)))
    return readings


def rolling_average(values, window=10):
    averages = []
    for i in range(len(values)):
        chunk = []
        for j in range(max(0, i - window + 1), i + 1):
            chunk.append(values[j][1])
        averages.append(sum(chunk) / len(chunk))
    return averages


def outliers(values, threshold=3.0):
    found = []
    for seconds, celsius in values:
        mean = statistics.mean([c for s, c in values])
        deviation = statistics.pstdev([c for s, c in values])
        if deviation > 0 and math.fabs(celsius - mean) / deviation > threshold:
            found.append((seconds, celsius))
    return found


def send_alert(text, to):
    server = smtplib.SMTP(MAIL_HOST)
    server.login("monitor", MAIL_PASSWORD)
    server.sendmail("monitor@example.com", to, "Subject: alert\n\n" + text)
    server.quit()


def speak(text):
    subprocess.call("espeak '" + text + "'", shell=True)


def check(path, to="ops@example.com"):
    alerts = []
    for sensor, values in read(path).items():
        assert sensor in LIMITS
        low, high = LIMITS[sensor]
        latest = rolling_average(values)[-1]
        if latest < low or latest > high:
            alerts.append("%s is at %.1f" % (sensor, latest))
        for seconds, celsius in outliers(values):
            alerts.append("%s jumped to %.1f" % (sensor, celsius))
    for alert in alerts:
        speak(alert)
        try:
            send_alert(alert, to)
        except Exception:
            pass
    return alerts


def watch(path):
    while True:
        print(check(path))
        time.sleep(60)
