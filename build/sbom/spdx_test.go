package sbom_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/build/sbom"
	"github.com/hardstand/hardstand/build/spec"
)

func input() sbom.Input {
	return sbom.Input{
		Image: "base", Platform: spec.Platform{Arch: "amd64"}, Release: "13", Codename: "trixie",
		Digest: "sha256:" + strings.Repeat("ab", 32), Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Tool: "hardstand-dev",
		Packages: []*spec.Package{
			{Name: "libstdc++6", Version: "14.2.0-19", Architecture: "amd64", Source: "gcc-14", SourceVersion: "14.2.0-19", SHA256: strings.Repeat("cd", 32)},
			{Name: "tzdata", Version: "2026a-0+deb13u1", Architecture: "all", Source: "tzdata", SourceVersion: "2026a-0+deb13u1", SHA256: strings.Repeat("ef", 32)},
		},
		Suppliers:  map[string]string{"tzdata": "GNU Libc Maintainers <debian-glibc@lists.debian.org>"},
		Dropped:    map[string]int{"tzdata": 3},
		Patterns:   map[string][]string{"tzdata": {"usr/share/zoneinfo/right/**"}},
		Components: []sbom.Component{{Name: "hardstand-probe", Version: "1", SHA256: strings.Repeat("01", 32), PURL: "pkg:golang/github.com/hardstand/hardstand@1#probe", License: "Apache-2.0"}},
	}
}

func TestPURL(t *testing.T) {
	for i, want := range []string{
		"pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64&distro=debian-13&upstream=gcc-14",
		"pkg:deb/debian/tzdata@2026a-0%2Bdeb13u1?arch=all&distro=debian-13",
	} {
		if got := sbom.DebPURL(input().Packages[i], "13"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestSPDXIsWholeAndDeterministic(t *testing.T) {
	a, err := sbom.SPDX(input())
	if err != nil {
		t.Fatal(err)
	}
	b, err := sbom.SPDX(input())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("the same input gives other bytes")
	}
	other := input()
	other.Packages[0].Version = "2"
	c, err := sbom.SPDX(other)
	if err != nil {
		t.Fatal(err)
	}
	var d, e struct {
		SPDXVersion, DocumentNamespace string
		Packages                       []struct{ SPDXID, Name, Comment string }
		Relationships                  []struct{ SPDXElementID, RelatedSPDXElement, RelationshipType string }
	}
	if err := json.Unmarshal(a, &d); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(c, &e); err != nil {
		t.Fatal(err)
	}
	if d.DocumentNamespace == e.DocumentNamespace {
		t.Error("two documents share a namespace")
	}
	if len(d.Packages) != 4 || len(d.Relationships) != 4 || d.SPDXVersion != "SPDX-2.3" {
		t.Errorf("document: %s", a)
	}
	ids := map[string]bool{"SPDXRef-DOCUMENT": true}
	for _, p := range d.Packages {
		if ids[p.SPDXID] {
			t.Errorf("identifier %s appears twice", p.SPDXID)
		}
		ids[p.SPDXID] = true
	}
	for _, r := range d.Relationships {
		if !ids[r.SPDXElementID] || !ids[r.RelatedSPDXElement] {
			t.Errorf("relationship %v names what is not there", r)
		}
	}
	if !strings.Contains(d.Packages[2].Comment, "3 paths") {
		t.Errorf("the dropped paths are not mentioned: %q", d.Packages[2].Comment)
	}
}
