// Command audit measures what a person waits for: hardstand audit of a
// Dockerfile of 100 lines as a whole process, the start-up of each executable,
// and /bin/true beside them. It prints a table, and with -json the figures.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// measured is one row, in milliseconds.
type measured struct {
	Name string  `json:"name"`
	P50  float64 `json:"p50_ms"`
	P95  float64 `json:"p95_ms"`
	Gate float64 `json:"gate_ms,omitempty"`
	OK   bool    `json:"ok"`
}

func main() {
	bin := flag.String("bin", "bin", "directory of the executables")
	runs := flag.Int("runs", 60, "runs of each command")
	asJSON := flag.Bool("json", false, "print JSON instead of the table")
	flag.Parse()
	if err := run(*bin, *runs, *asJSON); err != nil {
		fmt.Fprintln(os.Stderr, "bench audit:", err)
		os.Exit(1)
	}
}

func run(bin string, runs int, asJSON bool) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-audit-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile()), 0o600); err != nil {
		return err
	}
	hardstand, audit := filepath.Join(bin, "hardstand"), filepath.Join(bin, "hardstand-audit")
	commands := []struct {
		name string
		gate float64
		args []string
	}{
		{"/bin/true", 0, []string{"/bin/true"}},
		{"hardstand --version", 0, []string{hardstand, "--version"}},
		{"hardstand-audit --version", 0, []string{audit, "--version"}},
		{"hardstand audit --help (handed over)", 0, []string{hardstand, "audit", "--help"}},
		{"hardstand audit Dockerfile, 100 lines", 20, []string{hardstand, "audit", "Dockerfile"}},
		{"hardstand-audit audit Dockerfile, 100 lines", 0, []string{audit, "audit", "Dockerfile"}},
	}
	times := make([][]time.Duration, len(commands))
	// The commands take turns, so that a slow minute hits all of them.
	for range runs {
		for i, c := range commands {
			d, err := once(dir, c.args)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			times[i] = append(times[i], d)
		}
	}
	var rows []measured
	failed := false
	for i, c := range commands {
		slices.Sort(times[i])
		m := measured{Name: c.name, P50: ms(times[i][runs/2]), P95: ms(times[i][runs*95/100]), Gate: c.gate}
		m.OK = c.gate == 0 || m.P50 <= c.gate
		failed = failed || !m.OK
		rows = append(rows, m)
	}
	if err := show(rows, asJSON); err != nil {
		return err
	}
	if failed {
		return errors.New("a gate is missed")
	}
	return nil
}

func once(dir string, args []string) (time.Duration, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	start := time.Now()
	err := cmd.Run()
	d := time.Since(start)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 {
		err = nil // a rule failed, as it should in this file
	}
	return d, err
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func show(rows []measured, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(rows)
	}
	fmt.Println("| command | p50 | p95 | gate |\n|---|---|---|---|")
	for _, m := range rows {
		gate := "–"
		if m.Gate > 0 {
			gate = fmt.Sprintf("≤ %.0f ms", m.Gate)
		}
		fmt.Printf("| %s | %.1f ms | %.1f ms | %s |\n", m.Name, m.P50, m.P95, gate)
	}
	return nil
}

// dockerfile is 100 lines of what real files hold.
func dockerfile() string {
	var b strings.Builder
	b.WriteString("# syntax=docker/dockerfile:1\nARG GO=1.26\nFROM golang:${GO} AS build\nWORKDIR /src\nCOPY go.mod go.sum ./\nRUN go mod download\n")
	for i := range 40 {
		fmt.Fprintf(&b, "ENV SETTING_%d=value%d\nRUN apt-get update && apt-get install -y --no-install-recommends tool%d=1.%d && rm -rf /var/lib/apt/lists/*\n", i, i, i, i)
	}
	b.WriteString("COPY . .\nRUN go build -o /app ./cmd/app\nFROM debian:trixie-slim\nRUN curl -fsSL https://example.org/x | sh\nENV DB_PASSWORD=x1y2z3\nLABEL a=b\n")
	b.WriteString("COPY --from=build /app /app\nEXPOSE 8080\nVOLUME /data\nSTOPSIGNAL SIGTERM\nHEALTHCHECK CMD curl -f http://localhost/\nENTRYPOINT [\"/app\"]\nCMD [\"serve\"]\nUSER 65532\n")
	return b.String()
}
