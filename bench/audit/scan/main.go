// Command scan measures hardstand scan as whole processes against its gates: a
// Debian database of 45,000 entries, a Go database, and an index of both. The
// databases are made up, in the layout and the sizes of the public ones. It
// writes the figures to out/bench/scan.json.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/hardstand/hardstand/audit/scan/scantest"
)

func main() {
	n := flag.Int("n", 15, "executions a row")
	bin := flag.String("bin", "bin/hardstand-audit", "the executable that scans")
	flag.Parse()
	if err := run(context.Background(), *bin, *n); err != nil {
		fmt.Fprintln(os.Stderr, "bench/audit/scan:", err)
		os.Exit(1)
	}
}

// row is one line of the report: milliseconds of a whole process.
type row struct {
	Name   string  `json:"name"`
	Median float64 `json:"median_ms"`
	Fast   float64 `json:"fastest_ms"`
	Limit  float64 `json:"limit_ms,omitempty"`
}

// Sizes of the public databases.
const (
	debianEntries = 45_000
	goEntries     = 4_291
)

func run(ctx context.Context, bin string, n int) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hardstand-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left is in the system's temporary directory
	if err := prepare(ctx, bin, dir); err != nil {
		return err
	}
	var rows []row
	for _, c := range []struct {
		name  string
		limit float64
		args  []string
	}{
		{"start-up (--help)", 0, []string{"scan", "--help"}},
		{"Debian, 45,000 entries", 1000, []string{"scan", "debian.json", "--db", "osv"}},
		{"Go, 4,291 entries and 2,146 of GitHub's", 100, []string{"scan", "go.json", "--db", "osv"}},
		{"both", 0, []string{"scan", "both.json", "--db", "osv"}},
		{"both, from an index", 50, []string{"scan", "both.json", "--db", "osv.index"}},
	} {
		r, err := measure(ctx, bin, dir, n, c.args)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		r.Name, r.Limit = c.name, c.limit
		rows = append(rows, r)
	}
	return report(rows)
}

// prepare makes the databases, their index, and bills of materials of 40
// Debian packages and 60 Go modules.
func prepare(ctx context.Context, bin, dir string) error {
	now := time.Now()
	if err := scantest.Write(filepath.Join(dir, "osv"), map[string][]scantest.Entry{
		"Debian": scantest.Many(debianEntries, now), "Go": scantest.ManyGo(goEntries, now),
	}); err != nil {
		return err
	}
	var debian, golang []string
	for i := range 40 {
		debian = append(debian, fmt.Sprintf("pkg:deb/debian/lib%d@1.0.0-1?arch=amd64&distro=debian-13", i*17))
	}
	for i := range 60 {
		golang = append(golang, fmt.Sprintf("pkg:golang/example.org/group%d/module%d@v1.2.3", i, i*31))
	}
	for name, list := range map[string][]string{"debian": debian, "go": golang, "both": slices.Concat(debian, golang)} {
		if err := sbom(filepath.Join(dir, name+".json"), list); err != nil {
			return err
		}
	}
	_, err := execute(ctx, bin, dir, []string{"scan", "index", "--db", "osv", "-o", "osv.index"})
	return err
}

func sbom(file string, purls []string) error {
	type component struct {
		Type string `json:"type"`
		PURL string `json:"purl"`
	}
	doc := struct {
		Format     string      `json:"bomFormat"`
		Components []component `json:"components"`
	}{Format: "CycloneDX"}
	for _, p := range purls {
		doc.Components = append(doc.Components, component{"library", p})
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

// execute runs the scanner once. "Refused" is an answer, too.
func execute(ctx context.Context, bin, dir string, args []string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME=")
	start := time.Now()
	out, err := cmd.CombinedOutput()
	d := time.Since(start)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 {
		err = nil
	}
	if err != nil {
		return d, fmt.Errorf("%w\n%s", err, out)
	}
	return d, nil
}

func measure(ctx context.Context, bin, dir string, n int, args []string) (row, error) {
	var times []time.Duration
	for range n {
		d, err := execute(ctx, bin, dir, args)
		if err != nil {
			return row{}, err
		}
		times = append(times, d)
	}
	slices.Sort(times)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return row{Median: ms(times[len(times)/2]), Fast: ms(times[0])}, nil
}

// report prints the rows, keeps them, and fails when a gate does.
func report(rows []row) error {
	var missed []error
	for _, r := range rows {
		gate := ""
		if r.Limit > 0 {
			gate = fmt.Sprintf("gate %.0f ms", r.Limit)
			if r.Median > r.Limit {
				missed = append(missed, fmt.Errorf("%s: %.1f ms, the gate is %.0f", r.Name, r.Median, r.Limit))
			}
		}
		fmt.Printf("%-42s median %8.1f ms  fastest %8.1f ms  %s\n", r.Name, r.Median, r.Fast, gate)
	}
	data, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll("out/bench", 0o755); err != nil {
		return err
	}
	return errors.Join(append(missed, os.WriteFile("out/bench/scan.json", append(data, '\n'), 0o644))...)
}
