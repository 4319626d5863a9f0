"""IMAP through login and imapd: what RFC 3501 asks of each command, several sessions, notifications, bad input."""
# labels: short
import os
import re
import socket
import time

import merpati
from imap_client import Client
from merpati import check, wait_for

MESSAGE = (b"From: Alice <alice@a.org>\r\nTo: bob@b.org\r\nDate: Sat, 1 Feb 2020 10:00:00 +0100\r\n"
           b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
           b"--b\r\n\r\nhello world\r\n\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
           b"Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
           b"Subject: inner\r\n\r\ninner body\r\n\r\n--b--\r\n")


def empty(c):
    """An empty INBOX, selected."""
    c.ok("SELECT INBOX")
    c.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
    c.ok("EXPUNGE")


def client(**kw):
    return Client(M, **kw)


def capabilities():
    c = Client(M, login=False)
    check("greeting", c.greeting.startswith(b"* OK [CAPABILITY IMAP4rev1"))
    done = c.ok("LOGIN user0@example.test secret")[-1]
    for word in (b"IDLE", b"NAMESPACE", b"UIDPLUS", b"LITERAL+", b"MOVE", b"SPECIAL-USE", b"ID", b"SASL-IR", b"CHILDREN",
                 b"UNSELECT", b"ENABLE", b"ESEARCH"):
        check("capability %r in %r" % (word, done), b" " + word + b" " in done.replace(b"]", b" "))
    c.ok("CAPABILITY")
    check("namespace", c.ok("NAMESPACE")[0] == b'* NAMESPACE (("" ".")) NIL NIL\r\n')
    c.ok('ID ("name" "test" "version" NIL)')
    c.ok("ENABLE CONDSTORE")
    check("bye", c.ok("LOGOUT")[0].startswith(b"* BYE"))
    check("closed", c.response() == b"")


def mailboxes():
    c = client()
    for name in ("Sent", "Work.2026.a", "Entw&APw-rfe"):
        c.ok("CREATE %s" % name)
    c.no("CREATE Sent", b"ALREADYEXISTS")
    c.no("CREATE inbox", b"ALREADYEXISTS")
    for bad in ('"../x"', '"a/b"', "a..b", '"a&b"', '"\xc3\xbc"'):
        c.no("CREATE " + bad)
    rows = c.ok('LIST "" %')[:-1]
    check("special use %r" % rows, b'* LIST (\\HasNoChildren \\Sent) "." Sent\r\n' in rows)
    check("parent %r" % rows, b'* LIST (\\Noselect \\HasChildren) "." Work\r\n' in rows)
    check("all", len(c.ok('LIST "" *')) == 1 + 1 + 1 + 3 + 1)
    check("reference", c.ok("LIST Work. %")[0].endswith(b'"." Work.2026\r\n'))
    check("separator", c.ok('LIST "" ""')[0] == b'* LIST (\\Noselect) "." ""\r\n')
    check("inbox in any case", c.ok('LIST "" iNbOx')[0].endswith(b"INBOX\r\n"))
    c.ok("SUBSCRIBE Work.2026.a")
    check("lsub", c.ok('LSUB "" *')[:-1] == [b'* LSUB () "." Work.2026.a\r\n'])
    check("lsub %", c.ok('LSUB "" %')[:-1] == [b'* LSUB (\\Noselect) "." Work\r\n'])
    c.ok("UNSUBSCRIBE Work.2026.a")
    c.ok("RENAME Work New")
    check("children are renamed", c.ok('LIST "" New.*')[-2].endswith(b"New.2026.a\r\n"))
    c.no("DELETE INBOX")
    c.no("DELETE nosuch", b"NONEXISTENT")
    c.no("SELECT nosuch", b"NONEXISTENT")
    c.no("STATUS nosuch (MESSAGES)", b"NONEXISTENT")
    for name in ("Sent", "New.2026.a", "Entw&APw-rfe"):
        c.ok("DELETE %s" % name)
    c.close()


def append_and_fetch():
    c = client()
    empty(c)
    uid = c.append(MESSAGE, extra='(\\Flagged work) "01-Feb-2020 10:00:00 +0100" ')
    line = c.ok("STATUS INBOX (MESSAGES UNSEEN UIDNEXT)")[0]
    check("status %r" % line, line == b"* STATUS INBOX (MESSAGES 1 UIDNEXT %d UNSEEN 1)\r\n" % (uid + 1))
    check("byte for byte", c.literal("BODY[]", "FETCH 1 BODY.PEEK[]") == MESSAGE)
    line = c.ok("FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE)")[0]
    check("meta %r" % line, line == b'* 1 FETCH (UID %d FLAGS (\\Flagged \\Recent work) INTERNALDATE " 1-Feb-2020 09:00:00 +0000" '
          b"RFC822.SIZE %d)\r\n" % (uid, len(MESSAGE)))
    line = c.ok("FETCH 1 ENVELOPE")[0]
    check("envelope %r" % line, line == b'* 1 FETCH (ENVELOPE ("Sat, 1 Feb 2020 10:00:00 +0100" "=?utf-8?q?Gr=C3=BC=C3=9Fe?=" '
          b'(("Alice" NIL "alice" "a.org")) (("Alice" NIL "alice" "a.org")) (("Alice" NIL "alice" "a.org")) '
          b'((NIL NIL "bob" "b.org")) NIL NIL NIL NIL))\r\n')
    line = c.ok("FETCH 1 BODY")[0]
    check("body %r" % line, line == b'* 1 FETCH (BODY (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 13 1)'
          b'("text" "plain" ("charset" "iso-8859-1") NIL NIL "quoted-printable" 8 1)'
          b'("message" "rfc822" NIL NIL NIL "7bit" 30 (NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL) '
          b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 12 1) 3) "mixed"))\r\n')
    head, body = MESSAGE[:MESSAGE.index(b"\r\n\r\n") + 4], MESSAGE[MESSAGE.index(b"\r\n\r\n") + 4:]
    for section, want in (("HEADER", head), ("TEXT", body), ("1", b"hello world\r\n"), ("3", b"Subject: inner\r\n\r\ninner body\r\n"),
                          ("3.HEADER", b"Subject: inner\r\n\r\n"), ("3.TEXT", b"inner body\r\n"), ("3.1", b"inner body\r\n"),
                          ("2.MIME", b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"),
                          ("HEADER.FIELDS (SUBJECT X)", b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n"),
                          ("HEADER.FIELDS.NOT (From To Date Subject Content-Type)", b"MIME-Version: 1.0\r\n\r\n"),
                          ("3.HEADER.FIELDS (Subject)", b"Subject: inner\r\n\r\n")):
        got = c.literal("BODY[%s]" % section, "FETCH 1 BODY.PEEK[%s]" % section)
        check("%s: %r" % (section, got), got == want)
    check("no such part", b"BODY[4] NIL" in c.ok("FETCH 1 BODY.PEEK[4]")[0])
    check("partial", c.literal("BODY[]<10>", "FETCH 1 BODY.PEEK[]<10.20>") == MESSAGE[10:30])
    check("partial behind the end", c.literal("BODY[]<99999>", "FETCH 1 BODY.PEEK[]<99999.20>") == b"")
    check("seen is not set by PEEK", b"\\Seen" not in c.ok("FETCH 1 FLAGS")[0])
    check("seen is set and told", b"FLAGS (\\Flagged \\Seen \\Recent work)" in c.ok("FETCH 1 BODY[1]")[0])
    check("RFC822.HEADER", c.literal("RFC822.HEADER", "FETCH 1 RFC822.HEADER") == head)
    check("macro", c.ok("FETCH 1 FULL")[0].startswith(b"* 1 FETCH (FLAGS ("))
    check("uid is added", c.ok("UID FETCH %d FLAGS" % uid)[0].startswith(b"* 1 FETCH (UID %d FLAGS" % uid))
    check("other uids are nothing", c.ok("UID FETCH %d FLAGS" % (uid + 7))[0].startswith(b"OK"))
    c.close()


def recent():
    """RFC 3501 sections 2.3.2 and 6.3.11: what EXISTS, RECENT and FLAGS say of an appended message agrees."""
    c, other = client(), client()
    empty(c)
    for n, extra in ((1, ""), (2, "(\\Seen) "), (3, "")):
        tag = c.tag()
        c.send(tag + b" APPEND INBOX %s{3+}\r\nabc\r\n" % extra.encode())
        out = c.until(tag + b" ")
        check("append %r" % out, out[:-1] == [b"* %d EXISTS\r\n" % n, b"* %d RECENT\r\n" % n])
        check("flags", b"\\Recent" in c.ok("FETCH %d FLAGS" % n)[0])
    other.ok("SELECT INBOX")
    check("told to the first session alone", not any(b"\\Recent" in line for line in other.ok("FETCH 1:3 FLAGS")))
    other.append(b"x")
    other.append(b"y")
    got = c.ok("NOOP")  # the other one was told of them first
    check("exists %r" % got, b"* 5 EXISTS\r\n" in got and b"* 3 RECENT\r\n" in got)
    c.append(b"z")
    uids = [int(u) for u in c.ok("UID SEARCH ALL")[0].split()[2:]]
    check("uids %r" % uids, len(uids) == 6 and uids == sorted(uids))
    other.ok("NOOP")
    check("other agrees", other.ok("UID SEARCH ALL")[0].split()[2:] == [b"%d" % u for u in uids])
    c.ok("UNSELECT")
    c.append(b"new")
    check("status", c.ok("STATUS INBOX (RECENT)")[0].endswith(b"(RECENT 1)\r\n"))
    empty(c)
    c.close()
    other.close()


def partial_pieces():
    """A large message with LF ends on disk, fetched in pieces of odd sizes."""
    c = client()
    empty(c)
    message = b"Subject: large\r\n\r\n" + b"".join(b"%06d line of the large message\r\n" % i for i in range(40000))
    c.append(message)
    got, at = b"", 0
    while True:
        piece = c.literal("BODY[]<%d>" % at, "FETCH 1 BODY.PEEK[]<%d.70001>" % at)
        if not piece:
            break
        got += piece
        at += len(piece)
    check("pieces make the whole", got == message)
    check("a piece further ahead again", c.literal("BODY[TEXT]<5>", "FETCH 1 BODY.PEEK[TEXT]<5.50>") == message[23:73])
    c.close()


def search():
    c = client()
    empty(c)
    uid = c.append(MESSAGE, extra='(\\Seen) "01-Feb-2020 10:00:00 +0100" ')
    c.append(b"From: carol@c.org\r\nSubject: second\r\nX-Foo: bar\r\n\r\nother text\r\n", extra="(kw) ")
    for query, want in (("ALL", "1 2"), ("SEEN", "1"), ("UNSEEN", "2"), ("KEYWORD kw", "2"), ("UNKEYWORD kw", "1"),
                        ("FROM alice", "1"), ("SUBJECT gr\u00dc\u00dfE", "1"), ("BODY world", "1"), ("BODY caf\u00c9", "1"),
                        ("TEXT inner", "1"), ("TEXT carol", "2"), ("BODY carol", ""), ("HEADER X-Foo \"\"", "2"),
                        ("HEADER X-Foo BA", "2"), ("ON 1-Feb-2020", "1"), ("SINCE 2-Feb-2020", "2"), ("SENTON 1-Feb-2020", "1"),
                        ("BEFORE 1-Feb-2020", ""), ("OR FROM carol FROM alice", "1 2"), ("NOT (SEEN FROM alice)", "2"),
                        ("LARGER 200", "1"), ("SMALLER 200", "2"), ("2:* UID %d:*" % uid, "2"), ("YOUNGER 3600", "2")):
        words, text = query.rsplit(" ", 1) if not query.isascii() else (query, None)
        if text is None:
            got = c.ok("SEARCH " + query)[0]
        else:  # text with 8-bit characters goes as a literal
            raw = text.encode()
            got = c.ok(("SEARCH CHARSET UTF-8 %s {%d+}\r\n" % (words, len(raw))).encode() + raw)[0]
        check("%s: %r" % (query, got), got.decode().split()[2:] == want.split())
    check("uid", c.ok("UID SEARCH SEEN")[0] == b"* SEARCH %d\r\n" % uid)
    check("esearch", b" MIN 1 MAX 2 COUNT 2\r\n" in c.ok("SEARCH RETURN (MIN MAX COUNT) ALL")[0])
    c.append(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png\r\n"
             b"Content-Disposition: attachment; filename*0*=utf-8''gr%C3%BC;\r\n filename*1=\"ner.png\"\r\n\r\nx\r\n--b--\r\n")
    raw = "GR\u00dcNER.png".encode()
    check("name of an attachment", c.ok(b"SEARCH TEXT {%d+}\r\n" % len(raw) + raw)[0] == b"* SEARCH 3\r\n")
    c.no("SEARCH CHARSET x-nosuch ALL", b"BADCHARSET")
    for bad in ("SEARCH", "SEARCH FOO", "SEARCH (ALL", "SEARCH 7", "SEARCH SINCE x", "SEARCH NOT"):
        c.bad(bad)
    c.close()


def store_copy_move_expunge():
    c = client()
    empty(c)
    c.ok("CREATE Dest")
    uids = [c.append(b"Subject: %d\r\n\r\nx\r\n" % i) for i in range(5)]
    got = c.ok("STORE 1 +FLAGS (\\Answered new)")
    check("store %r" % got, any(re.fullmatch(rb"\* 1 FETCH \(FLAGS \(\\Answered (\\Recent )?new\)\)\r\n", x) for x in got))
    check("silent", len(c.ok("STORE 1 -FLAGS.SILENT (\\Answered)")) == 1)
    check("replace", b"\\Draft" in c.ok("UID STORE %d FLAGS \\Draft" % uids[0])[0])
    c.bad("STORE 1 +FLAGS (\\Recent)")
    c.bad("STORE 9 +FLAGS (\\Seen)")
    check("copyuid", b"OK [COPYUID " in c.ok("COPY 1:2 Dest")[-1])
    c.no("COPY 1 nosuch", b"TRYCREATE")
    moved = c.ok("MOVE 2:3 Dest")
    check("move %r" % moved, moved[0].startswith(b"* OK [COPYUID ") and moved[1:3] == [b"* 3 EXPUNGE\r\n", b"* 2 EXPUNGE\r\n"])
    c.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
    check("uid expunge", c.ok("UID EXPUNGE %d" % uids[3])[0] == b"* 2 EXPUNGE\r\n")
    c.ok("CLOSE")
    c.bad("FETCH 1 FLAGS")
    check("close has expunged", c.ok("STATUS INBOX (MESSAGES)")[0].endswith(b"(MESSAGES 0)\r\n"))
    check("status of the other", c.ok("STATUS Dest (MESSAGES)")[0].endswith(b"(MESSAGES 4)\r\n"))
    c.ok("EXAMINE Dest")
    c.no("STORE 1 +FLAGS (\\Deleted)")
    c.no("EXPUNGE")
    c.ok("UNSELECT")
    c.ok("DELETE Dest")
    c.close()


def two_sessions():
    a, b = client(), client(tls=True)
    empty(a)
    b.ok("SELECT INBOX")
    for i in range(3):
        a.append(b"Subject: %d\r\n\r\nx\r\n" % i)
    check("exists", b"* 3 EXISTS\r\n" in b.ok("NOOP"))
    a.ok("STORE 2 +FLAGS (\\Flagged \\Deleted)")
    check("flags", b"* 2 FETCH (FLAGS (\\Flagged \\Deleted))\r\n" in b.ok("NOOP"))
    a.ok("EXPUNGE")
    fetched = b.ok("FETCH 1:3 (UID)")
    check("no expunge in the answer to FETCH %r" % fetched, not any(b"EXPUNGE" in line for line in fetched))
    b.no("FETCH 2 BODY.PEEK[]", b"EXPUNGEISSUED")
    check("expunge", b"* 2 EXPUNGE\r\n" in b.ok("NOOP"))
    check("numbers hold", b.ok("FETCH 2 UID")[0].startswith(b"* 2 FETCH"))
    a.close()
    b.close()


def deleted_under_a_session():
    a, b = client(), client()
    a.ok("CREATE Gone")
    a.ok("SELECT Gone")
    b.ok("DELETE Gone")
    a.send(b"x NOOP\r\n")
    a.until(b"* BYE Selected mailbox was deleted")
    b.ok("NOOP")
    a.close()
    b.close()


def idle():
    a, b = client(), client()
    empty(a)
    b.ok("SELECT INBOX")
    b.send(b"i IDLE\r\n")
    check("continuation", b.response().startswith(b"+"))
    start = time.monotonic()
    a.append(b"Subject: news\r\n\r\nx\r\n")
    b.until(b"* 1 EXISTS")
    took = time.monotonic() - start
    check("told at once (%.2f s)" % took, took < 5)
    a.ok("STORE 1 +FLAGS (\\Flagged)")
    b.until(b"* 1 FETCH (FLAGS (\\Flagged")
    a.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    a.ok("EXPUNGE")
    b.until(b"* 1 EXPUNGE")
    # Mail that another program drops.
    path = os.path.join(M.info["mail_root"], M.domain, "user0")
    with open(os.path.join(path, "tmp", "1.drop"), "w") as f:
        f.write("Subject: dropped\n\nbody\n")
    os.chown(os.path.join(path, "tmp", "1.drop"), os.stat(path).st_uid, os.stat(path).st_gid)
    os.rename(os.path.join(path, "tmp", "1.drop"), os.path.join(path, "new", "1.drop"))
    b.until(b"* 1 EXISTS")
    b.send(b"DONE\r\n")
    check("done", b.until(b"i ")[-1].startswith(b"i OK"))
    check("crlf", b.literal("BODY[]", "FETCH 1 BODY[]") == b"Subject: dropped\r\n\r\nbody\r\n")
    a.close()
    b.close()


def delivered_mail():
    """What smtpd sums up while it receives is what a session would find in the file."""
    with M.smtp() as s:
        s.sendmail("alice@a.org", ["user1@example.test"], MESSAGE)
    M.wait_mail("user1")
    c = client(user="user1")
    c.ok("SELECT INBOX")
    fresh = c.ok("FETCH 1 (RFC822.SIZE ENVELOPE BODYSTRUCTURE)")[0]
    whole = c.literal("BODY[]", "FETCH 1 BODY.PEEK[]")
    check("the message is in it", whole.endswith(MESSAGE[MESSAGE.index(b"\r\n\r\n"):]))
    check("size", b"RFC822.SIZE %d " % len(whole) in fresh)
    c.append(whole)
    again = c.ok("FETCH 2 (RFC822.SIZE ENVELOPE BODYSTRUCTURE)")[0]
    check("%r\n%r" % (fresh, again), fresh.replace(b"* 1 ", b"* 2 ") == again)
    c.close()


def first_fetch_opens_no_message():
    """The delivered summary answers: the file may be anything of the same size by now."""
    have = len(M.maildir("user1"))
    with M.smtp() as s:
        s.sendmail("alice@a.org", ["user1@example.test"], MESSAGE)
    M.wait_mail("user1", have + 1)
    path = max(M.maildir("user1"), key=os.path.getmtime)
    wait_for("the summary", lambda: os.path.exists(os.path.join(M.info["mail_root"], M.domain, "user1", "merpati-delivered")))
    with open(path, "r+b") as f:
        size = os.path.getsize(path)
        f.write(b"x" * size)
    c = client(user="user1")
    c.ok("SELECT INBOX")
    line = c.ok("FETCH * (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (Subject)])")[0]
    check("%r" % line, b'"Alice" NIL "alice" "a.org"' in line and b'"rfc822"' in line and b"Subject: =?utf-8" in line)
    c.ok("STORE * +FLAGS.SILENT (\\Deleted)")
    c.ok("CLOSE")
    c.close()


def bad_input():
    """Each gets its refusal, and the session goes on (or ends where nothing else is left)."""
    c = client()
    for text, want in ((b"a\r\n", b"* BAD"), (b"\r\n", b"* BAD"), (b"a \r\n", b"a BAD"), (b"a NO\0OP\r\n", b"a BAD"),
                       (b"a FETCH 1 ALL\r\n", b"a BAD"), (b"a " + b"x" * 70000 + b"\r\n", b"a BAD"), (b"a LOGIN x y\r\n", b"a BAD"),
                       (b'a LIST "" {300000}\r\n', b"a BAD"), (b"a NOOP {99999999999999999999999}\r\n", b"a BAD"),
                       (b"a APPEND INBOX {2000000000}\r\n", b"a NO [TOOBIG]"), (b"a APPEND nosuch {3+}\r\nabc\r\n", b"a NO [TRYCREATE]"),
                       (b'a APPEND nosuch (\\Seen kw) " 1-Feb-2020 10:00:00 +0100" {3}\r\n', b"a NO [TRYCREATE]"),
                       (b"a APPEND nosuch (\\Seen kw) {3+}\r\nabc\r\n", b"a NO [TRYCREATE]"),
                       (b"a APPEND INBOX (\\Foo) {3+}\r\nabc\r\n", b"a BAD"), (b"a APPEND INBOX {0+}\r\n\r\n", b"a NO"),
                       (b'a APPEND INBOX "yesterday" {3+}\r\nabc\r\n', b"a BAD"),
                       (b"a APPEND INBOX {3+}\r\nabcxyz\r\n", b"a BAD"), (b"a APPEND INBOX (\\Foo) {3}\r\n", b"a BAD"),
                       (b"a" * 9000 + b" APPEND nosuch {3+}\r\nabc\r\n", b"* BAD"),
                       (b"a UID NOOP\r\n", b"a BAD"), (b"a IDLE\r\nNOTDONE\r\n", b"a BAD")):
        c.send(text)
        c.until(want)
        c.ok("NOOP")
    c.close()
    for text in (b"a " + b"x" * 3000000, b'a LIST "" {300000+}\r\n', b"\r\n" * 50):
        c = client()
        try:
            c.send(text)
        except (ConnectionError, socket.timeout):
            pass
        try:
            check("bye to %r" % text[:30], c.until(b"* BYE"))
        except ConnectionError:
            pass
        c.close()
    c = client()  # byte by byte
    for byte in b"q SELECT INBOX\r\nr APPEND {5+}\r\nINBOX {4+}\r\na\r\n\r\r\n":
        c.send(bytes([byte]))
    c.until(b"r ")
    c.close()


def log_lines():
    c = client()
    c.ok("LOGOUT")
    M.wait_log(r"imapd\[\d+\]: user=<user0@example.test>, rip=127.0.0.1, disconnected: Logged out, in=\d+ out=\d+")
    check("nothing to be ashamed of", "error: " not in M.log().replace("login", ""))


if __name__ == "__main__":
    with merpati.Instance(users=2) as M:
        merpati.main(capabilities, mailboxes, append_and_fetch, recent, partial_pieces, search, store_copy_move_expunge, two_sessions,
                     deleted_under_a_session, idle, delivered_mail, first_fetch_opens_no_message, bad_input, log_lines)
