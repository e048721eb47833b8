#include "textflag.h"
#include "layout.h"

// Start is the whole program of a tier A decoy: it is not called, but copied
// into an ELF file as its code. R20 holds the initial stack pointer and R19
// the data. Every label below "prove" that touches PID 1 is reached with
// PROVEN 1 only. The steps are those of stub_amd64.s.

#define SYS(number) \
	MOVD $number, R8; \
	SVC

#define AT_FDCWD $-100

// DECIMAL writes R0 in front of the given gap's end.
#define DECIMAL(end) \
	ADD $(MESSAGE+end), R19, R1; \
	CALL decimal<>(SB)

// func Start()
TEXT ·Start(SB),NOSPLIT|NOFRAME,$0
	MOVD RSP, R20
	MOVD $BASE, R19
	MOVD (R19), R0
	ADD $8, R19, R1
	MOVD $STATE_WORDS, R2
	MOVD $0x2545F4914F6CDD1D, R3
unmask:
	EOR R0>>12, R0, R0
	EOR R0<<25, R0, R0
	EOR R0>>27, R0, R0
	MUL R3, R0, R4
	MOVD (R1), R5
	EOR R4, R5, R5
	MOVD R5, (R1)
	ADD $8, R1
	SUBS $1, R2, R2
	BNE unmask

	SYS(174) // getuid
	DECIMAL(UID_END)
	SYS(175) // geteuid
	MOVW R0, EUID(R19)
	DECIMAL(EUID_END)
	SYS(176) // getgid
	DECIMAL(GID_END)
	SYS(172) // getpid
	MOVW R0, PID(R19)
	DECIMAL(PID_END)
	SYS(173) // getppid
	DECIMAL(PPID_END)
	MOVD $0, R0 // CLOCK_REALTIME
	ADD $NOW, R19, R1
	SYS(113) // clock_gettime
	MOVD NOW(R19), R0
	MOVD $1000000, R1
	MUL R1, R0, R0
	MOVD (NOW+8)(R19), R1
	MOVD $1000, R2
	UDIV R2, R1, R1
	ADD R1, R0, R0
	DECIMAL(TIME_END)

	// prove: the marker's content, or nothing at all
	MOVD AT_FDCWD, R0
	ADD $MARKER, R19, R1
	MOVD $0x80000, R2 // O_CLOEXEC
	MOVD $0, R3
	SYS(56) // openat
	TBNZ $63, R0, face
	ADD $BUF, R19, R1
	MOVD $64, R2
	SYS(63) // read
	MOVWU PROOF_LEN(R19), R1
	CMP R1, R0
	BNE face
	ADD $BUF, R19, R2
	ADD $PROOF, R19, R3
same:
	MOVBU.P 1(R2), R4
	MOVBU.P 1(R3), R5
	CMP R4, R5
	BNE face
	SUBS $1, R1, R1
	BNE same

	MOVD $3, R0
	MOVW R0, LATCHED(R19) // unproven
	MOVD $1, R0
	MOVW R0, COUNT(R19)

	// prove: this /proc is of our pid namespace
	ADD $PROC_SELF, R19, R1
	CALL readlink<>(SB)
	CMP $0, R0
	BLE speak
	ADD $BUF, R19, R1
	MOVD $0, R2
	MOVD $10, R4
digits:
	MOVBU.P 1(R1), R3
	SUB $48, R3
	MADD R4, R3, R2, R2
	SUBS $1, R0, R0
	BNE digits
	MOVWU PID(R19), R3
	CMP R2, R3
	BNE speak

	// prove: which is not the machine's own
	ADD $NS_PID, R19, R1
	CALL readlink<>(SB)
	CMP $0, R0
	BLE speak
	MOVD BUF(R19), R0
	MOVD INITIAL(R19), R1
	CMP R0, R1
	BNE namespaced
	MOVD (BUF+8)(R19), R0
	MOVD (INITIAL+8)(R19), R1
	CMP R0, R1
	BEQ speak
namespaced:

	// prove: PID 1 sees the same marker
	ADD $MARKER, R19, R1
	ADD $BUF, R19, R2
	CALL stat<>(SB)
	CBNZ R0, speak
	ADD $MARKER_ROOT, R19, R1
	ADD $BUF2, R19, R2
	CALL stat<>(SB)
	CBNZ R0, hidden
	MOVD BUF(R19), R0
	MOVD BUF2(R19), R1
	CMP R0, R1
	BNE speak
	MOVD (BUF+8)(R19), R0
	MOVD (BUF2+8)(R19), R1
	CMP R0, R1
	BNE speak
	B proven

hidden: // or runs as our plain user, in our groups, and our root is a mount's
	CMN $13, R0 // EACCES
	BEQ unreadable
	CMN $1, R0 // EPERM
	BNE speak
unreadable:
	MOVWU EUID(R19), R0
	CBZ R0, speak
	ADD $PROC_ONE, R19, R1
	ADD $BUF, R19, R2
	CALL stat<>(SB)
	CBNZ R0, speak
	MOVWU (BUF+24)(R19), R0 // st_uid
	MOVWU EUID(R19), R1
	CMP R0, R1
	BNE speak
	ADD $OWN_GROUPS, R19, R1
	ADD $GROUPS, R19, R21
	CALL slurp<>(SB)
	MOVD R0, R22
	ADD $ONE_GROUPS, R19, R1
	ADD $GROUPS2, R19, R21
	CALL slurp<>(SB)
	CMP R0, R22
	BNE speak
	CMP $0, R0
	BLE speak
	CMP $GROUPS_SIZE, R0
	BGE speak
	ADD $GROUPS, R19, R1
	ADD $GROUPS2, R19, R2
equal:
	MOVBU.P 1(R1), R3
	MOVBU.P 1(R2), R4
	CMP R3, R4
	BNE speak
	SUBS $1, R0, R0
	BNE equal
	MOVD AT_FDCWD, R0
	ADD $SLASH, R19, R1
	MOVD $0, R2
	MOVD $0, R3
	ADD $BUF, R19, R4
	SYS(291) // statx
	CBNZ R0, speak
	MOVD (BUF+8)(R19), R0
	TBZ $13, R0, speak // STATX_ATTR_MOUNT_ROOT
proven:
	MOVD $1, R0
	MOVW R0, PROVEN(R19)
	MOVWU PID(R19), R1
	CMP R0, R1
	BEQ speak // PID 1 does not latch itself

	// latch
	MOVD $2, R0
	MOVW R0, LATCHED(R19) // denied
	MOVD $15, R1          // RLIMIT_RTTIME
	CALL getlimit<>(SB)
	CBNZ R0, speak
	MOVD (BUF+8)(R19), R0
	LSR $62, R0, R1
	CMP $1, R1
	BNE setlatch
	MOVD BUF(R19), R1
	CMP R0, R1
	BNE setlatch
	MOVD $1, R0
	MOVW R0, LATCHED(R19) // already
	B tally
setlatch:
	MOVD NOW(R19), R0
	MOVD $1767225600, R1 // 2026-01-01
	SUB R1, R0
	MOVD $60, R1
	UDIV R1, R0, R0
	AND $0xfffff, R0
	LSL $42, R0
	MOVD MARK(R19), R1
	ORR R1, R0
	MOVD R0, BUF(R19)
	MOVD R0, (BUF+8)(R19)
	MOVD $15, R1
	CALL setlimit<>(SB)
	CBNZ R0, speak
	MOVW ZR, LATCHED(R19) // set

tally: // the soft RLIMIT_LOCKS of PID 1: count above bit 34, second below
	MOVD $10, R1
	CALL getlimit<>(SB)
	CBNZ R0, speak
	MOVD $0x3ffffffff, R9
	MOVD NOW(R19), R10
	AND R9, R10   // second
	MOVD $0, R21 // 1: stay silent
	MOVWU LATCHED(R19), R0
	CBZ R0, keep
	MOVD $2, R1
	MOVW R1, COUNT(R19)
	MOVD BUF(R19), R0
	CMN $1, R0
	BEQ keep
	AND R0, R9 // last second
	LSR $34, R0
	ADD $1, R0
	AND $0xfffffff, R0
	MOVW R0, COUNT(R19)
	CMP $8, R0
	BLE keep
	SUB $1, R0, R1
	TST R0, R1
	BEQ keep
	CMP R9, R10
	BLT keep
	ADD $60, R9, R1
	CMP R1, R10
	BGE keep
	MOVD R9, R10
	MOVD $1, R21
keep:
	MOVWU COUNT(R19), R0
	LSL $34, R0
	ORR R10, R0
	MOVD R0, BUF(R19)
	MOVD $10, R1
	CALL setlimit<>(SB)
	CBNZ R21, react

speak:
	MOVWU COUNT(R19), R0
	DECIMAL(COUNT_END)
	MOVWU LATCHED(R19), R0
	ADD $LATCHES, R19, R1
	ADD R0<<4, R1, R1
	MOVD (R1), R0
	MOVD R0, (MESSAGE+LATCH)(R19)
	MOVHU 8(R1), R0
	MOVH R0, (MESSAGE+LATCH+8)(R19)
	ADD $BUF, R19, R0
	MOVD $16, R1
	MOVD $0, R2
	SYS(278) // getrandom
	ADD $BUF, R19, R1
	ADD $(MESSAGE+NONCE), R19, R2
	MOVD $16, R3
	CALL hex<>(SB)

	// HMAC-SHA256 from the prepared states
	ADD $INNER, R19, R1
	CALL load<>(SB)
	ADD $MESSAGE, R19, R21
	MOVWU BLOCKS(R19), R22
inner:
	MOVD R21, R1
	CALL compress<>(SB)
	ADD $64, R21
	SUBS $1, R22, R22
	BNE inner
	CALL bigendian<>(SB)
	ADD $HASH, R19, R1
	ADD $OUTER_PAD, R19, R2
	ADD $BUF, R19, R3
	MOVD $4, R4
outer:
	MOVD (R1), R5
	MOVD R5, (R3)
	MOVD (R2), R5
	MOVD R5, 32(R3)
	ADD $8, R1
	ADD $8, R2
	ADD $8, R3
	SUBS $1, R4, R4
	BNE outer
	ADD $OUTER, R19, R1
	CALL load<>(SB)
	ADD $BUF, R19, R1
	CALL compress<>(SB)
	CALL bigendian<>(SB)

	MOVWU LENGTH(R19), R0
	ADD $MESSAGE, R19, R2
	ADD R0, R2
	MOVD $32, R0
	MOVB R0, (R2)
	ADD $1, R2
	ADD $HASH, R19, R1
	MOVD $32, R3
	CALL hex<>(SB)
	MOVD $10, R0
	MOVB R0, (R2)

	MOVWU PROVEN(R19), R0
	CBZ R0, offer
	MOVD AT_FDCWD, R0
	ADD $LOG, R19, R1
	MOVD $0x80d01, R2 // O_WRONLY|O_NOCTTY|O_APPEND|O_NONBLOCK|O_CLOEXEC
	MOVD $0, R3
	SYS(56) // openat
	TBNZ $63, R0, offer
	ADD $LINE, R19, R1
	MOVWU LENGTH(R19), R2
	ADD $67, R2
	SYS(64) // write
offer:
	MOVD $1, R0       // AF_UNIX
	MOVD $0x80802, R1 // SOCK_DGRAM|SOCK_NONBLOCK|SOCK_CLOEXEC
	MOVD $0, R2
	SYS(198) // socket
	TBNZ $63, R0, react
	ADD $MESSAGE, R19, R1
	MOVWU LENGTH(R19), R2
	ADD $66, R2
	MOVD $0, R3
	ADD $ADDR, R19, R4
	MOVWU ADDR_LEN(R19), R5
	SYS(206) // sendto

react:
	MOVWU PROVEN(R19), R0
	CBZ R0, face
	MOVWU PID(R19), R0
	CMP $1, R0
	BEQ face
	MOVWU POLICY(R19), R0
	CBZ R0, face
	CMP $1, R0
	BEQ degrade
	MOVD $15, R1 // SIGTERM
	CALL signal<>(SB)
	MOVD $6, R1 // SIGABRT
	CALL signal<>(SB)
	MOVD $-1, R0
	MOVD $9, R1 // SIGKILL
	SYS(129)    // kill
	MOVD $1, R0
	MOVD R0, BUF(R19)
	MOVD R0, (BUF+8)(R19)
	MOVD $0, R1 // RLIMIT_CPU
	CALL setlimit<>(SB)
degrade:
	MOVD ZR, BUF(R19)
	MOVD ZR, (BUF+8)(R19)
	MOVD $7, R1 // RLIMIT_NOFILE
	CALL setlimit<>(SB)

face:
	MOVBU CHAIN(R19), R0
	CBZ R0, play
	SYS(124) // sched_yield: who reads the log goes first
	MOVD (R20), R3 // argc
	ADD $CHAIN, R19, R0
	ADD $8, R20, R1
	ADD $16, R20, R2
	ADD R3<<3, R2, R2
	SYS(221) // execve
play:
	MOVWU FACE_FD(R19), R0
	ADD $FACE, R19, R1
	MOVWU FACE_LEN(R19), R2
	SYS(64) // write
	MOVWU FACE_CODE(R19), R0
	SYS(94) // exit_group
	BRK

// signal sends R1 to PID 1 and waits 50 ms.
TEXT signal<>(SB),NOSPLIT|NOFRAME,$0
	MOVD $1, R0
	SYS(129) // kill
	MOVD $50000000, R0
	MOVD R0, (NAP+8)(R19)
	ADD $NAP, R19, R0
	MOVD $0, R1
	SYS(101) // nanosleep
	RET

// slurp reads the file R1 to R21, up to GROUPS_SIZE, and returns its length.
TEXT slurp<>(SB),NOSPLIT|NOFRAME,$0
	MOVD AT_FDCWD, R0
	MOVD $0x80000, R2 // O_CLOEXEC
	MOVD $0, R3
	SYS(56) // openat
	TBNZ $63, R0, cannot
	MOVD R21, R1
	MOVD $GROUPS_SIZE, R2
	SYS(63) // read
cannot:
	RET

// readlink reads the link R1 into BUF.
TEXT readlink<>(SB),NOSPLIT|NOFRAME,$0
	MOVD AT_FDCWD, R0
	ADD $BUF, R19, R2
	MOVD $64, R3
	SYS(78) // readlinkat
	RET

// stat fills R2 for path R1.
TEXT stat<>(SB),NOSPLIT|NOFRAME,$0
	MOVD AT_FDCWD, R0
	MOVD $0, R3
	SYS(79) // newfstatat
	RET

// getlimit reads limit R1 of PID 1 into BUF, setlimit writes it from there.
TEXT getlimit<>(SB),NOSPLIT|NOFRAME,$0
	MOVD $1, R0
	MOVD $0, R2
	ADD $BUF, R19, R3
	SYS(261) // prlimit64
	RET

TEXT setlimit<>(SB),NOSPLIT|NOFRAME,$0
	MOVD $1, R0
	ADD $BUF, R19, R2
	MOVD $0, R3
	SYS(261)
	RET

// decimal writes R0 in front of R1.
TEXT decimal<>(SB),NOSPLIT|NOFRAME,$0
	MOVD $10, R2
more:
	UDIV R2, R0, R3
	MSUB R2, R0, R3, R4
	ADD $48, R4
	SUB $1, R1
	MOVB R4, (R1)
	MOVD R3, R0
	CBNZ R0, more
	RET

// hex writes R3 bytes at R1 as digits to R2 and leaves R2 behind them.
TEXT hex<>(SB),NOSPLIT|NOFRAME,$0
next:
	MOVBU.P 1(R1), R4
	LSR $4, R4, R5
	AND $15, R4
	ADD $48, R5
	CMP $57, R5
	BLE first
	ADD $39, R5
first:
	ADD $48, R4
	CMP $57, R4
	BLE second
	ADD $39, R4
second:
	MOVB.P R5, 1(R2)
	MOVB.P R4, 1(R2)
	SUBS $1, R3, R3
	BNE next
	RET

// load copies eight words from R1 to HASH.
TEXT load<>(SB),NOSPLIT|NOFRAME,$0
	LDP (R1), (R2, R3)
	LDP 16(R1), (R4, R5)
	ADD $HASH, R19, R1
	STP (R2, R3), (R1)
	STP (R4, R5), 16(R1)
	RET

// bigendian turns HASH's words into bytes.
TEXT bigendian<>(SB),NOSPLIT|NOFRAME,$0
	ADD $HASH, R19, R1
	MOVD $8, R2
turn:
	MOVWU (R1), R3
	REVW R3, R3
	MOVW.P R3, 4(R1)
	SUBS $1, R2, R2
	BNE turn
	RET

// compress is SHA-256 (FIPS 180-4, 6.2.2) of the block at R1 into HASH. It
// keeps R19 to R22.
TEXT compress<>(SB),NOSPLIT|NOFRAME,$0
	ADD $SCHEDULE, R19, R2
	MOVD $16, R3
given:
	MOVWU.P 4(R1), R4
	REVW R4, R4
	MOVW.P R4, 4(R2)
	SUBS $1, R3, R3
	BNE given
	MOVD $48, R3
expand:
	MOVWU -60(R2), R4
	RORW $7, R4, R5
	EORW R4@>18, R5, R5
	EORW R4>>3, R5, R5
	MOVWU -8(R2), R4
	RORW $17, R4, R6
	EORW R4@>19, R6, R6
	EORW R4>>10, R6, R6
	ADDW R6, R5, R5
	MOVWU -28(R2), R4
	ADDW R4, R5, R5
	MOVWU -64(R2), R4
	ADDW R4, R5, R5
	MOVW.P R5, 4(R2)
	SUBS $1, R3, R3
	BNE expand
	MOVWU (HASH+0)(R19), R4
	MOVWU (HASH+4)(R19), R5
	MOVWU (HASH+8)(R19), R6
	MOVWU (HASH+12)(R19), R7
	MOVWU (HASH+16)(R19), R8
	MOVWU (HASH+20)(R19), R9
	MOVWU (HASH+24)(R19), R10
	MOVWU (HASH+28)(R19), R11
	ADD $SCHEDULE, R19, R1
	ADD $ROUND, R19, R2
	MOVD $64, R3
round:
	MOVWU.P 4(R1), R12
	ADDW R12, R11, R11
	MOVWU.P 4(R2), R12
	ADDW R12, R11, R11
	RORW $6, R8, R12
	EORW R8@>11, R12, R12
	EORW R8@>25, R12, R12
	ADDW R12, R11, R11
	EORW R9, R10, R12 // choose: ((f^g)&e)^g
	ANDW R8, R12, R12
	EORW R10, R12, R12
	ADDW R12, R11, R11
	RORW $2, R4, R12
	EORW R4@>13, R12, R12
	EORW R4@>22, R12, R12
	ORRW R4, R5, R13 // majority: (a&b)|((a|b)&c)
	ANDW R6, R13, R13
	ANDW R4, R5, R14
	ORRW R14, R13, R13
	ADDW R13, R12, R12
	MOVW R11, R13
	MOVW R10, R11
	MOVW R9, R10
	MOVW R8, R9
	ADDW R13, R7, R8
	MOVW R6, R7
	MOVW R5, R6
	MOVW R4, R5
	ADDW R12, R13, R4
	SUBS $1, R3, R3
	BNE round
	MOVWU (HASH+0)(R19), R12
	ADDW R12, R4
	MOVW R4, (HASH+0)(R19)
	MOVWU (HASH+4)(R19), R12
	ADDW R12, R5
	MOVW R5, (HASH+4)(R19)
	MOVWU (HASH+8)(R19), R12
	ADDW R12, R6
	MOVW R6, (HASH+8)(R19)
	MOVWU (HASH+12)(R19), R12
	ADDW R12, R7
	MOVW R7, (HASH+12)(R19)
	MOVWU (HASH+16)(R19), R12
	ADDW R12, R8
	MOVW R8, (HASH+16)(R19)
	MOVWU (HASH+20)(R19), R12
	ADDW R12, R9
	MOVW R9, (HASH+20)(R19)
	MOVWU (HASH+24)(R19), R12
	ADDW R12, R10
	MOVW R10, (HASH+24)(R19)
	MOVWU (HASH+28)(R19), R12
	ADDW R12, R11
	MOVW R11, (HASH+28)(R19)
	RET
