"""A peer is down: every program stopped (SIGSTOP) and then killed in turn; the answers of the design hold, and the suite heals.

cleanup gone: 451 4.3.0.  qmgr gone: mail is accepted and found by the scan.  rewrite, resolver: 451, never 550.  auth: 454, and
IMAP NO [UNAVAILABLE].  Agents: mail waits.  anvil, logd: nothing stops.
"""
# labels: long
import contextlib
import imaplib
import os
import signal
import smtplib
import ssl

import merpati
from merpati import check, wait_for

PATIENCE = 100  # seconds: longer than the longest deadline of a request between programs


def instance():
    return merpati.Instance(users=2, minimal_backoff_time="1s", maximal_backoff_time="2s", queue_run_delay="1s")


@contextlib.contextmanager
def stopped(m, program):
    """The program's processes do not run; at the end they are killed and master starts new ones."""
    pids = wait_for("%s runs" % program, lambda: m.pids(program))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for("new %s" % program, lambda: set(m.pids(program)) - set(pids))


def send(m, to="user0", mark="letter"):
    s = m.smtp(timeout=PATIENCE)
    s.sendmail("sender@load.test", ["%s@%s" % (to, m.domain)], "Subject: %s\r\n\r\nbody\r\n" % mark)
    s.quit()


def refused_with(call, code, enhanced):
    try:
        call()
    except smtplib.SMTPRecipientsRefused as e:
        got = list(e.recipients.values())[0]
    except smtplib.SMTPResponseException as e:
        got = (e.smtp_code, e.smtp_error)
    else:
        raise merpati.Failure("accepted")
    check("%d %s, not %r" % (code, enhanced, got), got[0] == code and got[1].decode().startswith(enhanced))


def heals(m, mark):
    """Mail flows again, the same connection or not."""
    def arrived():
        try:
            send(m, mark=mark)
            return True
        except (smtplib.SMTPException, OSError):
            return False
    wait_for("mail is accepted again", arrived, PATIENCE)
    wait_for("and delivered", lambda: any(mark in open(p, errors="replace").read() for p in m.maildir()), PATIENCE)


def test_cleanup():
    with instance() as m:
        send(m)
        with stopped(m, "cleanup"):
            for _ in range(12):  # the stock of descriptors may serve the first ones: then the commit is what fails
                refused_with(lambda: send(m), 451, "4.3.0")
                break
        heals(m, "after cleanup")


def test_rewrite():
    with instance() as m:
        send(m)
        with stopped(m, "rewrite"):
            refused_with(lambda: send(m), 451, "4.3")
            refused_with(lambda: send(m, to="nobody-at-all"), 451, "4.3")
        heals(m, "after rewrite")


def test_qmgr():
    with instance() as m:
        with stopped(m, "qmgr"):
            send(m, mark="while qmgr slept")
            check("nothing delivered yet", not m.maildir())
        m.wait_mail(count=1, timeout=PATIENCE)
        heals(m, "after qmgr")


def test_agents():
    with instance() as m:
        with stopped(m, "local"):
            send(m, mark="while local slept")
            check("nothing delivered yet", not m.maildir())
        m.wait_mail(count=1, timeout=PATIENCE)
        check("nothing was returned", "status=bounced" not in m.log())
        heals(m, "after local")


def test_auth():
    with instance() as m:
        with stopped(m, "auth"):
            s = smtplib.SMTP("localhost", m.ports["submission"], timeout=PATIENCE)
            s.starttls(context=m.tls_context())
            s.ehlo()
            code, text = s.docmd("AUTH", "PLAIN AHVzZXIwQGV4YW1wbGUudGVzdABzZWNyZXQ=")
            check("454 4.7.0 from submission, not %d %r" % (code, text), code == 454 and text.startswith(b"4.7.0"))
            c = imaplib.IMAP4_SSL("localhost", m.ports["imaps"], ssl_context=m.tls_context(), timeout=PATIENCE)
            try:
                c.login("user0@" + m.domain, "secret")
                raise merpati.Failure("logged in without auth")
            except imaplib.IMAP4.error as e:
                check("NO [UNAVAILABLE], not %s" % e, "[UNAVAILABLE]" in str(e))
            c.shutdown()
        def login():
            try:
                m.imap().logout()
                return True
            except (imaplib.IMAP4.error, OSError, ssl.SSLError):
                return False
        wait_for("logins work again", login, PATIENCE)


def test_resolver():
    with instance() as m:
        with stopped(m, "resolver"):
            send(m, mark="without names")  # the client's name is unknown; the mail is taken all the same
            m.wait_mail(count=1)
            s = m.smtp(timeout=PATIENCE)
            s.sendmail("sender@load.test", ["someone@elsewhere.example"], "Subject: out\r\n\r\nbody\r\n")
            s.quit()
            m.wait_log(r"to=<someone@elsewhere\.example>.*status=deferred", timeout=PATIENCE)
        check("nothing was returned", "status=bounced" not in m.log())
        heals(m, "after resolver")


def test_keyd():
    with instance() as m:
        with stopped(m, "keyd"):
            send(m, mark="in plain text")  # no TLS needed on 25
            m.wait_mail(count=1)
        def tls():
            try:
                m.imap().logout()
                return True
            except (imaplib.IMAP4.error, OSError, ssl.SSLError):
                return False
        wait_for("TLS works again", tls, PATIENCE)


def test_counters_and_log():
    with instance() as m:
        for program in ("anvil", "logd"):
            with stopped(m, program):
                send(m, mark="without " + program)
        m.wait_mail(count=2)
        heals(m, "after all")
        m.wait_log("after all|status=sent")


def test_sessions():
    with instance() as m:
        send(m)
        m.wait_mail(count=1)
        with stopped(m, "imapd"):
            c = imaplib.IMAP4_SSL("localhost", m.ports["imaps"], ssl_context=m.tls_context(), timeout=PATIENCE)
            c.shutdown()  # the greeting is login's and comes at once
        wait_for("IMAP works again", lambda: m.imap().select("INBOX")[1] == [b"1"], PATIENCE)


if __name__ == "__main__":
    merpati.main(test_cleanup, test_rewrite, test_qmgr, test_agents, test_auth, test_resolver, test_keyd, test_counters_and_log,
                 test_sessions)
