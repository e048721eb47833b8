//go:build linux

// Command intruder is for tests: as a user without privileges it tries to read
// what a decoy holds, in every way it knows. It prints a line for each way and
// "LEAK" where one worked.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

func main() {
	for _, target := range os.Args[1:] {
		readWays(target)
		runningWays(target)
	}
	processWays("PID 1", 1)
}

func verdict(target, way string, leaked bool, err error) {
	switch {
	case leaked:
		fmt.Printf("LEAK %s by %s\n", target, way)
	case err != nil:
		fmt.Printf("denied %s by %s: %v\n", target, way, err)
	default:
		fmt.Printf("nothing %s by %s\n", target, way)
	}
}

// readWays need only the file.
func readWays(target string) {
	_, err := os.ReadFile(target)
	verdict(target, "read", err == nil, err)
	_, err = os.ReadFile("/proc/1/root" + target)
	verdict(target, "read below /proc/1/root", err == nil, err)
	for _, dir := range []string{"/tmp", "/dev/shm", filepath.Dir(target)} {
		link := filepath.Join(dir, "hard-link")
		if err = os.Link(target, link); err == nil {
			_, err = os.ReadFile(link)
		}
		verdict(target, "hard link in "+dir, err == nil, err)
	}
	fd, err := syscall.Open(target, syscall.O_RDONLY, 0)
	if err == nil {
		_ = syscall.Close(fd)
	}
	verdict(target, "open for mmap", err == nil, err)
	pathFD, err := syscall.Open(target, 0x200000, 0) // O_PATH
	if err == nil {
		_, err = os.ReadFile("/proc/self/fd/" + strconv.Itoa(pathFD))
	}
	verdict(target, "O_PATH and /proc/self/fd", err == nil, err)
	cmd := exec.Command(target)
	cmd.Env = []string{"LD_PRELOAD=/tmp/x.so", "LD_AUDIT=/tmp/x.so", "LD_SHOW_AUXV=1", "LD_TRACE_LOADED_OBJECTS=1"}
	out, err := cmd.CombinedOutput()
	verdict(target, "LD_PRELOAD and its kin", bytes.Contains(out, []byte("AT_")) || bytes.Contains(out, []byte("=>")), err)
}

// runningWays need the program to run and wait: under the name of a shell it
// reads its input.
func runningWays(target string) {
	if filepath.Base(target) != "sh" {
		return
	}
	cmd := exec.Command(target)
	in, err := cmd.StdinPipe()
	if err != nil {
		verdict(target, "start", false, err)
		return
	}
	if err := cmd.Start(); err != nil {
		verdict(target, "start", false, err)
		return
	}
	_, _ = io.WriteString(in, ":\n")
	processWays(target, cmd.Process.Pid)
	limit := syscall.Rlimit{Cur: ^uint64(0), Max: ^uint64(0)}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(cmd.Process.Pid), 4, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	_ = cmd.Process.Signal(syscall.SIGABRT)
	_ = in.Close()
	_ = cmd.Wait() // its status is asked for below
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	var cause error
	if errno != 0 {
		cause = errno
	}
	verdict(target, "core dump", status.CoreDump(), cause)
	traced(target)
}

func processWays(target string, pid int) {
	dir := "/proc/" + strconv.Itoa(pid)
	memory, err := os.Open(dir + "/mem")
	if err == nil {
		_, err = memory.ReadAt(make([]byte, 8), 0x600100)
	}
	verdict(target, "/proc/PID/mem", err == nil, err)
	for _, name := range []string{"/exe", "/maps", "/environ", "/auxv"} {
		text, err := os.ReadFile(dir + name)
		verdict(target, "/proc/PID"+name, err == nil && len(text) > 0, err)
	}
	names, err := os.ReadDir(dir + "/map_files")
	verdict(target, "/proc/PID/map_files", err == nil && len(names) > 0, err)
	var buf [8]byte
	local := [2]uintptr{uintptr(unsafe.Pointer(&buf)), 8}
	remote := [2]uintptr{0x600100, 8}
	_, _, errno := syscall.RawSyscall6(310, uintptr(pid), uintptr(unsafe.Pointer(&local)), 1, uintptr(unsafe.Pointer(&remote)), 1, 0) // process_vm_readv
	verdict(target, "process_vm_readv", errno == 0, errno)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = syscall.PtraceAttach(pid)
	if err == nil {
		_ = syscall.PtraceDetach(pid)
	}
	verdict(target, "ptrace attach", err == nil, err)
}

// traced executes the target under ptrace and looks for its data.
func traced(target string) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(target)
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		verdict(target, "execute under ptrace", false, err)
		return
	}
	var status syscall.WaitStatus
	_, err := syscall.Wait4(cmd.Process.Pid, &status, 0, nil)
	leaked := false
	if err == nil && status.Stopped() {
		for _, at := range []uintptr{0x600100, 0x400000, 0x400900} {
			if _, peek := syscall.PtracePeekData(cmd.Process.Pid, at, make([]byte, 8)); peek == nil {
				leaked = true
			} else {
				err = errors.Join(err, peek)
			}
		}
	}
	_ = cmd.Process.Kill()
	_, _ = cmd.Process.Wait()
	verdict(target, "execute under ptrace", leaked, errors.New(strings.ReplaceAll(fmt.Sprint(err), "\n", ", ")))
}
