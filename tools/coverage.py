#!/usr/bin/env python3
"""tools/coverage.py TARGET EXPORT.json FILE...: line coverage of the files a fuzz target names.

EXPORT.json is llvm-cov's summary. Fails when a file is under the house's bar, or unknown."""
import json
import sys

BAR = 80

target, export, names = sys.argv[1], sys.argv[2], sys.argv[3:]
with open(export) as file:
    files = json.load(file)['data'][0]['files']
is_bad = False
for name in names:
    lines = [entry['summary']['lines'] for entry in files if entry['filename'].endswith('/' + name)]
    if len(lines) != 1:
        print('fuzz: %s: %s: %d files of that name are in the program' % (target, name, len(lines)))
        is_bad = True
        continue
    percent = 100 * lines[0]['covered'] / max(1, lines[0]['count'])
    verdict = '' if percent >= BAR else ' FAILED: under %d %%' % BAR
    print('fuzz: %s: %s: %.0f %% of %d lines%s' % (target, name, percent, lines[0]['count'], verdict))
    is_bad = is_bad or bool(verdict)
sys.exit(1 if is_bad else 0)
