//go:build !portable

#include "go_asm.h"
#include "textflag.h"

// func entry()
//
// On entry SP points to argc. The wrapper through which assembly calls a Go
// function loads the current goroutine from thread-local storage, at FS-8, so
// FS has to point somewhere first: arch_prctl(ARCH_SET_FS, end of local).
// Nothing that the runtime's own entry looks at is changed but FS, which it
// sets again.
TEXT ·entry(SB),NOSPLIT|NOFRAME,$0
	MOVQ	SP, BX
	LEAQ	·memory+workspace_entry+entryMemory_goroutine(SB), AX
	MOVQ	AX, ·memory+workspace_entry+entryMemory_local+56(SB)
	LEAQ	·memory+workspace_entry+entryMemory_local+64(SB), SI
	MOVQ	$0x1002, DI
	MOVQ	$158, AX
	SYSCALL
	SUBQ	$64, SP
	ANDQ	$~15, SP
	MOVQ	BX, 32(SP)
	MOVQ	BX, 0(SP)
	CALL	·fast(SB)
	MOVQ	32(SP), BX
	MOVQ	BX, SP
	JMP	_rt0_amd64_linux(SB)
