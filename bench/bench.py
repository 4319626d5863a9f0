"""./dev bench [WORK...]: Merpati beside Postfix and Dovecot, each row in one run on one machine.

    bench.py BUILD [deliver|relay|login|login_tls|idle_smtp|idle_imap|idle_imaps ...] [--rounds N] [--messages N]

The peers are Debian's packages, unpacked (not installed) into a private mount namespace.  Everything that is written lies on a
fresh journaled ext4 (a loop image).  Rounds alternate between the products; medians and all rounds are printed.
CPU is what the server's processes used (/proc, children included); memory is PSS.
"""
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "harness"))
USERS, SIZE, SESSIONS = 100, 4096, 20


def run(*command, **keywords):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **keywords)
    if done.returncode != 0:
        raise SystemExit("%s: exit status %d\n%s" % (" ".join(command), done.returncode, done.stdout))
    return done.stdout


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


# --- the stage: private mounts, the peers' packages, a fresh journaled file system ---

def unpack_peers(cache):
    """Debian's packages of the peers, unpacked below cache/tree."""
    tree = os.path.join(cache, "tree")
    if os.path.isdir(tree):
        return tree
    os.makedirs(cache, exist_ok=True)
    need = ["libdb5.3", "libicu72", "libnsl2", "libsasl2-2", "libexttextcat-2.0-0", "liblua5.4-0", "libsodium23",
            "libstemmer0d", "libtirpc3", "libwrap0", "libunwind8", "libapparmor1", "e2fsprogs"]
    run("apt-get", "-qq", "install", "-y", "--no-install-recommends", *need)
    run("apt-get", "-qq", "download", "postfix", "dovecot-core", "dovecot-imapd", "dovecot-pop3d", cwd=cache)
    for name in os.listdir(cache):
        if name.endswith(".deb"):
            run("dpkg", "-x", os.path.join(cache, name), tree + ".new")
    os.rename(tree + ".new", tree)
    return tree


def split_idle_rows(argv):
    """Memory per connection is measured on servers that did nothing before: each such row in a run of its own, once."""
    named = [word for word in argv[2:] if word in WORK]
    rows = named or list(WORK)
    idle_rows = [row for row in rows if row.startswith("idle")]
    if os.environ.get("MERPATI_BENCH_STAGE") or not idle_rows or rows == idle_rows[:1]:
        return argv
    for row in idle_rows:
        subprocess.run([sys.executable, argv[0], argv[1], row, "--rounds", "1"])
    options = [word for word in argv[2:] if word not in WORK]
    others = [row for row in rows if row not in idle_rows]
    if not others:
        sys.exit(0)
    return argv[:2] + others + options


def enter_stage(argv):
    """Runs this script again in a mount namespace of its own."""
    if os.environ.get("MERPATI_BENCH_STAGE"):
        return
    os.environ["MERPATI_BENCH_STAGE"] = "1"
    os.execvp("unshare", ["unshare", "-m", sys.executable] + argv)


def build_stage(tree):
    run("mount", "--make-rprivate", "/")
    work = tempfile.mkdtemp(prefix="merpati-bench-")
    over = os.path.join(work, "overlay")
    os.makedirs(over)
    run("mount", "-t", "tmpfs", "tmpfs", over)
    for name in ("etc-upper", "etc-work"):
        os.makedirs(os.path.join(over, name))
    run("mount", "-t", "overlay", "overlay", "-o", "lowerdir=%s/usr:/usr" % tree, "/usr")
    run("mount", "-t", "overlay", "overlay", "-o", "lowerdir=%s/etc:/etc,upperdir=%s/etc-upper,workdir=%s/etc-work" % (tree, over, over), "/etc")
    for user in ("postfix", "dovecot", "dovenull"):
        subprocess.run(["useradd", "-r", "-M", "-s", "/usr/sbin/nologin", user], stderr=subprocess.DEVNULL)
    subprocess.run(["groupadd", "-r", "postdrop"], stderr=subprocess.DEVNULL)
    disk = os.path.join(work, "disk")
    os.makedirs(disk)
    image = os.path.join(work, "image")
    with open(image, "wb") as f:
        f.truncate(6 << 30)
    run("mkfs.ext4", "-q", "-F", "-J", "size=64", image)
    run("mount", "-o", "loop", image, disk)
    os.chmod(work, 0o755)
    return work, disk


# --- what a server costs ---

def tree_of(pid):
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        try:
            for task in os.listdir("/proc/%d/task" % p):
                with open("/proc/%d/task/%s/children" % (p, task)) as f:
                    todo += [int(c) for c in f.read().split()]
        except OSError:
            pass
    return out


def cpu_seconds(pid):
    """User and system time of the process, its descendants, and those that it has waited for."""
    ticks = 0
    for p in tree_of(pid):
        try:
            with open("/proc/%d/stat" % p) as f:
                fields = f.read().rsplit(")", 1)[1].split()
            ticks += sum(int(v) for v in fields[11:15])
        except OSError:
            pass
    return ticks / os.sysconf("SC_CLK_TCK")


def pss_kib(pid):
    total = 0
    for p in tree_of(pid):
        try:
            with open("/proc/%d/smaps_rollup" % p) as f:
                total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))
        except (OSError, AttributeError):
            pass
    return total


# --- the products ---

class Merpati:
    name = "merpati"

    def __init__(self, build, disk, sink_port):
        import merpati
        self.build = build
        merpati.BUILD = build
        where = os.path.join(disk, "merpati")
        os.makedirs(where)
        self.instance = merpati.Instance(users=USERS, dir=where, relayhost="[127.0.0.1]:%d" % sink_port,
                                         smtpd_client_connection_count_limit="0", login_client_connection_count_limit="0",
                                         smtp_tls_security_level="none")
        self.instance.start()
        self.pid = self.instance.info["master_pid"]
        ports = self.instance.ports
        self.smtp, self.imap, self.imaps = ports["smtp"], ports["imap"], ports["imaps"]
        self.mail = os.path.join(self.instance.info["mail_root"], "example.test")
        self.domain = "example.test"

    def stop(self):
        self.instance.close()

    def queue_empty(self):
        return "Mail queue is empty" in self.instance.tool("postqueue", "-p")


class Postfix:
    name = "postfix"
    domain = "example.test"

    def __init__(self, disk, sink_port):
        self.top = os.path.join(disk, "postfix")
        self.etc, self.mail = os.path.join(self.top, "etc"), os.path.join(self.top, "mail/example.test")
        self.smtp = 19025
        os.makedirs(self.mail)
        run("chown", "-R", "5000:5000", os.path.join(self.top, "mail"))
        boxes = "".join("user%d@example.test example.test/user%d/\n" % (i, i) for i in range(USERS))
        write(os.path.join(self.etc, "boxes"), boxes)
        write(os.path.join(self.etc, "main.cf"), """
compatibility_level = 3.6
queue_directory = {top}/spool
data_directory = {top}/data
myhostname = mail.example.test
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = example.test
virtual_mailbox_base = {top}/mail
virtual_mailbox_maps = hash:{etc}/boxes
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
virtual_minimum_uid = 1000
alias_maps =
alias_database =
local_recipient_maps =
relayhost = [127.0.0.1]:{sink}
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
maillog_file = {top}/mail.log
maillog_file_prefixes = {top}
smtp_tls_security_level = none
default_process_limit = 1200
""".format(top=self.top, etc=self.etc, sink=sink_port))
        with open("/usr/share/postfix/master.cf.dist") as f:
            stock = f.read()
        stock = re.sub(r"^smtp +inet", "127.0.0.1:%d inet" % self.smtp, stock, flags=re.M)
        stock = re.sub(r"^(\S+\s+(?:inet|unix|fifo|pass)\s+\S+\s+\S+\s+)y", r"\1n", stock, flags=re.M)
        if "postlogd" not in stock:
            stock += "postlog unix-dgram n - n - 1 postlogd\n"
        write(os.path.join(self.etc, "master.cf"), stock)
        for folder in ("spool", "data"):
            os.makedirs(os.path.join(self.top, folder))
        shutil.chown(os.path.join(self.top, "data"), "postfix")
        shutil.copy("/usr/share/postfix/postfix-files", self.etc) if os.path.exists("/usr/share/postfix/postfix-files") else None
        run("postmap", "-c", self.etc, "hash:%s/boxes" % self.etc)
        subprocess.run(["postfix", "-c", self.etc, "start"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        pid_file = os.path.join(self.top, "spool/pid/master.pid")
        wait("Postfix runs", lambda: os.path.exists(pid_file) and open(pid_file).read().strip())
        self.pid = int(open(pid_file).read())
        wait("Postfix listens", lambda: listens(self.smtp))

    def stop(self):
        subprocess.run(["postfix", "-c", self.etc, "stop"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def queue_empty(self):
        return "Mail queue is empty" in run("postqueue", "-c", self.etc, "-p")


class Dovecot:
    name = "dovecot"
    domain = "example.test"

    def __init__(self, disk, certificate, key):
        self.top = os.path.join(disk, "dovecot")
        self.imap, self.imaps = 19143, 19993
        os.makedirs(os.path.join(self.top, "mail"))
        run("chown", "-R", "5000:5000", os.path.join(self.top, "mail"))
        write(os.path.join(self.top, "users"), "".join(
            "user%d@example.test:{PLAIN}secret:5000:5000::%s/mail/user%d\n" % (i, self.top, i) for i in range(USERS)))
        write(os.path.join(self.top, "dovecot.conf"), """
base_dir = {top}/run
state_dir = {top}/state
log_path = {top}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
disable_plaintext_auth = no
auth_cache_size = 10M
auth_mechanisms = plain
first_valid_uid = 1000
mail_location = maildir:~/Maildir
mail_max_userip_connections = 0
passdb {{
  driver = passwd-file
  args = {top}/users
}}
userdb {{
  driver = passwd-file
  args = {top}/users
}}
service imap-login {{
  service_count = 0
  process_min_avail = 2
  client_limit = 5000
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 5000
  process_min_avail = 20
}}
service anvil {{
  client_limit = 20000
}}
service auth {{
  client_limit = 20000
}}
default_vsz_limit = 0
""".format(top=self.top, cert=certificate, key=key, imap=self.imap, imaps=self.imaps))
        os.makedirs(os.path.join(self.top, "run"))
        os.makedirs(os.path.join(self.top, "state"))
        self.process = subprocess.Popen(["dovecot", "-F", "-c", os.path.join(self.top, "dovecot.conf")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        wait("Dovecot listens", lambda: listens(self.imap))

    def stop(self):
        self.process.terminate()
        self.process.wait()


def listens(port):
    import socket
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
        return True
    except OSError:
        return False


def wait(what, condition, timeout=int(os.environ.get("BENCH_WAIT", "120")), pause=0.02):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("timed out: " + what)
        time.sleep(pause)  # the poll interval of a readiness check


# --- the workloads: each returns {figure: value} for one product ---

def count_mail(top):
    n = 0
    for user in os.listdir(top) if os.path.isdir(top) else []:
        new = os.path.join(top, user, "new")
        if os.path.isdir(new):
            n += len(os.listdir(new))
    return n


def load(build, name, *args):
    return float(run(os.path.join(build, "bench", name), *[str(a) for a in args]))


def deliver(env, product, keep=0, sessions=SESSIONS):
    before, cpu = count_mail(product.mail), cpu_seconds(product.pid)
    start = time.monotonic()
    load(env.build, "smtp_load", product.smtp, sessions, env.messages, SIZE, USERS, keep, "user%lu@" + product.domain)
    wait("everything delivered by " + product.name, lambda: count_mail(product.mail) - before >= env.messages)
    seconds = time.monotonic() - start
    if count_mail(product.mail) - before != env.messages:
        raise SystemExit("%s delivered %d of %d" % (product.name, count_mail(product.mail) - before, env.messages))
    return {"messages/s": env.messages / seconds, "CPU ms": (cpu_seconds(product.pid) - cpu) * 1000 / env.messages,
            "PSS MiB": pss_kib(product.pid) / 1024}


def relay(env, product):
    cpu = cpu_seconds(product.pid)
    start = time.monotonic()
    load(env.build, "smtp_load", product.smtp, SESSIONS, env.messages, SIZE, USERS, 0, "u%lu@elsewhere.test")
    wait("an empty queue at " + product.name, product.queue_empty)
    seconds = time.monotonic() - start
    return {"messages/s": env.messages / seconds, "CPU ms": (cpu_seconds(product.pid) - cpu) * 1000 / env.messages,
            "PSS MiB": pss_kib(product.pid) / 1024}


def login(env, product, tls=0):
    logins = env.messages
    # Each user once before the clock runs: with us a success is cached (yescrypt is paid once per auth_cache_ttl); Dovecot
    # has the cheapest scheme that it knows, {PLAIN}.
    load(env.build, "imap_load", product.imap, 0, 2, USERS, USERS, "user%lu@" + product.domain, "secret")
    cpu = cpu_seconds(product.pid)
    seconds = load(env.build, "imap_load", product.imaps if tls else product.imap, tls, SESSIONS, logins, USERS,
                   "user%lu@" + product.domain, "secret")
    return {"logins/s": logins / seconds, "CPU ms": (cpu_seconds(product.pid) - cpu) * 1000 / logins}


def idle(env, product, tool, args, n):
    before = pss_kib(product.pid)
    held = subprocess.Popen([os.path.join(env.build, "bench", tool)] + [str(a) for a in args], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    if held.stdout.readline().strip() != "holding":
        raise SystemExit("%s: connections were not all made" % product.name)
    after = pss_kib(product.pid)
    held.stdin.close()
    held.wait()
    return {"KiB/connection": (after - before) / n}


WORK = {
    "deliver": ("accept + deliver, 4 KiB, 20 sessions, one message a connection", "mta", deliver),
    "deliver_kept": ("the same, connections kept", "mta", lambda e, p: deliver(e, p, 1)),
    "deliver_1": ("the same, 1 session", "mta", lambda e, p: deliver(e, p, 1, 1)),
    "relay": ("relay to smtp-sink, 4 KiB, 20 sessions", "mta", relay),
    "login": ("IMAP login, SELECT, LOGOUT, 20 at a time, plain", "imap", login),
    "login_tls": ("the same, TLS (P-256, full handshakes)", "imap", lambda e, p: login(e, p, 1)),
    "idle_smtp": ("1,000 idle SMTP connections", "mta",
                  lambda e, p: idle(e, p, "smtp_load", [p.smtp, 1000, 0, SIZE, USERS, 1, "u%lu@x"], 1000)),
    "idle_imap": ("500 idle IMAP IDLE connections, plain", "imap",
                  lambda e, p: idle(e, p, "imap_load", [p.imap, 0, 500, 0, USERS, "user%lu@example.test", "secret"], 500)),
    "idle_imaps": ("500 idle IMAP IDLE connections, TLS", "imap",
                   lambda e, p: idle(e, p, "imap_load", [p.imaps, 1, 500, 0, USERS, "user%lu@example.test", "secret"], 500)),
}


class Environment:
    pass


def show(title, results):
    print("\n%s" % title)
    for figure in next(iter(results.values()))[0]:
        medians = {name: statistics.median(r[figure] for r in rounds) for name, rounds in results.items()}
        names = list(results)
        ratio = medians[names[0]] / medians[names[1]] if medians[names[1]] else float("nan")
        print("  %-15s " % figure + "   ".join("%s %.2f (%s)" % (
            name, medians[name], ", ".join("%.4g" % r[figure] for r in results[name])) for name in names) + "   ratio %.2f" % ratio,
            flush=True)


def main():
    argv = split_idle_rows(sys.argv)
    enter_stage(argv)
    args = argv[1:]
    env = Environment()
    env.build, env.rounds, env.messages = os.path.abspath(args.pop(0)), 3, 3000
    wanted = []
    while args:
        word = args.pop(0)
        if word == "--rounds":
            env.rounds = int(args.pop(0))
        elif word == "--messages":
            env.messages = int(args.pop(0))
        elif word in WORK:
            wanted.append(word)
        else:
            raise SystemExit("bench: unknown work %s; there is: %s" % (word, " ".join(WORK)))
    wanted = wanted or list(WORK)
    tree = unpack_peers(os.path.join(HERE, "..", "build", "peers"))
    work, disk = build_stage(tree)
    os.chmod(disk, 0o755)
    sink = subprocess.Popen(["smtp-sink", "-u", "nobody", "-c", "127.0.0.1:19026", "1000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started = []
    try:
        ours = Merpati(env.build, disk, 19026)
        started.append(ours)
        peers = {}
        for name in wanted:
            title, kind, work_fn = WORK[name]
            if kind not in peers:
                etc = ours.instance.etc
                peers[kind] = Postfix(disk, 19026) if kind == "mta" else Dovecot(
                    disk, os.path.join(etc, "tls/cert.pem"), os.path.join(etc, "tls/key.pem"))
                started.append(peers[kind])
            results = {ours.name: [], peers[kind].name: []}
            for _ in range(env.rounds):
                for product in (ours, peers[kind]):
                    results[product.name].append(work_fn(env, product))
            show(title, results)
    finally:
        for product in started:
            product.stop()
        sink.terminate()
        sink.wait()
        subprocess.run(["umount", "-l", disk])
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
