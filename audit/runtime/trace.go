package runtime

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Trace is the system calls that one run of a program made.
type Trace struct {
	Calls   []string // sorted, each once
	Unknown []string // names that no architecture has
}

// MaxTrace bounds a trace, in bytes.
const MaxTrace = 256 << 20

const (
	maxTraceLine = 1 << 20
	maxUnknown   = 32
)

// traceHead begins what the tracer writes: one name a line.
const traceHead = "hardstand-trace/1"

var (
	straceCall  = regexp.MustCompile(`^(?:\[pid +\d+\] |\d+ +)?(?:\d[\d.:]* )?(?:<\.\.\. )?([a-z_][a-z0-9_]*)(?:\(| resumed>)`)
	straceCount = regexp.MustCompile(`^ *\d+\.\d+ +\d+\.\d+ +\d+ +\d+ +(?:\d+ +)?([a-z_][a-z0-9_]*)$`)
	auditCall   = regexp.MustCompile(`\barch=([0-9a-f]+)\b.*\bsyscall=(\d+)\b`)
)

// AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64 of linux/audit.h.
var auditArch = map[string]map[int]string{"c000003e": amd64Calls, "c00000b7": arm64Calls}

var known = func() map[string]bool {
	m := map[string]bool{}
	for _, table := range []map[int]string{amd64Calls, arm64Calls} {
		for _, name := range table {
			m[name] = true
		}
	}
	return m
}()

// ParseTrace reads what hardstand runtime trace wrote, the output of strace -f
// or strace -c, or the kernel's audit lines of a profile that logs.
func ParseTrace(data []byte) (Trace, error) {
	if len(data) > MaxTrace {
		return Trace{}, fmt.Errorf("read trace: more than %d bytes", MaxTrace)
	}
	calls, unknown := map[string]bool{}, map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxTraceLine)
	own := bytes.HasPrefix(data, []byte(traceHead+"\n"))
	for lines.Scan() {
		name, err := callOf(lines.Text(), own)
		switch {
		case err != nil:
			return Trace{}, err
		case name == "" || name == "total":
		case known[name]:
			calls[name] = true
		case len(unknown) < maxUnknown:
			unknown[name] = true
		}
	}
	if err := lines.Err(); err != nil {
		return Trace{}, fmt.Errorf("read trace: %w", err)
	}
	if len(calls) == 0 {
		return Trace{}, errors.New("read trace: no system call in it: give what hardstand runtime trace wrote, the output of strace -f, or audit lines with type=SECCOMP")
	}
	t := Trace{}
	for name := range calls {
		t.Calls = append(t.Calls, name)
	}
	for name := range unknown {
		t.Unknown = append(t.Unknown, name)
	}
	slices.Sort(t.Calls)
	slices.Sort(t.Unknown)
	return t, nil
}

func callOf(line string, own bool) (string, error) {
	if own {
		if strings.HasPrefix(line, traceHead) {
			return "", nil
		}
		return line, nil
	}
	if strings.Contains(line, "syscall=") {
		m := auditCall.FindStringSubmatch(line)
		if m == nil {
			return "", nil
		}
		table := auditArch[m[1]]
		if table == nil {
			return "", fmt.Errorf("read trace: an audit line of architecture %s, which is neither x86_64 nor aarch64", m[1])
		}
		n, err := strconv.Atoi(m[2])
		if err != nil || table[n] == "" {
			return "syscall_" + m[2], nil
		}
		return table[n], nil
	}
	for _, form := range []*regexp.Regexp{straceCall, straceCount} {
		if m := form.FindStringSubmatch(line); m != nil {
			return m[1], nil
		}
	}
	return "", nil
}

// FormatTrace writes the calls that were seen by number on one architecture.
func FormatTrace(goarch string, numbers []int) ([]byte, error) {
	table := map[string]map[int]string{"amd64": amd64Calls, "arm64": arm64Calls}[goarch]
	if table == nil {
		return nil, fmt.Errorf("no names of system calls for %s", goarch)
	}
	var names []string
	for _, n := range numbers {
		if name := table[n]; name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return []byte(traceHead + "\n" + strings.Join(slices.Compact(names), "\n") + "\n"), nil
}
