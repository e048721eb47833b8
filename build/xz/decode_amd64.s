// The same steps as decodePortable, in the same order. The range coder and the
// positions stay in registers, and while a bit of a tree is decoded both of the
// probabilities that the next may need are on their way.
//
// No index needs a check: a tree's symbol has as many bits as the tree has
// levels, properties bounds the context of a literal, the state is below 12. One
// symbol reads at most 51 bytes, and the packed bytes have as much room behind
// them. What depends on the data is checked: that a match lies in what was
// unpacked, and ends before the end.

#include "go_asm.h"
#include "textflag.h"

// Registers:
//	R14	the model
//	DX	range
//	R11	code
//	SI	next packed byte
//	DI	next byte of the window
//	BX	a probability, or the tree of them
//	R8	symbol
//	R9	the probability at work
//	AX	bound
//	CX R10 R12 R13 R15	at hand

// The stack frame.
#define REP0     0(SP)
#define REP1     4(SP)
#define REP2     8(SP)
#define REP3     12(SP)
#define STATE    16(SP)
#define POSITION 20(SP)
#define FIRST    24(SP)
#define END      32(SP)
#define PACKED   40(SP)
#define LENGTH   48(SP)
#define DICT     52(SP)
#define POS      56(SP)

#define NORMALIZE \
	CMPL DX, $0x1000000; \
	JCC  5(PC);          \
	SHLL $8, DX;         \
	SHLL $8, R11;        \
	MOVB (SI), R11;      \
	INCQ SI

// PREDICT compares code with the bound of the probability at (BX). Carry is set
// where the bit is 0; then comes ZERO, else ONE.
#define PREDICT \
	NORMALIZE;         \
	MOVWLZX (BX), R9;  \
	MOVL    DX, AX;    \
	SHRL    $11, AX;   \
	IMULL   R9, AX;    \
	CMPL    R11, AX

#define ZERO \
	MOVL AX, DX;    \
	MOVL $2048, R10; \
	SUBL R9, R10;   \
	SHRL $5, R10;   \
	ADDL R10, R9;   \
	MOVW R9, (BX)

#define ONE \
	SUBL AX, DX;   \
	SUBL AX, R11;  \
	MOVL R9, R10;  \
	SHRL $5, R10;  \
	SUBL R10, R9;  \
	MOVW R9, (BX)

// SPLIT takes AX, the bound, off the range and the code or makes it the range.
// Carry is set where the bit is 0. It uses R13.
#define SPLIT \
	MOVL    R11, R13;  \
	SUBL    AX, DX;    \
	SUBL    AX, R11;   \
	CMOVLCS AX, DX;    \
	CMOVLCS R13, R11

#define BOUND \
	MOVL  DX, AX;  \
	SHRL  $11, AX; \
	IMULL R9, AX

// TREE begins a tree at BX.
#define TREE \
	MOVL    $1, R8;     \
	MOVWLZX 2(BX), R9

// STEP decodes a bit of a tree, LAST the last.
#define STEP \
	NORMALIZE;                \
	BOUND;                    \
	MOVWLZX (BX)(R8*4), R10;  \
	MOVWLZX 2(BX)(R8*4), CX;  \
	LEAL    -2017(R9), R12;   \
	SPLIT;                    \
	CMOVLCC CX, R10;          \
	CMOVLCC R9, R12;          \
	SBBL    R13, R13;         \
	SARL    $5, R12;          \
	SUBL    R12, R9;          \
	MOVW    R9, (BX)(R8*2);   \
	LEAL    1(R13)(R8*2), R8; \
	MOVL    R10, R9

#define LAST \
	NORMALIZE;                \
	BOUND;                    \
	LEAL    -2017(R9), R12;   \
	SPLIT;                    \
	CMOVLCC R9, R12;          \
	SBBL    R13, R13;         \
	SARL    $5, R12;          \
	SUBL    R12, R9;          \
	MOVW    R9, (BX)(R8*2);   \
	LEAL    1(R13)(R8*2), R8

#define LEVELS3 \
	TREE; STEP; STEP; LAST

#define LEVELS6 \
	TREE; STEP; STEP; STEP; STEP; STEP; LAST

#define LEVELS8 \
	TREE; STEP; STEP; STEP; STEP; STEP; STEP; STEP; LAST

// MATCHED decodes a bit of a literal whose byte at the last distance is shifted
// through R15. CX is the offset if this bit is 0, R10 the one if it is 1: the
// offset is 0x100 for as long as the bits are those of that byte.
#define MATCHED \
	ADDL    R15, R15;           \
	MOVL    R15, AX;            \
	ANDL    CX, AX;             \
	ADDL    CX, AX;             \
	LEAL    (AX)(R8*2), AX;     \
	MOVWLZX (BX)(AX*2), DI;     \
	MOVL    R15, AX;            \
	ANDL    R10, AX;            \
	ADDL    R10, AX;            \
	LEAL    1(AX)(R8*2), AX;    \
	MOVWLZX (BX)(AX*2), R14;    \
	MATCHEDLAST;                \
	MOVL    R15, R10;           \
	ANDL    CX, R10;            \
	XORL    R10, CX;            \
	MOVL    DI, R9

#define MATCHEDLAST \
	LEAL    (CX)(R10*2), R13;   \
	ADDL    R8, R13;            \
	NORMALIZE;                  \
	BOUND;                      \
	MOVL    R11, R12;           \
	SUBL    AX, DX;             \
	SUBL    AX, R11;            \
	CMOVLCS AX, DX;             \
	CMOVLCS R12, R11;           \
	CMOVLCC R14, DI;            \
	CMOVLCC R10, CX;            \
	SBBL    R12, R12;           \
	LEAL    1(R12)(R8*2), R8;   \
	ANDL    $2017, R12;         \
	NEGL    R12;                \
	ADDL    R9, R12;            \
	SARL    $5, R12;            \
	SUBL    R12, R9;            \
	MOVW    R9, (BX)(R13*2)

// REVERSE decodes a bit of a tree whose lowest bit comes first, and adds R15 to
// R10 where it is 1.
#define REVERSE \
	NORMALIZE;                \
	MOVWLZX (BX)(R8*2), R9;   \
	BOUND;                    \
	LEAL    -2017(R9), R12;   \
	SPLIT;                    \
	CMOVLCC R9, R12;          \
	SBBL    R13, R13;         \
	SARL    $5, R12;          \
	SUBL    R12, R9;          \
	MOVW    R9, (BX)(R8*2);   \
	LEAL    1(R13)(R8*2), R8; \
	NOTL    R13;              \
	ANDL    R15, R13;         \
	ADDL    R13, R10;         \
	ADDL    R15, R15

// LENGTHS decodes a length by the probabilities at R15 and leaves it in R8.
#define LENGTHS(choice2, high, done) \
	LEAQ lengths_choice(R15), BX;    \
	PREDICT;                         \
	JCC  choice2;                    \
	ZERO;                            \
	MOVL POSITION, AX;               \
	SHLL $4, AX;                     \
	LEAQ lengths_low(R15)(AX*1), BX; \
	LEVELS3;                         \
	SUBL $6, R8;                     \
	JMP  done;                       \
choice2:                             \
	ONE;                             \
	LEAQ lengths_choice2(R15), BX;   \
	PREDICT;                         \
	JCC  high;                       \
	ZERO;                            \
	MOVL POSITION, AX;               \
	SHLL $4, AX;                     \
	LEAQ lengths_mid(R15)(AX*1), BX; \
	LEVELS3;                         \
	ADDL $2, R8;                     \
	JMP  done;                       \
high:                                \
	ONE;                             \
	LEAQ lengths_high(R15), BX;      \
	LEVELS8;                         \
	SUBL $238, R8;                   \
done:

// What the state is after a literal, and after a match, a repeated match and a
// short one.
DATA states<>+0(SB)/8, $0x0403020100000000
DATA states<>+8(SB)/8, $0x0000000005040605
DATA states<>+16(SB)/8, $0x0a07070707070707
DATA states<>+24(SB)/8, $0x000000000a0a0a0a
DATA states<>+32(SB)/8, $0x0b08080808080808
DATA states<>+40(SB)/8, $0x000000000b0b0b0b
DATA states<>+48(SB)/8, $0x0b09090909090909
DATA states<>+56(SB)/8, $0x000000000b0b0b0b
GLOBL states<>(SB), RODATA|NOPTR, $64

#define BECOME(after) \
	MOVL    STATE, AX;                  \
	LEAQ    states<>+after(SB), BX;     \
	MOVBLZX (BX)(AX*1), AX;             \
	MOVL    AX, STATE

// func decodeChunk(m *model, first, pos, end *byte, packed int, dict uint32) bool
TEXT ·decodeChunk(SB), NOSPLIT, $64-49
	MOVQ m+0(FP), R14
	MOVQ first+8(FP), AX
	MOVQ AX, FIRST
	MOVQ pos+16(FP), DI
	MOVQ end+24(FP), AX
	MOVQ AX, END
	LEAQ model_in(R14), SI
	MOVQ packed+32(FP), AX
	ADDQ SI, AX
	MOVQ AX, PACKED
	MOVL dict+40(FP), AX
	MOVL AX, DICT
	MOVL model_rep0(R14), AX
	MOVL AX, REP0
	MOVL model_rep1(R14), AX
	MOVL AX, REP1
	MOVL model_rep2(R14), AX
	MOVL AX, REP2
	MOVL model_rep3(R14), AX
	MOVL AX, REP3
	MOVL model_state(R14), AX
	MOVL AX, STATE
	MOVL 1(SI), R11
	BSWAPL R11
	ADDQ $5, SI
	MOVL $-1, DX

symbol:
	CMPQ DI, END
	JCC  finish
	CMPQ SI, PACKED
	JHI  bad
	MOVQ DI, R15
	SUBQ FIRST, R15
	MOVL R15, R13
	ANDL model_pbMask(R14), R13
	MOVL R13, POSITION
	MOVL STATE, R12
	MOVL R12, AX
	SHLL $4, AX
	ORL  R13, AX
	LEAQ model_isMatch(R14)(AX*2), BX
	PREDICT
	JCC  match
	ZERO

	// A literal.
	XORL  R8, R8
	TESTQ R15, R15
	JEQ   context
	MOVBLZX -1(DI), R8

context:
	MOVL model_lc(R14), CX
	MOVL R15, AX
	ANDL model_lpMask(R14), AX
	SHLL CX, AX
	NEGL CX
	ADDL $8, CX
	SHRL CX, R8
	ORL  R8, AX
	IMUL3L $1536, AX, AX
	LEAQ model_literal(R14)(AX*1), BX
	CMPL R12, $7
	JCC  matched
	LEVELS8

literal:
	MOVB R8, (DI)
	INCQ DI
	BECOME(0)
	JMP  symbol

matched:
	MOVL REP0, R10
	CMPQ R10, R15
	JCC  bad
	MOVQ DI, POS
	NOTQ R10
	MOVBLZX (DI)(R10*1), R15
	ADDL R15, R15
	MOVL R15, R10
	ANDL $0x100, R10
	MOVL $0x100, CX
	XORL R10, CX
	MOVL $1, R8
	MOVWLZX 0x202(BX)(R10*2), R9
	MATCHED
	MATCHED
	MATCHED
	MATCHED
	MATCHED
	MATCHED
	MATCHED
	MATCHEDLAST
	MOVQ POS, DI
	MOVQ m+0(FP), R14
	JMP  literal

match:
	ONE
	LEAQ model_isRep(R14)(R12*2), BX
	PREDICT
	JCC  repeated
	ZERO
	MOVL REP2, AX
	MOVL AX, REP3
	MOVL REP1, AX
	MOVL AX, REP2
	MOVL REP0, AX
	MOVL AX, REP1
	BECOME(16)
	LEAQ model_matchLen(R14), R15
	LENGTHS(matchMid, matchHigh, matchLength)
	MOVL R8, LENGTH

	// The distance.
	MOVL    $3, AX
	SUBL    $2, R8
	CMPL    R8, AX
	CMOVLHI AX, R8
	SHLL    $7, R8
	LEAQ    model_slot(R14)(R8*1), BX
	LEVELS6
	SUBL $64, R8
	MOVL R8, R10
	CMPL R8, $4
	JCS  distance
	MOVL R8, CX
	SHRL $1, CX
	DECL CX
	ANDL $1, R10
	ORL  $2, R10
	SHLL CX, R10
	CMPL R8, $14
	JCC  direct
	MOVL R10, AX
	SUBL R8, AX
	LEAQ model_special(R14)(AX*2), BX
	MOVL $1, R8
	MOVL $1, R15

special:
	REVERSE
	DECL CX
	JNE  special
	JMP  distance

direct:
	SUBL $4, CX
	XORL R12, R12

bits:
	NORMALIZE
	SHRL $1, DX
	SUBL DX, R11
	MOVL R11, AX
	SARL $31, AX
	LEAL 1(AX)(R12*2), R12
	ANDL DX, AX
	ADDL AX, R11
	DECL CX
	JNE  bits
	SHLL $4, R12
	ADDL R12, R10
	LEAQ model_align(R14), BX
	MOVL $1, R8
	MOVL $1, R15
	REVERSE
	REVERSE
	REVERSE
	REVERSE

distance:
	MOVL R10, REP0
	MOVL LENGTH, R8
	MOVL R10, R15
	JMP  copy

repeated:
	ONE
	LEAQ model_isRepG0(R14)(R12*2), BX
	PREDICT
	JCC  older
	ZERO
	MOVL R12, AX
	SHLL $4, AX
	ORL  POSITION, AX
	LEAQ model_isRep0Long(R14)(AX*2), BX
	PREDICT
	JCC  long
	ZERO
	BECOME(48)
	MOVL $1, R8
	MOVL REP0, R15
	JMP  copy

long:
	ONE
	JMP length

older:
	ONE
	LEAQ model_isRepG1(R14)(R12*2), BX
	PREDICT
	JCC  oldest
	ZERO
	MOVL REP1, AX
	JMP  second

oldest:
	ONE
	LEAQ model_isRepG2(R14)(R12*2), BX
	PREDICT
	JCC  fourth
	ZERO
	MOVL REP2, AX
	JMP  third

fourth:
	ONE
	MOVL REP3, AX
	MOVL REP2, CX
	MOVL CX, REP3

third:
	MOVL REP1, CX
	MOVL CX, REP2

second:
	MOVL REP0, CX
	MOVL CX, REP1
	MOVL AX, REP0

length:
	BECOME(32)
	LEAQ model_repLen(R14), R15
	LENGTHS(repeatedMid, repeatedHigh, repeatedLength)
	MOVL REP0, R15

copy:
	// R8 bytes from R15+1 bytes back.
	LEAQ 1(R15), AX
	MOVQ DI, R10
	SUBQ FIRST, R10
	CMPQ AX, R10
	JHI  bad
	CMPL R15, DICT
	JCC  bad
	LEAQ (DI)(R8*1), R12
	CMPQ R12, END
	JHI  bad
	MOVQ DI, R13
	SUBQ AX, R13
	CMPQ AX, $16
	JCS  near

sixteen:
	MOVOU (R13), X0
	MOVOU X0, (DI)
	ADDQ  $16, R13
	ADDQ  $16, DI
	CMPQ  DI, R12
	JCS   sixteen
	MOVQ  R12, DI
	JMP   symbol

near:
	CMPQ AX, $8
	JCS  one

eight:
	MOVQ (R13), R9
	MOVQ R9, (DI)
	ADDQ $8, R13
	ADDQ $8, DI
	CMPQ DI, R12
	JCS  eight
	MOVQ R12, DI
	JMP  symbol

one:
	MOVB (R13), R9
	MOVB R9, (DI)
	INCQ R13
	INCQ DI
	CMPQ DI, R12
	JCS  one
	JMP  symbol

finish:
	NORMALIZE
	CMPQ SI, PACKED
	JNE  bad
	TESTL R11, R11
	JNE  bad
	MOVL REP0, AX
	MOVL AX, model_rep0(R14)
	MOVL REP1, AX
	MOVL AX, model_rep1(R14)
	MOVL REP2, AX
	MOVL AX, model_rep2(R14)
	MOVL REP3, AX
	MOVL AX, model_rep3(R14)
	MOVL STATE, AX
	MOVL AX, model_state(R14)
	MOVB $1, ret+48(FP)
	RET

bad:
	MOVB $0, ret+48(FP)
	RET
