package scan

import (
	"fmt"
	"time"

	"github.com/hardstand/hardstand/audit/scan/inventory"
)

// Gate is what a scan must not have. The zero Gate refuses nothing.
type Gate struct {
	Severity Severity      // this or worse is refused; Unknown switches it off
	Unfixed  bool          // also without a fix
	KEV      bool          // anything in the catalogue, fixed or not
	EPSS     float64       // this probability or more; 0 switches it off
	Grace    time.Duration // how long after a fix appeared severity and EPSS do not count
	Updates  bool          // any package of which the archive has a newer version
}

// apply judges a report. Excused findings do not count.
func (g Gate) apply(r *Report, now time.Time) {
	refused := 0
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Refused = nil
		if !f.Excused() {
			f.Refused = g.judge(f, now)
		}
		if len(f.Refused) > 0 {
			refused++
		}
	}
	r.Refused = nil
	if refused > 0 {
		r.Refused = append(r.Refused, fmt.Sprintf("%d of %d vulnerabilities do not pass the gate", refused, len(r.Findings)))
	}
	if g.Updates && len(r.Updates) > 0 {
		r.Refused = append(r.Refused, fmt.Sprintf("the archive has newer versions of %d packages", len(r.Updates)))
	}
}

func (g Gate) judge(f *Finding, now time.Time) []string {
	var why []string
	if g.KEV && f.KEV != nil {
		why = append(why, "exploited, in the KEV catalogue since "+f.KEV.Added)
	}
	if g.Grace > 0 && f.Fixed != "" && !f.FixedSince.IsZero() && now.Sub(f.FixedSince) < g.Grace {
		return why
	}
	if sev := f.effective(); g.Severity != Unknown && sev >= g.Severity && (f.Fixed != "" || g.Unfixed) {
		text := sev.String()
		if f.Rating.Severity == Unknown {
			text += " (nobody rated it)"
		}
		if f.Fixed != "" {
			text += ", fixed in " + f.Fixed
		}
		why = append(why, text)
	} else if f.Rating.Severity == Unknown && g.Severity != Unknown && g.Unfixed {
		why = append(why, "nobody rated it")
	}
	if g.EPSS > 0 && f.EPSS != nil && f.EPSS.Score >= g.EPSS {
		why = append(why, fmt.Sprintf("EPSS %.3f", f.EPSS.Score))
	}
	return why
}

// Input is everything that goes into a report.
type Input struct {
	Target    string
	Tool      string
	Started   time.Time
	Now       time.Time
	Inventory *inventory.Inventory // nil for a report of imported findings only
	Findings  []Finding
	Databases []Database
	Feeds     Feeds
	VEX       []Document
	VEXMaxAge time.Duration
	Updates   []Update
	Compared  []string
	Problems  []string
	Notes     []string
	// AllowEmpty accepts an inventory without a package.
	AllowEmpty bool
	Gate       Gate
}

// Assemble makes the report: it merges findings, adds what the feeds and VEX
// documents say, and applies the gate.
func Assemble(in Input) *Report {
	r := &Report{
		Target: in.Target, Tool: in.Tool, Started: in.Started.UTC(), Finished: in.Now.UTC(), Databases: in.Databases, Packages: map[string]int{},
		Findings: in.Findings, Updates: in.Updates, Compared: in.Compared, Problems: in.Problems, Notes: in.Notes,
	}
	if r.Databases == nil {
		r.Databases = []Database{}
	}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	if inv := in.Inventory; inv != nil {
		r.Kind, r.Digest, r.Platform = inv.Kind, inv.Digest, inv.Platform
		r.Problems = append(r.Problems, inv.Problems...)
		r.Notes = append(r.Notes, inv.Notes...)
		for _, p := range inv.Packages {
			r.Packages[p.Ecosystem]++
		}
		if len(inv.Packages) == 0 && !in.AllowEmpty {
			r.Problems = append(r.Problems, "no package was found, so nothing was judged: scan an SBOM, or say --allow-empty for a program of which nothing can be known")
		}
	}
	for i := range r.Findings {
		in.Feeds.apply(&r.Findings[i])
	}
	r.Notes = append(r.Notes, in.Feeds.notes(in.Now)...)
	r.Notes = append(r.Notes, excuse(r, in.VEX, in.Now, in.VEXMaxAge)...)
	in.Gate.apply(r, in.Now)
	r.order()
	return r
}
