"""The layers of the house, by the includes: a library uses what stands below it, a program what its list says.

    layering.py TOP

Prints each violation with file and line; exit status 1 when there is one.  A library's headers of system or third
parties are checked where only one folder may have them (TLS, epoll, seccomp, LMDB, libunbound, libsystemd).
"""
import os
import re
import sys

# What a library may use beside itself and what those use.
LIBS = {
    "base": [], "testing": ["base"],
    "log": ["base"], "conf": ["base"], "crypto": ["base"],
    "message": ["base"], "proto": ["base", "message"],
    "ev": ["base", "log"], "sandbox": ["base", "log"],
    "spool": ["base", "log", "message"], "store": ["base", "log", "message"], "sieve": ["base", "message"],
    "io": ["base", "log", "ev"], "ipc": ["base", "log", "ev", "message"], "net": ["base", "log", "ev", "io"],
    "daemon": ["log", "conf", "ev", "ipc", "sandbox"],
    "tls": ["io", "crypto", "ipc", "daemon"], "dns": ["ipc", "daemon"], "maps": ["base", "conf", "ipc"],
    "auth": ["ipc", "crypto", "maps", "daemon"], "mailauth": ["message", "crypto", "dns"],
}
SKELETON = ["base", "log", "conf", "ev", "ipc", "sandbox", "daemon"]
# What a program has on top of the skeleton.
PROGRAMS = {
    "master": [], "logd": [], "anvil": [], "keyd": ["crypto"], "resolver": ["dns"],
    "smtpd": ["net", "io", "tls", "dns", "proto", "message", "auth", "mailauth"],
    "cleanup": ["proto", "message", "spool"],
    "qmgr": ["spool", "message"],
    "rewrite": ["maps", "proto"], "proxymap": ["maps", "net"],
    "smtp": ["net", "io", "tls", "dns", "proto", "message", "auth"],
    "local": ["store", "spool", "message", "proto", "sieve"],
    "login": ["net", "io", "tls", "proto", "auth"],
    "auth": ["auth", "crypto", "maps"],
    "imapd": ["io", "proto", "message", "store"], "pop3d": ["io", "proto", "message", "store"],
}
# Headers that only these folders may include.
OWNERS = {
    r"openssl/ssl": ["lib/tls", "bench"], r"openssl/": ["lib/tls", "lib/crypto", "bench"], r"sys/epoll\.h": ["lib/ev"],
    r"seccomp\.h": ["lib/sandbox"], r"linux/landlock\.h": ["lib/sandbox"], r"unbound": ["resolver"],
    r"systemd/": ["master"], r"gsasl\.h": ["lib/auth"], r"pcre2\.h": ["lib/maps"],
    r"lmdb\.h": ["lib/maps", "lib/store", "lib/auth", "qmgr", "tools"], r"uthash\.h|utlist\.h": ["lib/base"],
}
# Calls that stand in one place only.
CALLS = {r"\bsetresuid\(": ["master/spawn.c", "lib/daemon/session.c",
    "tools/postmap_write.c"]}


def closure(names):
    seen, todo = set(), list(names)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += LIBS[name]
    return seen


def allowed_for(folder):
    if folder.startswith("lib/"):
        name = folder[4:].split("/")[0]
        return closure([name, "base"]), None
    if folder in PROGRAMS:
        return closure(SKELETON + PROGRAMS[folder]), folder
    return set(LIBS), None  # tools, tests, bench


def check_file(path, text, report):
    folder = "/".join(path.split("/")[:2]) if path.startswith("lib/") else path.split("/")[0]
    allowed, own = allowed_for(folder)
    test = path.endswith(("_test.c", "_fuzz.c"))
    for number, line in enumerate(text.split("\n"), 1):
        for call, places in CALLS.items():
            if re.search(call, line) and path not in places and not test:
                report(path, number, "%s belongs in %s" % (call.strip("\\b("), ", ".join(places)))
        include = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if not include:
            continue
        kind, name = include.groups()
        if ".." in name:
            report(path, number, "relative include %s" % name)
        for pattern, owners in OWNERS.items():
            if re.match(pattern, name) and folder not in owners:
                if not any(re.match(p, name) and folder in o for p, o in OWNERS.items()):
                    report(path, number, "%s is included by %s only" % (name, ", ".join(owners)))
        first = name.split("/")[0]
        if kind == '"' and first in LIBS and first not in allowed and not (test and first == "testing"):
            report(path, number, "%s may not use lib/%s" % (folder, first))
        library = os.path.exists(os.path.join(TOP, "lib", name))
        if kind == '"' and first in PROGRAMS and first != own and folder != "tools" and not library:
            report(path, number, "header of another program: %s" % name)


def main(top):
    global TOP
    TOP = top
    bad = []
    for root, dirs, files in os.walk(top):
        dirs[:] = [d for d in dirs if not d.startswith((".", "build"))]
        for name in files:
            if not name.endswith((".c", ".h")):
                continue
            path = os.path.relpath(os.path.join(root, name), top)
            with open(os.path.join(root, name), errors="replace") as f:
                check_file(path, f.read(), lambda *what: bad.append(what))
    for path, number, what in sorted(bad):
        print("%s:%d: %s" % (path, number, what))
    print("%d violations of the layers" % len(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
