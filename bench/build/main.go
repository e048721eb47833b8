//go:build linux

// Command build measures hardstand build beside what else makes an image of the
// same packages: mmdebstrap, buildah and docker build. Contenders run by turns,
// so that what disturbs one disturbs all; figures are medians. It prints a table
// and writes out/bench/build.json. It needs root, the Debian archive, and what
// `make bench-build` installs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

type options struct {
	hardstand string
	out       string
	rounds    int
	peers     bool
}

func main() {
	var o options
	flag.StringVar(&o.hardstand, "hardstand", "bin/hardstand", "executable to measure")
	flag.StringVar(&o.out, "out", "out/bench/build.json", "file for the results")
	flag.IntVar(&o.rounds, "rounds", 5, "runs of the slow contenders; the fast ones run twenty times as often")
	flag.BoolVar(&o.peers, "peers", true, "run the peers too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/build:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	if o.hardstand, err = filepath.Abs(o.hardstand); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hardstand-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{options: o, dir: dir}
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	slow := b.network()
	if o.peers {
		more, err := b.startPeers(ctx)
		if err != nil {
			return err
		}
		slow = append(slow, more...)
	}
	var r results
	for _, set := range []struct {
		rounds int
		list   []contender
	}{{20 * o.rounds, b.warm()}, {4 * o.rounds, b.fromDebs()}, {o.rounds, slow}} {
		measured, err := measure(ctx, set.rounds, set.list)
		if err != nil {
			return err
		}
		r.Rows = append(r.Rows, measured...)
	}
	if r.Memory, err = b.memory(ctx); err != nil {
		return err
	}
	r.judge()
	r.print(os.Stdout)
	return r.write(o.out)
}

// contender is one way to make an image. Each of its commands is a process
// whose time counts; setup does not.
type contender struct {
	name     string
	setup    func() error
	commands [][]string
	env      []string
}

// row is what a contender took. Times are medians in milliseconds.
type row struct {
	Name string  `json:"name"`
	Wall float64 `json:"wall_ms"`
	Min  float64 `json:"min_ms"`
	CPU  float64 `json:"cpu_ms"`
	Peak int64   `json:"peak_kb"`
	Runs int     `json:"runs"`
}

// measure runs the contenders by turns. Each begins when all that those before
// it left is on disk, so that none pays for another.
func measure(ctx context.Context, rounds int, list []contender) ([]row, error) {
	wall, cpu, peak := make([][]float64, len(list)), make([][]float64, len(list)), make([]int64, len(list))
	for range rounds {
		for i, c := range list {
			if c.setup != nil {
				if err := c.setup(); err != nil {
					return nil, fmt.Errorf("%s: %w", c.name, err)
				}
			}
			syscall.Sync()
			var w, u float64
			for _, args := range c.commands {
				one, err := execute(ctx, c.env, args)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", c.name, err)
				}
				w, u, peak[i] = w+one.wall, u+one.cpu, max(peak[i], one.peak)
			}
			wall[i], cpu[i] = append(wall[i], w), append(cpu[i], u)
		}
	}
	rows := make([]row, len(list))
	for i, c := range list {
		rows[i] = row{Name: c.name, Wall: median(wall[i]), Min: slices.Min(wall[i]), CPU: median(cpu[i]), Peak: peak[i], Runs: rounds}
	}
	return rows, nil
}

type usage struct {
	wall, cpu float64 // milliseconds
	peak      int64   // kB
}

// execute runs a process with its environment added to this one's.
func execute(ctx context.Context, env, args []string) (usage, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	var message tail
	cmd.Stderr = &message
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err != nil {
		return usage{}, fmt.Errorf("run %s: %w\n%s", args[0], err, message)
	}
	u := usage{wall: ms(took), cpu: ms(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime())}
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.peak = r.Maxrss
	}
	return u, nil
}

// tail keeps the end of what is written to it.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	const most = 4096
	*t = append(*t, p...)
	*t = (*t)[max(0, len(*t)-most):]
	return len(p), nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func median(list []float64) float64 {
	s := slices.Sorted(slices.Values(list))
	return s[len(s)/2]
}

func (r results) write(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}
