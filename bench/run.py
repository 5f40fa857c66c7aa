#!/usr/bin/env python3
"""bench/run.py: cosm beside its peers, and beside the host itself.

Each round boots every emulator in turn with the same Debian kernel and the same initrd
(bench/init.c and the programs of bench/programs), and runs each program in it and on the
host. What is measured is CPU time of the whole emulator process, all threads, between two
lines on the guest's console; the guest waits in between, so nothing else runs. A program's
answer in the guest must be its answer on the host, or its row is a failure.

Peers: QEMU from out/peers (tools/peers.sh), else the host's; other emulators by a command,
  --peer NAME='COMMAND with {kernel} {initrd} {append} {ram_mib} {harts}'
whose console is its standard input and output (give the serial console's name to the kernel
yourself when it is not ttyS0, and whatever firmware it needs).
TinyEMU, when TEMU names its program, TEMU_BIOS a firmware for it (OpenSBI's fw_jump) and
TEMU_MODULE the kernel's virtio_mmio.ko: Debian's kernel has the driver of its only console
as a module.
The kernel: --kernel, else the one that `cosm pull debian-mini` has fetched.

`./dev bench machine` measures the machine around the processor instead: disk, network, boot to
login, memory; `./dev bench machine --help` tells."""
import argparse
import glob
import lzma
import os
import re
import select
import shlex
import shutil
import stat
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
OUT = os.path.join(ROOT, 'out', 'bench')
USER = ['integer', 'sieve', 'sha256', 'nbody', 'chase', 'copy']
KERNEL = ['syscall', 'pipe', 'fork', 'exec', 'faults', 'mutex', 'atomic', 'codegen']
APPEND = 'console=ttyS0 loglevel=3 init=/init'


def die(text):
    sys.exit('bench: ' + text)


# --- What runs in the guest ---------------------------------------------------------------

def compile_program(compiler, output, sources, *flags):
    """Renamed into place at the end: another bench may be using the file."""
    partial = '%s.%d' % (output, os.getpid())
    subprocess.run([compiler, '-O2', '-std=gnu17', '-static', '-o', partial, *flags, *sources,
                    '-lm', '-lrt', '-pthread'], check=True)
    os.rename(partial, output)


def compile_init():
    init = os.path.join(OUT, 'guest', 'init')
    compile_program('riscv64-linux-gnu-gcc', init, [os.path.join(HERE, 'init.c')])
    return init


def compile_programs(names):
    """Returns {name: (host file, guest file)}."""
    if not shutil.which('riscv64-linux-gnu-gcc'):
        die('no riscv64-linux-gnu-gcc; install gcc-riscv64-linux-gnu (./dev setup)')
    files = {}
    for name in names:
        source = os.path.join(HERE, 'programs', name + '.c')
        pair = tuple(os.path.join(OUT, side, name) for side in ('host', 'guest'))
        for path, compiler in zip(pair, (os.environ.get('CC', 'gcc'), 'riscv64-linux-gnu-gcc')):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(source):
                compile_program(compiler, path, [source])
        files[name] = pair
    return files


def cpio_entry(inode, name, mode, data=b'', device=(0, 0)):
    """One entry of a cpio archive in the "newc" form, which Linux reads as an initrd."""
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, device[0], device[1], len(name) + 1, 0)
    head = b'070701' + b''.join(b'%08x' % field for field in fields) + name.encode() + b'\0'
    pad = lambda block: block + b'\0' * (-len(block) % 4)
    return pad(head) + pad(data)


def put_programs(out, programs, first_inode):
    """Programs into an archive's top folder, given as (name there, host's file)."""
    for inode, (name, program) in enumerate(programs, first_inode):
        with open(program, 'rb') as data:
            out.write(cpio_entry(inode, name, stat.S_IFREG | 0o755, data.read()))


def make_initrd(path, programs, module=None):
    init = compile_init()
    with open(path, 'wb') as out:
        out.write(cpio_entry(1, 'dev', stat.S_IFDIR | 0o755))
        out.write(cpio_entry(2, 'dev/console', stat.S_IFCHR | 0o600, device=(5, 1)))
        put_programs(out, [('init', init)] + programs, 3)
        if module:
            out.write(cpio_entry(1000, 'console.ko', stat.S_IFREG | 0o644, module))
        out.write(cpio_entry(0, 'TRAILER!!!', 0))


# --- Emulators ----------------------------------------------------------------------------

class Guest:
    """A running emulator, whose console we hold."""

    def __init__(self, name, command, timeout_s):
        self.name, self.timeout_s, self.text = name, timeout_s, b''
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, bufsize=0)
        # The process's CPU clock, as clock_getcpuclockid(3) makes it: every thread counts,
        # those that have ended too, and the unit is the nanosecond.
        self.clock = (~self.process.pid << 3) | 2

    def cpu_s(self):
        return time.clock_gettime(self.clock)

    def wait_for(self, pattern):
        """Reads the console up to a line that matches; returns (the match, what came before)."""
        deadline = time.monotonic() + self.timeout_s
        while True:
            match = re.search(pattern, self.text, re.M)
            if match:
                before, self.text = self.text[:match.start()], self.text[match.end():]
                return match, before.decode(errors='replace')
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise RuntimeError('%s: nothing for %d s; last: %s'
                                   % (self.name, self.timeout_s, self.last_lines()))
            some = os.read(self.process.stdout.fileno(), 65536)
            if not some:
                raise RuntimeError('%s: ended, status %s; last: %s'
                                   % (self.name, self.process.wait(), self.last_lines()))
            self.text += some

    def last_lines(self):
        return ' | '.join(self.text.decode(errors='replace').split('\n')[-4:]).strip()

    def send(self, line):
        self.process.stdin.write(line.encode() + b'\n')

    def run(self, line):
        """Runs a program; returns (CPU seconds, its output, its wait status)."""
        start = self.cpu_s()
        self.send(line)
        match, before = self.wait_for(rb'^@done (-?\d+)\r?\n')
        return self.cpu_s() - start, before.replace('\r', '').strip(), int(match[1])

    def resident_mib(self):
        with open('/proc/%d/smaps_rollup' % self.process.pid) as lines:
            for line in lines:
                if line.startswith('Rss:'):
                    return int(line.split()[1]) / 1024
        return 0

    def end(self):
        """Powers the guest off; returns its exit status, None when it had to be killed."""
        try:
            self.send('quit')
            self.process.stdin.close()
        except OSError:
            pass
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            return None
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


def find_qemu():
    for path in (os.path.join(ROOT, 'out', 'peers', 'bin', 'qemu-system-riscv64'),
                 shutil.which('qemu-system-riscv64')):
        if path and os.access(path, os.X_OK):
            return path
    return None


def emulators(args, kernel, initrd):
    """Returns {name: (command of a guest, command that only says its version)}."""
    ram, harts = str(args.ram), str(args.harts)
    cosm = args.cosm
    found = {'cosm': ([cosm, 'run', kernel, '--initrd', initrd, '--append', APPEND, '-m', ram + 'M',
                       '-c', harts], [cosm, 'version'])}
    qemu = find_qemu()
    if qemu and not args.no_qemu:
        version = subprocess.run([qemu, '--version'], capture_output=True, text=True).stdout
        number = re.search(r'version (\d+\.\d+)', version)
        found['QEMU ' + (number[1] if number else '?')] = (
            [qemu, '-M', 'virt', '-m', ram, '-smp', harts, '-display', 'none', '-monitor', 'none',
             '-serial', 'stdio', '-kernel', kernel, '-initrd', initrd, '-append', APPEND],
            [qemu, '--version'])
    else:
        print('no QEMU: unpack one with tools/peers.sh qemu-system-riscv', file=sys.stderr)
    for peer in args.peer:
        name, _, command = peer.partition('=')
        known = dict(kernel=kernel, initrd=initrd, append=APPEND, ram_mib=ram, harts=harts)
        found[name] = ([word.format(**known) for word in shlex.split(command)], None)
    return found


def tinyemu(args, kernel, programs, scratch):
    """The command of a TinyEMU guest, from files that are made to its taste."""
    temu, bios, module = (os.environ.get(name) for name in ('TEMU', 'TEMU_BIOS', 'TEMU_MODULE'))
    if not bios or not module:
        die('TEMU needs TEMU_BIOS and TEMU_MODULE, too; see --help')
    with open(module, 'rb') as file:
        code = file.read()
    initrd, padded = os.path.join(scratch, 'initrd-temu'), os.path.join(scratch, 'kernel-temu')
    make_initrd(initrd, programs, lzma.decompress(code) if module.endswith('.xz') else code)
    # It puts the initrd behind the kernel's file, where the kernel has its zeroed memory (the
    # Image header's third word says how much) and OpenSBI's fw_jump, 34 MiB on, the device tree.
    with open(kernel, 'rb') as file:
        image = file.read()
    with open(padded, 'wb') as file:
        file.write(image.ljust(max(36 << 20, struct.unpack_from('<Q', image, 16)[0]), b'\0'))
    config = os.path.join(scratch, 'temu.cfg')
    with open(config, 'w') as file:
        file.write('{ version: 1, machine: "riscv64", memory_size: %d, bios: "%s", kernel: "%s",\n'
                   '  initrd: "%s", cmdline: "%s" }\n' % (args.ram, os.path.abspath(bios), padded,
                   initrd, APPEND.replace('ttyS0', 'hvc0')))
    return [temu, config]


def find_pulled(pattern):
    """Files of images that `cosm pull` has fetched, the oldest first."""
    cache = os.environ.get('COSM_CACHE') or os.path.join(
        os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'cosm')
    return sorted(glob.glob(os.path.join(cache, pattern)), key=os.path.getmtime)


def find_kernel(args):
    if args.kernel:
        return args.kernel
    kernels = find_pulled('debian-mini-*/kernel')
    if not kernels:
        die('no kernel: run `%s pull debian-mini` first, or give --kernel FILE' % args.cosm)
    return kernels[-1]


# --- Measuring ----------------------------------------------------------------------------

def run_on_host(command):
    """Returns (CPU seconds of the process and its children, output, wait status)."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    output = process.stdout.read().decode(errors='replace')
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    process.stdout.close()
    return usage.ru_utime + usage.ru_stime, output.strip(), status


def startup_s(command):
    return statistics.median(run_on_host(command)[0] for _ in range(15))


class Table:
    """Samples of (row, column), and what is wrong with them."""

    def __init__(self):
        self.samples, self.wrong = {}, []

    def add(self, row, column, value):
        self.samples.setdefault((row, column), []).append(value)

    def median(self, row, column):
        values = self.samples.get((row, column))
        return statistics.median(values) if values else None

    def spread(self, row, column):
        """Half the range over the median, in percent."""
        values = self.samples[row, column]
        middle = statistics.median(values)
        return 50 * (max(values) - min(values)) / middle if middle else 0


def measure_guest(table, name, command, programs, args, answers):
    """One boot of one emulator, in which every program runs once."""
    start = time.monotonic()
    guest = Guest(name, command, args.timeout)
    try:
        guest.wait_for(rb'^@ready\r?\n')
        table.add('boot to init, CPU s', name, guest.cpu_s())
        table.add('boot to init, wall s', name, time.monotonic() - start)
        table.add('resident after boot, MiB', name, guest.resident_mib())
        for program, line in programs:
            seconds, output, status = guest.run(line)
            answer = answer_of(program, output)
            if status != 0 or (program in answers and answer != answers[program]):
                table.wrong.append('%s: %s: status %d, answer %s, want %s'
                                   % (name, program, status, answer, answers.get(program)))
            else:
                table.add(program, name, seconds)
            print('  %-12s %-10s %7.3f s' % (name, program, seconds), file=sys.stderr)
        status = guest.end()
        if status != 0 and name != 'TinyEMU': # which has no power-off
            table.wrong.append('%s: status %s after power-off' % (name, status))
    except (RuntimeError, OSError) as error:
        table.wrong.append(str(error))
        guest.end()


def geometric_mean(values):
    return statistics.geometric_mean(values) if values else None


def answer_of(program, output):
    """What must be the same everywhere; CoreMark prints times, too."""
    if program == 'coremark':
        return ' '.join(re.findall(r'crc\w+ +: (0x\w+)', output))
    return output


def print_table(table, programs, peers, args):
    """Medians; each emulator's ratio to the host, and cosm's to each peer."""
    head = ['program', 'native s'] + ['%s s' % peer for peer in peers]
    head += ['%s ÷ native' % peer for peer in peers] + ['cosm ÷ %s' % peer for peer in peers[1:]]
    print('| ' + ' | '.join(head) + ' |')
    print('|---|' + '---:|' * (len(head) - 1))
    ratios = {}

    def row(title, cells):
        print('| ' + ' | '.join([title] + cells) + ' |')

    def number(value, form='%.2f'):
        return '–' if value is None else form % value

    for program in programs:
        native = table.median(program, 'native')
        cells = [number(native, '%.3f')]
        medians = [table.median(program, peer) for peer in peers]
        for peer, value in zip(peers, medians):
            cells.append('–' if value is None else
                         '%.2f ±%.0f%%' % (value, table.spread(program, peer)))
        for column, over, under in (
                [(peer + '/native', value, native) for peer, value in zip(peers, medians)] +
                [('cosm/' + peer, medians[0], value) for peer, value in zip(peers[1:], medians[1:])]):
            ratio = over / under if over is not None and under else None
            if ratio:
                ratios.setdefault(column, {})[program] = ratio
            cells.append(number(ratio))
        row(program, cells)
    for title, group in (('**geometric mean, user**', USER + ['coremark']),
                         ('**geometric mean, kernel-bound**', KERNEL)):
        cells = [''] * (1 + len(peers))
        for column in [peer + '/native' for peer in peers] + ['cosm/' + p for p in peers[1:]]:
            cells.append(number(geometric_mean(
                [ratio for name, ratio in ratios.get(column, {}).items() if name in group])))
        row(title, cells)
    print()
    print('| | ' + ' | '.join(peers) + ' |')
    print('|---|' + '---:|' * len(peers))
    for title in ('boot to init, CPU s', 'boot to init, wall s', 'resident after boot, MiB',
                  'process start-up, CPU ms'):
        row(title, [number(table.median(title, peer)) for peer in peers])
    print()
    print('%d rounds, medians, ± half the range; %s MiB, %s hart(s).'
          % (args.rounds, args.ram, args.harts))


def coremark(folder):
    """CoreMark is not ours to copy: compiled from its own folder, for both sides."""
    port = os.path.join(folder, 'posix')
    sources = [os.path.join(folder, 'core_%s.c' % part)
               for part in ('list_join', 'main', 'matrix', 'state', 'util')]
    sources.append(os.path.join(port, 'core_portme.c'))
    missing = [path for path in sources if not os.path.exists(path)]
    if missing:
        die('--coremark: no %s' % missing[0])
    for side, compiler in (('host', os.environ.get('CC', 'gcc')),
                           ('guest', 'riscv64-linux-gnu-gcc')):
        compile_program(compiler, os.path.join(OUT, side, 'coremark'), sources, '-I', folder, '-I',
                        port, '-DFLAGS_STR="-O2"')
    return os.path.join(OUT, 'host', 'coremark'), os.path.join(OUT, 'guest', 'coremark')


def measure(args, names, lines, files, peers):
    """All rounds of everything, in turn."""
    table, answers = Table(), {}
    for number in range(args.rounds):
        print('round %d of %d' % (number + 1, args.rounds), file=sys.stderr)
        for name in names:
            seconds, output, status = run_on_host([files[name][0]] + lines[name].split()[1:])
            if status != 0:
                die('%s fails on the host: status %d: %s' % (name, status, output))
            answers[name] = answer_of(name, output)
            table.add(name, 'native', seconds)
        for peer, (command, _) in peers.items():
            measure_guest(table, peer, command, [(name, lines[name]) for name in names], args,
                          answers)
    for peer, (_, version) in peers.items():
        if version:
            table.add('process start-up, CPU ms', peer, 1000 * startup_s(version))
    return table


def main():
    parser = argparse.ArgumentParser(prog='./dev bench', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('program', nargs='*', help='only these (%s)' % ' '.join(USER + KERNEL))
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--percent', type=int, default=100, help='of the usual work')
    parser.add_argument('--ram', type=int, default=1024, help='MiB')
    parser.add_argument('--harts', type=int, default=1)
    parser.add_argument('--timeout', type=int, default=300, help='seconds for one program')
    parser.add_argument('--kernel', help='a RISC-V Linux Image')
    parser.add_argument('--cosm', default=os.path.join(ROOT, 'out', 'cosm'))
    parser.add_argument('--no-qemu', action='store_true')
    parser.add_argument('--peer', action='append', default=[], metavar="NAME=COMMAND")
    parser.add_argument('--coremark', metavar='DIR', help='sources of CoreMark, with posix/')
    args = parser.parse_args()

    names = args.program or USER + KERNEL
    for name in names:
        if name not in USER + KERNEL:
            die('no program %r: %s' % (name, ' '.join(USER + KERNEL)))
    os.makedirs(OUT, exist_ok=True)
    files = compile_programs(names)
    lines = {name: '%s %d' % (name, args.percent) for name in names}
    if args.coremark:
        files['coremark'] = coremark(args.coremark)
        names = ['coremark'] + names
        # Its three seeds of a performance run, iterations, all algorithms, one context, 2000 bytes.
        lines['coremark'] = 'coremark 0x0 0x0 0x66 %d 7 1 2000' % max(1, 50 * args.percent)

    with tempfile.TemporaryDirectory(dir=OUT) as scratch:
        initrd = os.path.join(scratch, 'initrd')
        kernel = find_kernel(args)
        programs = [(name, files[name][1]) for name in names]
        make_initrd(initrd, programs)
        peers = emulators(args, kernel, initrd)
        if os.environ.get('TEMU'):
            peers['TinyEMU'] = (tinyemu(args, kernel, programs, scratch), None)
        table = measure(args, names, lines, files, peers)
    print_table(table, names, list(peers), args)
    for text in table.wrong:
        print('WRONG: ' + text)
    sys.exit(1 if table.wrong else 0)


if __name__ == '__main__': # bench/machine.py borrows from here
    main()
