"""A queue of RQ and its worker on a daemon that is killed and started again meanwhile:
rqueue.py SOCKET JOBS

It writes "completed N" for each job that is completed, and at the end what became of them.
"""

import logging
import sys
import time

import redis
import rq
from redis.exceptions import RedisError
from rq.job import Job
from rq.registry import FinishedJobRegistry, StartedJobRegistry

from check import finish, same, wrong

tries = {}


def double(i):
    tries[i] = tries.get(i, 0) + 1
    if i % 7 == 0 and tries[i] == 1:
        raise ValueError("not yet")
    return 2 * i


class Worker(rq.SimpleWorker):
    """Works in this process, and says when the server has acknowledged that a job is completed."""

    completed = set()

    def handle_job_success(self, job, queue, started_job_registry):
        super().handle_job_success(job, queue, started_job_registry)
        self.completed.add(job.id)
        print(f"completed {len(self.completed)}", flush=True)


def patiently(ask):
    """Repeats what fails for a lost connection."""
    while True:
        try:
            return ask()
        except (RedisError, OSError):
            time.sleep(0.02)


def main(path, total):
    import rqueue  # what the jobs name, and so what counts their tries

    logging.disable(logging.CRITICAL)
    connection = redis.Redis(unix_socket_path=path)
    queue = rq.Queue("work", connection=connection)
    ids = [f"job-{i}" for i in range(total)]
    for i, id in enumerate(ids):
        patiently(lambda: Job.exists(id, connection) or queue.enqueue(
            "rqueue.double", i, job_id=id, retry=rq.Retry(max=3), result_ttl=-1, failure_ttl=-1))
    lost = 0
    while True:
        patiently(lambda: Worker([queue], connection=connection).work(burst=True))
        left = patiently(lambda: [id for id in ids if id not in FinishedJobRegistry(queue=queue)])
        if not left:
            break
        lost += patiently(lambda: enqueue_again(queue, connection, left))
    for i, id in enumerate(ids):
        job = Job.fetch(id, connection)
        same(f"{id}'s result", job.result, 2 * i)
        if rqueue.tries.get(i, 0) < 1 + (i % 7 == 0):
            wrong.append(f"{id} was tried {rqueue.tries.get(i, 0)} times")
    missing = Worker.completed - set(FinishedJobRegistry(queue=queue).get_job_ids())
    same("acknowledged as completed, and not there", missing, set())
    finish(lost=lost, executions=sum(rqueue.tries.values()))


def enqueue_again(queue, connection, left):
    """What an operator does when a worker has lost its server: jobs that it had taken go back. RQ
    takes a job from the list before it notes that it was started: of each loss one can be in neither."""
    started = StartedJobRegistry(queue=queue)
    again = 0
    for id in left:
        if id in queue.get_job_ids():
            continue
        job = Job.fetch(id, connection)
        started.remove(job)
        queue.enqueue_job(job)
        again += 1
    return again


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
