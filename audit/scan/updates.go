package scan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hardstand/hardstand/audit/scan/inventory"
	"github.com/hardstand/hardstand/build/fresh"
)

// Debian lists the Debian packages of an inventory's release, in the terms in
// which they are compared with an archive.
func Debian(inv *inventory.Inventory) []fresh.Installed {
	var list []fresh.Installed
	for _, p := range inv.Packages {
		if isDebian(inv, p) {
			list = append(list, installed(p))
		}
	}
	return list
}

func isDebian(inv *inventory.Inventory, p inventory.Package) bool {
	return (p.Ecosystem == inv.OS.Ecosystem() || inv.Kind == "sbom") && p.Binary != ""
}

func installed(p inventory.Package) fresh.Installed {
	return fresh.Installed{Name: p.Binary, Version: p.BinaryVersion, Arch: p.Arch, Source: p.Name, SourceVersion: p.Version}
}

// Updates lists the packages of which an archive has a newer version, and what
// could not be compared. No vulnerability database is needed for that. Whoever
// read the offers has verified the archive.
func Updates(inv *inventory.Inventory, offers *fresh.Offers) (updates []Update, problems []string) {
	judged := 0
	for _, p := range inv.Packages {
		if !isDebian(inv, p) {
			continue
		}
		judged++
		u, pending, err := offers.Update(installed(p))
		switch {
		case err != nil:
		case pending:
			updates = append(updates, Update{Package: p, Available: available(u), Suite: u.Suite})
		case !offers.Has(u.Installed):
			err = fmt.Errorf("the archive has no package of that name for %s", p.Arch)
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("compare %s %s with the archive: %v", p.Binary, p.BinaryVersion, err))
		}
	}
	if judged == 0 {
		problems = append(problems, "no package of a Debian release was found, so there is nothing to compare with the archive")
	}
	slices.SortFunc(updates, func(a, b Update) int { return cmp.Compare(a.Package.Binary, b.Package.Binary) })
	return updates, problems
}

// available says which version to go for.
func available(u fresh.Update) string {
	if u.Available == "" {
		return u.AvailableSource + " of source " + u.Source
	}
	return u.Available
}
