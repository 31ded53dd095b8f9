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

try:
    print(globals()[sys.argv[1]]())
except OSError as error:
    import errno
    print(errno.errorcode.get(error.errno or 0, type(error).__name__))
