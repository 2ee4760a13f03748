"""Asks a Prometheus server every query of the dashboard, and names those that find nothing.

    python deploy/grafana/check_queries.py http://localhost:9090 JOB_NAME
"""

import json
import pathlib
import sys
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).parent


def ask(server: str, query: str) -> list:
    url = f"{server}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]["result"]


def main(server: str, job: str) -> int:
    empty = queries = 0
    for panel in json.loads((HERE / "dashboards/freshet.json").read_text())["panels"]:
        for target in panel.get("targets", []):
            queries += 1
            result = ask(server, target["expr"].replace("$job", job))
            if not result:
                empty += 1
            values = ", ".join(f"{float(series['value'][1]):.6g}" for series in result)
            print(f"{'ok   ' if result else 'EMPTY'} {panel['title']} / {target['legendFormat']}: {values}")
    print(f"{queries} queries, {empty} found nothing")
    return 1 if empty else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
