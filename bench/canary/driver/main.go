//go:build linux

// Command driver measures decoys from inside a container, where it is PID 1.
// Its standard error becomes a pipe that it reads itself, so it sees an alarm
// as the container's log would. Before each execution it times /foreign, a decoy
// that raises no alarm: the cost of fork, exec and exit alone, under the same
// load. Usage: driver N PROGRAM alarm|exit
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
)

// Sample is one execution. Alarm and Exit are nanoseconds after Start; Start
// is taken before fork, so both are upper bounds.
type Sample struct {
	Start int64  `json:"start"` // nanoseconds since 1970
	Nonce string `json:"nonce"`
	Alarm int64  `json:"alarm"`
	Exit  int64  `json:"exit"`
	Floor int64  `json:"floor"` // fork to exit of /foreign, right before
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
	null, err := syscall.Open("/dev/null", syscall.O_RDWR, 0)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for range n {
		floor, err := sample("/foreign", false, pipe[0], uintptr(null))
		if err != nil {
			return err
		}
		s, err := sample(args[1], args[2] == "alarm", pipe[0], uintptr(null))
		if err != nil {
			return err
		}
		s.Floor = floor.Exit
		if err := out.Encode(s); err != nil {
			return err
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}

func sample(program string, wantAlarm bool, pipe int, null uintptr) (Sample, error) {
	const rlimitLocks = 10
	unlimited := syscall.Rlimit{Cur: ^uint64(0), Max: ^uint64(0)}
	if err := syscall.Setrlimit(rlimitLocks, &unlimited); err != nil { // forget the decoys' count
		return Sample{}, err
	}
	argv := []string{program}
	if !wantAlarm {
		argv = append(argv, "true")
	}
	start := time.Now()
	pid, err := syscall.ForkExec(program, argv, &syscall.ProcAttr{Files: []uintptr{null, null, null}})
	if err != nil {
		return Sample{}, err
	}
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
	if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
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
