package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// spent is the processor time that each side has used so far.
type spent struct{ collectors, database, clients time.Duration }

func (f *field) spent(servers []*server) spent {
	var s spent
	for _, one := range servers {
		s.collectors += processTime(one.cmd.Process.Pid)
	}
	if f.postgres != nil {
		s.database = familyTime(f.postgres.Pid())
	}
	var own syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &own) == nil {
		s.clients = time.Duration(own.Utime.Nano() + own.Stime.Nano())
	}
	return s
}

// per divides what was used since before among n alarms.
func (s spent) per(before spent, n int) string {
	each := func(d time.Duration) int64 { return d.Microseconds() / int64(max(n, 1)) }
	return fmt.Sprintf("processor time per alarm with its forgery: collector %d µs, database server %d µs, clients %d µs",
		each(s.collectors-before.collectors), each(s.database-before.database), each(s.clients-before.clients))
}

const ticks = 100 // a second, USER_HZ of every Linux that Go runs on

// processTime reads user and system time from proc(5), fields 14 and 15; one
// that has ended has none.
func processTime(pid int) time.Duration {
	fields := statOf(pid)
	if len(fields) < 15 {
		return 0
	}
	var sum int64
	for _, text := range fields[13:15] {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks
}

// statOf returns the fields of /proc/PID/stat; the name, which may hold
// blanks, is one.
func statOf(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return nil
	}
	return append([]string{"", ""}, strings.Fields(string(text[end+1:]))...)
}

// familyTime is that of a process and its children.
func familyTime(pid int) time.Duration {
	sum := processTime(pid)
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return sum
	}
	for _, dir := range all {
		child, err := strconv.Atoi(filepath.Base(dir))
		if fields := statOf(child); err == nil && len(fields) > 3 && fields[3] == strconv.Itoa(pid) {
			sum += processTime(child)
		}
	}
	return sum
}
