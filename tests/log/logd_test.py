# labels: short
"""The log file: Postfix's form, rotation, and a logd that is killed."""
import os
import re
import signal

import merpati
from merpati import Instance, check, wait_for

LINE = re.compile(r"^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d [\w.-]+ merpati/[\w/-]+\[\d+\]: ")


def send(m, subject):
    with m.smtp() as s:
        s.sendmail("user0@example.test", ["user1@example.test"], "Subject: %s\r\n\r\nx\r\n" % subject)


def form_and_rotation():
    with Instance() as m:
        send(m, "one")
        m.wait_log(r"status=sent")
        m.wait_log(r": removed")
        for line in m.log().splitlines():
            check("form of %r" % line, LINE.match(line))
        check("nobody else reads it", os.stat(m.log_file).st_mode & 0o777 == 0o600)
        os.rename(m.log_file, m.log_file + ".1")
        m.tool("merpati", "reload")
        wait_for("a new file", lambda: os.path.exists(m.log_file))
        send(m, "two")
        m.wait_log(r"status=sent")
        with open(m.log_file + ".1") as old:
            check("the old file holds the first message only", old.read().count("status=sent") == 1)


def killed():
    with Instance() as m:
        pid = m.pids("logd")[0]
        os.kill(pid, signal.SIGKILL)
        wait_for("another logd", lambda: [p for p in m.pids("logd") if p != pid])
        send(m, "after")
        m.wait_log(r"status=sent")


def stopped():
    """A logd that does not read holds up no mail; what found room is written when it goes on."""
    with Instance() as m:
        pid = m.pids("logd")[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            for number in range(30):
                send(m, str(number))
            m.wait_mail("user1", 30)
        finally:
            os.kill(pid, signal.SIGCONT)
        m.wait_log(r"status=sent")


if __name__ == "__main__":
    merpati.main(form_and_rotation, killed, stopped)
