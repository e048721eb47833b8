//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/internal/config"
)

// watch reports the opening of decoy files. inotify does not say by whom.
func (a *alarms) watch() {
	if len(a.config.Watched) == 0 {
		return
	}
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC)
	if err != nil {
		return // no such sensor here
	}
	names := map[int32]string{}
	for _, name := range a.config.Watched {
		if wd, err := syscall.InotifyAddWatch(fd, name, syscall.IN_OPEN); err == nil {
			names[int32(wd)] = name
		}
	}
	go a.readWatch(fd, names)
}

func (a *alarms) readWatch(fd int, names map[int32]string) {
	const header = 16
	buf := make([]byte, 4096)
	for {
		n, err := syscall.Read(fd, buf)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return
		}
		for rest := buf[:n]; len(rest) >= header; {
			length := int(binary.NativeEndian.Uint32(rest[12:]))
			if header+length > len(rest) {
				break
			}
			inside := string(bytes.TrimRight(rest[header:header+length], "\x00"))
			file := path.Join(names[int32(binary.NativeEndian.Uint32(rest))], inside)
			a.raise(alert.Event{Kind: alert.KindRead, Path: file})
			rest = rest[header+length:]
		}
	}
}

const pipePause = 100 * time.Millisecond

// servePipes waits at each named pipe for a reader, names it, and gives it
// what it expects.
func (a *alarms) servePipes() {
	for _, p := range a.config.Pipes {
		go a.servePipe(p)
	}
}

func (a *alarms) servePipe(p config.Pipe) {
	info, err := os.Lstat(p.Path)
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return // writing to a regular file would be wrong
	}
	for {
		fd, err := syscall.Open(p.Path, syscall.O_WRONLY|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0) // returns when somebody reads
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return
		}
		reader := readerOf(p.Path)
		a.raise(alert.Event{Kind: alert.KindPipe, Path: p.Path, PID: reader, Ancestors: ancestorsOf(reader)})
		_, _ = syscall.Write(fd, p.Content) // the reader may have left
		_ = syscall.Close(fd)
		time.Sleep(pipePause) // one reader, one alarm
	}
}

// readerOf finds a process that has the file open, 0 if none can be seen.
func readerOf(file string) int {
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, process := range processes {
		pid, err := strconv.Atoi(process.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		folder := "/proc/" + process.Name() + "/fd/"
		descriptors, err := os.ReadDir(folder)
		if err != nil {
			continue
		}
		for _, d := range descriptors {
			if target, err := os.Readlink(folder + d.Name()); err == nil && strings.TrimSuffix(target, " (deleted)") == file {
				return pid
			}
		}
	}
	return 0
}
