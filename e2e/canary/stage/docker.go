// Package stage runs canary decoys where they may run: in containers of a
// Docker engine, ours if none answers. It is for end-to-end tests and
// benchmarks.
package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Docker is an engine.
type Docker struct {
	host string
	stop func()
}

const engineStart = 20 * time.Second

// Start returns the engine that answers, or starts one with a socket and data
// of its own under a temporary folder. It needs root then.
func Start(ctx context.Context) (*Docker, error) {
	d := &Docker{host: os.Getenv("DOCKER_HOST"), stop: func() {}}
	if _, err := d.Run(ctx, "version"); err == nil {
		return d, nil
	}
	dir, err := os.MkdirTemp("", "hardstand-docker-")
	if err != nil {
		return nil, err
	}
	d.host = "unix://" + dir + "/docker.sock"
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("dockerd", "-H", d.host, "--data-root", dir+"/data", "--exec-root", dir+"/exec",
		"--pidfile", dir+"/pid", "--bridge=none", "--iptables=false", "--ip6tables=false")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start dockerd: %w; install docker.io", err)
	}
	d.stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	}
	for deadline := time.Now().Add(engineStart); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if _, err := d.Run(ctx, "version"); err == nil {
			return d, nil
		}
	}
	text, _ := os.ReadFile(log.Name()) // best effort for the message
	d.Stop()
	return nil, fmt.Errorf("start dockerd: it did not answer in %v: %s", engineStart, text)
}

// Stop ends an engine that Start started.
func (d *Docker) Stop() { d.stop() }

// Env is the environment for a client of the engine.
func (d *Docker) Env() []string {
	if d.host == "" {
		return os.Environ()
	}
	return append(os.Environ(), "DOCKER_HOST="+d.host)
}

// Output is what a command printed, and its exit code.
type Output struct {
	Stdout, Stderr string
	Code           int
}

// Run runs docker and returns its standard output.
func (d *Docker) Run(ctx context.Context, args ...string) (string, error) {
	out, err := d.Try(ctx, nil, args...)
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("docker %s: exit %d: %s", strings.Join(args, " "), out.Code, out.Stderr)
	}
	return strings.TrimSpace(out.Stdout), err
}

// Try runs docker with standard input and returns everything; an exit code is
// no error.
func (d *Docker) Try(ctx context.Context, stdin []byte, args ...string) (Output, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = d.Env()
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	out := Output{Stdout: stdout.String(), Stderr: stderr.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		out.Code, err = exit.ExitCode(), nil
	}
	return out, err
}

// Logs returns both streams of a container's log.
func (d *Docker) Logs(ctx context.Context, container string) (string, error) {
	out, err := d.Try(ctx, nil, "logs", container)
	return out.Stdout + out.Stderr, err
}

// Hardened are the options under which decoys must work.
func Hardened(more ...string) []string {
	return append([]string{"run", "-d", "--read-only", "--user", "65532:65532", "--cap-drop=ALL",
		"--security-opt", "no-new-privileges"}, more...)
}
