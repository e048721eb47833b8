// Command probe compares the probe with other health probes and checks its
// promises: size, wall and CPU time, memory, behaviour under limits. It builds
// the probe and what peers can be built, runs all of them in turn against one
// server, prints medians and ratios, and writes out/bench/probe.json and
// out/bench/probe.svg. Run it as root, from the top of the repository:
//
//	go run ./bench/probe
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// options of a run.
type options struct {
	n      int
	out    string
	cache  string
	lprobe string
}

func main() {
	var o options
	flag.IntVar(&o.n, "n", 300, "runs of each program in each comparison")
	flag.StringVar(&o.out, "out", "out/bench", "where to write probe.json and probe.svg")
	flag.StringVar(&o.cache, "cache", "bench/probe/.cache", "where to build programs")
	flag.StringVar(&o.lprobe, "lprobe", "", "an lprobe binary, if you have one")
	server := flag.String("serve", "", "be the server; CA file to write")
	flag.Parse()
	err := error(nil)
	if *server != "" {
		err = serve(*server)
	} else {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/probe:", err)
		os.Exit(1)
	}
}

// errGates says that the run worked and a gate did not hold.
var errGates = errors.New("not every gate holds")

func run(o options) error {
	var err error
	if devNull, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return err
	}
	// Wall time on a busy machine is mostly waiting for a CPU, which is not
	// what is compared. Without the right to it this does nothing.
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, -15)
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	if o.cache, err = filepath.Abs(o.cache); err != nil {
		return err
	}
	p, err := build(o)
	if err != nil {
		return err
	}
	stop, err := p.startServer(o)
	if err != nil {
		return err
	}
	r, err := measure(p, o.n)
	stop()
	if err != nil {
		return err
	}
	r.print(os.Stdout)
	if err := r.write(o.out); err != nil {
		return err
	}
	if !r.holds() {
		return errGates
	}
	return nil
}

// programs are the binaries of a run and where the server listens.
type programs struct {
	probe, plain, noEntry, plainNoEntry string
	standin, lprobe, health             string
	healthProblem                       string
	http, grpc, https, grpcs, ca        string
	grpcBare                            string // where every call is answered at once
}

// build compiles the probe as images carry it, without the fast path, and the
// peers that Go can build.
func build(o options) (*programs, error) {
	p := &programs{lprobe: o.lprobe, ca: filepath.Join(o.cache, "ca.pem")}
	if err := os.MkdirAll(o.cache, 0o755); err != nil {
		return nil, err
	}
	const strip = "-s -w -buildid="
	for _, b := range []struct {
		to    *string
		name  string
		flags string
		tags  string
		pkg   string
	}{
		{&p.probe, "probe", strip + " -E main.entry", "", "./probe"},
		{&p.plain, "probe-plain", strip + " -E main.entry", "notls", "./probe"},
		{&p.noEntry, "probe-ordinary", strip, "", "./probe"},
		{&p.plainNoEntry, "probe-plain-ordinary", strip, "notls", "./probe"},
		{&p.standin, "standin", strip, "", "./bench/probe/standin"},
	} {
		*b.to = filepath.Join(o.cache, b.name)
		cmd := exec.Command("go", "build", "-trimpath", "-gcflags=crypto/tls=-l", "-tags", b.tags, "-ldflags", b.flags, "-o", *b.to, b.pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", b.pkg, err, out)
		}
	}
	p.health = filepath.Join(o.cache, "grpc-health-probe")
	if _, err := os.Stat(p.health); err != nil {
		p.healthProblem = install(o.cache, "github.com/grpc-ecosystem/grpc-health-probe@v0.4.61")
	}
	return p, nil
}

// install installs a published Go program and returns why it cannot, or "".
func install(dir, pkg string) string {
	cmd := exec.Command("go", "install", "-trimpath", "-ldflags", "-s -w", pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+dir)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return "go install: " + lines[len(lines)-1]
}

// startServer starts the server and returns how to stop it.
func (p *programs) startServer(o options) (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-serve", p.ca)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start server: %w", err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("read the server's ports: %w", err)
	}
	_, err = fmt.Sscan(line, &p.http, &p.grpc, &p.https, &p.grpcs, &p.grpcBare)
	return func() { in.Close(); _ = cmd.Wait() }, err
}

// write writes the results for machines and for eyes.
func (r *results) write(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	err = os.WriteFile(filepath.Join(dir, "probe.json"), append(data, '\n'), 0o644)
	return errors.Join(err, os.WriteFile(filepath.Join(dir, "probe.svg"), r.plot(), 0o644))
}
