//go:build linux && (amd64 || arm64) && !portable

package main

import (
	"unsafe"

	"github.com/hardstand/hardstand/probe/internal/check"
	"github.com/hardstand/hardstand/probe/internal/machine"
	"github.com/hardstand/hardstand/probe/internal/option"
)

// entry is where the kernel starts the program if it is linked with
// -E main.entry. It calls fast and, if that returns, goes to the entry of the
// Go runtime with everything as the kernel left it.
func entry()

// Memory that entry needs because there is no runtime to provide it.
var (
	// fakeG stands in for the current goroutine. Compiled code compares the
	// stack pointer with its stack bound, which is zero here, so the check
	// for a full stack never fires: the code runs on the stack that the
	// kernel gave the process.
	fakeG [64]uintptr
	// tlsBlock is the thread-local storage of amd64; its last word before
	// the middle points to fakeG.
	tlsBlock [16]uintptr
)

// Room for the command line and the environment. A larger one takes the
// ordinary path.
var (
	fastArgs [64]string
	fastEnv  [512]string
)

// fast answers the call and exits, or returns, to have the ordinary path answer
// it. sp points to what the kernel put on the stack: argc, the arguments, a
// zero, the environment, a zero.
//
// Neither fast nor anything it calls may allocate, panic, start a goroutine,
// use a map or call a closure that escapes; a test in this package walks the
// call graph of the built binary and refuses anything else.
func fast(sp unsafe.Pointer) {
	args := stringsAt(unsafe.Add(sp, 8), fastArgs[:])
	if args < 0 {
		return
	}
	env := stringsAt(unsafe.Add(sp, 8*(args+2)), fastEnv[:])
	if env < 0 {
		return
	}
	machine.PreRuntime = true
	code, answered := fastRun(fastArgs[:args], fastEnv[:env])
	if answered {
		machine.Exit(code)
	}
	machine.PreRuntime = false
	options = option.Options{}
}

// fastRun performs a single check without TLS.
func fastRun(args, env []string) (code int, answered bool) {
	o := &options
	if problem := o.Parse(args, env); !problem.OK() || o.Action != option.RunChecks {
		return 0, false
	}
	if o.NChecks != 1 || o.Checks[0].TLS {
		return 0, false
	}
	began := int64(0)
	if o.Wait > 0 {
		began = single.Now()
	}
	single.Timing = o.Verbose || o.JSON
	fastStates[0] = &single
	for {
		if single.Latch() {
			return report(o, fastStates[:], true), true
		}
		single.Run(&o.Checks[0], attemptTime(o, began))
		if single.Class == check.Healthy || !again(o, began) {
			return report(o, fastStates[:], false), true
		}
	}
}

var fastStates [1]*check.State

// stringsAt makes strings of the C strings that the zero-terminated list at p
// points to, and returns how many there are, -1 if list is too short.
func stringsAt(p unsafe.Pointer, list []string) int {
	for n := 0; ; n++ {
		s := *(*unsafe.Pointer)(unsafe.Add(p, 8*n))
		if s == nil {
			return n
		}
		if n == len(list) {
			return -1
		}
		size := 0
		for *(*byte)(unsafe.Add(s, size)) != 0 {
			size++
		}
		list[n] = unsafe.String((*byte)(s), size)
	}
}
