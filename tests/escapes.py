"""Ways out of a sandbox, as data: each is a few lines of Python that say whether they got out.

The code of an attack is the body of a function: `return` something true means that it worked. It
sees `F`, what the outside looks like (an attacker may know every path), and the helpers of `HEAD`.
A program may trace its own session's Claude: that is inside its own walls and no attack here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

RESULTS = "escapes.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One way out. `needs_limit`: an escape only where the network is limited."""

    name: str
    code: str
    needs_limit: bool = False


HEAD = """
import ctypes, errno, fcntl, glob, json, os, signal, socket, subprocess, sys, termios, time

LIBC = ctypes.CDLL(None, use_errno=True)

def holds(path, text=""):
    with open(path, "rb") as stream:
        return text.encode() in stream.read(1_000_000)

def writes(path):
    # Opened, never written: a wall that is missing must not cost the computer anything.
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
    return True

def makes(path):
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    return True

def dials(path, kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_UNIX, kind) as one:
        one.settimeout(2)
        one.connect(path)
        return True

def says(host, port, text="", then=b"SECRET-OF-A-SITE"):
    with socket.create_connection((host, port), 3) as one:
        one.settimeout(3)
        one.sendall((text or "GET / HTTP/1.0\\r\\n\\r\\n").encode())
        heard = b""
        while piece := one.recv(4096):
            heard += piece
            if then in heard:
                return True
    return False

def by_proxy(target):
    tunnel = f"CONNECT {target} HTTP/1.1\\r\\nHost: {target}\\r\\n\\r\\nGET / HTTP/1.0\\r\\n\\r\\n"
    return says("127.0.0.1", 3128, tunnel)

def mounts(source, target, kind, flags):
    return LIBC.mount(source, target, kind, flags, None) == 0
"""

INSIDE: tuple[Attack, ...] = (
    # Other people's data, the product's and the operator's.
    Attack(name="another user's folder", code="return os.listdir(F['other_user'])"),
    Attack(name="another user's file", code="return holds(F['other_source'] + '/index.html')"),
    Attack(name="another session of the same user", code="return os.listdir(F['sibling'])"),
    Attack(name="another session's Claude folder", code="return os.listdir(F['other_claude'])"),
    Attack(name="its own releases repository", code="return os.listdir(F['releases'])"),
    Attack(name="the database", code="return holds(F['root'] + '/state.sqlite')"),
    Attack(name="the engine's database", code="return holds(F['root'] + '/engine.sqlite')"),
    Attack(name="the registry of users", code="return holds(F['root'] + '/registry.json')"),
    Attack(name="a new file in the data root",
           code="makes(F['root'] + '/escaped')\n    return False  # looked for outside"),
    Attack(name="cloud credentials", code="return holds(F['home'] + '/.aws/credentials')"),
    Attack(name="the operator's Claude login", code="return os.listdir(F['home'] + '/.claude')"),
    Attack(name="the operator's home", code="return os.listdir(F['home'])"),
    Attack(name="the operator's settings", code="return os.listdir(F['home'] + '/.config')"),
    Attack(name="a file in the computer's /tmp", code="return holds(F['planted_tmp'])"),
    Attack(name="a file in the computer's /dev/shm", code="return holds(F['planted_shm'])"),
    Attack(name="/etc/shadow", code="return holds('/etc/shadow', ':')"),
    Attack(name="the product's tests and data", code="return os.listdir(F['checkout'] + '/users')"),
    # What other starts and the worker hold.
    Attack(name="another pane's start file", code="return holds(F['start_file'])"),
    Attack(name="the folder of start files",
           code="return [n for n in os.listdir(F['secrets']) if n[:5] in ('pane-', 'value')]"),
    Attack(name="the worker's environment",
           code="return open(f\"/proc/{F['worker']}/environ\").read()"),
    Attack(name="a secret of any visible process", code="""
    for path in glob.glob('/proc/[0-9]*/environ'):
        try:
            if holds(path, F['planted_secret']):
                return path
        except OSError:
            pass
    """),
    Attack(name="foreign processes", code="""
    for path in glob.glob('/proc/[0-9]*/cmdline'):
        try:
            said = open(path).read()
        except OSError:
            continue
        if 'tmux_bridge.worker' in said or 'local_server' in said or F['other_user'] in said:
            return path
    """),
    Attack(name="a signal to the worker", code="os.kill(F['worker'], 0)\n    return True"),
    Attack(name="the worker's memory",
           code="return open(f\"/proc/{F['worker']}/mem\", 'rb') is not None"),
    Attack(name="an inherited descriptor of the outside", code="""
    own = (F['session'], F['config'], '/dev', '/proc', '/tmp/', 'pipe:', 'anon_inode', 'socket:')
    for name in os.listdir('/proc/self/fd'):
        try:
            target = os.readlink(f'/proc/self/fd/{name}')
        except OSError:
            continue
        if F['root'] in target and not target.startswith(own):
            return target
        if F['runtime'] in target:
            return target
    """),
    Attack(name="a root behind another process", code="""
    for path in ('/proc/1/root', '/proc/self/root', '/proc/1/cwd'):
        try:
            if os.path.exists(path + F['root'] + '/state.sqlite'):
                return path
        except OSError:
            pass
    """),
    # Sockets.
    Attack(name="the tmux server", code="return dials(F['tmux_socket'])"),
    Attack(name="the worker's socket", code="return dials(F['worker_socket'], socket.SOCK_DGRAM)"),
    Attack(name="the local host's socket", code="return dials(F['host_socket'])"),
    Attack(name="any socket file that the kernel lists", code="""
    for line in open('/proc/net/unix'):
        path = line.split()[-1]
        if path.startswith('/') and not path.startswith('/proc'):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                try:
                    if dials(path, kind):
                        return path
                except OSError:
                    pass
    """),
    # Its own settings, answers and results.
    Attack(name="its settings", code="return writes(F['session'] + '/.claude/settings.json')"),
    Attack(name="its hooks", code="return writes(F['session'] + '/.claude/hooks/event.sh')"),
    Attack(name="a new hook", code="return makes(F['session'] + '/.claude/hooks/x.sh')"),
    Attack(name="local settings",
           code="return makes(F['session'] + '/.claude/settings.local.json')"),
    Attack(name="the injection lock",
           code="return writes(F['session'] + '/.claude/injection.lock.json')"),
    Attack(name="other settings by rename", code="""
    makes(F['session'] + '/output/settings.json')
    os.rename(F['session'] + '/output/settings.json', F['session'] + '/.claude/settings.json')
    return True
    """),
    Attack(name="settings of its Claude folder",
           code="return writes(F['config'] + '/settings.json')"),
    Attack(name="the same by rename", code="""
    makes(F['config'] + '/other.json')
    os.rename(F['config'] + '/other.json', F['config'] + '/settings.json')
    return True
    """),
    Attack(name="an agent in its Claude folder", code="return makes(F['config'] + '/agents/x.md')"),
    Attack(name="a skill in its Claude folder", code="return makes(F['config'] + '/skills/x.md')"),
    Attack(name="another folder of agents", code="""
    os.rename(F['config'] + '/agents', F['config'] + '/agents-old')
    os.mkdir(F['config'] + '/agents')
    return True
    """),
    Attack(name="its own approval", code="return makes(F['session'] + '/state/approvals/x.json')"),
    Attack(name="another folder of approvals", code="""
    os.rename(F['session'] + '/state/approvals', F['session'] + '/state/old')
    return True
    """),
    Attack(name="an answer to itself", code="return makes(F['session'] + '/state/answers/x.json')"),
    Attack(name="a test's result",
           code="return makes(F['session'] + '/deployment/tests/health.json')"),
    Attack(name="its host's configuration",
           code="return makes(F['session'] + '/deployment/config.json')"),
    Attack(name="its log", code="return makes(F['session'] + '/logs/run-001.jsonl')"),
    Attack(name="its prompts", code="return makes(F['session'] + '/prompts/001.md')"),
    Attack(name="a file beside its folders", code="return makes(F['session'] + '/CLAUDE.md')"),
    Attack(name="git configuration", code="return writes(F['session'] + '/.git/config')"),
    Attack(name="git hooks", code="os.mkdir(F['session'] + '/.git/hooks')\n    return True"),
    Attack(name="a link for the hooks folder", code="""
    os.rename(F['session'] + '/state/hooks', F['session'] + '/state/hooks-old')
    os.symlink(F['other_session_path'] + '/state/hooks', F['session'] + '/state/hooks')
    return True
    """),
    Attack(name="a link for the tests folder", code="""
    os.rename(F['session'] + '/deployment/tests/e2e', F['session'] + '/output/e2e')
    return True
    """),
    Attack(name="a hard link to settings", code="""
    os.link(F['session'] + '/.claude/settings.json', F['session'] + '/source/hard.json')
    return writes(F['session'] + '/source/hard.json')
    """),
    Attack(name="a hard link to the system",
           code="os.link('/etc/passwd', F['session'] + '/source/hard')\n    return True"),
    Attack(name="the product's own code", code="return writes(F['checkout'] + '/core/errors.py')"),
    Attack(name="the product's Python", code="""
    return os.access(os.path.join(F['python'], 'lib'), os.W_OK)
    """),
    Attack(name="the CLI's program", code="return writes(F['program'])"),
    # The terminal.
    *(
        Attack(name=f"typing into {name}", code=f"""
    terminal = {opening}
    fcntl.ioctl(terminal, termios.TIOCSTI, b'1')
    return True
    """)
        for name, opening in {
            "its terminal": "sys.stdin.fileno()",
            "the console": "os.open('/dev/console', os.O_RDWR)",
            "the controlling terminal": "os.open('/dev/tty', os.O_RDWR)",
        }.items()
    ),
    Attack(name="typing by 64-bit trickery", code="""
    LIBC.ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_char_p]
    return LIBC.ioctl(sys.stdin.fileno(), 0xFFFFFFFF00005412, b'1') == 0
    """),
    Attack(name="pasting into a console", code="""
    fcntl.ioctl(os.open('/dev/console', os.O_RDWR), 0x541C, b'\\x03')
    return True
    """),
    Attack(name="another pane's terminal", code="""
    before = set(os.listdir('/dev/pts'))
    os.open('/dev/ptmx', os.O_RDWR | os.O_NOCTTY)
    for name in before - {'ptmx'}:
        os.open(f'/dev/pts/{name}', os.O_RDWR | os.O_NOCTTY)
        return name
    """),
    Attack(name="the operator's clipboard", code="""
    wanted = b'\\x1b]52;c;RVNDQVBFRA==\\x07'
    os.write(1, wanted + b'\\x1bPtmux;' + wanted.replace(b'\\x1b', b'\\x1b\\x1b') + b'\\x1b\\\\')
    return False  # seen outside, in tmux's buffers
    """),
    # Privileges and the kernel.
    Attack(name="another account", code="os.setuid(12345)\n    return True"),
    Attack(name="another group",
           code="os.setgroups([0, 42])\n    return os.getgroups() == [0, 42]"),
    Attack(name="a setuid program", code="""
    for path in ('/usr/bin/su', '/usr/bin/sudo', '/usr/bin/newgrp', '/usr/bin/mount'):
        if os.path.exists(path) and os.stat(path).st_mode & 0o4000:
            status = open('/proc/self/status').read()
            return 'NoNewPrivs:\\t0' in status
    """),
    Attack(name="capabilities", code="""
    lines = open('/proc/self/status').read().splitlines()
    return any(int(line.split()[1], 16) for line in lines if line.startswith(('CapEff', 'CapPrm')))
    """),
    Attack(name="a writable remount", code="""
    if mounts(None, F['session'].encode(), None, 0x1000 | 32):
        return writes(F['session'] + '/.claude/settings.json')
    """),
    Attack(name="a new mount", code="return mounts(b'none', b'/tmp', b'tmpfs', 0)"),
    Attack(name="unmasking by unmount", code="return LIBC.umount2(b'/etc/shadow', 2) == 0"),
    Attack(name="a disk", code="""
    os.mknod('/tmp/disk', 0o060600, os.makedev(254, 0))
    return open('/tmp/disk', 'rb').read(1) is not None
    """),
    Attack(name="a new root", code="os.chroot('/tmp')\n    return True"),
    Attack(name="a user namespace with mounts", code="""
    child = os.fork()
    if child == 0:
        if LIBC.unshare(0x10000000 | 0x00020000):
            os._exit(1)
        try:
            open('/proc/self/setgroups', 'w').write('deny')
            open('/proc/self/uid_map', 'w').write(f'0 {os.getuid()} 1')
        except OSError:
            pass
        got = mounts(None, F['session'].encode(), None, 0x1000 | 32)
        got = got or LIBC.umount2(b'/etc/shadow', 2) == 0
        os._exit(0 if got else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """),
    Attack(name="the first process's namespaces", code="""
    for kind in ('mnt', 'net', 'pid', 'user'):
        handle = os.open(f'/proc/1/ns/{kind}', os.O_RDONLY)
        if LIBC.setns(handle, 0) == 0 and os.path.exists(F['root'] + '/state.sqlite'):
            return kind
    """),
    Attack(name="the account's key rings", code="""
    number = {'x86_64': 250, 'aarch64': 219}.get(os.uname().machine)
    return number is not None and LIBC.syscall(number, 0, -4, 0) >= 0
    """),
    Attack(name="kernel programs", code="""
    number = {'x86_64': 321, 'aarch64': 280}.get(os.uname().machine)
    attributes = (ctypes.c_char * 64)(2, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0)
    return number is not None and LIBC.syscall(number, 0, attributes, 64) >= 0
    """),
    Attack(name="kernel settings", code="return writes('/proc/sys/kernel/core_pattern')"),
    Attack(name="the magic key", code="return writes('/proc/sysrq-trigger')"),
    Attack(name="any file of the kernel's that may be written", code="""
    for top, folders, names in os.walk('/proc'):
        folders[:] = [name for name in folders if not (top == '/proc' and name.isdigit())
                      and name not in ('self', 'thread-self', 'net')]
        for name in names:
            try:
                return writes(os.path.join(top, name)) and os.path.join(top, name)
            except OSError:
                pass
    """),
    Attack(name="the kernel's memory", code="return open('/proc/kcore', 'rb').read(1) != b''"),
    Attack(name="the kernel's log", code="""
    return os.read(os.open('/proc/kmsg', os.O_RDONLY | os.O_NONBLOCK), 1) != b''
    """),
    Attack(name="the host's control groups", code="return makes('/sys/fs/cgroup/x')"),
    Attack(name="the environment", code="""
    foreign = ('AWS_', 'AZURE_', 'TMUX_PANE', 'SSH_', 'XDG_RUNTIME', 'DBUS_')
    said = str(os.environ)
    return [name for name in os.environ if name.startswith(foreign)] or F['planted_secret'] in said
    """),
    # The network, where it is limited.
    *(
        Attack(name=f"network: {name}", code=f"return {code}", needs_limit=True)
        for name, code in {
            "another customer's site": "says('127.0.0.1', F['site_port'])",
            "the same by IPv6": "says('::1', F['site_port'])",
            "the same by the gate": "by_proxy(f\"127.0.0.1:{F['site_port']}\")",
            "the same by name": "by_proxy(f\"localhost:{F['site_port']}\")",
            "the same by IPv6 and the gate": "by_proxy(f\"[::1]:{F['site_port']}\")",
            "the same by a number": "by_proxy(f\"2130706433:{F['site_port']}\")",
            "the same with a dot": "by_proxy(f\"localhost.:{F['site_port']}\")",
            "the same behind a login": "by_proxy(f\"pypi.org@127.0.0.1:{F['site_port']}\")",
            "the same as a plain request": "says('127.0.0.1', 3128, "
            "f\"GET http://127.0.0.1:{F['site_port']}/ HTTP/1.0\\r\\n\\r\\n\")",
            "the same by a second request": "says('127.0.0.1', 3128, "
            "f\"GET {F['model']}/ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"
            "GET http://127.0.0.1:{F['site_port']}/ HTTP/1.0\\r\\n\\r\\n\")",
            "an abstract socket": "dials('\\0' + F['abstract'])",
            "any other interface": "len([n for _, n in socket.if_nameindex() if n != 'lo'])",
            "a host outside": "says('192.0.2.1', 80, then=b'HTTP/')",
            "a host outside by the gate": "by_proxy('example.com:443')",
            "the machine's metadata": "by_proxy('169.254.169.254:80')",
        }.items()
    ),
    Attack(name="network: a name's address", needs_limit=True,
           code="return socket.getaddrinfo('pypi.org', 443)"),
    Attack(name="network: the gate's folder", needs_limit=True, code="""
    [folder] = glob.glob(F['secrets'] + '/gate-*')
    try:
        os.unlink(folder + '/gate')
        return True
    except OSError:
        return makes(folder + '/x')
    """),
)  # fmt: skip


def program(attacks: Iterable[Attack], facts: Mapping[str, object], results: str) -> str:
    """A Python program that tries all of them, a few seconds each, and writes what worked.

    Args:
        results: An expression inside, for the file's path.
    """
    lines = [HEAD, f"F = json.loads({json.dumps(facts)!r})", "ATTACKS = {}"]
    for number, attack in enumerate(attacks):
        body = attack.code.strip("\n").rstrip()
        indented = body if body.startswith("    ") else f"    {body}"
        lines.append(
            f"def attack_{number}():\n{indented}\nATTACKS[{attack.name!r}] = attack_{number}"
        )
    return "\n".join([*lines, _TAIL.replace("RESULTS", results)])


_TAIL = '''
class Late(BaseException):
    """The attack hangs."""

def late(*_):
    raise Late

signal.signal(signal.SIGALRM, late)
found = {}
for name, attack in ATTACKS.items():
    signal.alarm(8)
    try:
        got = attack()
        found[name] = {"worked": bool(got), "why": str(got)[:200]}
    except (Exception, Late) as error:
        found[name] = {"worked": False, "why": f"{type(error).__name__}: {error}"[:200]}
    signal.alarm(0)
path = RESULTS
with open(path + ".part", "w") as stream:
    json.dump(found, stream)
os.rename(path + ".part", path)
'''
