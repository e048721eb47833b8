package secret

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// maxEnviron bounds the block read: the kernel allows a quarter of the stack
// limit, 2 MiB by default.
const maxEnviron = 16 << 20

var wiping sync.Mutex

// wipeEnv overwrites the values in the block that the kernel laid out at the
// start of the process. The Go runtime has copied it and reads it no more.
func wipeEnv(names []string) error {
	wiping.Lock()
	defer wiping.Unlock()
	start, end, err := environBlock()
	if err != nil {
		return err
	}
	mem, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = mem.Close() }() // WriteAt has reported what failed
	block := make([]byte, end-start)
	if _, err := mem.ReadAt(block, start); err != nil {
		return fmt.Errorf("read own memory: %w", err)
	}
	defer clear(block)
	for _, span := range values(block, names) {
		if _, err := mem.WriteAt(make([]byte, span.end-span.start), start+int64(span.start)); err != nil {
			return fmt.Errorf("write own memory: %w", err)
		}
	}
	return nil
}

// environBlock returns the addresses of the initial environment: fields 50 and
// 51 of proc_pid_stat(5), env_start and env_end.
func environBlock() (start, end int64, err error) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0, 0, err
	}
	// The second field is the program's name in parentheses and may hold both
	// spaces and parentheses.
	_, rest, found := strings.Cut(string(text[max(bytes.LastIndexByte(text, ')'), 0):]), ") ")
	fields := strings.Fields(rest)
	const first = 3 // the number of the field that fields[0] is
	if !found || len(fields) <= 51-first {
		return 0, 0, errors.New("/proc/self/stat has too few fields")
	}
	start, e1 := strconv.ParseInt(fields[50-first], 10, 64)
	end, e2 := strconv.ParseInt(fields[51-first], 10, 64)
	if err := errors.Join(e1, e2); err != nil {
		return 0, 0, err
	}
	if start <= 0 || end < start || end-start > maxEnviron {
		return 0, 0, fmt.Errorf("environment block from %#x to %#x makes no sense", start, end)
	}
	return start, end, nil
}

type span struct{ start, end int }

// values finds the values of the names in a block of NAME=VALUE strings that end
// in a zero byte.
func values(block []byte, names []string) []span {
	var found []span
	for at := 0; at < len(block); {
		size := bytes.IndexByte(block[at:], 0)
		if size < 0 {
			size = len(block) - at
		}
		name, value, ok := bytes.Cut(block[at:at+size], []byte("="))
		if ok && len(value) > 0 && slices.Contains(names, string(name)) {
			found = append(found, span{at + len(name) + 1, at + size})
		}
		at += size + 1
	}
	return found
}
