package scan

import (
	"fmt"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var ruleUpdates = audit.Rule{
	ID: "CHG-1.2b", Title: "No package is older than the signed archive's", Severity: audit.Medium, Since: 1,
	Kinds:    []audit.Kind{audit.Image, audit.Inventory},
	Why:      "The archive publishes fixes before databases describe them, and its index is signed.",
	Fix:      "Run hardstand lock and rebuild, or rebuild on a newer base image.",
	Evidence: "The package with its installed version, the newer one, the suite that offers it and the date of its index.",
}

// pending answers by the archive's signed index.
func pending(r *Report) []audit.Finding {
	var list []audit.Finding
	add := func(f audit.Finding) {
		f.Rule, f.Method = ruleUpdates.ID, "comparison with the archive's signed index"
		list = append(list, f)
	}
	for _, u := range r.Updates {
		add(audit.Finding{
			Verdict: audit.Fail, Locator: audit.Locator{Layer: u.Package.Layer, File: u.Package.Path},
			Observed: clean(fmt.Sprintf("%s %s", u.Package.Binary, u.Package.BinaryVersion)), Expected: clean(u.Available + " from " + u.Suite),
		})
	}
	switch {
	case len(r.Compared) == 0:
		add(audit.Finding{Verdict: audit.Unknown, Observed: "the packages were not compared with the archive", Needs: "the archive's signed index: --updates"})
	case len(r.Problems) > 0:
		add(audit.Finding{Verdict: audit.Unknown, Observed: clean(r.Problems[0]), Needs: "an inventory and an index that cover every package"})
	case len(r.Updates) == 0:
		add(audit.Finding{Verdict: audit.Pass, Observed: clean(strings.Join(r.Compared, ", ")), Expected: "every package is the newest"})
	}
	return list
}
