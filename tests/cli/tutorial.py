#!/usr/bin/env python3
"""tests/cli/tutorial.py TUTORIAL: does what the page tells its reader to do. Prints TAP.

A fenced block `c NAME` or `text NAME` is a file; a block `console` holds commands after `$ `, each
with what it prints. All of it happens, in order, in an empty folder.
"""
import os
import re
import subprocess
import sys
import tempfile

FENCE = re.compile(r"^```(\S*) ?(\S*)\n(.*?)^```$", re.M | re.S)


def commands(block):
    """Pairs of command and expected output."""
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def run(command, folder):
    """What a terminal would show."""
    done = subprocess.run(command, shell=True, cwd=folder, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, check=False)
    return done.stdout.decode()


def main():
    """Walks through the page."""
    number, failed = 0, 0
    with open(sys.argv[1], encoding="utf-8") as page, tempfile.TemporaryDirectory() as folder:
        for language, name, block in FENCE.findall(page.read()):
            if name:
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(block)
            if language != "console":
                continue
            for command, expected in commands(block):
                number += 1
                printed = run(command, folder)
                is_good = printed == expected
                failed += not is_good
                print(f"{'ok' if is_good else 'not ok'} {number} - {command}")
                if not is_good:
                    print("".join(f"# printed: {line}\n" for line in printed.splitlines()), end="")
    print(f"1..{number}")
    return 1 if failed or number == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
