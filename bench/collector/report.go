package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"
)

// report is what a run found, as the table and collector.json show it.
type report struct {
	Figures []figure `json:"figures"`
	Gates   []gate   `json:"gates"`
}

// figure is one part's measurements in words.
type figure struct {
	Part string `json:"part"`
	Text string `json:"text"`
}

// gate is a promise and whether it held.
type gate struct {
	Part  string `json:"part"`
	Name  string `json:"name"`
	Limit string `json:"limit"`
	Got   string `json:"got"`
	Holds bool   `json:"holds"`
}

var errGates = errors.New("not every gate holds")

// say shows a figure at once, because a whole run takes minutes.
func (r *report) say(part, format string, args ...any) {
	one := figure{part, fmt.Sprintf(format, args...)}
	r.Figures = append(r.Figures, one)
	fmt.Fprintf(os.Stderr, "%s: %s\n", one.Part, one.Text)
}

func (r *report) gate(part, name, limit, got string, holds bool) {
	r.Gates = append(r.Gates, gate{part, name, limit, got, holds})
}

func (r *report) none(part, name string, n int) {
	r.gate(part, name, "0", fmt.Sprint(n), n == 0)
}

func (r *report) least(part, name string, want, got int) {
	r.gate(part, name, fmt.Sprintf(">= %d", want), fmt.Sprint(got), got >= want)
}

func (r *report) within(part, name string, limit, got time.Duration) {
	r.gate(part, name, fmt.Sprintf("<= %v", limit), got.Round(time.Millisecond).String(), got <= limit)
}

func (r *report) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "part\tgate\tlimit\tmeasured\t")
	for _, g := range r.Gates {
		state := "holds"
		if !g.Holds {
			state = "MISSED"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", g.Part, g.Name, g.Limit, g.Got, state)
	}
	return t.Flush()
}

func (r *report) write(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "collector.json"), append(text, '\n'), 0o644)
}

func (r *report) holds() error {
	for _, g := range r.Gates {
		if !g.Holds {
			return errGates
		}
	}
	return nil
}
