//go:build linux

package scene

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
)

// These tests run on the developer's machine, so they only look. What acts on
// PID 1 is tested in containers, in e2e/canary.

func TestNothingIsProvenHere(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "marker")
	if err := os.WriteFile(marker, []byte("right\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	if p := Prove(marker, []byte("wrong\n")); p.Image() || p.PidOne() {
		t.Error("another content proves the image")
	}
	if p := Prove(marker+"x", nil); p.Image() || p.PidOne() {
		t.Error("a missing file proves the image")
	}
	if readLink("/proc/self/ns/pid") != initialNamespace {
		t.Skip("needs the machine's own pid namespace; this is a container")
	}
	if p := Prove(marker, []byte("right\n")); !p.Image() || p.PidOne() {
		t.Errorf("on the machine itself: image %v, PID 1 %v", p.Image(), p.PidOne())
	}
}

func TestWithoutProofNothingHappens(t *testing.T) {
	var before, after rlimit
	if err := prlimit(rlimitRTTime, nil, &before); err != nil {
		t.Skipf("needs to read the limits of PID 1: %v", err)
	}
	for _, p := range []Proof{{}, {image: true}} {
		if got := Latch(p, "ls", time.Now()); got != alert.LatchUnproven {
			t.Errorf("latch: %s", got)
		}
		if n, speak := Count(p, alert.LatchAlready, time.Now()); n != 1 || !speak {
			t.Errorf("count: %d %v", n, speak)
		}
		if WriteLog(p, []byte("x")) {
			t.Error("wrote to the log of PID 1")
		}
		Degrade(p)
		Fall(p)
	}
	if err := prlimit(rlimitRTTime, nil, &after); err != nil || before != after {
		t.Errorf("limits of PID 1 changed: %v, %v, %v", before, after, err)
	}
}

func TestTally(t *testing.T) {
	const start = 1_795_000_000
	spoken, word, now := 1, uint64(1<<tallyShift|start), uint64(start)
	for i := uint64(2); i <= 10_000; i++ {
		n, speak := tally(word, now)
		if n != i {
			t.Fatalf("execution %d counts as %d", i, n)
		}
		last := word & tallySeconds
		if speak {
			spoken++
			last = now
		}
		word = n<<tallyShift | last
	}
	if spoken < alwaysSpeak || spoken > 20 {
		t.Errorf("10000 executions in a second speak %d times", spoken)
	}
	if _, speak := tally(word, now+speakAgain); !speak {
		t.Error("silent a minute later")
	}
	if _, speak := tally(word|tallySeconds, now); !speak {
		t.Error("a time in the future silences")
	}
	if n, speak := tally(unlimited, now); n != 2 || !speak {
		t.Error("an unused counter silences")
	}
	if word >= 1<<62 {
		t.Error("the counter reaches the flag bits")
	}
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"0100007F:1F90":                         "127.0.0.1:8080",
		"0000000000000000FFFF00000100007F:0050": "127.0.0.1:80",
		"B80D0120000000000000000001000000:01BB": "[2001:db8:0:0:0:0:0:1]:443",
		"":                                      "",
		"01:02":                                 "",
		"0100007F:zz":                           "",
		"0100zz7F:0050":                         "",
	} {
		if got := hexAddress(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestContainerID(t *testing.T) {
	id := strings.Repeat("0a", 32)
	for in, want := range map[string]string{
		"/var/lib/docker/containers/" + id + "/hostname": id, id: id, "0::/": "", id[1:]: "",
		"13:memory:/kubepods/burstable/pod1/cri-containerd-" + id + ".scope": id,
	} {
		if got := longHex(in); got != want {
			t.Errorf("%s: got %q", in, got)
		}
	}
}

func TestLookAroundTellsNamesAndNoValues(t *testing.T) {
	var e alert.Event
	LookAround(&e, Self{Path: "/usr/bin/ls", Argv: []string{"ls"}, Env: []string{"TOKEN=secret", "=odd", "BARE"}, Limits: ReadLimits()})
	if got := strings.Join(e.Env, ","); got != "TOKEN,,BARE" {
		t.Errorf("environment %q", got)
	}
	if e.PID != os.Getpid() || e.PPID != os.Getppid() || e.Host == "" || e.BootID == "" || e.Uptime == 0 {
		t.Errorf("event %+v", e)
	}
	if len(e.Ancestors) == 0 || e.Ancestors[0].PID != os.Getppid() || e.Ancestors[0].Comm == "" {
		t.Errorf("ancestors %+v", e.Ancestors)
	}
	if e.Origin != alert.FromInside {
		t.Errorf("origin %s", e.Origin)
	}
}

func TestPeersOfInheritedSockets(t *testing.T) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(pair[0])
	defer syscall.Close(pair[1])
	for _, p := range peers() {
		if p.Remote == "" {
			t.Errorf("a peer without an address: %+v", p)
		}
	}
}
