"""Every parameter that a program asks for stands in the table and names that program as an owner, and the reverse."""
# labels: short
import glob
import os
import re
import subprocess
import sys

from merpati import BUILD, TOP

PROGRAMS = "smtpd cleanup qmgr rewrite smtp local login imapd pop3d auth keyd resolver anvil logd".split()
ROW = re.compile(r'^\s*([PELR])\(\s*"([^"]+)"((?:[^"]|"(?:[^"\\]|\\.)*")*)\)\s*$')
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def rows():
    """name -> set of owners, of the rows that work."""
    table = {}
    for path in glob.glob(os.path.join(TOP, "lib/conf/params/*.inc")):
        for line in open(path):
            m = ROW.match(line)
            if m:
                strings = STRING.findall(line)
                table.setdefault(m.group(2), set()).update(strings[-2].split())
    return table


def asked(program):
    """Names in calls of conf_str and its kind in a program's own sources."""
    names = {}
    for path in glob.glob(os.path.join(TOP, program, "*.c")):
        if path.endswith(("_test.c", "_fuzz.c")):
            continue
        for m in re.finditer(r'\bconf_(?:str|int|time|bool)\([^;"]*?"([a-z0-9_]+)"\)', open(path).read(), re.S):
            names.setdefault(m.group(1), os.path.relpath(path, TOP))
    return names


def main():
    table = rows()
    failures = []
    for program in PROGRAMS:
        for name, path in sorted(asked(program).items()):
            if name not in table:
                failures.append("%s asks for %s, which has no row" % (path, name))
            elif program not in table[name]:
                failures.append("%s asks for %s, whose row does not name %s" % (path, name, program))
    manual = subprocess.run([os.path.join(BUILD, "bin", "postconf"), "--manual"], capture_output=True, text=True, check=True).stdout
    documented = set(re.findall(r"^\.It Va (\S+) No", manual, re.M))
    for name in sorted(set(table) - documented):
        failures.append("%s is not in the manual" % name)
    for name in sorted(documented - set(table)):
        failures.append("%s is in the manual and has no row" % name)
    for f in failures:
        print(f)
    print("%d parameters work" % len(table))
    return bool(failures)


sys.exit(main())
