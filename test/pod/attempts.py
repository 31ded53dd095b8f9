# Ways out that need calls which Node has not: one attempt, and what it got, on standard output.
import socket, ssl, struct, sys

def raw():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    return "a raw socket"

def raw6():
    socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    return "a raw socket"

def packet():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    return "a packet socket"

def sctp():
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
    s.settimeout(2)
    s.connect((sys.argv[2], 9999))
    return "connected"

def udplite():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136)
    s.sendto(b"x", (sys.argv[2], 9999))
    return "sent"

def ping():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    s.settimeout(1)
    s.sendto(struct.pack("!BBHHH", 8, 0, 0xf7ff, 0, 0), (sys.argv[2], 0))
    return "sent"

def udp():
    family = socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.sendto(b"x" * 40, (sys.argv[2], int(sys.argv[3])))
    return "sent"

def mapped():
    # A v6 socket that speaks to a v4 address.
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    s.settimeout(5)
    s.connect(("::ffff:" + sys.argv[2], int(sys.argv[3])))
    s.sendall(b"\0\0\0\0")
    return "answered " + repr(s.recv(100))

def tcp():
    s = socket.create_connection((sys.argv[2], int(sys.argv[3])), 5)
    s.sendall(b"\0\0\0\0")
    return "answered " + repr(s.recv(100))

def same_port():
    # One source port for several destinations at once, as the kernel lets clients do.
    family = socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET
    connections = []
    for host in sys.argv[3:]:
        s = socket.socket(family)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.settimeout(10)
        s.bind((sys.argv[2], 45000))
        s.connect((host, 80))
        connections.append(s)
    for s in connections:
        s.sendall(b"GET /open/same HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n")
    return " ".join(s.recv(100).split(b" ")[1].decode() for s in connections)

def held():
    # A connection that was there before: waits for a file, and goes on.
    import os, time
    s = socket.create_connection((sys.argv[2], 80), 5)
    open(sys.argv[3], "w").close()
    while not os.path.exists(sys.argv[4]):
        time.sleep(0.02)
    s.sendall(b"GET /held HTTP/1.0\r\n\r\n")
    return "answered " + repr(s.recv(100))

def mark():
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, 36, 0x40000000)
    return "marked"

def transparent():
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_IP, 19, 1)
    return "transparent"

def device():
    # Bound to the interface, past routing.
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 25, b"eth0")
    s.sendto(b"x", (sys.argv[2], 443))
    return "sent"

def netns():
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    return "a namespace of its own"

def setuid():
    import os
    os.setuid(1337)
    return "another user"

def dns(over=socket.SOCK_DGRAM):
    # server, name, type: what a resolver of our own says of it.
    server, name, kind = sys.argv[2], sys.argv[3], int(sys.argv[4])
    labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split("."))
    query = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)
    s = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, over)
    s.settimeout(5)
    s.connect((server, 53))
    if over == socket.SOCK_STREAM:
        s.sendall(struct.pack("!H", len(query)) + query)
        answer = s.recv(600)[2:]
    else:
        s.send(query)
        answer = s.recv(600)
    code, count = answer[3] & 15, struct.unpack("!H", answer[6:8])[0]
    return "code %d, %d answers" % (code, count)

def dnstcp():
    return dns(socket.SOCK_STREAM)

try:
    print(globals()[sys.argv[1]]())
except OSError as error:
    import errno
    print(errno.errorcode.get(error.errno or 0, type(error).__name__))
