"""Shortest routes in a road network given as a list of (from, to, length) roads."""


class RoadMap:
    def __init__(self, roads):
        self.roads = roads

    def towns(self):
        found = []
        for a, b, length in self.roads:
            if a not in found:
                found.append(a)
            if b not in found:
                found.append(b)
        return found

    def neighbours(self, town):
        result = []
        for a, b, length in self.roads:
            if a == town:
                result.append((b, length))
            elif b == town:
                result.append((a, length))
        return result

    def shortest(self, start, goal):
        distance = {}
        previous = {}
        unvisited = []
        for town in self.towns():
            distance[town] = float("inf")
            unvisited.append(town)
        distance[start] = 0
        while len(unvisited) > 0:
            best = None
            for town in unvisited:
                if best is None or distance[town] < distance[best]:
                    best = town
            unvisited.remove(best)
            for other, length in self.neighbours(best):
                if distance[best] + length < distance[other]:
                    distance[other] = distance[best] + length
                    previous[other] = best
        route = [goal]
        while route[0] != start:
            route = [previous[route[0]]] + route
        return distance[goal], route

    def all_pairs(self):
        table = {}
        for a in self.towns():
            for b in self.towns():
                table[(a, b)] = self.shortest(a, b)[0]
        return table


def read_roads(path):
    roads = []
    for line in open(path):
        a, b, length = line.split(",")
        roads.append((a, b, float(length)))
    return roads
