//go:build linux

package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

type results struct {
	Rows   []row    `json:"rows"`
	Memory []memory `json:"memory"`
	Gates  []gate   `json:"gates"`
}

// gate is a limit and what was measured. Ratios are of medians of this run.
type gate struct {
	Name  string  `json:"name"`
	Limit float64 `json:"limit"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Least bool    `json:"least"` // the limit is a least value
	Pass  bool    `json:"pass"`
}

// limits are wall times in milliseconds, on two quiet cores with a near mirror.
var limits = []struct {
	row   string
	limit float64
}{
	{"warm base", 12}, {"warm static", 10}, {"warm base, every byte hashed", 25},
	{"debs cached, packages of static alone", 60}, {"debs cached, packages of base alone", 300},
	{"debs cached, static", 60}, {"debs cached, base", 300},
	{"debs cached, all variants of static, base, cc, two platforms", 1200},
	{"nothing cached, base locked", 600}, {"nothing cached, base resolved", 1000},
}

// leads are how many times as long a peer takes as our locked build from an
// empty cache, which downloads the same packages.
var leads = []struct {
	peer  string
	least float64
}{{"mmdebstrap", 5}, {"buildah, two stages", 9}, {"docker build, two stages", 15}}

// maxPeak bounds the memory of any build, in kB.
const maxPeak = 150_000

func (r *results) find(name string) (row, bool) {
	for _, row := range r.Rows {
		if row.Name == name {
			return row, true
		}
	}
	return row{}, false
}

func (r *results) judge() {
	for _, l := range limits {
		if row, ok := r.find(l.row); ok {
			r.Gates = append(r.Gates, gate{Name: l.row, Limit: l.limit, Value: row.Wall, Unit: "ms", Pass: row.Wall <= l.limit})
		}
	}
	for _, reference := range []string{"nothing cached, base locked", "debs cached, base"} {
		ours, ok := r.find(reference)
		if !ok || ours.Wall == 0 {
			continue
		}
		for _, l := range leads {
			if peer, ok := r.find(l.peer); ok {
				ratio := peer.Wall / ours.Wall
				r.Gates = append(r.Gates, gate{Name: l.peer + " beside " + reference, Limit: l.least, Value: ratio, Unit: "times", Least: true, Pass: ratio >= l.least})
			}
		}
	}
	for _, name := range []string{"nothing cached, base locked", "nothing cached, base resolved"} {
		if row, ok := r.find(name); ok {
			r.Gates = append(r.Gates, gate{Name: "peak memory, " + name, Limit: maxPeak, Value: float64(row.Peak), Unit: "kB", Pass: row.Peak <= maxPeak})
		}
	}
	for _, m := range r.Memory {
		r.Gates = append(r.Gates, gate{Name: fmt.Sprintf("peak memory, %d packages", m.Packages), Limit: maxPeak, Value: float64(m.Peak), Unit: "kB", Pass: m.Peak <= maxPeak})
	}
}

func (r *results) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "build\tmedian ms\tleast ms\tCPU ms\tpeak MB\truns")
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%s\t%.1f\t%.1f\t%.1f\t%.0f\t%d\n", row.Name, row.Wall, row.Min, row.CPU, float64(row.Peak)/1000, row.Runs)
	}
	fmt.Fprintln(t, "\npackages\tMB of packages\tpeak MB\tms")
	for _, m := range r.Memory {
		fmt.Fprintf(t, "%d\t%.0f\t%.0f\t%.0f\n", m.Packages, float64(m.Bytes)/1e6, float64(m.Peak)/1000, m.Wall)
	}
	fmt.Fprintln(t, "\ngate\tlimit\tmeasured\t")
	for _, g := range r.Gates {
		bound, verdict := "<=", "FAIL"
		if g.Least {
			bound = ">="
		}
		if g.Pass {
			verdict = "pass"
		}
		fmt.Fprintf(t, "%s\t%s %.0f %s\t%.1f\t%s\n", g.Name, bound, g.Limit, g.Unit, g.Value, verdict)
	}
	_ = t.Flush()
}
