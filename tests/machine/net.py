#!/usr/bin/env python3
"""The network as an unmodified guest has it: Debian's kernel and busybox, when they are pulled.

  net.py COSM CACHE COMPILER...     the compiler is for RISC-V; the first that is there is used

Runs in a network namespace of its own where that is allowed, with a name server that it answers
for; elsewhere that test is skipped. The guest does what SCRIPT says, fetched by its first
download, and tells the result of each step on its console. Prints TAP.
"""
import array
import fcntl
import hashlib
import http.server
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

LIMIT = 300  # seconds: a hang, not a slow host
BLOB = os.urandom(1 << 20)
SUM = hashlib.sha256(BLOB).hexdigest()
ANSWER = "10.9.8.7"  # what the name server says of everything

SCRIPT = """
step() { name=$1; shift; if "$@" >/tmp/out 2>&1; then echo "STEP $name ok"; else
    echo "STEP $name failed"; tail -n 5 /tmp/out; fi; }
sum() { sha256sum "$1" | grep -q SUM; }
get() { rm -f /tmp/blob; wget -q -O /tmp/blob "$1" && sum /tmp/blob; }
has6() { n=0; until ip -6 addr show eth0 | grep fec0: | grep -qv tentative; do
    sleep 1; n=$((n + 1)); [ $n -lt 30 ] || return 1; done; }
refused() { ! wget -q -T 5 -O /dev/null "$1"; }
step dhcp sh -c 'ip addr show eth0 | grep -q "inet 10.0.2.15/24" && grep -q 10.0.2.3 /etc/resolv.conf'
step ping ping -c 1 -W 10 10.0.2.2
step download get http://10.0.2.2:PORT/blob
step name sh -c 'nslookup -type=a some.name | grep -q ANSWER'
step address6 has6
step ping6 ping -6 -c 1 -W 10 fec0::2
step download6 get http://[fec0::2]:PORT6/blob
step loopback refused http://127.0.0.1:PORT/blob
wget -q -O /tmp/echo http://10.0.2.2:PORT/echo && chmod +x /tmp/echo && { /tmp/echo 7 & }
httpd -p 80 -h /tmp
echo READY
nc -l -p 9 >/tmp/up
step upload sum /tmp/up
step again get http://10.0.2.2:PORT/blob
ip link set eth0 down; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0 2>/dev/null
step updown get http://10.0.2.2:PORT/blob
rmmod virtio_net && modprobe virtio_net && sleep 1 && ip link set eth0 up &&
    ip addr add 10.0.2.15/24 dev eth0
step driver get http://10.0.2.2:PORT/blob
"""
STEPS = {
    "dhcp": "the guest gets an address and a name server by DHCP",
    "ping": "the gateway answers a ping",
    "download": "a MiB comes in unharmed",
    "name": "names are resolved by the host's name server",
    "address6": "the guest gets an IPv6 address by router advertisement",
    "ping6": "the gateway answers a ping over IPv6",
    "download6": "a MiB comes in unharmed over IPv6",
    "loopback": "the guest's loopback is its own",
    "upload": "a MiB comes in through a forwarded port",
    "again": "a MiB comes in once more",
    "updown": "the card works after it was down",
    "driver": "the card works after its driver was taken away and loaded again",
}


class Tap:
    """Counts and prints results."""

    number = failures = 0

    def say(self, name, is_ok, why=""):
        self.number += 1
        self.failures += not is_ok
        for line in why.splitlines()[-15:] if not is_ok else []:
            print("# " + line)
        print(f"{'ok' if is_ok else 'not ok'} {self.number} - {name}", flush=True)

    def skip(self, name, why):
        self.number += 1
        print(f"ok {self.number} - {name} # SKIP {why}", flush=True)

    def end(self):
        print(f"1..{self.number}")
        sys.exit(self.failures > 0)


def enter_namespace():
    """A network that is ours alone, with a name server at 127.0.0.1. False: not allowed."""
    if "COSM_NET_PRIVATE" not in os.environ:
        # What is ours outside may be out of reach inside: it depends on the file system.
        can = subprocess.run(["unshare", "-rnm", "cat", *sys.argv[:2]], capture_output=True,
                             check=False)
        if can.returncode:
            return False
        os.environ["COSM_NET_PRIVATE"] = "1"
        os.execvp("unshare", ["unshare", "-rnm", sys.executable, *sys.argv])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 1 | 64)  # SIOCSIFFLAGS: up, running
        fcntl.ioctl(any_socket, 0x8914, array.array("B", request))
    with tempfile.NamedTemporaryFile("w", suffix=".resolv", delete=False) as config:
        config.write("nameserver 127.0.0.1\n")
    mounted = subprocess.run(["mount", "--bind", config.name, "/etc/resolv.conf"], check=False)
    os.unlink(config.name)
    return mounted.returncode == 0


def serve_names():
    """Answers every question for an address with ANSWER."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    while True:
        query, sender = server.recvfrom(512)
        end = query.index(0, 12) + 5
        is_a = query[end - 4 : end - 2] == b"\0\1"
        reply = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + b"\0\0\0\0" + query[12:end]
        if is_a:
            reply += b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(ANSWER)
        server.sendto(reply, sender)


class Files(http.server.BaseHTTPRequestHandler):
    """What a guest fetches."""

    content = {"/blob": BLOB}

    def do_GET(self):  # the base class's name
        content = self.content.get(self.path, b"")
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class Server6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


def serve_files():
    """Ports for IPv4 and IPv6; the latter None on a host without it."""
    ports = []
    for kind, address in (http.server.ThreadingHTTPServer, "127.0.0.1"), (Server6, "::1"):
        try:
            server = kind((address, 0), Files)
        except OSError:
            ports.append(None)
            continue
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ports.append(server.server_address[1])
    return ports


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def image_of(cosm):
    """The smallest guest that was pulled, or None."""
    listed = subprocess.run([cosm, "images"], capture_output=True, text=True, check=False).stdout
    names = {line.split()[0].split(":")[0] for line in listed.splitlines() if line.split()}
    return next((name for name in ("debian-mini", "debian") if name in names), None)


def compile_echo():
    """udp_echo.c for the guest; nothing when there is no compiler."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "udp_echo.c")
    compiler = next(filter(None, map(shutil.which, sys.argv[3:])), None)
    if compiler is None:
        return b""
    with tempfile.NamedTemporaryFile() as program:
        subprocess.run([compiler, "-O1", "-static", "-o", program.name, source], check=True)
        with open(program.name, "rb") as compiled:
            return compiled.read()


def fetch(url):
    deadline = time.monotonic() + 60
    while True:
        try:
            with socket.create_connection(("127.0.0.1", url), timeout=30) as link:
                link.sendall(b"GET /blob HTTP/1.0\r\n\r\n")
                got = b"".join(iter(lambda: link.recv(65536), b""))
                if b"\r\n\r\n" in got or time.monotonic() > deadline:
                    return got.partition(b"\r\n\r\n")[2]
        except OSError:
            if time.monotonic() > deadline:
                return b""
        time.sleep(0.5)


def echo(port):
    """Datagrams of several sizes through a forwarded port, and back."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.settimeout(2)
    for size in (1, 1000, 1472, 4000):
        for _ in range(30):  # datagrams may be lost
            udp.sendto(BLOB[:size], ("127.0.0.1", port))
            try:
                if udp.recv(65536) == BLOB[:size]:
                    break
            except OSError:
                pass
        else:
            return False
    return True


def drive(ports, tap):
    """The host's part while the guest waits: a download from it, datagrams, an upload to it."""
    tap.say("a MiB goes out through a forwarded port", fetch(ports["http"]) == BLOB)
    name = "datagrams come in through a forwarded port, and their answers go out"
    if Files.content["/echo"]:
        tap.say(name, echo(ports["udp"]))
    else:
        tap.skip(name, "package gcc-riscv64-linux-gnu")
    with socket.create_connection(("127.0.0.1", ports["up"]), timeout=60) as link:
        link.sendall(BLOB)


def run_guest(cosm, image, tap, can_resolve):
    file_port, file_port6 = serve_files()
    ports = {"http": free_port(), "up": free_port(), "udp": free_port(socket.SOCK_DGRAM)}
    script = SCRIPT.replace("PORT6", str(file_port6)).replace("PORT", str(file_port))
    Files.content["/t"] = script.replace("SUM", SUM).replace("ANSWER", ANSWER).encode()
    Files.content["/echo"] = compile_echo()
    pcap = os.path.join(tempfile.mkdtemp(), "net.pcapng")
    first = f"until wget -q -O /tmp/t http://10.0.2.2:{file_port}/t; do sleep 1; done; sh /tmp/t"
    command = [cosm, "run", image, "--net", "user+host", "--timeout", f"{LIMIT}s", "--pcap", pcap,
               "-p", f"{ports['http']}:80", "-p", f"{ports['up']}:9",
               "-p", f"127.0.0.1:{ports['udp']}:7/udp",
               "--append", f'console=ttyS0 quiet cosm.run="{first}"']
    guest = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, errors="replace")
    said, results = "", {}
    for line in guest.stdout:
        said += line
        words = line.split()
        if words[:1] == ["READY"]:
            drive(ports, tap)
        if words[:1] == ["STEP"]:
            results[words[1]] = words[2] == "ok"
    tap.say("the guest powers off", guest.wait() == 0, said)
    for step, name in STEPS.items():
        if step == "name" and not can_resolve:
            tap.skip(name, "user namespaces are not allowed here")
        elif step.endswith("6") and file_port6 is None:
            tap.skip(name, "this host has no IPv6")
        else:
            tap.say(name, results.get(step, False), said)
    with open(pcap, "rb") as recorded:
        content = recorded.read()
    tap.say("the recording holds what was sent", BLOB[5000:6000] in content and len(content) > 4 << 20)
    os.unlink(pcap)


def run_closed(cosm, image, tap):
    """Without user+host the host's loopback is out of reach."""
    port, _ = serve_files()
    command = [cosm, "run", image, "--timeout", f"{LIMIT}s", "--append",
               "console=ttyS0 quiet cosm.run=\"until ip addr | grep -q 10.0.2.15; do sleep 1; done; "
               f'wget -q -T 5 -O /tmp/x http://10.0.2.2:{port}/x; test ! -s /tmp/x"']
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", check=False)
    tap.say("the host's loopback is out of reach by default", done.returncode == 0, done.stdout)


def main():
    cosm, os.environ["COSM_CACHE"] = sys.argv[1:3]
    is_private = enter_namespace()
    tap = Tap()
    image = image_of(cosm)
    features = subprocess.run([cosm, "version", "--json"], capture_output=True, text=True, check=False)
    if image is None:
        tap.skip("the network of a guest", "cosm pull debian")
    elif '"libslirp"' not in features.stdout:
        tap.skip("the network of a guest", "package libslirp-dev")
    else:
        if is_private:
            threading.Thread(target=serve_names, daemon=True).start()
        run_guest(cosm, image, tap, is_private)
        run_closed(cosm, image, tap)
    tap.end()


main()
