#!/usr/bin/env python3
"""bench/machine.py: the machine around the processor, cosm beside QEMU.

Each round starts cosm and QEMU (TCG, -M virt, virtio 1 over MMIO, -netdev user) in turn with the
same kernel, the same initrd and a copy of the same disk:

  boot      to the shell of debian-mini; to the login of the full debian, when it is pulled
  memory    resident, of the whole emulator process, at those moments
  disk      requests as fio's psync engine with direct=1 makes them (bench/programs/disk.c):
            1 MiB one after the other, 4 KiB here and there; each read verified, and at the
            end every byte of the disk
  network   TCP both ways through a forwarded port, every byte verified
            (bench/programs/network.c in the guest, this program on the host)
  start-up  of the emulator (CPU time), and of programs in the guest (wall time)

fio and iperf3 themselves are not used: those of Debian need shared libraries that a small guest
lacks.

A ratio is cosm / QEMU of one round; shown are the median of the rounds' ratios and the lowest
and highest. Whether lower or higher is better is said in each row. Times are wall time but for
the rows that say CPU, so on a busy host only the CPU rows mean much.

Without --kernel and --initrd, those of `cosm pull debian-mini`. Both must be given together,
and the initrd must give a busybox shell with the network up, as debian-mini's does."""
import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True # nothing is to lie about in the tree
import run

APPEND = 'earlycon=sbi console=ttyS0'
GUEST_PORT = 5201
PATTERN_SIZE = 64 << 10
# Sent to the shell: our process runs in its place once the network has an address.
HAND_OVER = ('for i in $(seq 60); do ip -4 addr show eth0 | grep -q inet && break; sleep 1; done; '
             'cd /; exec ./agent')


# --- The machine --------------------------------------------------------------------------

class Machine:
    """What both emulators are given."""

    def __init__(self, args, kernel, initrd, disk, append, port):
        self.args, self.kernel, self.initrd = args, kernel, initrd
        self.disk, self.append, self.port = disk, append, port

    def cosm(self):
        return [self.args.cosm, 'run', self.kernel, '--initrd', self.initrd, '--append',
                self.append, '-m', '%dM' % self.args.ram, '-c', str(self.args.harts),
                '--disk', self.disk, '-p', '127.0.0.1:%d:%d' % (self.port, GUEST_PORT)]

    def qemu(self, program):
        return [program, '-M', 'virt', '-accel', 'tcg', '-m', str(self.args.ram), '-smp',
                str(self.args.harts), '-display', 'none', '-monitor', 'none', '-serial', 'stdio',
                '-global', 'virtio-mmio.force-legacy=false', '-kernel', self.kernel,
                '-initrd', self.initrd, '-append', self.append,
                '-drive', 'file=%s,format=raw,if=none,id=disk' % self.disk.replace(',', ',,'),
                '-device', 'virtio-blk-device,drive=disk',
                '-netdev', 'user,id=net,hostfwd=tcp:127.0.0.1:%d-:%d' % (self.port, GUEST_PORT),
                '-device', 'virtio-net-device,netdev=net', '-device', 'virtio-rng-device']

    def command(self, name, qemu):
        return self.cosm() if name == 'cosm' else self.qemu(qemu)


def free_port():
    """One that nobody has now; the emulator says so if somebody takes it meanwhile."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def append_programs(initrd, programs, output):
    """Archives one behind the other are one initrd to Linux; each begins at a multiple of 4."""
    with open(initrd, 'rb') as source, open(output, 'wb') as out:
        shutil.copyfileobj(source, out)
        out.write(b'\0' * (-out.tell() % 4))
        run.put_programs(out, programs, 1)
        out.write(run.cpio_entry(0, 'TRAILER!!!', 0))


# --- Rows ---------------------------------------------------------------------------------

class Rows:
    """Samples of (row, emulator, round), in the order in which rows first came."""

    def __init__(self):
        self.rows, self.wrong, self.skipped = {}, [], []

    def add(self, row, unit, better, name, number, value):
        entry = self.rows.setdefault(row, {'unit': unit, 'better': better, 'samples': {}})
        entry['samples'].setdefault(name, {})[number] = value

    def ratios(self, row, name, peer):
        """Of the rounds in which both have an answer."""
        ours, theirs = (self.rows[row]['samples'].get(side, {}) for side in (name, peer))
        return [ours[number] / theirs[number] for number in sorted(ours)
                if theirs.get(number)]


def pattern_bytes():
    """The 64 KiB of bench/programs/network.c."""
    state, mask, words = 1, (1 << 64) - 1, []
    for _ in range(PATTERN_SIZE // 8):
        state ^= (state << 13) & mask
        state ^= state >> 7
        state ^= (state << 17) & mask
        words.append(state.to_bytes(8, 'little'))
    return b''.join(words)


PATTERN = pattern_bytes()


def send_to_guest(stream, size):
    for _ in range(size // PATTERN_SIZE):
        stream.sendall(PATTERN)
    if stream.recv(1) != b'k':
        raise RuntimeError('the guest does not say that all has come')


def receive_from_guest(stream, size):
    twice, at = PATTERN * 2, 0
    while at < size:
        some = stream.recv(PATTERN_SIZE)
        place = at % PATTERN_SIZE
        if not some:
            raise RuntimeError('the guest sends %d bytes of %d' % (at, size))
        if some != twice[place:place + len(some)]:
            raise RuntimeError('wrong bytes from the guest after %d' % at)
        at += len(some)
    if at > size:
        raise RuntimeError('the guest sends more than %d bytes' % size)
    stream.sendall(b'k')


def transfer_s(guest, port, verb, mib, timeout_s):
    """Wall seconds of one verified transfer; `verb` is what the guest does."""
    guest.send('network %s %d %d' % (verb, GUEST_PORT, mib))
    guest.wait_for(rb'^@listening\r?\n')
    with socket.create_connection(('127.0.0.1', port), timeout_s) as stream:
        start = time.monotonic()
        (send_to_guest if verb == 'receive' else receive_from_guest)(stream, mib << 20)
        seconds = time.monotonic() - start
    done, before = guest.wait_for(rb'^@done (-?\d+)\r?\n')
    if int(done[1]) != 0:
        raise RuntimeError('network %s: status %d: %s' % (verb, int(done[1]), before.strip()))
    return seconds


def command_s(guest, line):
    """Wall seconds of a program in the guest, which must succeed."""
    start = time.monotonic()
    _, output, status = guest.run(line)
    if status != 0:
        raise RuntimeError('%s: %s: status %d: %s' % (guest.name, line, status, output))
    return time.monotonic() - start


class Round:
    """One emulator in one round."""

    def __init__(self, args, rows, name, number):
        self.args, self.rows, self.name, self.number = args, rows, name, number

    def add(self, row, unit, better, value):
        self.rows.add(row, unit, better, self.name, self.number, value)
        print('  %-10s %-36s %9.2f %s' % (self.name, row, value, unit), file=sys.stderr)

    def booted(self, guest, start, where):
        self.add('boot to %s' % where, 's', 'lower', time.monotonic() - start)
        self.add('boot to %s, CPU' % where, 's', 'lower', guest.cpu_s())
        self.add('resident at %s' % where, 'MiB', 'lower', guest.resident_mib())

    def small_guest(self, command, port):
        start = time.monotonic()
        guest = run.Guest(self.name, command, self.args.timeout)
        is_over = False
        try:
            guest.wait_for(rb'~# ')
            self.booted(guest, start, 'shell')
            guest.send(HAND_OVER)
            guest.wait_for(rb'^@ready\r?\n')
            self.disk(guest)
            self.network(guest, port)
            self.add('300 programs started', 's', 'lower', command_s(guest, 'exec 75'))
            is_over = True
            status = guest.end()
            if status != 0:
                raise RuntimeError('%s: status %s after power-off' % (self.name, status))
        finally:
            if not is_over:
                kill(guest)

    def disk(self, guest):
        """Every kind of request; the first write only gives the file its blocks."""
        mib, few = self.args.disk, self.args.requests
        line = 'disk dev/vda %%s %d %d %%d' % (mib, few)
        command_s(guest, line % ('seqwrite', 1))
        for row, kind, jobs, amount, unit in (
                ('disk: 1 MiB writes', 'seqwrite', 1, mib, 'MiB/s'),
                ('disk: 1 MiB reads', 'seqread', 1, mib, 'MiB/s'),
                ('disk: random 4 KiB reads', 'randread', 1, few, '1/s'),
                ('disk: random 4 KiB reads, 8 jobs', 'randread', 8, few, '1/s'),
                ('disk: random 4 KiB writes', 'randwrite', 1, few, '1/s'),
                # Writes the same blocks as the row before.
                ('disk: random 4 KiB writes, 8 jobs', 'randwrite', 8, few, '1/s')):
            self.add(row, unit, 'higher', amount / command_s(guest, line % (kind, jobs)))
        command_s(guest, line % ('verify', 1))

    def network(self, guest, port):
        mib = self.args.transfer
        for row, verb in (('network: into the guest', 'receive'),
                          ('network: out of the guest', 'send')):
            seconds = transfer_s(guest, port, verb, mib, self.args.timeout)
            self.add(row, 'MiB/s', 'higher', mib / seconds)

    def full_guest(self, command):
        """The disk is a copy that is thrown away, so the guest needs no farewell."""
        start = time.monotonic()
        guest = run.Guest(self.name, command, self.args.timeout)
        try:
            guest.wait_for(rb' login: ')
            self.booted(guest, start, 'login of debian')
        finally:
            kill(guest)


def kill(guest):
    guest.process.kill()
    guest.process.wait()
    guest.process.stdin.close()
    guest.process.stdout.close()


# --- All of it ----------------------------------------------------------------------------

def find_full_debian():
    """The disk of the newest one that is pulled, or None. The image's own file names the
    folder: others may be of a pull that was cut short."""
    for path in reversed(run.find_pulled('debian-*.image')):
        with open(path) as file:
            fields = dict(line.split(': ', 1) for line in file.read().split('\n') if ': ' in line)
        disk = os.path.join(os.path.dirname(path), fields.get('Folder', ''), 'disk')
        if fields.get('Image') == 'debian' and os.path.exists(disk):
            return disk
    return None


def find_debugfs():
    return shutil.which('debugfs', path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')


def debugfs(disk, request):
    """Reads a file system without mounting it, which would need rights."""
    return subprocess.run([find_debugfs(), '-R', request, disk], capture_output=True, text=True,
                          timeout=120, check=True).stdout


def take_boot_files(disk, scratch):
    """Returns [kernel, initrd] of a Debian's disk as files: QEMU can't read them from there."""
    names = sorted(line.split('/')[5] for line in debugfs(disk, 'ls -p /boot').split('\n')
                   if line.count('/') >= 6)
    found = []
    for start in ('vmlinu', 'initrd.img-'):
        inside = [name for name in names if name.startswith(start)]
        if not inside:
            raise RuntimeError('%s: no /boot/%s*' % (disk, start))
        found.append(os.path.join(scratch, 'full-' + start))
        debugfs(disk, 'dump "/boot/%s" "%s"' % (inside[-1], found[-1]))
        if not os.path.exists(found[-1]) or not os.path.getsize(found[-1]):
            raise RuntimeError('%s: /boot/%s cannot be read' % (disk, inside[-1]))
    return found


def find_full(args, rows, scratch):
    """[kernel, initrd, disk] of the full debian; None, with the reason in a row, without."""
    disk, reason = None if args.no_full else find_full_debian(), None
    if args.no_full:
        reason = '--no-full'
    elif not disk:
        reason = 'run `%s pull debian` first' % args.cosm
    elif not find_debugfs():
        reason = 'no debugfs; install e2fsprogs'
    else:
        return take_boot_files(disk, scratch) + [disk]
    rows.skipped.append('boot to login of debian: ' + reason)
    return None


def copy_disk(source, target):
    """With its holes, so that a disk of gigabytes costs what is in it."""
    subprocess.run(['cp', '--sparse=always', '--reflink=auto', source, target], check=True)


def measure(args, names, qemu, scratch, initrd):
    rows = Rows()
    kernel, disk = run.find_kernel(args), os.path.join(scratch, 'disk')
    full = find_full(args, rows, scratch)
    for number in range(args.rounds):
        print('round %d of %d' % (number + 1, args.rounds), file=sys.stderr)
        for name in names[::-1 if number % 2 else 1]: # whoever is first may find a cold cache
            one = Round(args, rows, name, number)
            try:
                with open(disk, 'wb') as file:
                    file.truncate(args.disk << 20)
                machine = Machine(args, kernel, initrd, disk, APPEND, free_port())
                one.small_guest(machine.command(name, qemu), machine.port)
                if full:
                    copy_disk(full[2], disk)
                    machine = Machine(args, full[0], full[1], disk, APPEND + ' root=/dev/vda',
                                      free_port())
                    one.full_guest(machine.command(name, qemu))
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                rows.wrong.append('%s, round %d: %s' % (name, number + 1, error))
            version = [args.cosm, 'version'] if name == 'cosm' else [qemu, '--version']
            one.add('start-up of the emulator, CPU', 'ms', 'lower', 1000 * run.startup_s(version))
    return rows


def report(rows, names, args, versions):
    """What --json prints; the table shows a part of it."""
    out = []
    for row, entry in rows.rows.items():
        one = {'row': row, 'unit': entry['unit'], 'better': entry['better'],
               'samples': {name: [values[n] for n in sorted(values)]
                           for name, values in entry['samples'].items()}}
        one['medians'] = {name: statistics.median(values)
                          for name, values in one['samples'].items()}
        for peer in names[1:]:
            ratios = rows.ratios(row, names[0], peer)
            if ratios:
                one['ratio'] = {'median': statistics.median(ratios), 'min': min(ratios),
                                'max': max(ratios)}
        out.append(one)
    return {'rounds': args.rounds, 'ram_mib': args.ram, 'harts': args.harts,
            'disk_mib': args.disk, 'requests': args.requests, 'transfer_mib': args.transfer,
            'emulators': versions, 'load': os.getloadavg()[0], 'cpus': os.cpu_count(),
            'rows': out, 'skipped': rows.skipped, 'wrong': rows.wrong}


def print_table(result, names):
    number = lambda value: '–' if value is None else '%.4g' % value
    head = ['', 'unit', 'better is'] + names + ['cosm ÷ QEMU', 'lowest', 'highest']
    print('| ' + ' | '.join(head) + ' |')
    print('|---|---|---|' + '---:|' * (len(head) - 3))
    for row in result['rows']:
        ratio = row.get('ratio', {})
        cells = [row['row'], row['unit'], row['better']]
        cells += [number(row['medians'].get(name)) for name in names]
        cells += [number(ratio.get(part)) for part in ('median', 'min', 'max')]
        print('| ' + ' | '.join(cells) + ' |')
    print()
    print('%d rounds, medians; %d MiB, %d hart(s); load of the host at the end %.1f on %d CPUs.'
          % (result['rounds'], result['ram_mib'], result['harts'], result['load'], result['cpus']))
    for text in result['skipped']:
        print('skipped: ' + text)
    for text in result['wrong']:
        print('WRONG: ' + text)


def parse_arguments():
    parser = argparse.ArgumentParser(prog='./dev bench machine', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--ram', type=int, default=1024, help='MiB')
    parser.add_argument('--harts', type=int, default=1)
    parser.add_argument('--disk', type=int, default=256, help='MiB, a power of two')
    parser.add_argument('--requests', type=int, default=10000, help='random ones, of each kind')
    parser.add_argument('--transfer', type=int, default=256, help='MiB each way')
    parser.add_argument('--timeout', type=int, default=300, help='seconds for any one step')
    parser.add_argument('--kernel', help='a RISC-V Linux Image')
    parser.add_argument('--initrd', help='what goes with it')
    parser.add_argument('--cosm', default=os.path.join(run.ROOT, 'out', 'cosm'))
    parser.add_argument('--no-qemu', action='store_true')
    parser.add_argument('--no-full', action='store_true', help='without the full debian')
    parser.add_argument('--json', action='store_true', help='the result as JSON')
    args = parser.parse_args()
    for name in ('rounds', 'ram', 'harts', 'disk', 'requests', 'transfer', 'timeout'):
        if getattr(args, name) <= 0:
            parser.error('--%s: want a number above 0' % name)
    if args.disk & (args.disk - 1) or args.requests > args.disk * 256:
        parser.error('--disk: want a power of two, and 4 KiB of it for each of --requests')
    if bool(args.kernel) != bool(args.initrd):
        parser.error('--kernel and --initrd go together')
    for path in (args.kernel, args.initrd):
        if path and not os.path.isfile(path):
            parser.error('%s: no such file' % path)
    return args


def find_emulators(args):
    """Returns ({name: version}, QEMU's program)."""
    qemu = None if args.no_qemu else run.find_qemu()
    versions = {'cosm': [args.cosm, 'version']}
    if qemu:
        versions['QEMU'] = [qemu, '--version']
    for name, command in versions.items():
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            run.die('%s: %s' % (name, error))
        versions[name] = answer.stdout.split('\n')[0]
    return versions, qemu


def main():
    # Ended by another program, we leave nothing behind either.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))
    args = parse_arguments()
    os.makedirs(run.OUT, exist_ok=True)
    versions, qemu = find_emulators(args)
    programs = [(name, pair[1]) for name, pair in
                run.compile_programs(['disk', 'network', 'exec']).items()]
    programs.append(('agent', run.compile_init()))
    with tempfile.TemporaryDirectory(dir=run.OUT) as scratch:
        initrd = os.path.join(scratch, 'initrd')
        base = args.initrd or os.path.join(os.path.dirname(run.find_kernel(args)), 'initrd')
        append_programs(base, programs, initrd)
        try:
            rows = measure(args, list(versions), qemu, scratch, initrd)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            run.die(str(error))
    if not qemu:
        rows.skipped.append('all of QEMU: ' + ('--no-qemu' if args.no_qemu else
                            'no qemu-system-riscv64; tools/peers.sh qemu-system-riscv unpacks one'))
    result = report(rows, list(versions), args, versions)
    if args.json:
        json.dump(result, sys.stdout, indent=1)
        print()
    else:
        print_table(result, list(versions))
    return 1 if rows.wrong else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
