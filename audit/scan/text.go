package scan

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText writes a report for a person. What comes from outside is printed
// without control characters.
func WriteText(w io.Writer, r *Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", clean(r.Target))
	if r.Digest != "" {
		fmt.Fprintf(&b, "  %s", r.Digest)
	}
	fmt.Fprintln(&b)
	ecosystems := make([]string, 0, len(r.Packages))
	for name := range r.Packages {
		ecosystems = append(ecosystems, name)
	}
	slices.Sort(ecosystems)
	for _, name := range ecosystems {
		fmt.Fprintf(&b, "  %d packages of %s\n", r.Packages[name], clean(name))
	}
	for _, d := range r.Databases {
		fmt.Fprintf(&b, "  database %s: %d entries, newest %s, %s\n", d.Ecosystem, d.Entries, age(r.Finished, d.Newest), clean(d.Origin))
	}
	for _, c := range r.Compared {
		fmt.Fprintf(&b, "  compared with %s\n", clean(c))
	}
	findings(&b, r)
	updates(&b, r)
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", clean(n))
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "not judged: %s\n", clean(p))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func age(now, t time.Time) string {
	return fmt.Sprintf("%s (%.1f days ago)", t.UTC().Format(time.DateOnly), now.Sub(t).Hours()/24)
}

func findings(b *strings.Builder, r *Report) {
	if len(r.Findings) == 0 {
		if len(r.Databases) > 0 {
			fmt.Fprintln(b, "no known vulnerability")
		}
		return
	}
	fmt.Fprintln(b)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tVULNERABILITY\tSEVERITY\tPACKAGE\tINSTALLED\tFIXED IN\tNOTES")
	count := map[string]int{}
	for i := range r.Findings {
		f := &r.Findings[i]
		mark := " "
		switch {
		case f.Excused():
			mark = "-"
			count["excused"]++
		case len(f.Refused) > 0:
			mark = "!"
		}
		if !f.Excused() {
			count[f.Rating.Severity.String()]++
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", mark, clean(f.ID), severityText(f), packageText(f), clean(f.Package.Version), clean(dash(f.Fixed)), clean(remarks(f)))
	}
	_ = t.Flush() // a strings.Builder does not fail
	var parts []string
	for _, name := range []string{"critical", "high", "medium", "low", "negligible", "unknown", "excused"} {
		if count[name] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[name], name))
		}
	}
	fmt.Fprintf(b, "\n%s\n", strings.Join(parts, ", "))
}

func severityText(f *Finding) string {
	if f.Rating.Score > 0 {
		return fmt.Sprintf("%s %.1f", f.Rating.Severity, f.Rating.Score)
	}
	return f.Rating.Severity.String()
}

func packageText(f *Finding) string {
	text := f.Package.Name
	names := []string{}
	if f.Package.Binary != "" && f.Package.Binary != f.Package.Name {
		names = append(names, f.Package.Binary)
	}
	for _, o := range f.Others {
		if o.Binary != "" && o.Binary != f.Package.Name && !slices.Contains(names, o.Binary) {
			names = append(names, o.Binary)
		}
	}
	if len(names) > 0 {
		text += " (" + strings.Join(names, ", ") + ")"
	}
	return clean(text)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func remarks(f *Finding) string {
	var parts []string
	if f.KEV != nil {
		parts = append(parts, "exploited since "+f.KEV.Added)
	}
	if f.EPSS != nil {
		parts = append(parts, fmt.Sprintf("EPSS %.3f", f.EPSS.Score))
	}
	if f.Reach != nil {
		parts = append(parts, f.Reach.Evidence)
	}
	if f.VEX != nil && f.VEX.Holds {
		parts = append(parts, "VEX "+strings.TrimSpace(f.VEX.Status+" "+f.VEX.Justification))
	} else if f.VEX != nil && (f.VEX.Status == "affected" || f.VEX.Status == "under_investigation") {
		parts = append(parts, "VEX "+f.VEX.Status)
	} else if f.VEX != nil && f.VEX.Why != "" {
		parts = append(parts, "VEX does not count: "+f.VEX.Why)
	}
	if f.Package.Ecosystem == "Go" && f.Package.Path != "" {
		parts = append(parts, "in "+f.Package.Path)
	}
	if f.Doubt != "" {
		parts = append(parts, "cannot compare "+f.Doubt)
	}
	return strings.Join(parts, "; ")
}

func updates(b *strings.Builder, r *Report) {
	if len(r.Updates) == 0 {
		if len(r.Compared) > 0 && len(r.Problems) == 0 {
			fmt.Fprintln(b, "every package is the newest that the archive has")
		}
		return
	}
	fmt.Fprintln(b)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PACKAGE\tINSTALLED\tAVAILABLE\tSUITE")
	for _, u := range r.Updates {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", clean(u.Package.Binary), clean(u.Package.BinaryVersion), clean(u.Available), clean(u.Suite))
	}
	_ = t.Flush() // a strings.Builder does not fail
}

// clean keeps foreign text from steering a terminal, and bounds it.
func clean(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < 0x20 || c >= 0x7f && c < 0xa0 || c == 0x202e || c == 0xfffd {
			return '?'
		}
		return c
	}, s)
	const most = 300
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
