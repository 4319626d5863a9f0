"""Restriction lists with tables, senders of authenticated users, limits of one client."""
import os
import smtplib
import socket

from merpati import Instance, Raw, check, main

STRANGER = "127.0.0.9"


def client(source="127.0.0.1"):
    c = Raw(socket.create_connection(("127.0.0.1", m.ports["smtp"]), 20, (source, 0)))
    return c


def refusal(sender="x@a.org", rcpt="user0@example.test", helo="client.test", source="127.0.0.1"):
    c = client(source)
    c.reply()
    c.command("EHLO " + helo)
    c.command("MAIL FROM:<%s>" % sender)
    code, text = c.command("RCPT TO:<%s>" % rcpt)
    c.close()
    return "%d %s" % (code, text[0])


def test_tables():
    check("no entry", refusal() == "250 2.1.5 Ok")
    check("sender", refusal("bad@spam.test") == "554 5.7.1 <bad@spam.test>: Sender address rejected: go away")
    check("parent domain", refusal("x@sub.spam.test").startswith("554 "))
    check("own code", refusal("x@late.test") == "450 4.2.0 <x@late.test>: Sender address rejected: come back")
    check("first that decides", refusal("good@spam.test") == "250 2.1.5 Ok")
    check("user of any domain", refusal("spammer@anywhere.org").startswith("554 "))
    check("helo", refusal(helo="evil.test").startswith("554 5.7.1 <evil.test>: Helo command rejected: Access denied"))
    check("null sender", refusal("") == "250 2.1.5 Ok")
    check("network", refusal(source="127.3.0.1").startswith("554 5.7.1 <unknown[127.3.0.1]>: Client host rejected"))
    m.wait_log(r"reject: RCPT from \S+: 554 5.7.1 <bad@spam.test>: Sender address rejected: go away; from=<bad@spam.test>")


def test_names():
    check("helo syntax", refusal(helo="a..b").startswith("501 5.5.2 <a..b>: Helo command rejected: Invalid name"))
    check("sender domain", refusal("x@short").startswith("504 5.5.2 <x@short>: Sender address rejected: need fully"))


def test_connections():
    clients = [client(STRANGER) for _ in range(3)]
    for c in clients:
        check("welcome", c.reply()[0] == 220)
    c = client(STRANGER)
    code, text = c.reply()
    check("one too many: %d" % code, code == 421 and text[0].startswith("4.7.0 "))
    m.wait_log(r"Connection concurrency limit exceeded: 4 from \S+\[127.0.0.9\]")
    for c in clients:
        c.command("QUIT")
        c.close()


def test_login_maps():
    s = m.submission()
    check("own address", s.mail("user0@example.test")[0] == 250 and s.rcpt("user1@example.test")[0] == 250)
    s.rset()
    s.mail("user1@example.test")
    code, text = s.rcpt("user1@example.test")
    check("another's: %r" % text, code == 553 and b"not owned by user user0@example.test" in text)
    s.quit()


def test_routed():
    """A local part that another host may read as an address opens no way through us, nor around the tables."""
    for rcpt in ("x%evil.test@relayed.test", '"x@evil.test"@relayed.test', "evil.test!x@relayed.test",
                 "x%evil.test@mail.example.test", '"x@evil.test"@localhost', "@localhost:x@evil.test"):
        check(rcpt, "Relay access denied" in refusal(rcpt=rcpt, source=STRANGER))
    check("relayed", refusal(rcpt="x@relayed.test", source=STRANGER) == "250 2.1.5 Ok")
    check("our own clients may", refusal(rcpt="x%evil.test@relayed.test") == "250 2.1.5 Ok")
    for sender in ("bad%spam.test@mail.example.test", '"bad@spam.test"@mail.example.test',
                   "spam.test!bad@mail.example.test"):
        check(sender, refusal(sender).startswith("554 5.7.1 "))
    for sender in ("user1@example.test", "user1%example.test@mail.example.test",
                   '"user1@example.test"@mail.example.test'):
        check(sender, "not logged in" in refusal(sender, source=STRANGER))
    s = m.submission()
    s.mail("user0%example.test@mail.example.test")
    check("own address in another form", s.rcpt("user1@example.test")[0] == 250)
    s.quit()


TABLE = """spam.test REJECT go away
good@spam.test OK
late.test 450 4.2.0 come back
spammer@ REJECT
user0@example.test user0@example.test
user1@example.test user1@example.test
"""

if __name__ == "__main__":
    m = Instance(users=2)
    table = os.path.join(m.dir, "etc", "access")
    m.params = {
        "mynetworks": "127.0.0.1/32",
        "relay_domains": "relayed.test",
        "smtpd_client_connection_count_limit": "3",
        "smtpd_client_restrictions": "check_client_access lmdb:%s.client" % table,
        "smtpd_helo_restrictions": "reject_invalid_helo_hostname check_helo_access lmdb:%s.helo" % table,
        "smtpd_sender_restrictions":
            "reject_non_fqdn_sender reject_sender_login_mismatch check_sender_access lmdb:%s" % table,
        "smtpd_sender_login_maps": "lmdb:%s.login" % table}
    os.makedirs(os.path.dirname(table))
    postmap = os.path.join(os.environ["MERPATI_BUILD"], "bin", "postmap")
    for name, text in (("", TABLE[:TABLE.index("user0")]), (".login", TABLE[TABLE.index("user0"):]),
                       (".helo", "evil.test REJECT\n"), (".client", "127.3 REJECT\n")):
        with open(table + name, "w") as f:
            f.write(text)
        check("postmap", os.system("%s lmdb:%s%s" % (postmap, table, name)) == 0)
    with m:
        main(test_tables, test_names, test_connections, test_login_maps, test_routed)
