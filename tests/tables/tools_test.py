"""postmap, postalias and postconf by hand: what they print, what they leave on disk, that readers are never disturbed."""
# labels: short
import os
import subprocess
import threading

from merpati import BUILD, check, main

MAIN_CF = """# a comment
compatibility_level = 3.6
mydomain = example.org
myhostname = mx.$mydomain
mynetworks = 127.0.0.0/8,   10.0.0.0/8,
    192.168.0.0/16
relayhost = ${mydomain?{[smtp.$mydomain]}:{none}}
own = 1
mydestination = $own
misspeld = 2
"""
MASTER_CF = """smtp      inet  n       -       y       -       -       smtpd
submission inet n       -       y       -       20       smtpd -v
  -o syslog_name=postfix/submission
  -o { smtpd_client_restrictions = permit_mynetworks, reject }
maildrop  unix  -       n       n       -       -       pipe
  flags=DRXhu user=vmail argv={/usr/bin/maildrop -d} ${recipient}
"""


def run(tool, *args, input=None, status=0):
    done = subprocess.run([os.path.join(BUILD, "bin", tool), "-c", "etc"] + list(args), input=input, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    check("%s %s: status %d, %s" % (tool, " ".join(args), done.returncode, done.stderr), done.returncode == status)
    return done.stdout, done.stderr


def put(path, text):
    with open(path, "w") as f:
        f.write(text)


def setup():
    os.makedirs("etc")
    put("etc/main.cf", MAIN_CF)
    put("etc/master.cf", MASTER_CF)


def test_postmap():
    put("t", '"user name"@x.org val1\nUser val 2\nnoval\n  more\nuser again\nlast\n')
    _, warnings = run("postmap", "lmdb:t")
    check(warnings, 'duplicate entry: "user"' in warnings and "line 6: expected format" in warnings)
    out, _ = run("postmap", "-s", "lmdb:t")
    check(out, out == '"user name"@x.org\tval1\nnoval\tmore\nuser\tval 2\n')
    check("query", run("postmap", "-q", "USER", "hash:t")[0] == "val 2\n")
    run("postmap", "-q", "nosuch", "lmdb:t", status=1)
    check("keys from stdin", run("postmap", "-q", "-", "lmdb:t", input="user\nnosuch\nnoval\n")[0] == "user\tval 2\nnoval\tmore\n")
    run("postmap", "-i", "lmdb:t", input="new x\n")
    run("postmap", "-d", "noval", "lmdb:t")
    run("postmap", "-d", "noval", "lmdb:t", status=1)
    check("after -i and -d", run("postmap", "-s", "lmdb:t")[0] == '"user name"@x.org\tval1\nnew\tx\nuser\tval 2\n')
    run("postmap", "-r", "-i", "lmdb:t", input="new y\n")
    check("replaced", run("postmap", "-q", "new", "lmdb:t")[0] == "y\n")
    run("postmap", "regexp:t", status=1)
    run("postmap", "lmdb:missing", status=1)
    check("mode of the source", os.stat("t.lmdb").st_mode & 0o777 == os.stat("t").st_mode & 0o777)
    check("nothing left over", sorted(n for n in os.listdir(".") if n.startswith("t")) == ["t", "t.lmdb"])


def test_types():
    put("r", "/^a(.*)b$/ got $1\nif /bar/\n/foo/ both\nendif\n!/foo/ not\n")
    for kind in ("regexp", "pcre"):
        check(kind, run("postmap", "-q", "aXb", kind + ":r")[0] == "got X\n")
        check(kind, run("postmap", "-q", "foobar", kind + ":r")[0] == "both\n")
        run("postmap", "-q", "foo", kind + ":r", status=1)
    put("c", "10.0.0.0/8 ten\n2001:db8::/32 doc\n")
    check("cidr", run("postmap", "-q", "10.1.2.3", "cidr:c")[0] == "ten\n")
    check("cidr 6", run("postmap", "-q", "2001:db8::1", "cidr:c")[0] == "doc\n")
    check("union", run("postmap", "-q", "a", "unionmap:{inline:{a=1},inline:{a=2}}")[0] == "1,2\n")
    check("pipe", run("postmap", "-q", "a", "pipemap:{inline:{a=z},inline:{z=2}}")[0] == "2\n")
    run("postmap", "-q", "a", "fail:x", status=1)


def test_postalias():
    put("aliases", "root: bob\n\"a b\" : c,\n  d\nbad line\n")
    _, warnings = run("postalias", "aliases")
    check(warnings, "line 4" in warnings)
    check("list", run("postalias", "-s", "aliases")[0] == "a b:\tc,  d\nroot:\tbob\n")


def test_replaced_under_readers():
    """Readers in a loop while the table is built again and again: always one value or the other."""
    for value in ("one", "two"):
        put(value, "key %s\n" % value)
    put("u", "key one\n")
    run("postmap", "lmdb:u")
    stop, seen = threading.Event(), []

    def read():
        while not stop.is_set():
            seen.append(subprocess.run([os.path.join(BUILD, "bin/postmap"), "-q", "key", "lmdb:u"], text=True,
                                       stdout=subprocess.PIPE).stdout)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for r in readers:
        r.start()
    for i in range(40):
        put("u", "key %s\n" % ("one", "two")[i % 2])
        run("postmap", "lmdb:u")
    stop.set()
    for r in readers:
        r.join()
    check("values %s" % set(seen), set(seen) <= {"one\n", "two\n"} and len(seen) > 10)


def test_postconf_show():
    out, warnings = run("postconf", "-n")
    check(out, "mynetworks = 127.0.0.0/8, 10.0.0.0/8, 192.168.0.0/16\n" in out and "misspeld" not in out and "own = 1\n" in out)
    check(warnings, "etc/main.cf: unused parameter: misspeld=2" in warnings)
    check("-x", run("postconf", "-x", "-h", "relayhost")[0] == "[smtp.example.org]\n")
    check("-d", run("postconf", "-d", "queue_run_delay")[0] == "queue_run_delay = 300s\n")
    check("-o", run("postconf", "-o", "mydomain=b.org", "-xh", "myhostname")[0] == "mx.b.org\n")
    check("unknown", "nosuch: unknown parameter" in run("postconf", "nosuch")[1])
    names = run("postconf", "-dH")[0].split("\n")
    check("every name of Postfix: %d" % len(names), len(names) > 1043)
    out = run("postconf", "-M")[0]
    check(out, "submission inet  n       -       y       -       20      smtpd -v -o syslog_name=postfix/submission "
               "-o {smtpd_client_restrictions=permit_mynetworks, reject}\n" in out)
    check(out, "pipe flags=DRXhu user=vmail {argv={/usr/bin/maildrop -d}} ${recipient}\n" in out)
    check("-P", run("postconf", "-P", "submission/inet/syslog_name")[0] ==
          "submission/inet/syslog_name = postfix/submission\n")
    check("-F", "smtp/inet/command = smtpd\n" in run("postconf", "-F", "smtp/inet")[0])


def test_postconf_edit():
    run("postconf", "-e", "mynetworks = 10.0.0.0/8", "relayhost=", "home_mailbox=Maildir/")
    with open("etc/main.cf") as f:
        text = f.read()
    check(text, text == MAIN_CF.replace("mynetworks = 127.0.0.0/8,   10.0.0.0/8,\n    192.168.0.0/16\n",
                                        "mynetworks = 10.0.0.0/8\n")
          .replace("relayhost = ${mydomain?{[smtp.$mydomain]}:{none}}\n", "relayhost =\n") + "home_mailbox = Maildir/\n")
    run("postconf", "-X", "home_mailbox")
    run("postconf", "-#", "own")
    with open("etc/main.cf") as f:
        text = f.read()
    check(text, "#own = 1\n" in text and "home_mailbox" not in text)
    run("postconf", "-e", "junk", status=1)


import tempfile  # noqa: E402

work = tempfile.TemporaryDirectory()
os.chdir(work.name)
setup()
main(*[f for name, f in list(globals().items()) if name.startswith("test_")])
