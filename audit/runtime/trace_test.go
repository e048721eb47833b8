package runtime_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/audit/runtime"
)

var traceForms = map[string]struct {
	text string
	want []string
}{
	"own":    {"hardstand-trace/1\nread\nwrite\n", []string{"read", "write"}},
	"strace": {"execve(\"/app\", [\"/app\"], 0x7ffc /* 3 vars */) = 0\n[pid    12] futex(0x1, FUTEX_WAIT <unfinished ...>\n13    <... epoll_pwait resumed>[], 128, 0, NULL, 0) = 0\n14 12:00:01.5 read(3, \"open(\", 8) = 8\n--- SIGURG {si_signo=SIGURG} ---\n+++ exited with 0 +++\n", []string{"epoll_pwait", "execve", "futex", "read"}},
	"counts": {"% time     seconds  usecs/call     calls    errors syscall\n------ ----------- ----------- --------- --------- ----------------\n 50.00    0.000010           1        10         2 futex\n 50.00    0.000010           1        10           mmap\n------ ----------- ----------- --------- --------- ----------------\n100.00    0.000020           1        20         2 total\n", []string{"futex", "mmap"}},
	"audit":  {"type=SECCOMP msg=audit(1.2:3): auid=1 uid=65532 comm=\"app\" exe=\"/app\" sig=0 arch=c000003e syscall=0 compat=0 ip=0x1 code=0x7ffc0000\nkernel: audit: type=1326 audit(1.2:3): comm=\"app\" arch=c00000b7 syscall=64 compat=0\n", []string{"read", "write"}},
}

func TestParseTrace(t *testing.T) {
	for name, c := range traceForms {
		got, err := runtime.ParseTrace([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(runtime.Trace{Calls: c.want}, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	for _, text := range []string{"", "hello\n", "type=SECCOMP arch=40000003 syscall=1\n"} {
		if got, err := runtime.ParseTrace([]byte(text)); err == nil {
			t.Errorf("%q is a trace: %v", text, got)
		}
	}
	got, err := runtime.ParseTrace([]byte("read(1) = 0\nnosuchcall(1) = 0\n"))
	if err != nil || !slices.Equal(got.Unknown, []string{"nosuchcall"}) {
		t.Errorf("%v %v", got, err)
	}
}

func FuzzParseTrace(f *testing.F) {
	for _, c := range traceForms {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := runtime.ParseTrace(data)
		if err != nil {
			return
		}
		if len(got.Calls) == 0 || !slices.IsSorted(got.Calls) {
			t.Errorf("%v", got)
		}
		if _, err := runtime.Seccomp([]runtime.Trace{got}, true); err != nil {
			t.Error(err)
		}
	})
}

func TestSeccomp(t *testing.T) {
	one, two := runtime.Trace{Calls: []string{"epoll_wait", "open"}}, runtime.Trace{Calls: []string{"read"}}
	p, err := runtime.Seccomp([]runtime.Trace{one, two}, false)
	if err != nil {
		t.Fatal(err)
	}
	if p.DefaultAction != "SCMP_ACT_ERRNO" || !slices.Equal(p.Architectures, []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"}) {
		t.Errorf("%+v", p)
	}
	// Merged, with what aarch64 has instead.
	if diff := cmp.Diff([]string{"epoll_pwait", "epoll_wait", "open", "openat", "read"}, p.Syscalls[0].Names); diff != "" {
		t.Error(diff)
	}
	// The floor of runc, without which it hangs at its start.
	for _, name := range strings.Fields("exit exit_group getdents64 fstatfs rt_sigreturn restart_syscall close_range statx newfstatat openat2 clock_gettime getrandom futex epoll_pwait2 execve") {
		if !slices.Contains(p.Syscalls[1].Names, name) {
			t.Errorf("the floor lacks %s", name)
		}
	}
	seen := map[string]bool{}
	for _, s := range p.Syscalls {
		for _, name := range s.Names {
			if seen[name] {
				t.Errorf("%s stands twice", name)
			}
			seen[name] = true
		}
	}
	if seen["mount"] || seen["ptrace"] || seen["unshare"] {
		t.Error("the floor leads out of a container")
	}
	risky := []runtime.Trace{{Calls: []string{"read", "ptrace"}}}
	if _, err := runtime.Seccomp(risky, false); err == nil {
		t.Error("ptrace is taken in")
	}
	if _, err := runtime.Seccomp(risky, true); err != nil {
		t.Error(err)
	}
	if _, err := runtime.Seccomp(nil, false); err == nil {
		t.Error("no trace makes a profile")
	}
}
