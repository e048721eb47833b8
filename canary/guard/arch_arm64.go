package main

const (
	sysSeccomp   = 277
	nativeArch   = 0xc00000b7 // AUDIT_ARCH_AARCH64
	nativeExec   = 221
	nativeExecAt = 281
	otherExecAt  = 387 // 32-bit Arm
)
