"""What the SMTP server answers when a program that it asks is stopped or killed: 451 or 454, never 5xx, never silence."""
import os
import signal
import smtplib

from merpati import Instance, check, main, wait_for

TRY = "Subject: x\r\n\r\ny\r\n"


def send(expect_code=None):
    """One letter; the reply code of the first refusal, or 250."""
    s = smtplib.SMTP("127.0.0.1", m.ports["smtp"], timeout=180)
    s.ehlo("client.test")
    for step in (lambda: s.mail("x@a.org"), lambda: s.rcpt("user0@example.test"), lambda: s.data(TRY)):
        try:
            code, _ = step()
        except smtplib.SMTPResponseException as error:
            code = error.smtp_code
        if code >= 400:
            s.close()
            return code
    s.quit()
    return 250


def killed(program):
    check("before", send() == 250)
    for pid in m.pids(program):
        os.kill(pid, signal.SIGKILL)
    code = send()
    check("%s killed: %d" % (program, code), code in (250, 451))
    wait_for("served again", lambda: send() == 250, 30)


def test_cleanup_killed():
    killed("cleanup")


def test_rewrite_killed():
    killed("rewrite")


def test_anvil_killed():
    killed("anvil")


def test_resolver_killed():
    killed("resolver")


def test_smtpd_killed():
    for pid in m.pids("smtpd"):
        os.kill(pid, signal.SIGKILL)

    def again():
        try:
            return send() == 250
        except OSError:
            return False
    wait_for("served again", again, 30)


def stopped(program, codes):
    pids = m.pids(program)
    check("there is a " + program, pids)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        code = send()
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    check("%s stopped: %d" % (program, code), code in codes)
    wait_for("served again", lambda: send() == 250, 60)


def test_rewrite_stopped():
    stopped("rewrite", (451,))


def test_anvil_stopped():
    stopped("anvil", (250,))


def test_auth_stopped():
    s = smtplib.SMTP("localhost", m.ports["submission"], timeout=180)
    s.starttls(context=m.tls_context())
    s.ehlo("client.test")
    pids = m.pids("auth")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        code, _ = s.docmd("AUTH PLAIN AHVzZXIwQGV4YW1wbGUudGVzdABzZWNyZXQ=")
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    check("auth stopped: %d" % code, code == 454)
    s.close()
    m.submission().quit()


def test_qmgr_stopped():
    stopped("qmgr", (250,))


if __name__ == "__main__":
    with Instance(users=1, smtpd_client_event_limit_exceptions="") as m:
        main(test_cleanup_killed, test_rewrite_killed, test_anvil_killed, test_resolver_killed, test_smtpd_killed,
             test_rewrite_stopped, test_anvil_stopped, test_auth_stopped,
             test_qmgr_stopped)
