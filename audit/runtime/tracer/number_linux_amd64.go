package tracer

import (
	"errors"
	"syscall"
)

// userCode is the code segment of 64-bit programs.
const userCode = 0x33

func number(r *syscall.PtraceRegs) (uint64, error) {
	if r.Cs != userCode {
		return 0, errors.New("trace: a 32-bit program, whose calls have other numbers")
	}
	return r.Orig_rax, nil
}
