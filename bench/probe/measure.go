package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// comparison is one protocol, and who speaks it.
type comparison struct {
	Name       string       `json:"name"`
	Contenders []*contender `json:"contenders"`
}

// gate is one promise and whether it holds.
type gate struct {
	Name  string `json:"name"`
	Limit string `json:"limit"`
	Got   string `json:"got"`
	State string `json:"state"` // pass, FAIL, not measured
}

type results struct {
	Rounds      int           `json:"rounds"`
	Comparisons []*comparison `json:"comparisons"`
	Gates       []gate        `json:"gates"`
	Notes       []string      `json:"notes"`
}

const (
	ours     = "probe"
	standIn  = "stand-in for lprobe"
	lprobe   = "lprobe"
	healthP  = "grpc-health-probe"
	curl     = "curl"
	wget     = "wget"
	busybox  = "busybox wget"
	ordinary = "probe without fast path"
	plain    = "plain probe"
	plainOrd = "plain probe without fast path"
	micro    = "microcheck"
	bareGRPC = "grpc, bare server" // of a comparison
)

const (
	noLprobe = "its module is not served by the Go module proxy and its path is not installable; pass -lprobe FILE"
	noMicro  = "a C program that neither Debian nor a module proxy distributes"
)

func measure(p *programs, n int) (*results, error) {
	r := &results{Rounds: n}
	r.Comparisons = []*comparison{p.overHTTP(), p.overGRPC("grpc", p.grpc), p.overGRPC(bareGRPC, p.grpcBare), p.overHTTPS(), p.overGRPCS()}
	for _, c := range r.Comparisons {
		rounds := n
		if strings.HasSuffix(c.Name, "s") { // TLS
			rounds = n / 2
		}
		if err := race(c.Contenders, rounds); err != nil {
			return nil, err
		}
	}
	if err := p.measureMemory(r); err != nil {
		return nil, err
	}
	r.Notes = append(r.Notes,
		"medians of interleaved runs; wall includes fork, exec and exit",
		"a server's time is part of every wall: that of http is a bare loop, that of grpc is grpc-go, and beside it there is a bare loop too",
		"the stand-in is made like lprobe, of net/http and grpc-go, but without its SPIFFE, ALTS and gzip")
	p.judge(r)
	return r, nil
}

// tool finds a program of the system.
func tool(name, program string, args ...string) *contender {
	path, err := exec.LookPath(program)
	if err != nil {
		return &contender{Name: name, Missing: "not installed: apt-get install " + program}
	}
	return &contender{Name: name, Argv: append([]string{path}, args...)}
}

func (p *programs) lprobeName() string {
	if p.lprobe != "" {
		return lprobe
	}
	return standIn
}

// lprobes returns lprobe, or its stand-in and why.
func (p *programs) lprobes(args ...string) []*contender {
	if p.lprobe != "" {
		argv := []string{p.lprobe}
		for _, a := range args {
			if a == "-tls-ca-cert" {
				argv = append(argv, "-tls")
			}
			argv = append(argv, a)
		}
		return []*contender{{Name: lprobe, Argv: argv}}
	}
	return []*contender{
		{Name: standIn, Argv: append([]string{p.standin}, args...)},
		{Name: lprobe, Missing: noLprobe},
	}
}

func (p *programs) healthProbe(args ...string) *contender {
	return &contender{Name: healthP, Argv: append([]string{p.health}, args...), Missing: p.healthProblem}
}

func (p *programs) overHTTP() *comparison {
	url := "http://127.0.0.1:" + p.http + "/"
	list := []*contender{
		{Name: ours, Argv: []string{p.probe, url}},
		{Name: plain, Argv: []string{p.plain, url}},
		{Name: ordinary, Argv: []string{p.noEntry, url}},
		{Name: plainOrd, Argv: []string{p.plainNoEntry, url}},
		tool(curl, "curl", "-fsS", "-o", "/dev/null", url),
		tool(wget, "wget", "-q", "-O", "/dev/null", url),
		tool(busybox, "busybox", "wget", "-q", "-O", "/dev/null", url),
		{Name: micro, Missing: noMicro},
	}
	return &comparison{"http", append(list, p.lprobes("-port", p.http)...)}
}

func (p *programs) overGRPC(name, port string) *comparison {
	list := []*contender{
		{Name: ours, Argv: []string{p.probe, "grpc://127.0.0.1:" + port}},
		p.healthProbe("-addr", "127.0.0.1:"+port),
	}
	return &comparison{name, append(list, p.lprobes("-mode", "grpc", "-port", port)...)}
}

func (p *programs) overHTTPS() *comparison {
	url := "https://127.0.0.1:" + p.https + "/"
	list := []*contender{
		{Name: ours, Argv: []string{p.probe, url, "--ca-file", p.ca}},
		tool(curl, "curl", "-fsS", "--cacert", p.ca, "-o", "/dev/null", url),
	}
	return &comparison{"https", append(list, p.lprobes("-port", p.https, "-tls-ca-cert", p.ca)...)}
}

func (p *programs) overGRPCS() *comparison {
	list := []*contender{
		{Name: ours, Argv: []string{p.probe, "grpcs://127.0.0.1:" + p.grpcs, "--ca-file", p.ca}},
		p.healthProbe("-addr", "127.0.0.1:"+p.grpcs, "-tls", "-tls-ca-cert", p.ca),
	}
	return &comparison{"grpcs", append(list, p.lprobes("-mode", "grpc", "-port", p.grpcs, "-tls-ca-cert", p.ca)...)}
}

// measureMemory notes peak memory and threads of the HTTP probes, against an
// answer that takes long enough to look.
func (p *programs) measureMemory(r *results) error {
	for _, c := range r.Comparisons {
		for _, k := range c.Contenders {
			if k.Missing != "" || !strings.HasPrefix(c.Name, "http") {
				continue
			}
			argv := make([]string, 0, len(k.Argv)+2)
			for _, a := range k.Argv {
				if strings.HasPrefix(a, "http") {
					a += "slow"
				}
				argv = append(argv, a)
			}
			if k.Name == standIn || k.Name == lprobe {
				argv = append(argv, "-endpoint", "/slow")
			}
			var err error
			if k.RSS, k.Threads, err = memory(argv); err != nil {
				return err
			}
		}
	}
	return nil
}

// find returns a contender that ran, nil if it did not.
func (r *results) find(comparison, name string) *contender {
	for _, c := range r.Comparisons {
		for _, k := range c.Contenders {
			if c.Name == comparison && k.Name == name && k.Missing == "" {
				return k
			}
		}
	}
	return nil
}

// judge compares everything with the promises.
func (p *programs) judge(r *results) {
	r.size(p.plain, "size of the plain probe", 1.45e6, 0.66e6)
	r.size(p.probe, "size of the probe with TLS", 4.6e6, 1.95e6)
	lp := p.lprobeName()
	r.ratio("http", ours, lp, wallTime, 0.12)
	r.ratio("http", ours, curl, wallTime, 0.08)
	r.ratio("http", ours, busybox, wallTime, 0.45)
	r.ratio("http", ours, micro, wallTime, 1.10)
	r.ratio("http", ours, lp, cpuTime, 0.08)
	r.ratio("http", ours, curl, cpuTime, 0.05)
	r.ratio("http", ordinary, lp, wallTime, 0.50)
	r.ratio("http", plainOrd, lp, wallTime, 0.38)
	r.ratio("grpc", ours, lp, wallTime, 0.12)
	r.ratio("grpc", ours, lp, cpuTime, 0.07)
	r.ratio("grpc", ours, healthP, wallTime, 0.12)
	r.ratio("grpc", ours, healthP, cpuTime, 0.07)
	r.ratio(bareGRPC, ours, lp, wallTime, 0.12)
	r.ratio(bareGRPC, ours, healthP, wallTime, 0.12)
	r.ratio("https", ours, lp, wallTime, 0.72)
	r.ratio("https", ours, lp, cpuTime, 0.68)
	r.ratio("grpcs", ours, lp, cpuTime, 0.48)
	r.ratio("grpcs", ours, healthP, cpuTime, 0.48)
	r.atMost("memory, http", float64(r.find("http", ours).RSS), 512, "kB")
	r.atMost("memory, https", float64(r.find("https", ours).RSS), 5325, "kB")
	r.atMost("threads, http", float64(r.find("http", ours).Threads), 1, "")
	r.atMost("system calls, http", float64(systemCalls(r.find("http", ours).Argv)), 16, "")
	p.limits(r)
}

// limits checks the probe where resources are short.
func (p *programs) limits(r *results) {
	argv := r.find("http", ours).Argv
	refused := []string{p.probe, "http://127.0.0.1:1/"}
	s, err := once(refused, nil)
	r.atMost("refused port", s.wall.Seconds()*1e3, 5, "ms")
	out, _ := exec.Command(refused[0], refused[1:]...).CombinedOutput()
	cause := "ok"
	if err != nil || s.code != 1 || !strings.Contains(string(out), "connection refused") {
		cause = fmt.Sprintf("exit code %d: %s", s.code, out)
	}
	r.works("refused port says so", cause)
	if ms, err := slowTime(argv, 9); err != nil {
		r.works("1 % of a CPU", err.Error())
	} else {
		r.atMost("1 % of a CPU", ms, 60, "ms")
	}
	r.works("pids.max=1", underLimit("pids", "pids.max", "pids.max", "1", argv))
	r.works("4 MB of memory", underLimit("memory", "memory.limit_in_bytes", "memory.max", "4194304", argv))
	r.works("empty root, no /proc", inEmptyRoot(argv))
}

type measureOf struct {
	name string
	of   func(*contender) float64
}

var (
	wallTime = measureOf{"wall", func(c *contender) float64 { return c.Wall }}
	cpuTime  = measureOf{"CPU", func(c *contender) float64 { return c.CPU }}
)

func (r *results) ratio(comparison, a, b string, m measureOf, limit float64) {
	g := gate{Name: fmt.Sprintf("%s %s, %s / %s", comparison, m.name, a, b), Limit: fmt.Sprintf("<= %.2f", limit)}
	x, y := r.find(comparison, a), r.find(comparison, b)
	switch {
	case x == nil || y == nil:
		g.Got, g.State = "-", "not measured"
	case b == standIn:
		// It is lighter than lprobe, so this says something, but not that
		// the promise is kept or broken.
		g.Name = strings.Replace(g.Name, standIn, lprobe, 1)
		g.Got, g.State = fmt.Sprintf("%.3f of the stand-in", m.of(x)/m.of(y)), "not measured"
	default:
		v := m.of(x) / m.of(y)
		g.Got, g.State = fmt.Sprintf("%.3f", v), state(v <= limit)
	}
	r.Gates = append(r.Gates, g)
}

func (r *results) atMost(name string, v, limit float64, unit string) {
	g := gate{Name: name, Limit: strings.TrimSpace(fmt.Sprintf("<= %g %s", limit, unit)), State: state(v > 0 && v <= limit)}
	g.Got = strings.TrimSpace(fmt.Sprintf("%.4g %s", v, unit))
	r.Gates = append(r.Gates, g)
}

func (r *results) works(name, got string) {
	r.Gates = append(r.Gates, gate{Name: name, Limit: "ok", Got: got, State: state(got == "ok")})
}

func state(ok bool) string {
	if ok {
		return "pass"
	}
	return "FAIL"
}

// size checks a binary's size, and compressed as in an image layer.
func (r *results) size(path, name string, raw, packed float64) {
	data, err := os.ReadFile(path)
	if err != nil {
		r.works(name, err.Error())
		return
	}
	r.atMost(name, float64(len(data))/1e6, raw/1e6, "MB")
	small, err := exec.Command("gzip", "-9c", path).Output()
	if err != nil {
		r.works(name+", gzip -9", err.Error())
		return
	}
	r.atMost(name+", gzip -9", float64(len(small))/1e6, packed/1e6, "MB")
}

// systemCalls counts with strace, 0 if that is missing.
func systemCalls(argv []string) int {
	out := filepath.Join(os.TempDir(), fmt.Sprintf("hardstand-strace-%d", time.Now().UnixNano()))
	defer os.Remove(out)
	cmd := exec.Command("strace", append([]string{"-f", "-o", out}, argv...)...)
	cmd.Stdout = io.Discard
	if cmd.Run() != nil {
		return 0
	}
	data, err := os.ReadFile(out)
	if err != nil {
		return 0
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, "(") {
			n++
		}
	}
	return n
}

func (r *results) holds() bool {
	for _, g := range r.Gates {
		if g.State == "FAIL" {
			return false
		}
	}
	return true
}
