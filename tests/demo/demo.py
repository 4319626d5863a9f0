"""The textbook letter: alice@a.org writes to bob@b.org, on two hosts of this machine.

    demo.py BUILD

Three network namespaces: host a.org, host b.org, and a name server (nsd) with the MX records of both.  Each host runs the
whole suite on the real ports.  Every step is told in a line or two and checked: exit status 0 means that it all held.
"""
import ctypes
import contextlib
import email
import email.policy
import imaplib
import os
import poplib
import re
import shutil
import smtplib
import ssl
import subprocess
import sys
import tempfile
import time
from email.message import EmailMessage

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from merpati import TOP, Failure, check, wait_for  # noqa: E402

CLONE_NEWNET = 0x40000000
DNS_IP, A_IP, B_IP, MX1_IP, DEAD_IP = "10.99.0.53", "10.99.0.10", "10.99.0.20", "10.99.0.19", "10.99.0.99"
FIVE_DAYS = 5 * 86400
libc = ctypes.CDLL(None, use_errno=True)
started = time.monotonic()


def tell(text=""):
    print("%6.1f s  %s" % (time.monotonic() - started, text) if text else "", flush=True)


def show(text, indent="          | "):
    for line in text.rstrip("\n").split("\n"):
        print(indent + line, flush=True)


def run(*command, check_status=True, **keywords):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **keywords)
    if check_status and done.returncode != 0:
        raise Failure("%s: exit status %d\n%s" % (" ".join(command), done.returncode, done.stdout))
    return done.stdout


class Namespace:
    """A network namespace with one address on the shared bridge."""

    def __init__(self, name, address):
        self.name, self.address = "merpati-%d-%s" % (os.getpid(), name), address
        run("ip", "netns", "add", self.name)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command, **keywords):
        return run("ip", "netns", "exec", self.name, *command, **keywords)

    def join(self, bridge):
        """A cable from here to the bridge in another namespace."""
        inner, outer = "eth0", "v" + self.name.split("-")[-1]
        run("ip", "link", "add", inner, "netns", self.name, "type", "veth", "peer", "name", outer, "netns", bridge.name)
        bridge.run("ip", "link", "set", outer, "master", "br0", "up")
        self.run("ip", "addr", "add", self.address + "/24", "dev", inner)
        self.run("ip", "link", "set", inner, "up")

    @contextlib.contextmanager
    def inside(self):
        """Sockets made in this block belong to the namespace."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open("/run/netns/" + self.name, os.O_RDONLY)
        try:
            if libc.setns(there, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            yield
        finally:
            libc.setns(home, CLONE_NEWNET)
            os.close(home)
            os.close(there)

    def remove(self):
        subprocess.run(["ip", "netns", "delete", self.name], stderr=subprocess.DEVNULL)


class Host:
    """A mail host: one namespace, the suite with its stock master.cf on the real ports, a certificate of its own."""

    def __init__(self, build, top, name, domain, address, params=""):
        self.build, self.domain, self.name = build, domain, name
        self.net = Namespace(domain.split(".")[0], address)
        self.dir = os.path.join(top, domain)
        self.etc = os.path.join(self.dir, "etc")
        os.makedirs(os.path.join(self.etc, "tls"))
        os.makedirs(os.path.join(self.dir, "log"))
        shutil.chown(os.path.join(self.dir, "log"), "merpati-logd")
        self.running = False
        self.certificate()
        shutil.copy(os.path.join(TOP, "conf/master.cf"), self.etc)
        with open(os.path.join(TOP, "conf/main.cf")) as stock, open(os.path.join(self.etc, "main.cf"), "w") as mine:
            mine.write(stock.read() + """
# --- this host ---
myhostname = {name}
mydomain = {domain}
myorigin = $mydomain
mydestination = $myhostname, localhost
inet_protocols = ipv4
config_directory = {etc}
queue_directory = {dir}/spool
data_directory = {dir}/data
virtual_mailbox_base = {dir}/mail
daemon_directory = {build}/libexec
command_directory = {build}/bin
maillog_file = {dir}/log/mail.log
maillog_file_prefixes = {dir}
smtpd_tls_cert_file = {etc}/tls/cert.pem
smtpd_tls_key_file = {etc}/tls/key.pem
alias_maps = lmdb:{etc}/aliases
alias_database = lmdb:{etc}/aliases
resolver_forward = {dns}
{params}
""".format(name=name, domain=domain, etc=self.etc, dir=self.dir, build=build, dns=DNS_IP, params=params))
        with open(os.path.join(self.etc, "aliases"), "w") as f:
            f.write("postmaster: root\n")
        self.tool("postalias", "lmdb:%s/aliases" % self.etc)

    def certificate(self):
        key, cert = os.path.join(self.etc, "tls/key.pem"), os.path.join(self.etc, "tls/cert.pem")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
            "/CN=" + self.name, "-addext", "subjectAltName=DNS:%s" % self.name, "-keyout", key, "-out", cert)
        shutil.chown(key, "merpati-keyd")
        os.chmod(key, 0o400)
        self.tls = ssl.create_default_context(cafile=cert)

    def tool(self, name, *args, **keywords):
        config = ["-C", self.etc] if name == "sendmail" else ["-c", self.etc]
        return self.net.run(os.path.join(self.build, "bin", name), *config, *args, **keywords)

    def add_user(self, address):
        self.tool("merpati", "user", "add", "--from", "/dev/stdin", input="%s:secret\n" % address)

    def start(self, offset=0):
        self.running = True  # one that fails to start may leave processes too
        self.tool("merpati", "start", "--clock-offset", str(offset))

    def stop(self):
        if self.running:
            self.running = False
            self.tool("merpati", "stop", check_status=False)

    def log(self):
        try:
            with open(os.path.join(self.dir, "log/mail.log"), errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def wait_log(self, pattern, timeout=30):
        """The last log line that matches, once there is one."""
        return wait_for("log of %s: %s" % (self.domain, pattern),
                        lambda: (re.findall("^.*(?:%s).*$" % pattern, self.log(), re.M) or [None])[-1], timeout)

    def show_line(self, line):
        show(re.sub(r"^(\S+ +\S+ \S+) \S+ ", r"\1 %s " % self.domain, line))


def name_server(net, top):
    """nsd with both zones; b.org has MX 10 (a host where nothing listens) and MX 20."""
    zones = {
        "a.org": "@ MX 10 mail\nmail A %s\n" % A_IP,
        "b.org": "@ MX 10 mx1\n@ MX 20 mx2\nmx1 A %s\nmx2 A %s\n" % (MX1_IP, B_IP),
        "dead.example": "@ MX 10 gone\ngone A %s\n" % DEAD_IP,
        "99.10.in-addr.arpa": "10.0 PTR mail.a.org.\n20.0 PTR mx2.b.org.\n",
    }
    conf = ["server:", " ip-address: " + DNS_IP, ' username: ""', ' zonesdir: "%s"' % top, ' pidfile: "%s/nsd.pid"' % top,
            ' database: ""', ' xfrdfile: ""', ' zonelistfile: "%s/zone.list"' % top, ' xfrdir: "%s"' % top,
            ' logfile: "%s/nsd.log"' % top, "remote-control:", " control-enable: no"]
    for zone, records in zones.items():
        conf += ["zone:", " name: " + zone, " zonefile: " + zone + ".zone"]
        with open(os.path.join(top, zone + ".zone"), "w") as f:
            f.write("$ORIGIN %s.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A %s\n%s" % (zone, DNS_IP, records))
    path = os.path.join(top, "nsd.conf")
    with open(path, "w") as f:
        f.write("\n".join(conf) + "\n")
    server = subprocess.Popen(["ip", "netns", "exec", net.name, "nsd", "-d", "-c", path], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    wait_for("the name server answers", lambda: A_IP in net.run("dig", "+short", "+time=1", "+tries=1", "@" + DNS_IP, "mail.a.org", "A",
                                                                check_status=False))
    return server


def letter():
    m = EmailMessage(policy=email.policy.SMTP)
    m["From"] = "Alice <alice@a.org>"
    m["To"] = "Bob <bob@b.org>"
    m["Subject"] = "The pigeon has landed"
    m["Date"] = "Sat, 21 Nov 2026 12:00:00 +0000"
    m["Message-ID"] = "<letter-1@a.org>"
    m.set_content("Dear Bob,\r\n\r\nattached is the map.\r\n.\r\nA line with a single dot must survive.\r\n\r\nAlice\r\n")
    m.add_attachment(bytes(range(256)) * 64, maintype="application", subtype="octet-stream", filename="map.bin")
    return m.as_bytes(policy=email.policy.SMTP)


def submit(host, sender, recipient, data):
    """Alice's mail client: port 587, STARTTLS, AUTH."""
    with host.net.inside():
        s = smtplib.SMTP()
        s._host = host.name  # the name that the certificate must have
        s.connect(host.net.address, 587)
    s.ehlo("laptop.a.org")
    s.starttls(context=host.tls)
    s.ehlo("laptop.a.org")
    s.login(sender, "secret")
    s.mail(sender, ["SIZE=%d" % len(data)])
    code, text = s.rcpt(recipient)
    check("RCPT accepted: %r" % text, code == 250)
    code, text = s.data(data)
    check("DATA accepted: %r" % text, code == 250)
    s.quit()
    return text.decode()


def read_pop3(host, user):
    with host.net.inside():
        raw = poplib.POP3_SSL.__new__(poplib.POP3_SSL)
        raw.keyfile = raw.certfile = None
        raw.context = host.tls
        raw._create_socket = lambda timeout: host.tls.wrap_socket(
            __import__("socket").create_connection((host.net.address, 995), 20), server_hostname=host.name)
        poplib.POP3.__init__(raw, host.name, 995, 20)
    raw.user(user)
    raw.pass_("secret")
    count = raw.stat()[0]
    messages = [b"\r\n".join(raw.retr(i + 1)[1]) + b"\r\n" for i in range(count)]
    raw.quit()
    return messages


def read_imap(host, user):
    with host.net.inside():
        class Client(imaplib.IMAP4_SSL):
            def _create_socket(self, timeout):
                plain = __import__("socket").create_connection((host.net.address, 993), 20)
                return host.tls.wrap_socket(plain, server_hostname=host.name)
        c = Client(host.name, 993, ssl_context=host.tls)
    c.login(user, "secret")
    c.select("INBOX", readonly=True)
    numbers = c.search(None, "ALL")[1][0].split()
    messages = [c.fetch(n, "(BODY.PEEK[] ENVELOPE)")[1] for n in numbers]
    c.logout()
    return [m[0][1] for m in messages], [m[0][0] for m in messages]


def below_trace(message):
    """The message without the trace headers that the hosts put on top."""
    end = message.index(b"From: ")
    return message[end:]


def play(build, top):
    tell("Two hosts, a.org and b.org, and a name server, each in a network namespace of this machine.")
    dns = Namespace("dns", DNS_IP)
    made = [dns]
    server = None
    try:
        dns.run("ip", "link", "add", "br0", "type", "bridge")
        for address in (DNS_IP, MX1_IP):
            dns.run("ip", "addr", "add", address + "/24", "dev", "br0")
        dns.run("ip", "link", "set", "br0", "up")
        a = Host(build, top, "mail.a.org", "a.org", A_IP, "smtp_tls_security_level = may\n"
                 "minimal_backoff_time = 2s\nmaximal_backoff_time = 4s\nqueue_run_delay = 1s")
        made.append(a.net)
        b = Host(build, top, "mx2.b.org", "b.org", B_IP,
                 "virtual_alias_maps = inline:{ bob@b.org=robert@b.org }")
        made.append(b.net)
        a.net.join(dns)
        b.net.join(dns)
        server = name_server(dns, top)
        show(dns.run("dig", "+noall", "+answer", "@" + DNS_IP, "b.org", "MX"))
        try:
            for host, user in ((a, "alice@a.org"), (b, "robert@b.org")):
                host.add_user(user)
                host.start()
            tell("Both hosts run: smtpd, cleanup, qmgr, smtp, local, login, imapd, pop3d ... each under its own identity.")
            scenes(a, b)
        except Exception:
            for host in (a, b):
                print("--- log of %s\n%s" % (host.domain, host.log()[-6000:]), file=sys.stderr)
            raise
        finally:
            a.stop()
            b.stop()
    finally:
        if server is not None:
            server.terminate()
            server.wait()
        for net in reversed(made):
            net.remove()


def scenes(a, b):
    data = letter()
    first_letter(a, b, data)
    host_is_down(a, b, data)
    five_days_pass(a)


def first_letter(a, b, data):
    tell()
    tell("1. Alice's client submits on mail.a.org:587 with STARTTLS and her password.")
    tell("   a.org answers: " + submit(a, "alice@a.org", "bob@b.org", data))
    a.show_line(a.wait_log("submission/smtpd.*client="))
    a.show_line(a.wait_log("qmgr.*from=<alice@a.org>"))
    tell("2. a.org asks for the MX of b.org: mx1 (10) refuses, mx2 (20) takes the letter over TLS.")
    a.show_line(a.wait_log(r"connect to mx1\.b\.org"))
    a.show_line(a.wait_log(r"to=<bob@b\.org>.*relay=mx2\.b\.org.*status=sent"))
    tell("3. b.org's alias table says that bob is robert; the letter goes into his Maildir.")
    b.show_line(b.wait_log(r"to=<robert@b\.org>.*status=sent"))
    tell("4. Bob fetches it by POP3S and reads it by IMAPS.")
    popped = read_pop3(b, "robert@b.org")
    check("one message by POP3", len(popped) == 1)
    read, envelopes = read_imap(b, "robert@b.org")
    check("one message by IMAP", len(read) == 1)
    check("POP3 and IMAP give the same bytes", popped[0] == read[0])
    check("byte for byte what Alice sent, below the trace headers", below_trace(read[0]) == data)
    show(read[0][:read[0].index(b"From: ")].decode())
    show(envelopes[0].decode(errors="replace")[:160])
    tell("   %d bytes, equal to what Alice sent." % len(data))


def host_is_down(a, b, data):
    tell()
    tell("5. b.org goes down; Alice writes again.")
    b.stop()
    submit(a, "alice@a.org", "bob@b.org", data.replace(b"letter-1", b"letter-2"))
    a.show_line(a.wait_log(r"to=<bob@b\.org>.*status=deferred"))
    queue = a.tool("postqueue", "-p")
    check("mailq shows the letter and why it waits", "bob@b.org" in queue and "refused" in queue)
    show(queue)
    tell("6. b.org comes back; the letter arrives with the next attempt.")
    b.start()
    wait_for("second letter at b.org", lambda: len(read_pop3(b, "robert@b.org")) == 2, 60)
    a.show_line(a.wait_log("qmgr.*: removed"))
    wait_for("an empty queue", lambda: "Mail queue is empty" in a.tool("postqueue", "-p"))
    tell("   mailq: " + a.tool("postqueue", "-p").strip())


def five_days_pass(a):
    tell()
    tell("7. A letter to a host that is gone for good, and five days (the clock of a.org is moved).")
    data = letter().replace(b"letter-1", b"letter-3").replace(b"To: Bob <bob@b.org>", b"To: carol@dead.example")
    submit(a, "alice@a.org", "carol@dead.example", data)
    a.show_line(a.wait_log(r"to=<carol@dead\.example>.*status=deferred"))
    a.stop()
    a.start(FIVE_DAYS + 3600)
    a.show_line(a.wait_log("status=expired, returned to sender", 60))
    notice = wait_for("the notice in Alice's INBOX", lambda: read_imap(a, "alice@a.org")[0], 60)[0]
    m = email.message_from_bytes(notice, policy=email.policy.default)
    check("a multipart/report of delivery-status (RFC 3464)",
          m.get_content_type() == "multipart/report" and m.get_param("report-type") == "delivery-status")
    tell("8. Alice finds the notice in her INBOX:")
    show("Subject: %s\nFrom: %s\n" % (m["Subject"], m["From"]))
    for part in m.walk():
        if part.get_content_type() == "message/delivery-status":
            show("\n".join(str(p).strip() for p in part.get_payload()))


def main():
    build = os.path.abspath(sys.argv[1])
    top = tempfile.mkdtemp(prefix="merpati-demo-")
    os.chmod(top, 0o755)
    try:
        play(build, top)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    tell()
    tell("That was the whole way. To connect a mail client of your own: ./dev up /tmp/m")
    tell("then IMAP localhost:20993 (TLS) and submission localhost:20587 (STARTTLS), user0@example.test, password secret.")


if __name__ == "__main__":
    main()
