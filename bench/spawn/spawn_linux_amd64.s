#include "textflag.h"

// func vforkExec(path, argv, envp, stderr uintptr) (pid uintptr)
//
// The child shares memory and stack with the parent, which sleeps until the
// child has called execve, so between the two the child must use registers only.
TEXT ·vforkExec(SB),NOSPLIT,$0-40
	MOVQ	path+0(FP), R12
	MOVQ	argv+8(FP), R13
	MOVQ	envp+16(FP), BX
	MOVQ	stderr+24(FP), R14
	MOVQ	$(0x4000|0x100|17), DI // CLONE_VFORK|CLONE_VM|SIGCHLD
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVQ	$56, AX // clone
	SYSCALL
	TESTQ	AX, AX
	JNZ	parent
	MOVQ	R14, DI
	MOVQ	$2, SI
	MOVQ	$33, AX // dup2; nothing when they are the same
	SYSCALL
	MOVQ	R12, DI
	MOVQ	R13, SI
	MOVQ	BX, DX
	MOVQ	$59, AX // execve
	SYSCALL
	MOVQ	$127, DI
	MOVQ	$60, AX // exit
	SYSCALL
parent:
	MOVQ	AX, pid+32(FP)
	RET
