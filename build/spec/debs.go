package spec

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Local is the archive and the suite of packages that are files beside the
// definition.
const Local = "local"

// Deb is a package that is a file beside the definition. Which platforms it is
// for, it says itself.
type Deb struct {
	Source string `json:"source"` // relative to the definition
	SHA256 string `json:"sha256"` // of the file, hexadecimal
}

// debs reads the list of packages of one's own; a later layer's replaces an
// earlier one's.
func (p *parser) debs(n *yaml.Node, d *Definition) {
	if n.Kind != yaml.SequenceNode {
		p.fail(n, "debs: want a list, have %s", kind(n))
		return
	}
	d.Debs = nil
	for _, item := range n.Content {
		var deb Deb
		p.mapping(item, "debs", fields{"source": p.text("source", &deb.Source), "sha256": p.text("sha256", &deb.SHA256)})
		d.Debs = append(d.Debs, deb)
	}
}

func (d *Definition) finishDebs(fail func([]string, string, ...any)) {
	seen := map[string]bool{}
	for _, deb := range d.Debs {
		switch {
		case strings.ContainsAny(deb.Source, "\n\r\x00"):
			fail([]string{"debs"}, "bad file name %q", deb.Source)
		case deb.Source == "":
			fail([]string{"debs"}, "a package has no source")
		case deb.SHA256 == "":
			fail([]string{"debs"}, "%s has no sha256: nothing else vouches for it; sha256sum prints it", deb.Source)
		case !validSHA256(deb.SHA256):
			fail([]string{"debs"}, "bad SHA-256 %q of %s", deb.SHA256, deb.Source)
		case seen[deb.SHA256]:
			fail([]string{"debs"}, "%s stands twice", deb.Source)
		}
		seen[deb.SHA256] = true
	}
}

func (d *Definition) debSums() []string {
	var sums []string
	for _, deb := range d.Debs {
		sums = append(sums, deb.SHA256)
	}
	slices.Sort(sums)
	return sums
}

func validSHA256(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
