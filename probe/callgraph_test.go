package main

import (
	"bufio"
	"bytes"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// mayCall lists what code before the runtime may call outside this module, and
// why that works there.
var mayCall = map[string]string{
	"runtime.gcWriteBarrier":          "never taken: no garbage collection is under way",
	"runtime.memmove":                 "assembly without a goroutine",
	"runtime.memequal":                "assembly without a goroutine",
	"runtime.morestack_noctxt":        "never taken: the stack bound of the stand-in goroutine is zero",
	"runtime.morestack":               "never taken: the stack bound of the stand-in goroutine is zero",
	"runtime.panicBounds":             "crashes, which is unhealthy",
	"runtime.panicdivide":             "crashes, which is unhealthy",
	"runtime.panicshift":              "crashes, which is unhealthy",
	"runtime.panicunsafestringlen":    "crashes, which is unhealthy",
	"runtime.wbMove":                  "never taken: no garbage collection is under way",
	"runtime.wbZero":                  "never taken: no garbage collection is under way",
	"runtime.panicunsafestringnilptr": "crashes, which is unhealthy",
	"syscall.Syscall6":                "never taken: PreRuntime is set",
	"_rt0_amd64_linux":                "the way out to the ordinary path",
	"_rt0_arm64_linux":                "the way out to the ordinary path",
}

// maxStack bounds the stack of the fast path in bytes: a small part of what the
// kernel gives a process, even one with a stack limit of 128 kB.
const maxStack = 48 << 10

// function is what the test knows of one compiled function.
type function struct {
	frame int
	calls map[string]bool
}

// TestCallGraph walks everything the entry point can reach in the built binary
// and refuses calls into the runtime that need it running, such as allocation.
func TestCallGraph(t *testing.T) {
	used := map[string]bool{}
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			path := filepath.Join(workDir, "graph-"+arch)
			if err := buildProbe(path, "-buildid= -E main.entry", "notls", "GOOS=linux", "GOARCH="+arch); err != nil {
				t.Fatal(err)
			}
			w := walker{t: t, graph: disassemble(t, path), depth: map[string]int{}, used: used}
			deepest := w.visit("main.entry", nil)
			for name := range w.graph {
				// Method values, which are called through pointers.
				if strings.HasPrefix(name, module) && strings.HasSuffix(name, "-fm") {
					deepest = max(deepest, w.visit(name, nil)+4096)
				}
			}
			if len(w.depth) < 100 {
				t.Errorf("only %d functions reached: the walk is broken", len(w.depth))
			}
			if deepest == 0 || deepest > maxStack {
				t.Errorf("the fast path may use %d bytes of stack, more than %d", deepest, maxStack)
			}
			t.Logf("%d functions, %d bytes of stack", len(w.depth), deepest)
		})
	}
	for name := range mayCall {
		if !used[name] {
			t.Errorf("nothing calls %s any more: remove it from the list", name)
		}
	}
}

// TestLiesTogether makes sure that the code of the fast path is in one place in
// the probe with TLS too, instead of partly before and partly after crypto/tls:
// the kernel maps 64 KiB around each page that is missing, and each time costs.
func TestLiesTogether(t *testing.T) {
	path := filepath.Join(workDir, "places")
	if err := buildProbe(path, "-buildid= -E main.entry", "", "GOOS=linux", "GOARCH=amd64"); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "tool", "nm", "-n", path).Output()
	if err != nil {
		t.Fatalf("go tool nm: %v", err)
	}
	var first, last uint64
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) != 3 || f[1] != "T" || !ours(f[2]) {
			continue
		}
		if last, err = strconv.ParseUint(f[0], 16, 64); err != nil {
			t.Fatal(err)
		}
		if first == 0 {
			first = last
		}
	}
	const most = 112 << 10
	if size := last - first; first == 0 || size > most {
		t.Errorf("the probe's own code is spread over %d bytes, more than %d: see early_tls.go", size, most)
	}
}

const module = "github.com/hardstand/hardstand/"

type walker struct {
	t     *testing.T
	graph map[string]function
	depth map[string]int
	used  map[string]bool // entries of mayCall
}

// visit returns the most stack that name and what it calls may use.
func (w *walker) visit(name string, path []string) int {
	if d, ok := w.depth[name]; ok {
		return d
	}
	for _, p := range path {
		if p == name {
			if !strings.Contains(name, "wire.(*jsonScan)") {
				w.t.Errorf("%s is recursive", name)
			}
			return 0
		}
	}
	f, ok := w.graph[name]
	if !ok {
		w.t.Errorf("%s is not in the binary", name)
		return 0
	}
	deepest := 0
	for callee := range f.calls {
		switch {
		case ours(callee):
			deepest = max(deepest, w.visit(callee, append(path, name)))
		case mayCall[callee] == "":
			w.t.Errorf("%s calls %s", strings.TrimPrefix(name, module), callee)
		default:
			w.used[callee] = true
		}
	}
	total := f.frame + 16 + deepest
	if strings.HasSuffix(name, "wire.JSONMatch") {
		total *= 64 // wire.MaxDepth: the only recursion
	}
	w.depth[name] = total
	return total
}

func ours(name string) bool {
	return strings.HasPrefix(name, module) || strings.HasPrefix(name, "main.")
}

var (
	textLine = regexp.MustCompile(`^TEXT (\S+?)(\.abi0|\.abiinternal)?\(SB\)`)
	callLine = regexp.MustCompile(`\s(?:CALL|JMP|BL|B|JAE|JBE|JNE|JEQ|JLS|BLS|BHI|JHI)\s+(\S+?)(?:\.abi0|\.abiinternal)?\(SB\)`)
	frameAMD = regexp.MustCompile(`\s(?:SUBQ \$0x([0-9a-f]+), SP|ADDQ \$-0x([0-9a-f]+), SP)`)
	frameARM = regexp.MustCompile(`\s(?:MOVD\.W R30, -(\d+)\(RSP\)|SUB \$(\d+), RSP)`)
)

func disassemble(t *testing.T, path string) map[string]function {
	out, err := exec.Command("go", "tool", "objdump", "-s", "^(main|"+strings.TrimSuffix(module, "/")+")[./]", path).Output()
	if err != nil {
		t.Fatalf("go tool objdump: %v", err)
	}
	graph := map[string]function{}
	name := ""
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "TEXT ") {
			name = textLine.FindStringSubmatch(line)[1]
			if _, ok := graph[name]; !ok {
				graph[name] = function{calls: map[string]bool{}}
			}
			continue
		}
		if !strings.Contains(line, "SB)") && !strings.Contains(line, "SP") {
			continue
		}
		f := graph[name]
		if m := callLine.FindStringSubmatch(line); m != nil && m[1] != name {
			callee := m[1]
			if strings.HasPrefix(callee, "runtime.gcWriteBarrier") {
				callee = "runtime.gcWriteBarrier" // there is one for each number of pointers
			}
			f.calls[callee] = true
		}
		f.frame = max(f.frame, frameSize(line))
		graph[name] = f
	}
	return graph
}

func frameSize(line string) int {
	base := 16
	m := frameAMD.FindStringSubmatch(line)
	if m == nil {
		if m = frameARM.FindStringSubmatch(line); m == nil {
			return 0
		}
		base = 10
	}
	n, err := strconv.ParseInt(m[1]+m[2], base, 64)
	if err != nil {
		return 0
	}
	return int(n)
}
