"""Sends prompts to a running job and prints the answers as they come. Needs confluent-kafka.

    python examples/ask.py localhost:9092 examples/prompts.jsonl
"""

import json
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition


def main(broker: str, path: str) -> int:
    requests = [json.loads(line) for line in open(path, encoding="utf-8")]
    # Only what is committed is an answer. The end of the topic is read before the prompts are sent: answers come after it.
    answers = Consumer(
        {"bootstrap.servers": broker, "group.id": "examples", "isolation.level": "read_committed", "enable.auto.commit": False}
    )
    partitions = answers.list_topics("completions", timeout=10).topics["completions"].partitions
    answers.assign(
        [
            TopicPartition("completions", p, answers.get_watermark_offsets(TopicPartition("completions", p), timeout=10)[1])
            for p in partitions
        ]
    )

    prompts = Producer({"bootstrap.servers": broker, "enable.idempotence": True})
    run = f"{time.time_ns():x}"  # Ids known from an earlier run would be taken for repetitions.
    for request in requests:
        request["custom_id"] = f"{run}-{request['custom_id']}"
        prompts.produce("prompts", json.dumps(request), key=request["custom_id"])
    prompts.flush()

    waiting = {request["custom_id"] for request in requests}
    deadline = time.monotonic() + 60
    while waiting and time.monotonic() < deadline:
        record = answers.poll(0.2)
        if record is None or record.error():
            continue
        answer = json.loads(record.value())
        if answer["custom_id"] in waiting:
            waiting.discard(answer["custom_id"])
            print(json.dumps(answer))
    answers.close()
    if waiting:
        print(f"No answer to {sorted(waiting)} within a minute. Does the job run?", file=sys.stderr)
    return 1 if waiting else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
