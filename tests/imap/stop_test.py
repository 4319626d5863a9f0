"""A stop does not wait for clients that take nothing: sessions in the middle of a large answer hear of it too."""
# labels: short
import time

import merpati
from imap_client import Client
from merpati import check


def stalled_clients():
    c = Client(M)
    c.append(b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" + b"0123456789 a line of the large message\r\n" * 200000)
    c.ok("SELECT INBOX")
    for _ in range(10):
        c.send(b"f FETCH 1 BODY.PEEK[]\r\n")
    check("the answer has begun", c.sock.recv(100, 0x2) != b"")  # MSG_PEEK
    p = M.raw("pop3")
    p.line()
    p.send("USER user0@example.test\r\n")
    p.line()
    p.send("PASS secret\r\n")
    check("logged in", p.line().startswith("+OK"))
    p.send("RETR 1\r\n" * 10)
    check("the answer has begun", p.line().startswith("+OK"))
    time.sleep(0.5)  # both have filled every buffer on the way and wait now
    start = time.monotonic()
    M.tool("merpati", "stop")
    took = time.monotonic() - start
    check("stopped in %.1f s" % took, took < 5)
    c.close()
    p.close()
    M.start_master()


if __name__ == "__main__":
    with merpati.Instance(users=1) as M:
        merpati.main(stalled_clients)
