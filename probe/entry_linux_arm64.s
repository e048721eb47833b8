//go:build !portable

#include "go_asm.h"
#include "textflag.h"

// func entry()
//
// On entry RSP points to argc. The current goroutine lives in a register here.
TEXT ·entry(SB),NOSPLIT|NOFRAME,$0
	MOVD	$·memory+workspace_entry+entryMemory_goroutine(SB), g
	MOVD	RSP, R0
	SUB	$64, RSP
	MOVD	R0, 8(RSP)
	CALL	·fast(SB)
	ADD	$64, RSP
	B	_rt0_arm64_linux(SB)
