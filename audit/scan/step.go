package scan

import (
	"fmt"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

// Rules are the rules of the guide's step 1.2.
var Rules = []audit.Rule{
	{
		ID: "CHG-1.2a", Title: "No package has a known vulnerability that the gate refuses", Severity: audit.High, Since: 1,
		Kinds:    []audit.Kind{audit.Image, audit.Inventory},
		Why:      "A flaw that is known and fixed is the cheapest one to attack and the cheapest one to close.",
		Fix:      "Rebuild on a newer snapshot of the archive; for Go, run go get module@fixed and rebuild. What does not apply is excused by a VEX statement with a justification and an expiry.",
		Evidence: "The vulnerability with its aliases, the package with its installed and fixed version, the severity and who rated it, KEV and EPSS, and the database with its digest and age.",
	},
	{
		ID: "CHG-1.2b", Title: "No package is older than the signed archive's", Severity: audit.Medium, Since: 1,
		Kinds:    []audit.Kind{audit.Image, audit.Inventory},
		Why:      "The archive publishes fixes before databases describe them, and its index is signed.",
		Fix:      "Run hardstand lock and rebuild, or rebuild on a newer base image.",
		Evidence: "The package with its installed version, the newer one, the suite that offers it and the date of its index.",
	},
}

// AuditFindings says a report in the audit's terms. Without a database step
// 1.2 is unknown and says so; a report with a problem is never a pass.
func AuditFindings(r *Report, artifact audit.Artifact) []audit.Finding {
	var list []audit.Finding
	add := func(rule string, f audit.Finding) {
		f.Rule, f.Artifact = rule, artifact
		list = append(list, f)
	}
	method := r.method()
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Excused() || len(f.Refused) == 0 {
			continue
		}
		add("CHG-1.2a", audit.Finding{
			Verdict: audit.Fail, Severity: auditSeverity(f.effective()), Method: method,
			Locator:  audit.Locator{Layer: f.Package.Layer, File: f.Package.Path},
			Observed: clean(sentence(f) + "; " + strings.Join(f.Refused, "; ")), Expected: "no vulnerability that the gate refuses", Fix: clean(fixText(f)),
		})
	}
	switch {
	case len(r.Problems) > 0:
		for _, p := range r.Problems {
			add("CHG-1.2a", audit.Finding{Verdict: audit.Unknown, Method: method, Observed: clean(p), Needs: "a database and an inventory that cover every package"})
		}
	case len(r.Databases) == 0:
		add("CHG-1.2a", audit.Finding{Verdict: audit.Unknown, Needs: "a vulnerability database: --db"})
	case len(list) == 0:
		add("CHG-1.2a", audit.Finding{Verdict: audit.Pass, Method: method, Observed: r.passed()})
	}
	for _, u := range r.Updates {
		add("CHG-1.2b", audit.Finding{
			Verdict: audit.Fail, Method: "comparison with the signed archive index", Locator: audit.Locator{Layer: u.Package.Layer, File: u.Package.Path},
			Observed: clean(fmt.Sprintf("%s %s", u.Package.Binary, u.Package.BinaryVersion)), Expected: clean(u.Available + " from " + u.Suite),
		})
	}
	switch {
	case len(r.Compared) == 0:
		add("CHG-1.2b", audit.Finding{Verdict: audit.Unknown, Needs: "the archive's signed index: --updates"})
	case len(r.Updates) == 0 && len(r.Problems) == 0:
		add("CHG-1.2b", audit.Finding{Verdict: audit.Pass, Method: "comparison with the signed archive index", Observed: clean(strings.Join(r.Compared, ", "))})
	}
	return list
}

func (r *Report) method() string {
	var parts []string
	for _, d := range r.Databases {
		parts = append(parts, fmt.Sprintf("%s: %d entries, newest %s, sha256:%.16s", d.Origin, d.Entries, d.Newest.Format("2006-01-02"), d.SHA256))
	}
	if len(parts) == 0 {
		return "inventory"
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
