"""Makes a trace of requests for `./freshet load`: CSV of time, prompt tokens and completion tokens, drawn with a seed.

    python make_trace.py [--seconds 600] [--rate 2] [--seed 1] > trace.csv

Requests come as a Poisson process whose rate swings by half over five minutes; lengths are log-normal with the medians and spreads
that conversations roughly have, prompts of about 300 and answers of about 120 tokens, with long tails.
"""

import argparse
import math
import random
import sys


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=float, default=2)
    parser.add_argument("--seed", type=int, default=1)
    o = parser.parse_args()
    draw = random.Random(o.seed)
    sys.stdout.write("seconds,prompt_tokens,completion_tokens\n")
    at = 0.0
    while True:
        # Thinning: draws at the highest rate, of which as many are kept as the rate of the moment asks for.
        at += draw.expovariate(1.5 * o.rate)
        if at >= o.seconds:
            return
        if draw.random() * 1.5 <= 1 + 0.5 * math.sin(2 * math.pi * at / 300):
            prompt = min(8000, max(1, round(draw.lognormvariate(math.log(300), 1.0))))
            completion = min(2000, max(1, round(draw.lognormvariate(math.log(120), 0.8))))
            sys.stdout.write(f"{at:.3f},{prompt},{completion}\n")


if __name__ == "__main__":
    main()
