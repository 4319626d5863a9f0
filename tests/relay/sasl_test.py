"""SASL to a relay over TLS: the tables of passwords, a password that is wrong and mended, and who gets to see it."""
import contextlib
import os
import shutil

import merpati
from merpati import Instance, check, wait_for

PASSWORD = "correct-horse-7261"


def send(m, rcpt):
    with m.smtp() as s:
        s.sendmail("user0@" + m.domain, [rcpt], "From: user0@%s\r\nTo: %s\r\nSubject: x\r\n\r\nhello\r\n" % (m.domain, rcpt))


def relay_host(stack):
    """The host that wants a login; its user0 has PASSWORD."""
    b = stack.enter_context(Instance(domain="b.test"))
    b.tool("merpati", "user", "passwd", "user0@b.test", input=PASSWORD + "\n")
    return b


def nexthop(b):
    return "[localhost]:%d" % b.ports["submission"]


def sender(b, **more):
    return Instance(domain="a.test", relayhost=nexthop(b), smtp_sasl_auth_enable="yes",
                    smtp_sasl_security_options="noanonymous", smtp_tls_security_level="encrypt", smtp_tls_loglevel="1",
                    minimal_backoff_time="300s", **more)


def write_table(a, b, password, postmap=False):
    """The table beside main.cf, as auth may read it and no other program of the suite."""
    path = os.path.join(a.etc, "passwords")
    with open(path, "w") as f:
        f.write("# relay\tname and password\n%s\tuser0@b.test:%s\n" % (nexthop(b), password))
    shutil.chown(path, "root", "merpati-auth")
    os.chmod(path, 0o640)
    if postmap:
        a.tool("postmap", "lmdb:" + path)
        check("the table keeps group and mode", os.stat(path + ".lmdb").st_mode & 0o777 == 0o640)
    return path


def readable(pid):
    """What a process holds in its sealed parameters and in its writable memory."""
    out = []
    for fd in os.listdir("/proc/%d/fd" % pid):
        path = "/proc/%d/fd/%s" % (pid, fd)
        try:
            if "memfd:" in os.readlink(path):
                with open(path, "rb") as f:
                    out.append(f.read())
        except OSError:
            pass
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for line in maps:
            where, mode = line.split()[:2]
            if mode.startswith("rw") and "[v" not in line:
                first, last = (int(n, 16) for n in where.split("-"))
                try:
                    mem.seek(first)
                    out.append(mem.read(last - first))
                except OSError:
                    pass
    return b"".join(out)


def by_tables():
    """lmdb:, texthash: and inline: give the same; AUTH goes over TLS only."""
    with contextlib.ExitStack() as stack:
        b = relay_host(stack)
        for kind in ("lmdb", "texthash", "inline"):
            count = len(b.maildir("user1"))
            with sender(b) as a:
                table = "%s:%s" % (kind, write_table(a, b, PASSWORD, kind == "lmdb"))
                if kind == "inline":
                    table = "inline:{{%s = user0@b.test:%s}}" % (nexthop(b), PASSWORD)
                a.set(smtp_sasl_password_maps=table)
                send(a, "user1@b.test")
                b.wait_mail("user1", count + 1)
                a.wait_log(r"TLS connection established to localhost\[127\.0\.0\.1\]:%d: TLSv1\.3" % b.ports["submission"])
                a.wait_log(r"to=<user1@b\.test>, relay=localhost\[127\.0\.0\.1\]:%d, .*dsn=2\.\d\.\d, status=sent"
                           % b.ports["submission"])
                check("not in the log", PASSWORD not in a.log())
            b.wait_log(r"client=\S+, sasl_method=\S+, sasl_username=user0@b\.test", count + 1)
        with open(b.maildir("user1")[0]) as f:
            check("Received says TLS and AUTH", "with ESMTPSA" in f.read())


def wrong_password():
    """Mail waits, with the relay's answer as the reason; a mended table is enough to send it."""
    with contextlib.ExitStack() as stack:
        b = relay_host(stack)
        with sender(b) as a:
            a.set(smtp_sasl_password_maps="lmdb:" + write_table(a, b, "wrong", True))
            send(a, "user1@b.test")
            a.wait_log(r"to=<user1@b\.test>, relay=localhost\[127\.0\.0\.1\]:%d, .*dsn=4\.7\.8, status=deferred \(SASL "
                       r"authentication failed; server localhost\[127\.0\.0\.1\] said: 535 5\.7\.8 Error: authentication failed"
                       % b.ports["submission"])
            check("the queue shows why", "SASL authentication failed" in a.tool("postqueue", "-p"))
            check("nobody is told of a failure", not a.maildir("user0"))
            write_table(a, b, PASSWORD, True)

            def gone():
                a.tool("postqueue", "-f")
                return b.maildir("user1")

            wait_for("the mail with the new password", gone, 40)
            a.wait_log(r": removed")


def no_tls_no_password():
    """A relay that offers AUTH without STARTTLS gets neither the password nor the mail."""
    from fakes import MailHost
    host = MailHost("127.0.0.1", EHLO="250-sink.test\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME", AUTH="235 2.7.0 Ok")
    relay = "[localhost]:%d" % host.port
    with Instance(domain="a.test", relayhost=relay, smtp_sasl_auth_enable="yes", smtp_tls_security_level="encrypt",
                  smtp_sasl_password_maps="inline:{{%s = user:%s}}" % (relay, PASSWORD),
                  smtp_sasl_security_options="noanonymous") as a:
        send(a, "user1@b.test")
        a.wait_log(r"dsn=4\.7\.4, status=deferred \(TLS is required, but was not offered by host localhost\[127\.0\.0\.1\]\)")
        check("no AUTH in %r" % host.commands, not [c for c in host.commands if c.upper().startswith("AUTH")])
        check("no mail", not host.messages)
    host.close()


def kept_by_auth():
    """The table belongs to auth: smtp and the others have the password neither in their parameters nor in memory."""
    with contextlib.ExitStack() as stack:
        b = relay_host(stack)
        with sender(b, smtp_sasl_password_maps="inline:{{%s = user0@b.test:%s}}" % (nexthop(b), PASSWORD)) as a:
            secret = PASSWORD.encode()
            for program in ("smtp", "smtpd", "qmgr", "cleanup", "local", "login", "resolver", "anvil", "keyd", "rewrite"):
                for pid in a.pids(program):
                    check("%s knows the password" % program, secret not in readable(pid))
            check("there is an smtp", a.pids("smtp"))
            check("this test can find it", any(secret in readable(pid) for pid in a.pids("auth")))
            send(a, "user1@b.test")
            b.wait_mail("user1")
            a.wait_log(r": removed")
            for program in ("smtpd", "qmgr", "cleanup", "rewrite"):
                for pid in a.pids(program):
                    check("%s knows the password" % program, secret not in readable(pid))


if __name__ == "__main__":
    merpati.main(by_tables, wrong_password, no_tls_no_password, kept_by_auth)
