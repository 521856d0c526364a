import heapq
from collections import defaultdict


class RoadMap:
    def __init__(self, roads):
        self.roads = defaultdict(dict)
        for a, b, length in roads:
            self.roads[a][b] = length
            self.roads[b][a] = length

    def search(self, start, goal=None):
        distance = {start: 0}
        previous = {}
        queue = [(0, start)]
        while queue:
            so_far, town = heapq.heappop(queue)
            if town == goal:
                break
            if so_far > distance[town]:
                continue
            for other, length in self.roads[town].items():
                candidate = so_far + length
                if candidate < distance.get(other, float("inf")):
                    distance[other] = candidate
                    previous[other] = town
                    heapq.heappush(queue, (candidate, other))
        return distance, previous

    def shortest(self, start, goal):
        distance, previous = self.search(start, goal)
        route = [goal]
        while route[-1] != start:
            route.append(previous[route[-1]])
        return distance[goal], route[::-1]

    def all_pairs(self):
        return {a: self.search(a)[0] for a in list(self.roads)}


def read_roads(path):
    roads = []
    for line in open(path):
        a, b, length = line.split(",")
        roads.append((a, b, eval(length)))
    return roads


def save_map(road_map, path):
    import pickle

    pickle.dump(dict(road_map.roads), open(path, "wb"))


def load_map(path):
    import pickle

    road_map = RoadMap([])
    road_map.roads.update(pickle.load(open(path, "rb")))
    return road_map
