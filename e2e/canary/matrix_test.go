//go:build e2e

package canary

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/decoy"
)

// pid1 is a program to be process 1 of a container.
type pid1 struct {
	files      []decoy.File
	entrypoint string
}

// pidOnes builds one program of each kind.
func pidOnes(t *testing.T) map[string]pid1 {
	t.Helper()
	dir := t.TempDir()
	source := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	build := func(argv ...string) []byte {
		if _, err := exec.LookPath(argv[0]); err != nil {
			t.Skipf("needs %s", argv[0])
		}
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", argv, err, out)
		}
		program, err := os.ReadFile(filepath.Join(dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		return program
	}
	c := build("gcc", "-static", "-O2", "-o", "out", source("c.c", "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"))
	rust := build(rustc(t), "-C", "target-feature=+crt-static", "-O", "-o", "out", source("r.rs", "fn main() { loop { std::thread::park() } }\n"))
	tini, err := os.ReadFile("/usr/bin/tini-static")
	if err != nil {
		t.Skip("needs tini")
	}
	alone := func(content []byte) pid1 {
		return pid1{[]decoy.File{{Path: "/app", Mode: 0o755, Content: content}}, `ENTRYPOINT ["/app"]`}
	}
	return map[string]pid1{
		"Go": alone(pidOne), "C": alone(c), "Rust": alone(rust),
		"tini":  {[]decoy.File{{Path: "/init", Mode: 0o755, Content: tini}, {Path: "/app", Mode: 0o755, Content: c}}, `ENTRYPOINT ["/init", "--", "/app"]`},
		"guard": {[]decoy.File{{Path: "/app", Mode: 0o755, Content: c}}, `ENTRYPOINT ["/usr/bin/tini", "/app"]`},
	}
}

// rustc finds a Rust compiler that works: the one on the PATH may be a front that
// has no toolchain in this home directory, and Debian's stands in.
func rustc(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"rustc", "/usr/bin/rustc"} {
		if exec.Command(name, "--version").Run() == nil {
			return name
		}
	}
	t.Skip("needs rustc")
	return ""
}

// heard collects the decoys' network alarms by build id.
type heard struct {
	mu     sync.Mutex
	builds map[string]bool
	tests  *testing.T
}

func (h *heard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, alert.MaxMessage))
	if m, parse := alert.Parse(body); err == nil && parse == nil {
		h.mu.Lock()
		h.builds[m.Event.Build] = true
		h.mu.Unlock()
	}
	w.WriteHeader(http.StatusAccepted)
}

const (
	matrixBegin = "<!-- matrix: written by UPDATE=1 go test -tags e2e -run Matrix ./e2e/canary -->\n"
	matrixEnd   = "<!-- end of matrix -->\n"
)

// TestMatrix runs every combination and compares with the table in
// docs/canary.md; UPDATE=1 writes it.
func TestMatrix(t *testing.T) {
	programs := pidOnes(t)
	cert, ca := certificate(t)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	h := &heard{builds: map[string]bool{}, tests: t}
	server := &http.Server{Handler: h}
	go func() { _ = server.Serve(listener) }() // ends with Close
	defer server.Close()

	var cells []*cell
	for _, name := range []string{"Go", "C", "Rust", "tini", "guard"} {
		for _, dumpable := range []bool{true, false} {
			for _, network := range []string{"host", "none"} {
				for _, user := range users {
					cells = append(cells, &cell{name: name, dumpable: dumpable, network: network, user: user, build: fmt.Sprintf("m%d", len(cells)+1)})
				}
			}
		}
	}
	var port sync.Mutex
	t.Run("cells", func(t *testing.T) { // which returns when all of them have ended
		for _, c := range cells {
			t.Run(c.build, func(t *testing.T) {
				t.Parallel()
				if c.name == "Go" && c.network == "host" { // it listens on a port of this machine
					port.Lock()
					t.Cleanup(port.Unlock)
				}
				o := decoy.Options{BuildID: c.build, Collector: "https://" + listener.Addr().String() + "/", CA: ca}
				if c.name == "guard" {
					o.Guard = &decoy.Guard{Binary: guard}
				}
				c.channels = tripCell(t, o, programs[c.name], c.dumpable, c.network, c.user.id, h)
			})
		}
	})
	compare(t, "../../docs/canary.md", draw(t, cells))
}

var users = []user{{"same user", "65532:65532"}, {"root", "0"}, {"other user", "1000"}}

type user struct{ name, id string }

// cell is one combination, and the channels by which its alarm was heard.
type cell struct {
	name     string // of PID 1
	dumpable bool
	network  string
	user     user
	build    string
	channels []string
}

// draw makes the table, a row for each combination but the user.
func draw(t *testing.T, cells []*cell) string {
	t.Helper()
	var table strings.Builder
	table.WriteString("| PID 1 | dumpable | network |")
	for _, u := range users {
		table.WriteString(" " + u.name + " |")
	}
	table.WriteString("\n|---|---|---|---|---|---|\n")
	for i, c := range cells {
		if i%len(users) == 0 {
			fmt.Fprintf(&table, "| %s | %s | %s |", c.name, map[bool]string{true: "yes", false: "no"}[c.dumpable], map[string]string{"host": "yes", "none": "no"}[c.network])
		}
		channels := strings.Join(c.channels, " ")
		if channels == "" {
			channels = "**none**"
			if c.name == "guard" || c.user.name == "same user" {
				t.Errorf("%s, dumpable %v, network %s, %s: no channel", c.name, c.dumpable, c.network, c.user.name)
			}
		}
		table.WriteString(" " + channels + " |")
		if i%len(users) == len(users)-1 {
			table.WriteString("\n")
		}
	}
	return table.String()
}

// tripCell runs one container, trips one decoy, and says what was heard.
func tripCell(t *testing.T, o decoy.Options, p pid1, dumpable bool, network, user string, h *heard) (channels []string) {
	t.Helper()
	files := append([]decoy.File(nil), p.files...)
	if !dumpable {
		files[0].Mode = 0o111
	}
	c := startDumpable(t, o, files, p.entrypoint, dumpable, "--network="+network)
	time.Sleep(300 * time.Millisecond)
	c.exec("-u", user, c.id, "env")
	time.Sleep(300 * time.Millisecond) // the log driver's delay
	direct, relayed := false, false
	for _, e := range c.alarms() {
		if e.Decoy == "env" {
			reached := e.Latch == alert.LatchSet || e.Latch == alert.LatchAlready
			direct, relayed = direct || reached && o.Guard == nil, relayed || o.Guard != nil
		}
	}
	h.mu.Lock()
	net := h.builds[o.BuildID]
	h.mu.Unlock()
	for name, fired := range map[string]bool{"log": direct, "relay": relayed, "latch": c.latched(), "network": net} {
		if fired {
			channels = append(channels, name)
		}
	}
	order := map[string]int{"latch": 0, "log": 1, "relay": 2, "network": 3}
	for i := range channels {
		for j := range channels[:i] {
			if order[channels[i]] < order[channels[j]] {
				channels[i], channels[j] = channels[j], channels[i]
			}
		}
	}
	return channels
}

// latched reads the limit of the container's PID 1 from outside.
func (c container) latched() bool {
	pid, err := docker.Run(c.t.Context(), "inspect", "-f", "{{.State.Pid}}", c.id)
	if err != nil {
		c.t.Fatal(err)
	}
	limits, err := os.ReadFile("/proc/" + pid + "/limits")
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if strings.HasPrefix(line, "Max realtime timeout") {
			return !strings.Contains(line, "unlimited")
		}
	}
	return false
}

func compare(t *testing.T, file, table string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), matrixBegin)
	have, after, end := strings.Cut(rest, matrixEnd)
	if !found || !end {
		t.Fatalf("%s has no place for the matrix:\n%s", file, table)
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(before+matrixBegin+table+matrixEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != table {
		t.Errorf("the table in %s is not what happened:\n%s", file, table)
	}
}
