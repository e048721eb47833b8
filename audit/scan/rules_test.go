package scan_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/audittest"
	"github.com/hardstand/hardstand/audit/scan"
	"github.com/hardstand/hardstand/audit/scan/inventory"
	"github.com/hardstand/hardstand/audit/scan/osv"
	"github.com/hardstand/hardstand/audit/scan/scantest"
	"github.com/hardstand/hardstand/build/fresh"
)

// TestRules judges the fixtures of each rule: an inventory, and a database or
// an archive's index where the fixture has one.
func TestRules(t *testing.T) {
	audittest.Check(t, audittest.Package{Rules: scan.Rules(), Audit: func(t *testing.T, dir string) []audit.Finding {
		read := func(name string, into any) bool {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if errors.Is(err, fs.ErrNotExist) {
				return false
			}
			if err == nil {
				err = json.Unmarshal(data, into)
			}
			if err != nil {
				t.Fatal(err)
			}
			return true
		}
		inv := &inventory.Inventory{}
		if !read("inventory.json", inv) {
			t.Fatal("the fixture has no inventory.json")
		}
		in := scan.Input{Target: inv.Target, Tool: "hardstand 1.0", Now: now, Inventory: inv, Gate: scan.Gate{Severity: scan.High}}
		var databases map[string][]scantest.Entry
		if read("database.json", &databases) {
			place := t.TempDir()
			if err := scantest.Write(place, databases); err != nil {
				t.Fatal(err)
			}
			db, err := osv.Open(context.Background(), osv.Options{Location: place, Now: now})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if in.Findings, in.Databases, _, err = scan.Match(context.Background(), inv, db, nil); err != nil {
				in.Problems = append(in.Problems, err.Error())
			}
		}
		var offers []struct{ Name, Source, Arch, Version, Suite string }
		if read("index.json", &offers) {
			index := fresh.NewOffers(scan.Debian(inv))
			for _, o := range offers {
				offer(t, index, o.Suite, o.Name, cmp.Or(o.Source, o.Name), o.Version)
			}
			var problems []string
			in.Updates, problems = scan.Updates(inv, index)
			in.Problems, in.Compared = append(in.Problems, problems...), []string{"trixie"}
		}
		return scan.AuditFindings(scan.Assemble(in), audit.Artifact{Kind: audit.Image, Name: inv.Target})
	}})
}
