// Command probe tells whether what runs in its container is healthy. It speaks
// HTTP, gRPC, FastCGI and plain connections over TCP, TLS and unix sockets,
// looks at files, and reads the canary latch. It is one static binary without a
// configuration file; docs/probe.md is its manual.
//
// It is built with the linker flag -E main.entry where fast.go applies, and
// then answers most calls before the Go runtime has started:
// docs/probe-fast-path.md says how. Without the flag it is an ordinary program
// that behaves the same.
package main

import (
	"github.com/hardstand/hardstand/probe/internal/check"
	"github.com/hardstand/hardstand/probe/internal/machine"
	"github.com/hardstand/hardstand/probe/internal/option"
	"github.com/hardstand/hardstand/probe/internal/wire"
)

// memory is all that a process with one target uses. What the fast path touches
// lies together, at the end of words and from there to the first of the checks,
// because each page of it costs a page fault, and each of those as much as
// several system calls.
var memory workspace

type workspace struct {
	words   [maxWords]string
	entry   entryMemory
	options option.Options
	state   check.State
	parsed  option.Memory
	buffers check.Buffers
}

// maxWords bounds the arguments and environment variables of the fast path.
const maxWords = 576

func main() {
	machine.Exit(run(machine.Args(), machine.Environ()))
}

// run is the ordinary path: everything that the fast path does, and the rest.
func run(args, env []string) int {
	o := &memory.options
	memory.state.Buffers = &memory.buffers
	w := wire.NewBuffer(memory.buffers.Spare())
	if problem := o.Parse(args, env, &memory.parsed); !problem.OK() {
		w.Str("probe: ")
		problem.Put(&w)
		w.Byte('\n')
		memory.state.Print(2, w.Bytes())
		return int(check.Invalid)
	}
	switch o.Action {
	case option.ShowHelp:
		option.Help(&w)
		memory.state.Print(1, w.Bytes())
		return 0
	case option.ShowVersion:
		putVersion(&w)
		memory.state.Print(1, w.Bytes())
		return 0
	}
	return checkAll(o)
}

func putVersion(w *wire.Buffer) {
	w.Str("probe ")
	w.Str(version)
	if check.CanTLS() {
		w.Str(", with TLS")
	} else {
		w.Str(", without TLS")
	}
	w.Str(", policy ")
	w.Str(check.Policy())
	w.Byte('\n')
}

// version is the release this source belongs to.
const version = "1.0.0"

// checkAll performs all checks of o at once, again until --wait is over, prints
// the outcome and returns the exit code.
func checkAll(o *option.Options) int {
	single := &memory.state
	states := [option.MaxChecks]*check.State{single}
	for i := 1; i < o.NChecks; i++ {
		states[i] = &check.State{Buffers: new(check.Buffers)}
	}
	for _, s := range states[:o.NChecks] {
		s.Timing = o.Verbose || o.JSON
	}
	began := single.Now()
	for {
		if single.Latch() {
			return report(o, states[:1], true)
		}
		attempt(o, states[:o.NChecks], began)
		if healthy(states[:o.NChecks]) || !again(o, began) {
			return report(o, states[:o.NChecks], false)
		}
	}
}

// attempt runs every check once, at the same time.
func attempt(o *option.Options, states []*check.State, began int64) {
	timeout := attemptTime(o, began)
	if len(states) == 1 {
		states[0].Run(&o.Checks[0], timeout)
		return
	}
	done := make(chan bool)
	for i, s := range states {
		go func() {
			s.Run(&o.Checks[i], timeout)
			done <- true
		}()
	}
	for range states {
		<-done
	}
}

func healthy(states []*check.State) bool {
	for _, s := range states {
		if s.Class != check.Healthy {
			return false
		}
	}
	return true
}
