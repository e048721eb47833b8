package main

const (
	sysSeccomp   = 317
	nativeArch   = 0xc000003e // AUDIT_ARCH_X86_64
	nativeExec   = 59
	nativeExecAt = 322
	otherExecAt  = 358 // 32-bit x86
)
