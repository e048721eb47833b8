package main

import (
	"bytes"
	"fmt"
	"io"
	"text/tabwriter"
)

// print writes the tables.
func (r *results) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range r.Comparisons {
		fmt.Fprintf(t, "%s\twall ms\tCPU ms\tpeak kB\tthreads\tours/this wall\tCPU\n", c.Name)
		base := c.Contenders[0]
		for _, k := range c.Contenders {
			if k.Missing != "" {
				fmt.Fprintf(t, "  %s\tnot measured: %s\n", k.Name, k.Missing)
				continue
			}
			fmt.Fprintf(t, "  %s\t%.3f\t%.3f\t%s\t%s\t%.3f\t%.3f\n", k.Name, k.Wall, k.CPU,
				number(k.RSS), number(k.Threads), base.Wall/k.Wall, base.CPU/k.CPU)
		}
		fmt.Fprintln(t)
	}
	fmt.Fprintln(t, "gate\tlimit\tmeasured\t")
	for _, g := range r.Gates {
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", g.Name, g.Limit, g.Got, g.State)
	}
	_ = t.Flush()
	for _, n := range r.Notes {
		fmt.Fprintln(w, "note:", n)
	}
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// plot draws wall times as horizontal bars, a group for each comparison.
func (r *results) plot() []byte {
	const row, left, width = 22, 230, 560
	var rows int
	for _, c := range r.Comparisons {
		rows += len(c.Contenders) + 2
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="13">`+"\n",
		left+width+90, rows*row)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	y := row
	for _, c := range r.Comparisons {
		longest := 0.0
		for _, k := range c.Contenders {
			longest = max(longest, k.Wall)
		}
		fmt.Fprintf(&b, `<text x="8" y="%d" font-weight="bold">%s, median wall time of one check in ms</text>`+"\n", y, c.Name)
		for _, k := range c.Contenders {
			y += row
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, left-8, y, k.Name)
			if k.Missing != "" {
				fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#777">not measured</text>`+"\n", left, y)
				continue
			}
			fill := "#9aa5b1"
			if k == c.Contenders[0] {
				fill = "#1f7a4d"
			}
			size := k.Wall / longest * width
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="14" fill="%s"/><text x="%.1f" y="%d">%.2f</text>`+"\n",
				left, y-12, size, fill, left+size+6, y, k.Wall)
		}
		y += 2 * row
	}
	fmt.Fprintln(&b, "</svg>")
	return b.Bytes()
}
