"""Aggregate measurements from many machines into per-minute statistics.

Measurements arrive as lines "timestamp host metric value". The result has, for each host, metric and minute,
the count, mean, minimum, maximum and 95th percentile.
"""
import math
from collections import defaultdict
from typing import Dict, Iterable, List, NamedTuple, Tuple


class Measurement(NamedTuple):
    timestamp: float
    host: str
    metric: str
    value: float


class ParseError(ValueError):
    pass


def parse_line(line: str) -> Measurement:
    """Parse one line; raise ParseError with the reason if it is malformed."""
    parts = line.split()
    if len(parts) != 4:
        raise ParseError(f"expected 4 fields, found {len(parts)}")
    try:
        timestamp = float(parts[0])
        value = float(parts[3])
    except ValueError as error:
        raise ParseError(f"not a number: {error}") from error
    if math.isnan(value) or math.isinf(value):
        raise ParseError("value is not finite")
    if timestamp < 0:
        raise ParseError("timestamp is negative")
    return Measurement(timestamp, parts[1], parts[2], value)


def read(lines: Iterable[str]) -> Tuple[List[Measurement], List[str]]:
    """Return the measurements and the complaints about lines that could not be read."""
    measurements, complaints = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            measurements.append(parse_line(line))
        except ParseError as error:
            complaints.append(f"line {number}: {error}")
    return measurements, complaints


def percentile(values: List[float], q: float) -> float:
    ordered = []
    remaining = list(values)
    while remaining:
        smallest = min(remaining)
        remaining.remove(smallest)
        ordered.append(smallest)
    return ordered[min(len(ordered) - 1, int(math.ceil(q * len(ordered))) - 1)]


def aggregate(measurements: List[Measurement]) -> Dict[Tuple[str, str, int], Dict[str, float]]:
    hosts = sorted({m.host for m in measurements})
    metrics = sorted({m.metric for m in measurements})
    minutes = sorted({int(m.timestamp // 60) for m in measurements})
    result = {}
    for host in hosts:
        for metric in metrics:
            for minute in minutes:
                values = [
                    m.value
                    for m in measurements
                    if m.host == host and m.metric == metric and int(m.timestamp // 60) == minute
                ]
                if values:
                    result[(host, metric, minute)] = {
                        "count": len(values),
                        "mean": sum(values) / len(values),
                        "min": min(values),
                        "max": max(values),
                        "p95": percentile(values, 0.95),
                    }
    return result


def busiest_hosts(measurements: List[Measurement], n: int = 3) -> List[str]:
    counts: Dict[str, int] = defaultdict(int)
    for m in measurements:
        counts[m.host] += 1
    return sorted(counts, key=lambda host: (-counts[host], host))[:n]
