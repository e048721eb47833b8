// Layout of a tier A decoy's data, shared by the assembly of each platform.
// stub.go builds it; TestLayout compares the two.

#define BASE        0x600100 // where the data is mapped, behind the ELF header
#define STATE_WORDS 255      // masked 64-bit words after the seed

#define INNER       0x008 // HMAC state after the inner key block
#define OUTER       0x028 // HMAC state after the outer key block
#define ROUND       0x048 // the constants of SHA-256
#define BLOCKS      0x148 // uint32: 64-byte blocks of the padded message
#define LENGTH      0x14c // uint32: bytes of the message
#define MARK        0x150 // uint64: latch mark without its time
#define PROOF_LEN   0x158 // uint32
#define ADDR_LEN    0x15c // uint32
#define FACE_LEN    0x160 // uint32
#define FACE_FD     0x164 // uint32
#define FACE_CODE   0x168 // uint32
#define POLICY      0x16c // uint32: 0 alert, 1 degrade, 2 fall
#define OUTER_PAD   0x170 // 32 bytes: padding of the outer hash
#define MARKER      0x190 // path, NUL-terminated
#define MARKER_ROOT 0x1d0 // the same below /proc/1/root
#define PROOF       0x220 // content of the marker
#define ADDR        0x250 // sockaddr_un
#define CHAIN       0x290 // program to become afterwards, or empty
#define NS_PID      0x2f0 // /proc/self/ns/pid
#define PROC_SELF   0x308
#define PROC_ONE    0x318
#define LOG         0x320 // /proc/1/fd/2
#define SLASH       0x330
#define INITIAL     0x338 // pid:[4026531836]
#define LATCHES     0x348 // four times 16 bytes: set, already, denied, unproven
#define FACE        0x388 // what is printed, up to 200 bytes
#define OWN_GROUPS  0x450 // /proc/self/cgroup
#define ONE_GROUPS  0x468 // /proc/1/cgroup
#define LINE        0x47f // line feed, then the message
#define MESSAGE     0x480

// Gaps in the message, from its beginning; END is one past a number's last digit.
#define NONCE       29
#define TIME_END    86
#define COUNT_END   101
#define LATCH       110
#define UID_END     137
#define EUID_END    155
#define GID_END     172
#define PID_END     189
#define PPID_END    207

// Zeroed memory behind the data.
#define HASH        0x1000 // 32 bytes, then room for the outer block
#define SCHEDULE    0x1080 // 256 bytes
#define BUF         0x1200
#define BUF2        0x1400
#define NOW         0x1600 // timespec
#define PID         0x1620
#define EUID        0x1624
#define PROVEN      0x1628
#define LATCHED     0x162c // index into LATCHES
#define COUNT       0x1630
#define CURSOR      0x1638
#define NAP         0x1640 // timespec
#define GROUPS      0x2000
#define GROUPS2     0x2800
#define GROUPS_SIZE 0x800
