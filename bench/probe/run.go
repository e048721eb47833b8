package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hardstand/hardstand/bench/spawn"
)

// sample is what one run of a program cost.
type sample struct {
	wall, cpu time.Duration
	code      int
}

// devNull is where the programs' output goes.
var devNull *os.File

// once runs argv, without output, and measures it.
func once(argv []string, attr *syscall.SysProcAttr) (sample, error) {
	null := devNull.Fd()
	files := []uintptr{null, null, null}
	begin := time.Now()
	pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{Env: os.Environ(), Files: files, Sys: attr})
	if err != nil {
		return sample{}, fmt.Errorf("start %s: %w", argv[0], err)
	}
	var status syscall.WaitStatus
	var usage syscall.Rusage
	for {
		_, err = syscall.Wait4(pid, &status, 0, &usage)
		if err != syscall.EINTR {
			break
		}
	}
	return result(begin, status, &usage), err
}

func result(begin time.Time, status syscall.WaitStatus, usage *syscall.Rusage) sample {
	s := sample{wall: time.Since(begin), code: status.ExitStatus()}
	s.cpu = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	if status.Signaled() {
		s.code = 128 + int(status.Signal())
	}
	return s
}

// silence turns standard output and error to nowhere, for the programs that
// timed runs, and returns how to turn them back.
func silence() (restore func(), err error) {
	var saved [2]int
	for i := range saved {
		if saved[i], err = syscall.Dup(i + 1); err != nil {
			return nil, err
		}
		syscall.CloseOnExec(saved[i])
		if err = syscall.Dup3(int(devNull.Fd()), i+1, 0); err != nil {
			return nil, err
		}
	}
	return func() {
		for i, fd := range saved {
			_ = syscall.Dup3(fd, i+1, 0)
			_ = syscall.Close(fd)
		}
	}, nil
}

// contender is one program in one comparison.
type contender struct {
	Name    string   `json:"name"`
	Argv    []string `json:"-"`
	Missing string   `json:"missing,omitempty"` // why it did not run

	Wall    float64 `json:"wall_ms,omitempty"`
	CPU     float64 `json:"cpu_ms,omitempty"`
	RSS     int     `json:"rss_kb,omitempty"`
	Threads int     `json:"threads,omitempty"`
}

// race runs all contenders in turn, n times, and notes their medians. The first
// rounds warm the caches and do not count.
func race(list []*contender, n int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	restore, err := silence()
	if err != nil {
		return err
	}
	defer restore()
	walls, cpus := make([][]float64, len(list)), make([][]float64, len(list))
	for round := range n + 5 {
		for i, c := range list {
			if c.Missing != "" {
				continue
			}
			s, err := timed(c.Argv)
			if err != nil {
				return err
			}
			if s.code != 0 {
				return fmt.Errorf("run %s: exit code %d", strings.Join(c.Argv, " "), s.code)
			}
			if round >= 5 {
				walls[i] = append(walls[i], s.wall.Seconds()*1e3)
				cpus[i] = append(cpus[i], s.cpu.Seconds()*1e3)
			}
		}
	}
	for i, c := range list {
		if c.Missing == "" {
			c.Wall, c.CPU = median(walls[i]), median(cpus[i])
		}
	}
	return nil
}

// timed runs argv with the runner's own standard streams and measures it.
func timed(argv []string) (sample, error) {
	process, err := spawn.Start(spawn.Command{Argv: argv, Env: os.Environ(), Stderr: 2})
	if err != nil {
		return sample{}, err
	}
	status, usage, err := process.Wait()
	if err != nil {
		return sample{}, err
	}
	return result(process.Began, status, usage), nil
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// memory runs argv, which must take a while, and reads its peak memory and
// number of threads from /proc. The peak that wait4 reports would be the
// runner's own: it is inherited over fork and exec.
func memory(argv []string) (rssKB, threads int, err error) {
	null := devNull.Fd()
	pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{null, null, null}})
	if err != nil {
		return 0, 0, fmt.Errorf("start %s: %w", argv[0], err)
	}
	time.Sleep(200 * time.Millisecond)
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	var w syscall.WaitStatus
	if _, waitErr := syscall.Wait4(pid, &w, 0, nil); err == nil {
		err = waitErr
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		switch {
		case len(fields) == 0:
		case key == "VmHWM":
			rssKB, _ = strconv.Atoi(fields[0])
		case key == "Threads":
			threads, _ = strconv.Atoi(fields[0])
		}
	}
	return rssKB, threads, err
}
