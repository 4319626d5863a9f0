# labels: short
"""Mail to other hosts: which host is asked, what each answer means, what the log says."""
import os
import signal
import socket
import tempfile

import merpati
from fakes import A, AAAA, MX, MailHost, NameServer
from merpati import Instance, check, wait_for


class Setting:
    """A name server, an instance that asks it, and a port that mail hosts listen at."""

    def __init__(self, **params):
        self.dns = NameServer()
        with socket.socket() as probe:
            probe.bind(("127.0.0.2", 0))
            self.port = probe.getsockname()[1]
        self.hosts = []
        self.instance = Instance(resolver_forward="127.0.0.1:%d" % self.dns.port, smtp_tcp_port=str(self.port),
                                 resolver_max_negative_ttl="0", **params)

    def host(self, address, **replies):
        host = MailHost(address, self.port, **replies)
        self.hosts.append(host)
        return host

    def domain(self, name, *hosts):
        """hosts: (preference, address); each gets a name of its own."""
        for number, (preference, address) in enumerate(hosts):
            mx = "mx%d.%s" % (number + 1, name)
            self.dns.add(name, MX, preference, mx)
            self.dns.add(mx, AAAA if ":" in address else A, address)

    def __enter__(self):
        self.m = self.instance.__enter__()
        return self

    def __exit__(self, *args):
        self.instance.__exit__(*args)
        for host in self.hosts:
            host.close()
        self.dns.close()

    def send(self, rcpt, sender="user0@example.test", body="hello\r\n.dot\r\n"):
        rcpts = [rcpt] if isinstance(rcpt, str) else rcpt
        with self.m.smtp() as s:
            s.sendmail(sender, rcpts, "From: %s\r\nTo: %s\r\nSubject: relay\r\n\r\n%s" % (sender, rcpts[0], body))


def next_mx_when_the_first_is_down():
    with Setting() as s:
        up = s.host("127.0.0.3")
        s.domain("b.test", (10, "127.0.0.2"), (20, "127.0.0.3"))
        s.send("bob@b.test")
        line = s.m.wait_log(r"merpati/smtp\[\d+\]: (\w+): to=<bob@b\.test>, relay=(\S+), delay=[\d.]+, "
                            r"delays=[\d.]+/[\d.]+/[\d.]+/[\d.]+, dsn=2\.0\.0, status=sent \((.*)\)$")
        check("relay is the second host", line.group(2) == "mx2.b.test[127.0.0.3]:%d" % s.port)
        check("reply is in the log", line.group(3) == "250 2.0.0 Ok: queued as SINK")
        s.m.wait_log(r"connect to mx1\.b\.test\[127\.0\.0\.2\]:%d: Connection refused" % s.port)
        check("body arrives byte for byte", up.messages[0].endswith(b"\r\n\r\nhello\r\n.dot\r\n"))
        check("one message", len(up.messages) == 1)
        s.m.wait_log(line.group(1) + ": removed")


def ipv6_and_equal_preferences():
    with Setting(inet_protocols="all", smtp_connection_cache_on_demand="no") as s:
        hosts = [s.host("::1"), s.host("127.0.0.2"), s.host("127.0.0.3")]
        s.domain("b.test", (10, "::1"), (10, "127.0.0.2"), (10, "127.0.0.3"))
        for number in range(24):
            s.send("bob%d@b.test" % number)
        wait_for("all messages", lambda: sum(len(h.messages) for h in hosts) == 24)
        check("each host had some: %r" % [len(h.messages) for h in hosts], all(h.messages for h in hosts))
        s.m.wait_log(r"relay=mx1\.b\.test\[::1\]:%d, .*status=sent" % s.port)


def answers():
    """Reply of the host -> status, dsn and text in the log."""
    with Setting() as s:
        cases = [
            ("rcpt5", {"RCPT": "550 5.1.1 nobody"}, "bounced", "5.1.1", r"said: 550 5.1.1 nobody (in reply to RCPT TO command)"),
            ("mail4", {"MAIL": "451 4.3.0 later"}, "deferred", "4.3.0", r"said: 451 4.3.0 later (in reply to MAIL FROM command)"),
            ("data5", {"DATA": "554 no"}, "bounced", "5.0.0", r"said: 554 no (in reply to DATA command)"),
            ("end5", {"end": "552-5.3.4 too\r\n552 5.3.4 big"}, "bounced", "5.3.4",
             r"said: 552 5.3.4 too 5.3.4 big (in reply to end of DATA command)"),
            ("endlost", {"end": lambda conn, line: None}, "deferred", "4.4.2",
             "while sending end of data -- message may be sent more than once"),
            ("greet5", {"greeting": "554 5.7.1 no"}, "deferred", "4.7.1", "refused to talk to me: 554 5.7.1 no"),
            ("noesmtp", {"EHLO": "502 what", "greeting": "220 old"}, "sent", "2.0.0", "250 2.0.0 Ok: queued as SINK"),
        ]
        for number, (name, replies, status, dsn, text) in enumerate(cases):
            address = "127.0.1.%d" % (number + 1)
            s.host(address, **replies)
            s.domain(name + ".test", (10, address))
            s.send("bob@%s.test" % name)
        for name, replies, status, dsn, text in cases:
            line = s.m.wait_log(r"to=<bob@%s\.test>.* dsn=(\S+), status=(\w+) \((.*)\)$" % name)
            check("%s: %s" % (name, line.group(0)), line.groups()[:2] == (dsn, status) and text in line.group(3))
        bounced = sum(1 for c in cases if c[2] == "bounced")
        s.m.wait_mail("user0", bounced)


def names_that_do_not_work():
    with Setting() as s:
        s.dns.add("null.test", MX, 0, "")
        s.dns.fail("broken.test")
        for name in ("null.test", "broken.test", "nosuch.test"):
            s.send("bob@" + name)
        s.m.wait_log(r"to=<bob@null\.test>, relay=none, .*dsn=5\.1\.10, status=bounced "
                     r"\(Domain null\.test does not accept mail \(nullMX\)\)")
        s.m.wait_log(r"to=<bob@broken\.test>, relay=none, .*dsn=4\.4\.3, status=deferred \(Host or domain name not found\. "
                     r"Name service error for name=broken\.test type=MX: Host not found, try again\)")
        s.m.wait_log(r"to=<bob@nosuch\.test>, relay=none, .*dsn=5\.4\.4, status=bounced \(Host or domain name not found\. "
                     r"Name service error for name=nosuch\.test type=\w+: Host not found\)")


def answers_too_large_for_udp():
    with Setting() as s:
        host = s.host("127.0.0.2")
        s.domain("big.test", (10, "127.0.0.2"))
        s.dns.only_by_tcp("big.test")
        s.send("bob@big.test")
        wait_for("delivery", lambda: host.messages)
        check("the answer came by TCP", s.dns.by_tcp > 0)


def unsigned_answers_are_not_believed():
    """With validation asked for, a name server that cannot prove its answers gets no mail; it waits."""
    with tempfile.NamedTemporaryFile("w", suffix=".key") as anchor:
        anchor.write(". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n")
        anchor.flush()
        os.chmod(anchor.name, 0o644)
        with Setting(resolver_dnssec="yes", resolver_trust_anchor_file=anchor.name) as s:
            s.host("127.0.0.2")
            s.domain("forged.example", (10, "127.0.0.2"))
            s.send("bob@forged.example")
            s.m.wait_log(r"to=<bob@forged\.example>, relay=none, .*dsn=4\.4\.3, status=deferred .*Host not found, try again",
                         timeout=60)


def broken_tls_means_no_tls():
    """Opportunistic: the same host again in the clear.  With encrypt: the mail waits."""
    ehlo = "250-sink.test\r\n250 STARTTLS"
    for level, status in (("may", "sent"), ("encrypt", "deferred")):
        with Setting(smtp_tls_security_level=level) as s:
            s.host("127.0.0.2", EHLO=ehlo, STAR="220 go\r\n250 this is no TLS")
            s.domain("b.test", (10, "127.0.0.2"))
            s.send("bob@b.test")
            s.m.wait_log(r"to=<bob@b\.test>.*status=" + status)


def reload_in_a_delivery():
    """A delivery that is under way at a reload is finished by the old process, once."""
    with Setting() as s:
        hold = []

        def slow(conn, line):
            hold.append(conn)
            wait_for("go", lambda: "go" in hold, 60)
            return "250 2.0.0 Ok"

        host = s.host("127.0.0.2", end=slow)
        s.domain("b.test", (10, "127.0.0.2"))
        s.send("bob@b.test")
        wait_for("a delivery under way", lambda: hold)
        old = s.m.pids("smtp")
        s.m.tool("merpati", "reload")
        wait_for("new processes", lambda: set(s.m.pids("smtp")) - set(old))
        hold.append("go")
        s.m.wait_log(r"to=<bob@b\.test>.*status=sent")
        s.m.wait_log(r": removed")
        wait_for("the end of the old process", lambda: len(set(s.m.pids("smtp")) & set(old)) < len(old))
        s.send("carl@b.test")
        wait_for("the next message", lambda: len(host.messages) == 2)


def hostile_hosts():
    """Each is given up within its bounds; the next message is served."""
    def endless(conn, line):
        try:
            for _ in range(100000):
                conn.sendall(b"220-" + b"x" * 500 + b"\r\n")
        except OSError:
            pass
        return None

    def no_line_end(conn, line):
        try:
            for _ in range(10000):
                conn.sendall(b"2" * 1000)
        except OSError:
            pass
        return None

    with Setting(smtp_helo_timeout="2s") as s:
        cases = {"endless": {"greeting": endless}, "noend": {"greeting": no_line_end},
                 "binary": {"greeting": "\x00\x01\xff\xfe"}, "silent": {"greeting": ""},
                 "early": {"greeting": "220 hi\r\n250 a\r\n250 b\r\n250 c\r\n250 d\r\n250 e"}}
        for number, (name, replies) in enumerate(cases.items()):
            s.host("127.0.2.%d" % (number + 1), **replies)
            s.domain(name + ".test", (10, "127.0.2.%d" % (number + 1)))
            s.send("bob@%s.test" % name)
        for name in ("endless", "noend", "binary", "silent"):
            s.m.wait_log(r"to=<bob@%s\.test>.*dsn=4\.\d\.\d, status=deferred" % name)
        s.m.wait_log(r"to=<bob@early\.test>.*status=(sent|deferred)")
        good = s.host("127.0.2.99")
        s.domain("good.test", (10, "127.0.2.99"))
        s.send("bob@good.test")
        wait_for("delivery to the good host", lambda: good.messages)


def connection_is_used_again():
    with Setting() as s:
        host = s.host("127.0.0.2")
        s.domain("b.test", (10, "127.0.0.2"))
        for number in range(5):
            s.send("bob%d@b.test" % number)
            wait_for("message %d" % number, lambda: len(host.messages) == number + 1)
        check("%d connections for 5 messages" % host.connections, host.connections < 5)
        s.m.wait_log(r"conn_use=\d+")


def deferred_mail_goes_out_later():
    with Setting() as s:
        s.domain("b.test", (10, "127.0.0.2"))
        s.send("bob@b.test")
        s.m.wait_log(r"to=<bob@b\.test>.*status=deferred \(connect to mx1\.b\.test\[127\.0\.0\.2\]:\d+: Connection refused\)")
        wait_for("mailq shows the reason", lambda: "Connection refused" in s.m.tool("postqueue", "-p"))
        host = s.host("127.0.0.2")
        s.m.tool("postqueue", "-f")
        wait_for("delivery", lambda: host.messages)


def resolver_stopped_or_killed():
    with Setting() as s:
        host = s.host("127.0.0.2")
        s.domain("b.test", (10, "127.0.0.2"))
        s.domain("c.test", (10, "127.0.0.2"))
        s.send("bob@b.test")
        wait_for("delivery", lambda: host.messages)
        os.kill(s.m.pids("resolver")[0], signal.SIGKILL)
        s.send("bob@c.test")
        s.m.wait_log(r"to=<bob@c\.test>.*status=(sent|deferred)", timeout=60)
        check("nothing bounced", "status=bounced" not in s.m.log())
        s.m.tool("postqueue", "-f")
        wait_for("delivery after the restart", lambda: len(host.messages) == 2)


def smtp_killed_in_a_delivery():
    with Setting() as s:
        hold = []

        def slow(conn, line):
            if not hold:
                hold.append(conn)
                merpati.wait_for("end", lambda: len(hold) > 1, 60)
                return None
            return "250 2.0.0 Ok"

        host = s.host("127.0.0.2", MAIL=slow)
        s.domain("b.test", (10, "127.0.0.2"))
        s.send("bob@b.test")
        wait_for("a delivery under way", lambda: hold)
        os.kill(s.m.pids("smtp")[0], signal.SIGKILL)
        hold.append(None)
        s.m.wait_log(r"to=<bob@b\.test>.*status=|process .*smtp.* (killed|exit|died)", timeout=30)

        def retry():
            s.m.tool("postqueue", "-f", check=False)
            return host.messages

        wait_for("delivery by the next process", retry, 60)


if __name__ == "__main__":
    merpati.main(next_mx_when_the_first_is_down, ipv6_and_equal_preferences, answers, names_that_do_not_work,
                 answers_too_large_for_udp, unsigned_answers_are_not_believed, broken_tls_means_no_tls,
                 reload_in_a_delivery, hostile_hosts, connection_is_used_again,
                 deferred_mail_goes_out_later, resolver_stopped_or_killed, smtp_killed_in_a_delivery)
