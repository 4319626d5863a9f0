# labels: long
"""local and its children are killed while mail is delivered: every message arrives, each once."""
import os
import random
import re
import signal
import threading
import time

import merpati
from merpati import check, wait_for

COUNT, KILLS = 400, 12


def sender(m, first, step):
    with m.smtp() as c:
        for i in range(first, COUNT, step):
            c.sendmail("a@a.org", ["user%d@example.test" % (i % 3)], "Subject: number %d.\r\n\r\n%s\r\n" % (i, "x" * 70))


def test_kill():
    with merpati.Instance(users=3, minimal_backoff_time="1s", maximal_backoff_time="2s", queue_run_delay="1s") as m:
        threads = [threading.Thread(target=sender, args=(m, k, 4)) for k in range(4)]
        for t in threads:
            t.start()
        killed = 0
        end = time.monotonic() + 60
        while killed < KILLS and time.monotonic() < end:
            time.sleep(random.uniform(0.02, 0.15))  # moments at random are the test
            pids = m.pids("local")
            if pids:
                try:
                    os.kill(random.choice(pids), signal.SIGKILL)
                    killed += 1
                except ProcessLookupError:
                    pass
        for t in threads:
            t.join()

        def numbers():
            found = []
            for user in ("user0", "user1", "user2"):
                for path in m.maildir(user):
                    with open(path) as f:
                        found += re.findall(r"^Subject: number (\d+)\.", f.read(), re.M)
            return found
        wait_for("all messages", lambda: len(set(numbers())) == COUNT, 60)
        found = numbers()
        check("each once: %d files for %d messages" % (len(found), COUNT), len(found) == COUNT)
        wait_for("empty queue", lambda: "is empty" in m.tool("postqueue", "-p"))


merpati.main(test_kill)
