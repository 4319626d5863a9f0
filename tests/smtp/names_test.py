"""Restrictions that ask the DNS, with a name server of the test's own."""
import os
import re
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "relay"))
from fakes import A, MX, NameServer  # noqa: E402
from merpati import Instance, Raw, check, main  # noqa: E402

STRANGER = "127.0.0.9"


def refusal(sender="x@good.test", helo="good.test", source=STRANGER, rcpt="user0@example.test"):
    c = Raw(socket.create_connection(("127.0.0.1", m.ports["smtp"]), 60, (source, 0)))
    c.reply()
    c.command("EHLO " + helo)
    c.command("MAIL FROM:<%s>" % sender)
    code, text = c.command("RCPT TO:<%s>" % rcpt)
    c.close()
    return "%d %s" % (code, text[0])


def test_sender_domain():
    check("MX", refusal() == "250 2.1.5 Ok")
    check("address alone", refusal("x@host.test") == "250 2.1.5 Ok")
    check("own domain", refusal("user0@example.test") == "250 2.1.5 Ok")
    check("null sender", refusal("") == "250 2.1.5 Ok")
    got = refusal("x@none.test")
    check(got, got == "450 4.1.8 <x@none.test>: Sender address rejected: Domain not found")
    got = refusal("x@null.test")
    check(got, got.startswith("550 5.7.27 <x@null.test>: Sender address rejected: Domain null.test does not accept mail"))
    got = refusal("x@broken.test")
    check(got, got.startswith("450 4.1.8 "))


def test_helo():
    got = refusal(helo="none.test")
    check(got, re.match(r"450 4\.7\.1 <none\.test>: Helo command rejected: Host not found", got))


def test_dns_list():
    got = refusal(source="127.0.0.8")
    check(got, got.startswith("554 5.7.1 Service unavailable; Client host [127.0.0.8] blocked using list.test"))
    m.wait_log(r"NOQUEUE: reject: RCPT from \S+\[127.0.0.8\]: 554 5.7.1 Service unavailable; Client host")


if __name__ == "__main__":
    dns = NameServer()
    dns.add("good.test", MX, 10, "mx.good.test")
    dns.add("mx.good.test", A, "127.0.0.3")
    dns.add("host.test", A, "127.0.0.4")
    dns.add("null.test", MX, 0, "")
    dns.add("8.0.0.127.list.test", A, "127.0.0.2")
    dns.fail("broken.test")
    with Instance(users=1, mynetworks="127.0.0.1/32", resolver_forward="127.0.0.1:%d" % dns.port,
                  smtpd_helo_restrictions="reject_unknown_helo_hostname",
                  smtpd_sender_restrictions="reject_unknown_sender_domain",
                  smtpd_recipient_restrictions="reject_rbl_client list.test") as m:
        main(test_sender_domain, test_helo, test_dns_list)
    dns.close()
