package scan

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var ruleVulnerabilities = audit.Rule{
	ID: "CHG-1.2a", Title: "No package has a known vulnerability that the gate refuses", Severity: audit.High, Since: 1,
	Kinds:    []audit.Kind{audit.Image, audit.Inventory},
	Why:      "A flaw that is known and fixed is the cheapest one to attack and the cheapest one to close.",
	Fix:      "Rebuild on a newer snapshot of the archive; for Go, run go get module@fixed and rebuild. What does not apply is excused by a VEX statement with a justification and an expiry.",
	Evidence: "The vulnerability with its aliases, the package with its installed and fixed version, the severity and who rated it, KEV and EPSS, and the database with its digest and age.",
}

// vulnerabilities answers by what the databases know.
func vulnerabilities(r *Report) []audit.Finding {
	var list []audit.Finding
	add := func(f audit.Finding) {
		f.Rule, f.Method = ruleVulnerabilities.ID, cmp.Or(r.method(), "list of packages")
		list = append(list, f)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Excused() || len(f.Refused) == 0 {
			continue
		}
		add(audit.Finding{
			Verdict: audit.Fail, Severity: auditSeverity(f.effective()), Locator: audit.Locator{Layer: f.Package.Layer, File: f.Package.Path},
			Observed: clean(sentence(f) + "; " + strings.Join(f.Refused, "; ")), Expected: "no vulnerability that the gate refuses", Fix: clean(fixText(f)),
		})
	}
	switch {
	case len(r.Problems) > 0:
		for _, p := range r.Problems {
			add(audit.Finding{Verdict: audit.Unknown, Observed: clean(p), Needs: "a database and an inventory that cover every package"})
		}
	case len(r.Databases) == 0:
		add(audit.Finding{Verdict: audit.Unknown, Observed: "no vulnerability database was given", Needs: "a vulnerability database: --db"})
	case len(list) == 0:
		add(audit.Finding{Verdict: audit.Pass, Observed: r.passed(), Expected: "no vulnerability that the gate refuses"})
	}
	return list
}

// method says how a report was made.
func (r *Report) method() string {
	var parts []string
	for _, d := range r.Databases {
		parts = append(parts, fmt.Sprintf("%s: %d entries, newest %s, sha256:%.16s", d.Origin, d.Entries, d.Newest.Format("2006-01-02"), d.SHA256))
	}
	if len(parts) == 0 {
		return ""
	}
	return clean("OSV database " + strings.Join(parts, "; "))
}

func (r *Report) passed() string {
	total, excused := 0, 0
	for _, n := range r.Packages {
		total += n
	}
	for i := range r.Findings {
		if r.Findings[i].Excused() {
			excused++
		}
	}
	return fmt.Sprintf("%d packages, %d known vulnerabilities of which the gate refuses none, %d excused", total, len(r.Findings), excused)
}

func auditSeverity(s Severity) audit.Severity {
	switch s {
	case Critical:
		return audit.Critical
	case High:
		return audit.High
	case Medium:
		return audit.Medium
	}
	return audit.Low
}

func fixText(f *Finding) string {
	switch {
	case f.Fixed == "":
		return "No fix is known. If the flaw does not apply, say so in a VEX statement with a justification and an expiry."
	case f.Package.Ecosystem == "Go" && f.Package.Name == "stdlib":
		return "Rebuild with Go " + f.Fixed + " or newer."
	case f.Package.Ecosystem == "Go":
		return fmt.Sprintf("go get %s@v%s, and rebuild.", f.Package.Name, f.Fixed)
	}
	return fmt.Sprintf("Rebuild with %s %s or newer.", f.Package.Name, f.Fixed)
}
