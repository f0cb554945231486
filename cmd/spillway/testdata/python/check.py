"""What the scripts of clients share: comparing, waiting, and the line at the end."""

import json
import time

wrong = []
checks = 0


def same(what, got, want):
    global checks
    checks += 1
    if got != want:
        wrong.append(f"{what}: {got!r}, want {want!r}")


def fails(what, kind, call, *args, **kwargs):
    """A call that raises this kind of exception, whose text is returned."""
    global checks
    checks += 1
    try:
        got = call(*args, **kwargs)
    except kind as err:
        return str(err)
    wrong.append(f"{what}: {got!r}, want {kind.__name__}")
    return ""


def until(cond):
    """Waits for what another connection brings about, and returns it."""
    while not (got := cond()):
        time.sleep(0.002)
    return got


def finish(**counts):
    print(json.dumps({"wrong": wrong, "counts": {"checks": checks, **counts}}), flush=True)
