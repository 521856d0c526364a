# Tables of number theory: primes, divisors, perfect and amicable numbers


def divisors(n):
    return [d for d in range(1, n) if n % d == 0]


def is_prime(n):
    return len(divisors(n)) == 1


def primes(limit):
    return [n for n in range(2, limit) if is_prime(n)]


def perfect(limit):
    return [n for n in range(2, limit) if sum(divisors(n)) == n]


def amicable(limit):
    pairs = []
    for a in range(2, limit):
        for b in range(2, limit):
            if a < b and sum(divisors(a)) == b and sum(divisors(b)) == a:
                pairs.append((a, b))
    return pairs


def factorise(n):
    factors = []
    for p in primes(n + 1):
        while n % p == 0:
            factors.append(p)
            n = n // p
    return factors


limit = int(input("limit? "))
print("primes", primes(limit))
print("perfect", perfect(limit))
print("amicable", amicable(limit))
