#include "textflag.h"
#include "layout.h"

// Start is the whole program of a tier A decoy: it is not called, but copied
// into an ELF file as its code. R12 holds the initial stack pointer and BX the
// data. Every label below "prove" that touches PID 1 is reached with PROVEN 1
// only.

#define SYS(number) \
	MOVL $number, AX; \
	SYSCALL

// DECIMAL writes AX in front of the given gap's end.
#define DECIMAL(end) \
	LEAQ (MESSAGE+end)(BX), DI; \
	CALL decimal<>(SB)

// func Start()
TEXT ·Start(SB),NOSPLIT|NOFRAME,$0
	MOVQ SP, R12
	MOVQ $BASE, BX
	MOVQ (BX), AX
	LEAQ 8(BX), DI
	MOVL $STATE_WORDS, CX
	MOVQ $0x2545F4914F6CDD1D, R8
unmask:
	MOVQ AX, DX
	SHRQ $12, DX
	XORQ DX, AX
	MOVQ AX, DX
	SHLQ $25, DX
	XORQ DX, AX
	MOVQ AX, DX
	SHRQ $27, DX
	XORQ DX, AX
	MOVQ AX, DX
	IMULQ R8, DX
	XORQ DX, (DI)
	ADDQ $8, DI
	DECL CX
	JNZ unmask

	SYS(102) // getuid
	DECIMAL(UID_END)
	SYS(107) // geteuid
	MOVL AX, EUID(BX)
	DECIMAL(EUID_END)
	SYS(104) // getgid
	DECIMAL(GID_END)
	SYS(39) // getpid
	MOVL AX, PID(BX)
	DECIMAL(PID_END)
	SYS(110) // getppid
	DECIMAL(PPID_END)
	XORL DI, DI // CLOCK_REALTIME
	LEAQ NOW(BX), SI
	SYS(228) // clock_gettime
	MOVQ NOW(BX), AX
	IMULQ $1000000, AX
	MOVQ AX, R8
	MOVQ (NOW+8)(BX), AX
	XORL DX, DX
	MOVL $1000, CX
	DIVQ CX
	ADDQ R8, AX
	DECIMAL(TIME_END)

	// prove: the marker's content, or nothing at all
	LEAQ MARKER(BX), DI
	MOVL $0x80000, SI // O_CLOEXEC
	XORL DX, DX
	SYS(2) // open
	TESTQ AX, AX
	JLT face
	MOVQ AX, DI
	LEAQ BUF(BX), SI
	MOVL $64, DX
	SYS(0) // read
	MOVL PROOF_LEN(BX), CX
	CMPQ AX, CX
	JNE face
	LEAQ BUF(BX), SI
	LEAQ PROOF(BX), DI
	REP; CMPSB
	JNE face

	MOVL $3, LATCHED(BX) // unproven
	MOVL $1, COUNT(BX)

	// prove: this /proc is of our pid namespace
	LEAQ PROC_SELF(BX), DI
	CALL readlink<>(SB)
	TESTQ AX, AX
	JLE speak
	LEAQ BUF(BX), SI
	LEAQ (SI)(AX*1), CX
	XORL DX, DX
digits:
	MOVBLZX (SI), AX
	SUBL $48, AX
	IMULL $10, DX
	ADDL AX, DX
	INCQ SI
	CMPQ SI, CX
	JB digits
	CMPL DX, PID(BX)
	JNE speak

	// prove: which is not the machine's own
	LEAQ NS_PID(BX), DI
	CALL readlink<>(SB)
	TESTQ AX, AX
	JLE speak
	MOVQ BUF(BX), AX
	CMPQ AX, INITIAL(BX)
	JNE namespaced
	MOVQ (BUF+8)(BX), AX
	CMPQ AX, (INITIAL+8)(BX)
	JE speak
namespaced:

	// prove: PID 1 sees the same marker
	LEAQ MARKER(BX), SI
	LEAQ BUF(BX), DX
	CALL stat<>(SB)
	TESTQ AX, AX
	JNE speak
	LEAQ MARKER_ROOT(BX), SI
	LEAQ BUF2(BX), DX
	CALL stat<>(SB)
	TESTQ AX, AX
	JNE hidden
	MOVQ BUF(BX), AX
	CMPQ AX, BUF2(BX)
	JNE speak
	MOVQ (BUF+8)(BX), AX
	CMPQ AX, (BUF2+8)(BX)
	JNE speak
	JMP proven

hidden: // or runs as our plain user, in our groups, and our root is a mount's
	CMPQ AX, $-13 // EACCES
	JE unreadable
	CMPQ AX, $-1 // EPERM
	JNE speak
unreadable:
	CMPL EUID(BX), $0
	JE speak
	LEAQ PROC_ONE(BX), SI
	LEAQ BUF(BX), DX
	CALL stat<>(SB)
	TESTQ AX, AX
	JNE speak
	MOVL (BUF+28)(BX), AX // st_uid
	CMPL AX, EUID(BX)
	JNE speak
	LEAQ OWN_GROUPS(BX), DI
	LEAQ GROUPS(BX), SI
	CALL slurp<>(SB)
	MOVQ AX, R13
	LEAQ ONE_GROUPS(BX), DI
	LEAQ GROUPS2(BX), SI
	CALL slurp<>(SB)
	CMPQ AX, R13
	JNE speak
	TESTQ AX, AX
	JLE speak
	CMPQ AX, $GROUPS_SIZE
	JGE speak
	MOVQ AX, CX
	LEAQ GROUPS(BX), SI
	LEAQ GROUPS2(BX), DI
	REP; CMPSB
	JNE speak
	MOVQ $-100, DI // AT_FDCWD
	LEAQ SLASH(BX), SI
	XORL DX, DX
	XORL R10, R10
	LEAQ BUF(BX), R8
	SYS(332) // statx
	TESTQ AX, AX
	JNE speak
	TESTL $0x2000, (BUF+8)(BX) // STATX_ATTR_MOUNT_ROOT
	JEQ speak
proven:
	MOVL $1, PROVEN(BX)
	CMPL PID(BX), $1
	JE speak // PID 1 does not latch itself

	// latch
	MOVL $2, LATCHED(BX) // denied
	MOVL $15, SI // RLIMIT_RTTIME
	CALL getlimit<>(SB)
	TESTQ AX, AX
	JNE speak
	MOVQ (BUF+8)(BX), AX
	MOVQ AX, CX
	SHRQ $62, CX
	CMPQ CX, $1
	JNE setlatch
	CMPQ AX, BUF(BX)
	JNE setlatch
	MOVL $1, LATCHED(BX) // already
	JMP tally
setlatch:
	MOVQ NOW(BX), AX
	SUBQ $1767225600, AX // 2026-01-01
	XORL DX, DX
	MOVL $60, CX
	DIVQ CX
	ANDQ $0xfffff, AX
	SHLQ $42, AX
	ORQ MARK(BX), AX
	MOVQ AX, BUF(BX)
	MOVQ AX, (BUF+8)(BX)
	MOVL $15, SI
	CALL setlimit<>(SB)
	TESTQ AX, AX
	JNE speak
	MOVL $0, LATCHED(BX) // set

tally: // the soft RLIMIT_LOCKS of PID 1: count above bit 34, second below
	MOVL $10, SI
	CALL getlimit<>(SB)
	TESTQ AX, AX
	JNE speak
	MOVQ $0x3ffffffff, R9
	MOVQ NOW(BX), R8
	ANDQ R9, R8 // second
	XORL DX, DX // 1: stay silent
	CMPL LATCHED(BX), $0
	JE keep
	MOVQ BUF(BX), AX
	MOVL $2, COUNT(BX)
	CMPQ AX, $-1
	JE keep
	ANDQ AX, R9 // last second
	SHRQ $34, AX
	INCQ AX
	ANDQ $0xfffffff, AX
	MOVL AX, COUNT(BX)
	CMPQ AX, $8
	JLE keep
	LEAQ -1(AX), CX
	TESTQ AX, CX
	JEQ keep
	CMPQ R8, R9
	JLT keep
	LEAQ 60(R9), CX
	CMPQ R8, CX
	JGE keep
	MOVQ R9, R8
	MOVL $1, DX
keep:
	MOVL COUNT(BX), AX
	SHLQ $34, AX
	ORQ R8, AX
	MOVQ AX, BUF(BX)
	MOVL DX, R13
	MOVL $10, SI
	CALL setlimit<>(SB)
	TESTL R13, R13
	JNE react

speak:
	MOVL COUNT(BX), AX
	DECIMAL(COUNT_END)
	MOVL LATCHED(BX), AX
	SHLL $4, AX
	LEAQ LATCHES(BX)(AX*1), SI
	MOVQ (SI), AX
	MOVQ AX, (MESSAGE+LATCH)(BX)
	MOVW 8(SI), AX
	MOVW AX, (MESSAGE+LATCH+8)(BX)
	LEAQ BUF(BX), DI
	MOVL $16, SI
	XORL DX, DX
	SYS(318) // getrandom
	LEAQ BUF(BX), SI
	LEAQ (MESSAGE+NONCE)(BX), DI
	MOVL $16, CX
	CALL hex<>(SB)

	// HMAC-SHA256 from the prepared states
	LEAQ INNER(BX), SI
	CALL load<>(SB)
	LEAQ MESSAGE(BX), SI
	MOVQ SI, CURSOR(BX)
	MOVL BLOCKS(BX), AX
	MOVL AX, BUF(BX)
inner:
	MOVQ CURSOR(BX), SI
	CALL compress<>(SB)
	ADDQ $64, CURSOR(BX)
	DECL BUF(BX)
	JNZ inner
	CALL bigendian<>(SB)
	LEAQ OUTER_PAD(BX), SI
	LEAQ (HASH+32)(BX), DI
	MOVL $32, CX
	REP; MOVSB
	LEAQ HASH(BX), SI
	LEAQ BUF(BX), DI
	MOVL $64, CX
	REP; MOVSB
	LEAQ OUTER(BX), SI
	CALL load<>(SB)
	LEAQ BUF(BX), SI
	CALL compress<>(SB)
	CALL bigendian<>(SB)

	MOVL LENGTH(BX), CX
	LEAQ MESSAGE(BX)(CX*1), DI
	MOVB $32, (DI)
	INCQ DI
	LEAQ HASH(BX), SI
	MOVL $32, CX
	CALL hex<>(SB)
	MOVB $10, (DI)

	CMPL PROVEN(BX), $1
	JNE offer
	LEAQ LOG(BX), DI
	MOVL $0x80d01, SI // O_WRONLY|O_NOCTTY|O_APPEND|O_NONBLOCK|O_CLOEXEC
	XORL DX, DX
	SYS(2) // open
	TESTQ AX, AX
	JLT offer
	MOVQ AX, DI
	LEAQ LINE(BX), SI
	MOVL LENGTH(BX), DX
	ADDQ $67, DX
	SYS(1) // write
offer:
	MOVL $1, DI       // AF_UNIX
	MOVL $0x80802, SI // SOCK_DGRAM|SOCK_NONBLOCK|SOCK_CLOEXEC
	XORL DX, DX
	SYS(41) // socket
	TESTQ AX, AX
	JLT react
	MOVQ AX, DI
	LEAQ MESSAGE(BX), SI
	MOVL LENGTH(BX), DX
	ADDQ $66, DX
	XORL R10, R10
	LEAQ ADDR(BX), R8
	MOVL ADDR_LEN(BX), R9
	SYS(44) // sendto

react:
	CMPL PROVEN(BX), $1
	JNE face
	CMPL PID(BX), $1
	JE face
	CMPL POLICY(BX), $1
	JLT face
	JEQ degrade
	MOVL $15, SI // SIGTERM
	CALL signal<>(SB)
	MOVL $6, SI // SIGABRT
	CALL signal<>(SB)
	MOVQ $-1, DI
	MOVL $9, SI // SIGKILL
	SYS(62)     // kill
	MOVQ $1, BUF(BX)
	MOVQ $1, (BUF+8)(BX)
	MOVL $0, SI // RLIMIT_CPU
	CALL setlimit<>(SB)
degrade:
	MOVQ $0, BUF(BX)
	MOVQ $0, (BUF+8)(BX)
	MOVL $7, SI // RLIMIT_NOFILE
	CALL setlimit<>(SB)

face:
	CMPB CHAIN(BX), $0
	JE play
	SYS(24) // sched_yield: who reads the log goes first
	MOVQ (R12), AX // argc
	LEAQ CHAIN(BX), DI
	LEAQ 8(R12), SI
	LEAQ 16(R12)(AX*8), DX
	SYS(59) // execve
play:
	MOVL FACE_FD(BX), DI
	LEAQ FACE(BX), SI
	MOVL FACE_LEN(BX), DX
	SYS(1) // write
	MOVL FACE_CODE(BX), DI
	SYS(231) // exit_group
	INT $3

// signal sends SI to PID 1 and waits 50 ms.
TEXT signal<>(SB),NOSPLIT|NOFRAME,$0
	MOVL $1, DI
	SYS(62) // kill
	MOVQ $50000000, (NAP+8)(BX)
	LEAQ NAP(BX), DI
	XORL SI, SI
	SYS(35) // nanosleep
	RET

// slurp reads the file DI to SI, up to GROUPS_SIZE, and returns its length.
TEXT slurp<>(SB),NOSPLIT|NOFRAME,$0
	MOVQ SI, R14
	MOVL $0x80000, SI // O_CLOEXEC
	XORL DX, DX
	SYS(2) // open
	TESTQ AX, AX
	JLT cannot
	MOVQ AX, DI
	MOVQ R14, SI
	MOVL $GROUPS_SIZE, DX
	SYS(0) // read
cannot:
	RET

// readlink reads the link DI into BUF.
TEXT readlink<>(SB),NOSPLIT|NOFRAME,$0
	LEAQ BUF(BX), SI
	MOVL $64, DX
	SYS(89)
	RET

// stat fills DX for path SI.
TEXT stat<>(SB),NOSPLIT|NOFRAME,$0
	MOVQ $-100, DI // AT_FDCWD
	XORL R10, R10
	SYS(262) // newfstatat
	RET

// getlimit reads limit SI of PID 1 into BUF, setlimit writes it from there.
TEXT getlimit<>(SB),NOSPLIT|NOFRAME,$0
	MOVL $1, DI
	XORL DX, DX
	LEAQ BUF(BX), R10
	SYS(302) // prlimit64
	RET

TEXT setlimit<>(SB),NOSPLIT|NOFRAME,$0
	MOVL $1, DI
	LEAQ BUF(BX), DX
	XORL R10, R10
	SYS(302)
	RET

// decimal writes AX in front of DI.
TEXT decimal<>(SB),NOSPLIT|NOFRAME,$0
	MOVL $10, CX
more:
	XORL DX, DX
	DIVQ CX
	ADDL $48, DX
	DECQ DI
	MOVB DX, (DI)
	TESTQ AX, AX
	JNE more
	RET

// hex writes CX bytes at SI as digits to DI and leaves DI behind them.
TEXT hex<>(SB),NOSPLIT|NOFRAME,$0
next:
	MOVBLZX (SI), AX
	MOVL AX, DX
	SHRL $4, AX
	CALL nibble<>(SB)
	MOVL DX, AX
	ANDL $15, AX
	CALL nibble<>(SB)
	INCQ SI
	DECL CX
	JNZ next
	RET

TEXT nibble<>(SB),NOSPLIT|NOFRAME,$0
	ADDL $48, AX
	CMPL AX, $57
	JLE digit
	ADDL $39, AX
digit:
	MOVB AX, (DI)
	INCQ DI
	RET

// load copies eight words from SI to HASH.
TEXT load<>(SB),NOSPLIT|NOFRAME,$0
	LEAQ HASH(BX), DI
	MOVL $32, CX
	REP; MOVSB
	RET

// bigendian turns HASH's words into bytes.
TEXT bigendian<>(SB),NOSPLIT|NOFRAME,$0
	LEAQ HASH(BX), SI
	MOVL $8, CX
turn:
	MOVL (SI), AX
	BSWAPL AX
	MOVL AX, (SI)
	ADDQ $4, SI
	DECL CX
	JNZ turn
	RET

// compress is SHA-256 (FIPS 180-4, 6.2.2) of the block at SI into HASH. It
// keeps BX and R12.
TEXT compress<>(SB),NOSPLIT|NOFRAME,$0
	LEAQ SCHEDULE(BX), DI
	MOVL $16, CX
given:
	MOVL (SI), AX
	BSWAPL AX
	MOVL AX, (DI)
	ADDQ $4, SI
	ADDQ $4, DI
	DECL CX
	JNZ given
	MOVL $48, CX
expand:
	MOVL -60(DI), AX
	MOVL AX, DX
	RORL $7, DX
	MOVL AX, R8
	RORL $18, R8
	XORL R8, DX
	SHRL $3, AX
	XORL AX, DX
	MOVL -8(DI), AX
	MOVL AX, R9
	RORL $17, R9
	MOVL AX, R8
	RORL $19, R8
	XORL R8, R9
	SHRL $10, AX
	XORL AX, R9
	ADDL R9, DX
	ADDL -28(DI), DX
	ADDL -64(DI), DX
	MOVL DX, (DI)
	ADDQ $4, DI
	DECL CX
	JNZ expand
	MOVL (HASH+0)(BX), R8
	MOVL (HASH+4)(BX), R9
	MOVL (HASH+8)(BX), R10
	MOVL (HASH+12)(BX), R11
	MOVL (HASH+16)(BX), AX
	MOVL (HASH+20)(BX), CX
	MOVL (HASH+24)(BX), DX
	MOVL (HASH+28)(BX), SI
	XORL R15, R15
round:
	ADDL SCHEDULE(BX)(R15*4), SI
	ADDL ROUND(BX)(R15*4), SI
	MOVL AX, DI
	RORL $6, DI
	MOVL AX, R13
	RORL $11, R13
	XORL R13, DI
	MOVL AX, R13
	RORL $25, R13
	XORL R13, DI
	ADDL DI, SI
	MOVL CX, DI // choose: ((f^g)&e)^g
	XORL DX, DI
	ANDL AX, DI
	XORL DX, DI
	ADDL DI, SI
	MOVL R8, DI
	RORL $2, DI
	MOVL R8, R13
	RORL $13, R13
	XORL R13, DI
	MOVL R8, R13
	RORL $22, R13
	XORL R13, DI
	MOVL R8, R13 // majority: (a&b)|((a|b)&c)
	ORL R9, R13
	ANDL R10, R13
	MOVL R8, R14
	ANDL R9, R14
	ORL R14, R13
	ADDL R13, DI
	MOVL SI, R13
	MOVL DX, SI
	MOVL CX, DX
	MOVL AX, CX
	MOVL R11, AX
	ADDL R13, AX
	MOVL R10, R11
	MOVL R9, R10
	MOVL R8, R9
	LEAL (DI)(R13*1), R8
	INCL R15
	CMPL R15, $64
	JNE round
	ADDL R8, (HASH+0)(BX)
	ADDL R9, (HASH+4)(BX)
	ADDL R10, (HASH+8)(BX)
	ADDL R11, (HASH+12)(BX)
	ADDL AX, (HASH+16)(BX)
	ADDL CX, (HASH+20)(BX)
	ADDL DX, (HASH+24)(BX)
	ADDL SI, (HASH+28)(BX)
	RET
