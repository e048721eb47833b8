//go:build linux

// Command driver measures decoys from inside a container, where it is PID 1.
// Its standard error becomes a pipe that it reads itself, so it sees an alarm
// as the container's log would. Before each execution it times /floor, a program
// that does nothing but exit: the cost of fork, exec and exit alone, under the
// same load. Usage: driver N PROGRAM alarm|exit
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/hardstand/hardstand/bench/spawn"
	"github.com/hardstand/hardstand/canary/alert"
)

// Sample is one execution. Alarm and Exit are nanoseconds after Start; Start
// is taken before fork, so both are upper bounds.
type Sample struct {
	Start int64  `json:"start"` // nanoseconds since 1970
	Nonce string `json:"nonce"`
	Alarm int64  `json:"alarm"`
	Exit  int64  `json:"exit"`
	Floor int64  `json:"floor"` // fork to exit of /floor, right before
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 1 && args[0] == "true" {
		return nil
	}
	if len(args) != 3 {
		return fmt.Errorf("usage: driver N PROGRAM alarm|exit")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil {
		return err
	}
	if err := syscall.Dup3(pipe[1], 2, 0); err != nil {
		return err
	}
	results, err := syscall.Dup(1) // the decoys write to 1, and nobody reads that
	if err != nil {
		return err
	}
	syscall.CloseOnExec(results)
	null, err := syscall.Open("/dev/null", syscall.O_RDWR, 0)
	if err != nil {
		return err
	}
	for _, fd := range []int{0, 1} {
		if err := syscall.Dup3(null, fd, 0); err != nil {
			return err
		}
	}
	out := json.NewEncoder(os.NewFile(uintptr(results), "results"))
	for range n {
		floor, err := sample("/floor", false, pipe[0], null)
		if err != nil {
			return err
		}
		s, err := sample(args[1], args[2] == "alarm", pipe[0], null)
		if err != nil {
			return err
		}
		s.Floor = floor.Exit
		if err := out.Encode(s); err != nil {
			return err
		}
	}
	return nil
}

func sample(program string, wantAlarm bool, pipe, null int) (Sample, error) {
	const rlimitLocks = 10
	unlimited := syscall.Rlimit{Cur: ^uint64(0), Max: ^uint64(0)}
	if err := syscall.Setrlimit(rlimitLocks, &unlimited); err != nil { // forget the decoys' count
		return Sample{}, err
	}
	argv := []string{program}
	if !wantAlarm {
		argv = append(argv, "true")
	}
	process, err := spawn.Start(spawn.Command{Argv: argv, Stderr: null})
	if err != nil {
		return Sample{}, err
	}
	start := process.Began
	s := Sample{Start: start.UnixNano()}
	if wantAlarm {
		buf := make([]byte, 2*alert.MaxLine)
		n, err := syscall.Read(pipe, buf)
		if err != nil {
			return Sample{}, err
		}
		s.Alarm = int64(time.Since(start))
		m, err := alert.Parse(buf[:n])
		if err != nil {
			return Sample{}, err
		}
		s.Nonce = m.Event.Nonce.String()
	}
	if _, _, err := process.Wait(); err != nil {
		return Sample{}, err
	}
	s.Exit = int64(time.Since(start))
	if wantAlarm {
		return s, drain(pipe)
	}
	return s, nil
}

// drain takes the second line of a decoy that writes two.
func drain(pipe int) error {
	if err := syscall.SetNonblock(pipe, true); err != nil {
		return err
	}
	_, _ = syscall.Read(pipe, make([]byte, 2*alert.MaxLine)) // EAGAIN without one
	return syscall.SetNonblock(pipe, false)
}
