// Package spawn starts and reaps a program with as little work of its own as the
// kernel allows, for benchmarks of programs that run for less time than the
// standard library takes to start them.
package spawn

import (
	"syscall"
	"time"
)

// Command is what to start. It inherits the caller's standard input and output.
type Command struct {
	Argv   []string // the program's path and its arguments
	Env    []string // of the form name=value
	Stderr int      // the descriptor that becomes its standard error; 2 for the caller's
}

// Process is a started program.
type Process struct {
	PID   int
	Began time.Time // right before it was forked
}

// Wait reaps the process and returns how it ended and what it used.
func (p Process) Wait() (syscall.WaitStatus, *syscall.Rusage, error) { return wait(p.PID) }
