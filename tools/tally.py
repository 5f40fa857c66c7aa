#!/usr/bin/env python3
"""tools/tally.py [--ci] [--pattern] DIR: counts the tests of a run and ends with one line.

DIR holds Meson's test logs (*.json, one a preset) and steps.tap; see tools/check.sh.
What counts is a TAP line, not a program; a program that says nothing, or dies without
saying which of its tests failed, counts as one failure. Failures and skips are listed,
a failure with the command that repeats it. With --ci a skip fails the run unless
tests/skips.txt allows it. With --pattern a program in which no test had that name is no news.
No tests at all is a failure."""
import fnmatch
import glob
import json
import os
import re
import shlex
import sys

TAP = re.compile(r'^(not )?ok\b\s*(\d+)?\s*(?:-\s*)?([^#]*?)\s*(?:#\s*(\w+)\s*(.*))?$')


class Tally:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []

    def tap(self, where, text, repeat):
        """Counts the TAP lines of `text`; returns how many there were and how many failed."""
        seen = bad = 0
        notes = []
        for line in text.splitlines():
            match = TAP.match(line)
            if not match:
                if line.startswith('#') and 'repeat with:' in line and bad:
                    self.failed[-1][2].append(line[1:].strip())
                elif line.startswith('#'):
                    notes.append(line)
                elif line.startswith('Bail out!'):
                    bad += 1
                    self.failed.append((where, line, notes[-10:] + [repeat]))
                continue
            seen += 1
            name = '%s/%s' % (where, match[3] or match[2])
            if match[1]:
                bad += 1
                self.failed.append((name, '', notes[-10:]))
            elif (match[4] or '').upper() == 'SKIP':
                self.skipped.append((name, match[5]))
            else:
                self.passed += 1
            notes = []
        return seen, bad

    def meson_test(self, preset, test):
        where = '%s/%s' % (preset, test['name'].split(' / ')[-1])
        repeat = 'repeat with: cd out/build/%s && %s' % (preset, shlex.join(test['command']))
        out = test.get('stdout') or ''
        err = (test.get('stderr') or '').splitlines()
        if len(err) > 48: # a sanitizer's report begins with what matters
            err = err[:40] + ['...'] + err[-4:]
        failures = len(self.failed)
        seen, bad = self.tap(where, out, repeat)
        for failure in self.failed[failures:]:
            failure[2].extend(err)
        if out.strip().endswith('1..0'):
            if '--pattern' not in sys.argv:
                self.failed.append((where, 'no tests in this program', [repeat]))
        elif test['result'] == 'SKIP' and not seen:
            self.skipped.append((where, (out.strip().splitlines() or ['no reason given'])[-1]))
        elif test['result'] in ('OK', 'EXPECTEDFAIL', 'SKIP') and not bad:
            self.passed += not seen
        elif not bad:
            tail = out.splitlines()[-15:] + err
            why = '%s, status %s' % (test['result'].lower(), test['returncode'])
            self.failed.append((where, why, tail + [repeat]))


def allowed_skips():
    """Lines `TEST-PATTERN  REASON`; the pattern is a shell glob over PRESET/PROGRAM/TEST."""
    with open(os.path.join(os.path.dirname(__file__), '..', 'tests', 'skips.txt')) as lines:
        return [line.split()[0] for line in lines if line.strip() and not line.startswith('#')]


def main():
    ci = '--ci' in sys.argv
    folder = [arg for arg in sys.argv[1:] if not arg.startswith('--')][0]
    tally = Tally()
    for path in sorted(glob.glob(folder + '/*.json')):
        with open(path) as log:
            for line in log:
                tally.meson_test(os.path.basename(path)[:-5], json.loads(line))
    for path in sorted(glob.glob(folder + '/*.tap')):
        with open(path) as log:
            tally.tap(os.path.basename(path)[:-4], log.read(), '')

    allowed = allowed_skips()
    for name, reason in tally.skipped:
        listed = any(fnmatch.fnmatch(name, pattern) for pattern in allowed)
        print('skipped: %s: %s%s' % (name, reason, '' if listed else ' (not in tests/skips.txt)'))
        if ci and not listed:
            tally.failed.append((name, 'skipped, and tests/skips.txt does not allow it', []))
    if ci:
        failed = {name for name, _, _ in tally.failed}
        tally.skipped = [skip for skip in tally.skipped if skip[0] not in failed]
    for name, why, notes in tally.failed:
        print('FAILED: %s%s' % (name, why and ': ' + why))
        for note in notes:
            print('    ' + note)
    if not tally.passed and not tally.failed:
        print('FAILED: no tests were run')
    print('%d passed, %d failed, %d skipped'
          % (tally.passed, len(tally.failed), len(tally.skipped)))
    sys.exit(1 if tally.failed or not tally.passed else 0)


main()
