// Command health measures app/health beside its peers and checks the gates it
// promises. The benchmarks run interleaved, several rounds of all of them; the
// table shows medians. The raw results, for benchstat, go to out/bench.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

func main() {
	rounds := flag.Int("rounds", 8, "times that every benchmark runs")
	duration := flag.String("time", "60ms", "duration of one benchmark")
	out := flag.String("out", "../../out/bench", "folder for the results")
	flag.Parse()
	if err := run(*rounds, *duration, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// The gates: what the case of app/health may cost.
var gates = []gate{
	{"Healthy", 100, "hardstand", 130, 0},
	{"Healthy", 100, "hardstand-updaters", 130, 0},
	{"HalfFailing", 100, "hardstand", 400, 0},
	{"HalfFailing", 100, "hardstand-updaters", 400, 0},
	{"Gate", 1, "hardstand", 30, 0},
	{"Gate", 10, "hardstand", 30, 0},
	{"Gate", 100, "hardstand", 30, 0},
	{"Gate", 100, "hardstand-updaters", 30, 0},
}

type gate struct {
	bench  string
	n      int
	impl   string
	ns     float64
	allocs float64
}

func run(rounds int, duration, out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-health-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // binaries of this run
	var raw bytes.Buffer
	for _, pkg := range []string{"peers", "distribution"} {
		build := exec.Command("go", "test", "-c", "-o", filepath.Join(dir, pkg), "./"+pkg)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build %s: %w", pkg, err)
		}
	}
	for i := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", i+1, rounds)
		for _, pkg := range []string{"peers", "distribution"} {
			cmd := exec.Command(filepath.Join(dir, pkg), "-test.run=^$", "-test.bench=.", "-test.benchmem", "-test.benchtime="+duration)
			cmd.Stdout, cmd.Stderr = &raw, os.Stderr
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("run %s: %w", pkg, err)
			}
		}
	}
	text := filepath.Join(out, "health.txt")
	if err := os.WriteFile(text, raw.Bytes(), 0o644); err != nil {
		return err
	}
	m := parse(&raw)
	if err := report(m, filepath.Join(out, "health.json")); err != nil {
		return err
	}
	stat := exec.Command("go", "tool", "benchstat", "-col", "/impl", "-filter", ".unit:ns/op", text)
	table, err := stat.Output()
	if err != nil {
		return fmt.Errorf("benchstat: %w", err)
	}
	return os.WriteFile(filepath.Join(out, "health.benchstat.txt"), table, 0o644)
}

// key is a benchmark without its repetition.
type key struct {
	bench string
	n     int
	impl  string
}

type samples struct{ ns, bytes, allocs []float64 }

var line = regexp.MustCompile(`^Benchmark(\w+)/n=(\d+)/impl=([\w.-]+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op\s+([\d.]+) B/op\s+([\d.]+) allocs/op`)

func parse(raw *bytes.Buffer) map[key]*samples {
	m := map[key]*samples{}
	for s := bufio.NewScanner(raw); s.Scan(); {
		f := line.FindStringSubmatch(s.Text())
		if f == nil {
			continue
		}
		n, _ := strconv.Atoi(f[2])
		k := key{f[1], n, f[3]}
		if m[k] == nil {
			m[k] = &samples{}
		}
		for i, list := range []*[]float64{&m[k].ns, &m[k].bytes, &m[k].allocs} {
			v, _ := strconv.ParseFloat(f[4+i], 64)
			*list = append(*list, v)
		}
	}
	return m
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

type row struct {
	Benchmark  string  `json:"benchmark"`
	Checks     int     `json:"checks"`
	Impl       string  `json:"implementation"`
	Nanosecond float64 `json:"ns"`
	Bytes      float64 `json:"bytes"`
	Allocs     float64 `json:"allocations"`
	Ratio      float64 `json:"ratio"` // to app/health in the same benchmark
}

func report(m map[key]*samples, path string) error {
	var rows []row
	for k, s := range m {
		r := row{k.bench, k.n, k.impl, median(s.ns), median(s.bytes), median(s.allocs), 0}
		if own := m[key{k.bench, k.n, "hardstand"}]; own != nil {
			r.Ratio = r.Nanosecond / median(own.ns)
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b row) int {
		if c := strings.Compare(a.Benchmark, b.Benchmark); c != 0 {
			return c
		}
		if a.Checks != b.Checks {
			return a.Checks - b.Checks
		}
		return int(math.Copysign(1, a.Nanosecond-b.Nanosecond))
	})
	text, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "benchmark\tchecks\timplementation\tns/op\tB/op\tallocs\tx hardstand\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\t%s\t%.1f\t%.0f\t%.0f\t%.2f\t\n", r.Benchmark, r.Checks, r.Impl, r.Nanosecond, r.Bytes, r.Allocs, r.Ratio)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return judge(m)
}

func judge(m map[key]*samples) error {
	failed := 0
	for _, g := range gates {
		s := m[key{g.bench, g.n, g.impl}]
		if s == nil {
			return fmt.Errorf("no result for %s of %s with %d checks", g.bench, g.impl, g.n)
		}
		ns, allocs, verdict := median(s.ns), median(s.allocs), "pass"
		if ns > g.ns || allocs > g.allocs {
			verdict, failed = "FAIL", failed+1
		}
		fmt.Printf("%s  %s of %s, %d checks: %.1f ns, %.0f allocations; gate %.0f ns, %.0f\n", verdict, g.bench, g.impl, g.n, ns, allocs, g.ns, g.allocs)
	}
	if failed > 0 {
		return fmt.Errorf("%d gates failed", failed)
	}
	return nil
}
