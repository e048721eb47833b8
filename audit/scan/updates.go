package scan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/osv-scalibr/semantic"

	"github.com/hardstand/hardstand/audit/scan/inventory"
)

// Index is what a signed archive offers: for a package and an architecture,
// the newest version of each suite. Whoever fills it has verified the archive.
type Index struct {
	Suites   []IndexSuite
	Packages map[IndexKey][]Offer
}

// IndexSuite names a suite and the time its index was made.
type IndexSuite struct{ Name, Date string }

// IndexKey is a binary package of an architecture.
type IndexKey struct{ Name, Arch string }

// Offer is a version in a suite.
type Offer struct{ Version, Suite string }

// Updates lists the packages of which the archive has a newer version, and
// what could not be compared. No vulnerability database is needed for that.
func Updates(inv *inventory.Inventory, index *Index) (updates []Update, problems []string) {
	judged := 0
	for _, p := range inv.Packages {
		if p.Ecosystem != inv.OS.Ecosystem() && inv.Kind != "sbom" || p.Binary == "" {
			continue
		}
		judged++
		u, err := newest(p, index)
		if err != nil {
			problems = append(problems, fmt.Sprintf("compare %s %s with the archive: %v", p.Binary, p.BinaryVersion, err))
		} else if u != nil {
			updates = append(updates, *u)
		}
	}
	if judged == 0 {
		problems = append(problems, "no package of a Debian release was found, so there is nothing to compare with the archive")
	}
	slices.SortFunc(updates, func(a, b Update) int { return cmp.Compare(a.Package.Binary, b.Package.Binary) })
	return updates, problems
}

func newest(p inventory.Package, index *Index) (*Update, error) {
	offers := slices.Concat(index.Packages[IndexKey{p.Binary, p.Arch}])
	if len(offers) == 0 {
		return nil, fmt.Errorf("the archive has no package of that name for %s", p.Arch)
	}
	best, err := semantic.ParseDebianVersion(p.BinaryVersion)
	if err != nil {
		return nil, err
	}
	var found *Update
	for _, o := range offers {
		v, err := semantic.ParseDebianVersion(o.Version)
		if err != nil {
			return nil, err
		}
		c, err := v.Compare(best)
		if err != nil {
			return nil, err
		}
		if c > 0 {
			best, found = v, &Update{Package: p, Available: o.Version, Suite: o.Suite}
		}
	}
	return found, nil
}
