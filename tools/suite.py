#!/usr/bin/env python3
"""tools/suite.py [--jobs N] [--only PATTERN] [--cosm FILE] DIR: runs official test suites.

Whatever is recognized under DIR, by layout (docs/TESTING.md):
  rv64*-p-* rv64*-v-* hypervisor*-p-*   riscv-tests: an ELF file each, judged by `tohost`
  NAME.elf + NAME.signature             riscv-arch-test: compared with a reference's signature
  *.flat (+ unittests.cfg)              kvm-unit-tests: judged by the EXIT line on the console
  kernel + fs.img (or kernel/kernel)    xv6: `usertests` at its shell
  testfloat_gen                         Berkeley TestFloat: vectors for every F and D operation
Every failure is printed with the command that repeats it. Recognizing nothing is a failure."""
import argparse
import concurrent.futures
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
JUDGE_FLOAT = os.path.join(ROOT, 'out', 'build', 'release', 'tests', 'riscv', 'testfloat')

# What the whole suite holds, and what others pass of it.
BAR = {
    'riscv-tests': 'all are 377: QEMU 10 passes 374, Spike 377; 5 need the hypervisor extension',
    'riscv-arch-test': 'without vectors and hypervisor 769 in one release: QEMU agrees with Spike on 768',
    'kvm-unit-tests': 'programs of 188 tests in all; QEMU 10 with OpenSBI 1.6 passes them',
    'xv6': 'usertests',
    'TestFloat': 'pairs of function and rounding mode; QEMU: no differences',
}


class Test:
    """One test: `run` returns (verdict, why), verdict one of pass, fail, skip."""

    def __init__(self, suite, name, run, repeat):
        self.suite, self.name, self.run, self.repeat = suite, name, run, repeat


def is_elf(path):
    try:
        with open(path, 'rb') as file:
            return file.read(4) == b'\x7fELF'
    except OSError:
        return False


def call(command, timeout_s):
    """Runs to the end; returns (status, None when it took too long, and all its output)."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout_s)
        return done.returncode, done.stdout.decode(errors='replace')
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b'').decode(errors='replace')


def last_line(text):
    lines = text.replace('\r', '').strip().splitlines()
    return lines[-1][:200] if lines else 'no output'


def judge_status(command, timeout_s):
    status, output = call(command, timeout_s + 10)
    if status == 0:
        return 'pass', ''
    return 'fail', 'status %s: %s' % (status, last_line(output))


# --- The layouts --------------------------------------------------------------------------

def riscv_tests(folder, files, cosm):
    for name in files:
        path = os.path.join(folder, name)
        if not re.fullmatch(r'(rv64\w+|hypervisor[\w-]*?)-[pv]-[\w.-]+', name) or not is_elf(path):
            continue
        command = [cosm, 'run', path, '--timeout', '60s']
        if name.startswith('hypervisor'):
            yield Test('riscv-tests', name, lambda: ('skip', 'needs the hypervisor extension'), command)
        else:
            yield Test('riscv-tests', name, lambda c=command: judge_status(c, 60), command)


def signature_words(path):
    with open(path) as file:
        return file.read().lower().split()


def compare_signature(command, want_path, got_path):
    try:
        status, output = call(command, 70)
        if not os.path.exists(got_path) or os.path.getsize(got_path) == 0:
            return 'fail', 'no signature, status %s: %s' % (status, last_line(output))
        want, got = signature_words(want_path), signature_words(got_path)
        for number, (one, other) in enumerate(zip(want, got)):
            if one != other:
                return 'fail', 'word %d of the signature is %s, want %s' % (number, other, one)
        if len(want) != len(got):
            return 'fail', 'a signature of %d words, want %d' % (len(got), len(want))
        return 'pass', ''
    finally:
        if os.path.exists(got_path):
            os.unlink(got_path)


# Tests of extensions that cosm does not have: a pattern over GROUP/NAME, and what is missing.
ARCH_ABSENT = [
    (r'Zvk\w*/', 'needs the vector extension'),
    (r'\w+/(aes64|sha256|sha512|sm3|sm4)', 'needs scalar cryptography (Zkn, Zks)'),
]


def absent_extension(name):
    return next((why for pattern, why in ARCH_ABSENT if re.match(pattern, name)), None)


def arch_tests(folder, files, cosm, scratch):
    known = set(files)
    for name in files:
        base, suffix = os.path.splitext(name)
        wants = [base + end for end in ('.signature', '.reference_output') if base + end in known]
        if suffix != '.elf' or not wants:
            continue
        got = os.path.join(scratch, '%s-%s' % (os.path.basename(folder), base))
        command = [cosm, 'run', os.path.join(folder, name), '--signature', got, '--timeout', '60s']
        want = os.path.join(folder, wants[0])
        test = os.path.join(os.path.basename(folder), base)
        absent = absent_extension(test)
        yield Test('riscv-arch-test', test,
                   lambda c=command, w=want, g=got, a=absent:
                   ('skip', a) if a else compare_signature(c, w, g), command)


def unittests_config(folder):
    """The sections of unittests.cfg as {file: {key: value}}."""
    sections, current = {}, {}
    for place in (folder, os.path.join(folder, 'riscv'), os.path.join(folder, '..', 'riscv')):
        path = os.path.join(place, 'unittests.cfg')
        if os.path.exists(path):
            with open(path) as file:
                for line in file:
                    key, equals, value = line.split('#')[0].partition('=')
                    if line.startswith('['):
                        current = {}
                    elif equals:
                        current[key.strip()] = value.strip()
                        sections[current.get('file')] = current
            break
    return sections


def judge_exit(command, timeout_s):
    """Its exit() prints the code shifted left, with a one behind; 77 means all was skipped."""
    status, output = call(command, timeout_s + 10)
    said = re.findall(r'^EXIT: STATUS=(\d+)\r?$', output, re.M)
    failures = re.findall(r'^FAIL: (.*?)\r?$', output, re.M)
    if said == ['1'] and status == 0 and not failures:
        return 'pass', ''
    if said == ['77'] and not failures:
        return 'skip', '; '.join(re.findall(r'^SKIP: (.*?)\r?$', output, re.M))
    return 'fail', 'status %s: %s' % (status, '; '.join(failures[:8]) or last_line(output))


def kvm_unit_tests(folder, files, cosm):
    flats = [name for name in files if name.endswith('.flat')]
    config = unittests_config(folder) if flats else {}
    for name in flats:
        section = config.get(name, {})
        harts = section.get('smp', '4').replace('$MAX_SMP', '4')
        arguments = ' '.join(shlex.split(section.get('test_args', '')))
        command = [cosm, 'run', os.path.join(folder, name), '-c', harts, '--timeout', '90s']
        if arguments:
            command += ['--append', arguments]
        yield Test('kvm-unit-tests', name, lambda c=command: judge_exit(c, 90), command)


def run_xv6(command, disk, scratch, timeout_s):
    """usertests writes to its disk, so it gets a copy; the shell never ends, so it is ended."""
    copy = os.path.join(scratch, 'xv6-fs.img')
    shutil.copyfile(disk, copy)
    command = [copy if word == disk else word for word in command]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, bufsize=0)
    text, asked, deadline = b'', False, time.monotonic() + timeout_s
    try:
        os.set_blocking(process.stdout.fileno(), False)
        while time.monotonic() < deadline:
            text += process.stdout.read() or b''
            if not asked and b'$ ' in text:
                process.stdin.write(b'usertests -q\n')
                asked = True
            if b'ALL TESTS PASSED' in text:
                return 'pass', ''
            if re.search(rb'SOME TESTS FAILED|panic:|FAILED', text) or process.poll() is not None:
                break
            time.sleep(0.1)
        return 'fail', last_line(text.decode(errors='replace'))
    finally:
        process.kill()
        process.wait()


def xv6(folder, files, cosm, scratch):
    if 'fs.img' not in files:
        return
    for kernel in (os.path.join(folder, 'kernel'), os.path.join(folder, 'kernel', 'kernel')):
        if os.path.isfile(kernel) and is_elf(kernel):
            disk = os.path.join(folder, 'fs.img')
            command = [cosm, 'run', kernel, '--disk', disk, '-c', '3', '-m', '128M']
            yield Test('xv6', 'usertests', lambda: run_xv6(command, disk, scratch, 1800), command)


def testfloat(folder, files, level):
    generator = os.path.join(folder, 'testfloat_gen')
    if 'testfloat_gen' not in files or not os.access(generator, os.X_OK):
        return
    runs = subprocess.run([JUDGE_FLOAT, '--list'], stdout=subprocess.PIPE, text=True, check=True)
    for run in runs.stdout.splitlines():
        function, mode = run.split()
        # RISC-V finds tininess after rounding. A generator that dies leaves a bad line behind.
        command = ['sh', '-c', '{ %s -tininessafter -exact -level %d -%s %s || echo failed; } | %s %s %s'
                   % (shlex.quote(generator), level, mode, function, shlex.quote(JUDGE_FLOAT),
                      function, mode)]
        yield Test('TestFloat', run, lambda c=command: judge_status(c, 1800), command)


def find_tests(args, scratch):
    tests = []
    for folder, folders, files in os.walk(args.dir):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        files = sorted(files)
        tests += riscv_tests(folder, files, args.cosm)
        tests += arch_tests(folder, files, args.cosm, scratch)
        tests += kvm_unit_tests(folder, files, args.cosm)
        tests += xv6(folder, files, args.cosm, scratch)
        tests += testfloat(folder, files, args.level)
    return [test for test in tests if args.only in test.name or args.only in test.suite]


def main():
    parser = argparse.ArgumentParser(prog='./dev test --suite', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('dir')
    parser.add_argument('--jobs', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('--only', default='', help='tests or suites whose name holds this')
    parser.add_argument('--level', type=int, default=1, choices=(1, 2), help="TestFloat's")
    parser.add_argument('--cosm', default=os.path.join(ROOT, 'out', 'cosm'))
    args = parser.parse_args()
    if not os.path.isdir(args.dir):
        sys.exit('suite: %s: no such folder' % args.dir)

    totals = {}
    with tempfile.TemporaryDirectory() as scratch:
        tests = find_tests(args, scratch)
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            runs = [(test, pool.submit(test.run)) for test in tests]
            for test, run in runs:
                verdict, why = run.result()
                count = totals.setdefault(test.suite, {'pass': 0, 'fail': 0, 'skip': 0})
                count[verdict] += 1
                if verdict == 'fail':
                    print('FAILED: %s: %s: %s\n    repeat with: %s'
                          % (test.suite, test.name, why, shlex.join(test.repeat)), flush=True)
                elif verdict == 'skip':
                    print('skipped: %s: %s: %s' % (test.suite, test.name, why), flush=True)
    for suite, count in totals.items():
        print('%s: %d passed of %d found (%s)'
              % (suite, count['pass'], sum(count.values()), BAR[suite]))
    if not totals:
        print('FAILED: %s: no suite recognized; docs/TESTING.md says what is looked for' % args.dir)
    passed, failed, skipped = (sum(count[kind] for count in totals.values())
                               for kind in ('pass', 'fail', 'skip'))
    print('%d passed, %d failed, %d skipped' % (passed, failed, skipped))
    sys.exit(1 if failed or not passed else 0)


main()
