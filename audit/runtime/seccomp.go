package runtime

import (
<<<<<<< HEAD
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
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
	Architectures []architecture `json:"archMap"`
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
func Training() ([]byte, error) { return encode(seccomp{Default: "SCMP_ACT_LOG"}) }

// Seccomp writes a profile that allows what was observed, and what runc needs.
// It works with no-new-privileges only: otherwise runc loads it before it
// drops its privileges.
func Seccomp(observed []string) ([]byte, error) {
	if len(observed) == 0 {
		return nil, errors.New("no system call was observed: run the application with the profile of --training first, and give the kernel's log")
	}
	names := slices.Concat(floor, observed)
	slices.Sort(names)
	return encode(seccomp{Default: "SCMP_ACT_ERRNO", Errno: eperm, Syscalls: []syscalls{{slices.Compact(names), "SCMP_ACT_ALLOW"}}})
}

func encode(s seccomp) ([]byte, error) {
	s.Architectures = []architecture{{"SCMP_ARCH_X86_64", []string{}}, {"SCMP_ARCH_AARCH64", []string{}}}
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
	logged = regexp.MustCompile(`\barch=([0-9a-f]{8}) syscall=([0-9]{1,4})\b`)
	traced = regexp.MustCompile(`^(?:\[pid +[0-9]+\] |[0-9]+ +)?(?:[0-9.:]+ )?([a-z][a-z0-9_]*)\(`)
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
		if m := logged.FindStringSubmatch(line); m != nil {
			if comm != "" && !strings.Contains(line, `comm="`+comm+`"`) {
				continue
			}
			n, _ := strconv.Atoi(m[2]) // at most four digits
			name := numbers()[m[1]][n]
			if name == "" {
				return nil, fmt.Errorf("read trace: system call %d of architecture %s is not known", n, m[1])
			}
			seen[name] = true
		} else if m := traced.FindStringSubmatch(line); m != nil && known()[m[1]] {
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
=======
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Profile is a seccomp profile as Docker, containerd and the OCI runtime
// specification have it.
type Profile struct {
	DefaultAction string         `json:"defaultAction"`
	DefaultErrno  int            `json:"defaultErrnoRet,omitempty"`
	Architectures []string       `json:"architectures"`
	Syscalls      []ProfileCalls `json:"syscalls"`
}

// ProfileCalls are system calls that get one answer.
type ProfileCalls struct {
	Names   []string `json:"names"`
	Action  string   `json:"action"`
	Comment string   `json:"comment,omitempty"`
}

// floor is what runc itself calls below the filter, between loading it and
// starting the program, in docker run and docker exec. Without no-new-privileges
// the filter loads much earlier and needs far more. Beyond what runc was seen
// to call there is a margin for its other versions and for crun.
var floor = []string{
	"brk", "capget", "capset", "chdir", "clock_gettime", "clone", "close", "close_range", "dup3", "epoll_create1", "epoll_ctl", "epoll_pwait",
	"epoll_pwait2", "eventfd2", "execve", "exit", "exit_group", "faccessat", "faccessat2", "fcntl", "fstat", "fstatfs", "futex", "getdents64",
	"getpid", "getppid", "getrandom", "gettid", "lseek", "madvise", "mmap", "mprotect", "munmap", "nanosleep", "newfstatat", "openat", "openat2",
	"pipe2", "prctl", "pread64", "prlimit64", "read", "readlinkat", "restart_syscall", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
	"sched_getaffinity", "sched_yield", "set_robust_list", "set_tid_address", "setgid", "setgroups", "setuid", "sigaltstack", "statx", "tgkill",
	"uname", "write",
}

// twins are calls of x86_64 that aarch64 does not have, and what a program
// uses there instead.
var twins = map[string][]string{
	"access": {"faccessat"}, "chmod": {"fchmodat"}, "chown": {"fchownat"}, "creat": {"openat"}, "dup2": {"dup3"}, "epoll_create": {"epoll_create1"},
	"epoll_wait": {"epoll_pwait"}, "eventfd": {"eventfd2"}, "fork": {"clone"}, "futimesat": {"utimensat"}, "getdents": {"getdents64"},
	"inotify_init": {"inotify_init1"}, "lchown": {"fchownat"}, "link": {"linkat"}, "lstat": {"newfstatat"}, "mkdir": {"mkdirat"}, "mknod": {"mknodat"},
	"open": {"openat"}, "pause": {"ppoll"}, "pipe": {"pipe2"}, "poll": {"ppoll"}, "readlink": {"readlinkat"}, "rename": {"renameat", "renameat2"},
	"rmdir": {"unlinkat"}, "select": {"pselect6"}, "signalfd": {"signalfd4"}, "stat": {"newfstatat"}, "symlink": {"symlinkat"}, "time": {"gettimeofday"},
	"unlink": {"unlinkat"}, "utime": {"utimensat"}, "utimes": {"utimensat"}, "vfork": {"clone"}, "alarm": {"setitimer"},
}

// escapes are calls that a container without capabilities has no use for and
// that lead out of it. A trace that has one was not of the program alone.
var escapes = []string{
	"add_key", "bpf", "delete_module", "finit_module", "init_module", "kexec_file_load", "kexec_load", "keyctl", "mount", "move_mount",
	"open_by_handle_at", "open_tree", "perf_event_open", "pivot_root", "process_vm_readv", "process_vm_writev", "ptrace", "reboot", "request_key",
	"setns", "swapon", "swapoff", "umount2", "unshare", "userfaultfd",
}

// Seccomp merges traces into a profile that refuses everything else with
// EPERM. Calls that lead out of a container are refused unless risky says that
// they are meant.
func Seccomp(traces []Trace, risky bool) (Profile, error) {
	if len(traces) == 0 {
		return Profile{}, errors.New("write seccomp profile: there is no trace; make one as --training shows")
	}
	seen := map[string]bool{}
	for _, t := range traces {
		for _, name := range t.Calls {
			seen[name] = true
		}
	}
	var found []string
	for _, name := range escapes {
		if seen[name] {
			found = append(found, name)
		}
	}
	if len(found) > 0 && !risky {
		return Profile{}, fmt.Errorf("write seccomp profile: the traces have %s, which lead out of a container: trace the program alone, or take them in with --allow-risky", strings.Join(found, ", "))
	}
	for name := range seen {
		for _, twin := range twins[name] {
			seen[twin] = true
		}
	}
	var traced, added []string
	for name := range seen {
		traced = append(traced, name)
	}
	for _, name := range floor {
		if !seen[name] {
			added = append(added, name)
		}
	}
	slices.Sort(traced)
	p := Profile{DefaultAction: "SCMP_ACT_ERRNO", DefaultErrno: 1, Architectures: architectures}
	p.Syscalls = append(p.Syscalls, ProfileCalls{traced, "SCMP_ACT_ALLOW", "what the program and its health check called"})
	if len(added) > 0 {
		p.Syscalls = append(p.Syscalls, ProfileCalls{added, "SCMP_ACT_ALLOW", "what runc calls before the program starts"})
	}
	return p, nil
}

// JSON is a profile's file.
func (p Profile) JSON() ([]byte, error) { return toJSON(p) }

var architectures = []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"}
>>>>>>> 64e107c (runtime: hardened docker run, Compose, Kubernetes, ECS, Falco and seccomp configuration from an image)
