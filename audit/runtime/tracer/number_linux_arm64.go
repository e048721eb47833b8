package tracer

import "syscall"

// number is in x8, by the kernel's calling convention.
func number(r *syscall.PtraceRegs) (uint64, error) { return r.Regs[8], nil }
