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

// What only the linker and assembly refer to.
var _, _, _, _ = entry, fast, &memory.entry.goroutine, &memory.entry.local

// entryMemory is what entry needs because there is no runtime to provide it.
type entryMemory struct {
	// goroutine stands in for the current goroutine. Compiled code compares
	// the stack pointer with its stack bound, which is zero here, so the
	// check for a full stack never fires: the code runs on the stack that
	// the kernel gave the process.
	goroutine [16]uintptr
	// local is the thread-local storage of amd64, whose last word points to
	// goroutine.
	local [8]uintptr
}

// fast answers the call and exits, or returns, to have the ordinary path answer
// it. sp points to what the kernel put on the stack: argc, the arguments, a
// zero, the environment, a zero.
//
// Neither fast nor anything it calls may allocate, panic, start a goroutine,
// use a map or call a closure that escapes; a test in this package walks the
// call graph of the built binary and refuses anything else.
func fast(sp unsafe.Pointer) {
	argv := unsafe.Add(sp, 8)
	args := count(argv)
	envp := unsafe.Add(argv, 8*(args+1))
	env := count(envp)
	if args+env > maxWords {
		return
	}
	words := memory.words[maxWords-args-env:]
	makeStrings(words[:args], argv)
	makeStrings(words[args:], envp)
	memory.state.PreRuntime = true
	code, answered := fastRun(words[:args], words[args:])
	if answered {
		machine.Exit(code)
	}
	memory.state.PreRuntime = false
	memory.options = option.Options{}
}

// fastRun performs a single check without TLS.
func fastRun(args, env []string) (code int, answered bool) {
	o, s := &memory.options, &memory.state
	// Write to pages that are read first: reading maps a page of zeros, and
	// writing later would cost a second fault.
	memory.parsed.Checks[0].Port = 0
	memory.buffers.Spare()[0] = 0
	if problem := o.Parse(args, env, &memory.parsed); !problem.OK() || o.Action != option.RunChecks {
		return 0, false
	}
	if o.NChecks != 1 || o.Checks[0].TLS {
		return 0, false
	}
	s.Buffers = &memory.buffers
	s.Timing = o.Verbose || o.JSON
	began := int64(0)
	if o.Wait > 0 {
		began = s.Now()
	}
	states := [...]*check.State{s}
	for {
		if s.Latch() {
			return report(o, states[:], true), true
		}
		s.Run(&o.Checks[0], attemptTime(o, began))
		if s.Class == check.Healthy || !again(o, began) {
			return report(o, states[:], false), true
		}
	}
}

// count returns the length of the zero-terminated list of pointers at p.
func count(p unsafe.Pointer) int {
	n := 0
	for *(*unsafe.Pointer)(unsafe.Add(p, 8*n)) != nil {
		n++
	}
	return n
}

// makeStrings makes strings of the C strings that the list at p points to.
func makeStrings(list []string, p unsafe.Pointer) {
	for i := range list {
		s := *(*unsafe.Pointer)(unsafe.Add(p, 8*i))
		size := 0
		for *(*byte)(unsafe.Add(s, size)) != 0 {
			size++
		}
		list[i] = unsafe.String((*byte)(s), size)
	}
}
