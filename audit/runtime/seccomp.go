package runtime

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// floor is what runc itself and the Go runtime need under the filter, whatever
// was traced. Without the first three runc's start-up hangs.
var floor = strings.Fields("exit_group getdents64 fstatfs exit rt_sigreturn restart_syscall close_range statx newfstatat openat2 clock_gettime getrandom futex epoll_pwait2 execve")

type seccomp struct {
	Default       string         `json:"defaultAction"`
	Errno         int            `json:"defaultErrnoRet,omitempty"`
	Architectures []string       `json:"architectures,omitempty"`
	Map           []architecture `json:"archMap,omitempty"`
	Syscalls      []syscalls     `json:"syscalls"`
}

type architecture struct {
	Name string   `json:"architecture"`
	Sub  []string `json:"subArchitectures"`
}

type syscalls struct {
	Names  []string `json:"names"`
	Action string   `json:"action"`
}

const eperm = 1

// Training writes a profile that allows everything and has the kernel log it,
// for Observe to read.
func Training() ([]byte, error) { return encode(seccomp{Default: "SCMP_ACT_LOG"}, nil) }

// Seccomp writes a profile that allows what was observed, and what runc needs,
// on the platforms given, or on both. It works with no-new-privileges only:
// otherwise runc loads it before it drops its privileges.
func Seccomp(observed []string, on ...string) ([]byte, error) {
	if len(observed) == 0 {
		return nil, errors.New("no system call was observed: run the application with the profile of --training first, and give the kernel's log")
	}
	if len(on) == 0 {
		on = bothPlatforms
	}
	names := slices.Concat(floor, observed)
	for _, p := range on {
		a, ok := platforms[p]
		if !ok {
			return nil, fmt.Errorf("platform %q: take linux/amd64 or linux/arm64", p)
		}
		if a.goarch == "arm64" {
			for _, name := range observed {
				names = append(names, successors[name]...)
			}
		}
	}
	slices.Sort(names)
	return encode(seccomp{Default: "SCMP_ACT_ERRNO", Errno: eperm, Syscalls: []syscalls{{slices.Compact(names), "SCMP_ACT_ALLOW"}}}, on)
}

var bothPlatforms = []string{"linux/amd64", "linux/arm64"}

// successors are what a program calls on arm64, which was born without the
// oldest system calls, where it calls these on amd64.
var successors = map[string][]string{
	"access": {"faccessat"}, "chmod": {"fchmodat"}, "chown": {"fchownat"}, "creat": {"openat"}, "dup2": {"dup3"}, "epoll_create": {"epoll_create1"},
	"epoll_wait": {"epoll_pwait"}, "eventfd": {"eventfd2"}, "fork": {"clone"}, "getdents": {"getdents64"}, "getpgrp": {"getpgid"}, "inotify_init": {"inotify_init1"},
	"lchown": {"fchownat"}, "link": {"linkat"}, "lstat": {"newfstatat"}, "mkdir": {"mkdirat"}, "mknod": {"mknodat"}, "open": {"openat"}, "pause": {"ppoll"},
	"pipe": {"pipe2"}, "poll": {"ppoll"}, "readlink": {"readlinkat"}, "rename": {"renameat", "renameat2"}, "rmdir": {"unlinkat"}, "select": {"pselect6"},
	"signalfd": {"signalfd4"}, "stat": {"newfstatat"}, "symlink": {"symlinkat"}, "time": {"clock_gettime"}, "unlink": {"unlinkat"}, "utime": {"utimensat"},
	"utimes": {"utimensat"}, "futimesat": {"utimensat"}, "vfork": {"clone"},
}

// encode names the architectures in the form that everybody reads who knows
// only one, and in Docker's where the profile is for several: Docker and CRI-O
// take from it that of the machine.
func encode(s seccomp, on []string) ([]byte, error) {
	if len(on) == 1 {
		s.Architectures = []string{platforms[on[0]].seccomp}
	} else {
		for _, p := range bothPlatforms {
			s.Map = append(s.Map, architecture{platforms[p].seccomp, []string{}})
		}
	}
	if s.Syscalls == nil {
		s.Syscalls = []syscalls{}
	}
	data, err := json.MarshalIndent(s, "", "  ")
	return append(data, '\n'), err
}

var (
	//go:embed syscalls_amd64.txt
	amd64 string
	//go:embed syscalls_arm64.txt
	arm64 string
)

// numbers maps the audit architectures of the kernel's log to system calls.
var numbers = sync.OnceValue(func() map[string]map[int]string {
	out := map[string]map[int]string{}
	for arch, table := range map[string]string{"c000003e": amd64, "c00000b7": arm64} {
		out[arch] = map[int]string{}
		for line := range strings.Lines(table) {
			number, name, _ := strings.Cut(strings.TrimSpace(line), " ")
			if n, err := strconv.Atoi(number); err == nil {
				out[arch][n] = name
			}
		}
	}
	return out
})

var known = sync.OnceValue(func() map[string]bool {
	all := map[string]bool{}
	for _, table := range numbers() {
		for _, name := range table {
			all[name] = true
		}
	}
	return all
})

var (
	logged = shape(`\barch=([0-9a-f]{8}) syscall=([0-9]{1,4})\b`)
	traced = shape(`^(?:\[pid +[0-9]+\] |[0-9]+ +)?(?:[0-9.:]+ )?([a-z][a-z0-9_]*)\(`)
)

// MaxTrace bounds a trace, in bytes.
const MaxTrace = 1 << 30

// Observe reads the system calls of a trace: records of SCMP_ACT_LOG in the
// kernel's log, or what strace -f writes. comm limits the records to programs
// of that name; "" takes all.
func Observe(r io.Reader, comm string) ([]string, error) {
	seen := map[string]bool{}
	lines := bufio.NewScanner(io.LimitReader(r, MaxTrace))
	lines.Buffer(make([]byte, 64<<10), 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if m := logged().FindStringSubmatch(line); m != nil {
			if comm != "" && !strings.Contains(line, `comm="`+comm+`"`) {
				continue
			}
			n, _ := strconv.Atoi(m[2]) // at most four digits
			name := numbers()[m[1]][n]
			if name == "" {
				return nil, fmt.Errorf("read trace: system call %d of architecture %s is not known", n, m[1])
			}
			seen[name] = true
		} else if m := traced().FindStringSubmatch(line); m != nil && known()[m[1]] {
			seen[m[1]] = true
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	var names []string
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}
