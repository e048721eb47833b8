package external_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/audit/scan/external"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/audit":              "the model of findings, of scan",
		"github.com/hardstand/hardstand/audit/codescanning": "of scan",
		"github.com/hardstand/hardstand/audit/scan/...":     "findings",
		"github.com/hardstand/hardstand/build/deb":          "of scan",
		"github.com/hardstand/hardstand/build/fresh":        "of scan",
		"github.com/hardstand/hardstand/build/inflate":      "of deb",
		"github.com/hardstand/hardstand/build/xz":           "of deb",
		"github.com/google/go-containerregistry/...":        "of inventory",
		"github.com/google/osv-scalibr/semantic":            "of osv",
		"github.com/klauspost/compress/...":                 "of osv",
		"github.com/openvex/go-vex/...":                     "of scan",
		"github.com/in-toto/attestation/...":                "of go-vex",
		"google.golang.org/protobuf/...":                    "of go-vex",
		"gopkg.in/yaml.v3":                                  "of go-vex",
		"github.com/package-url/packageurl-go":              "of inventory",
		"github.com/pandatix/go-cvss/...":                   "of scan",
		"golang.org/x/mod/...":                              "of inventory",
		"golang.org/x/sync/errgroup":                        "of osv",
	})
}

func TestParse(t *testing.T) {
	want := map[string][]string{
		"grype.json": {
			"grype 0.120.1", "registry.example/app:1", "2026-11-20",
			"CVE-2026-20 [] openssl Debian:13 3.5.1-1+deb13u2 high",
			"CVE-2026-41 [GHSA-aaaa-bbbb-cccc] example.org/yaml Go 1.4.0 critical",
			"CVE-2026-11 [] glibc Debian:13  negligible",
		},
		"trivy.json": {
			"trivy 0.74.0", "registry.example/app:1", "2026-11-21",
			"CVE-2026-20 [DSA-6001-1] openssl Debian:13 3.5.1-1+deb13u2 high",
			"CVE-2026-40 [] stdlib Go 1.26.3 unknown",
		},
		"osv-scanner.json": {
			"osv-scanner", "", "0001-01-01",
			"CVE-2026-41 [GHSA-aaaa-bbbb-cccc] example.org/yaml Go 1.4.0 critical",
		},
	}
	for name, lines := range want {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			r, err := external.Parse(name, data)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{r.Scanner, r.Target, r.Built.Format("2006-01-02")}
			for _, f := range r.Findings {
				got = append(got, fmt.Sprintf("%s %v %s %s %s %s", f.ID, f.Aliases, f.Package.Name, f.Package.Ecosystem, f.Fixed, f.Rating.Severity))
				if f.Scanner != r.Scanner {
					t.Errorf("%s: scanner %q", f.ID, f.Scanner)
				}
			}
			if diff := cmp.Diff(lines, got); diff != "" {
				t.Error(diff)
			}
			if _, err := external.Parse(name, data[:len(data)/2]); err == nil {
				t.Error("half of it is accepted")
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {``, "unexpected end"},
		"something":     {`{"findings":[]}`, "no JSON of grype"},
		"list":          {`[]`, "cannot unmarshal"},
		"trivy-as-osv":  {`{"SchemaVersion":2,"Results":[{"Vulnerabilities":[{"VulnerabilityID":"CVE-1"}]}]}`, "no JSON of grype"},
		"sarif-as-osv":  {`{"results":[{"ruleId":"CVE-1"}]}`, "names no packages"},
		"null":          {`{"matches":null,"descriptor":{}}`, "no JSON of grype"},
		"no-id":         {`{"matches":[{"artifact":{"name":"x"}}],"descriptor":{}}`, "without an identifier"},
		"no-package":    {`{"matches":[{"vulnerability":{"id":"x"}}],"descriptor":{}}`, "without an identifier"},
		"odd-severity":  {`{"matches":[{"vulnerability":{"id":"x","severity":"spicy"},"artifact":{"name":"x"}}],"descriptor":{}}`, "unknown severity"},
		"other-schema":  {`{"SchemaVersion":3,"ArtifactName":"x"}`, "schema version 3"},
		"entry-no-id":   {`{"results":[{"packages":[{"vulnerabilities":[{}]}]}]}`, "no id"},
		"entry-no-json": {`{"results":[{"packages":[{"vulnerabilities":["x"]}]}]}`, "read entry"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := external.Parse("x", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v: want %q", err, c.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	// Small seeds: the fuzzer spends its time on making large ones smaller.
	f.Add([]byte(`{"matches":[{"vulnerability":{"id":"CVE-1","severity":"High","fix":{"versions":["2"],"state":"fixed"}},"relatedVulnerabilities":[{"id":"x"}],"artifact":{"name":"a","version":"1","purl":"pkg:golang/a@v1"}}],"descriptor":{"version":"1"}}`))
	f.Add([]byte(`{"SchemaVersion":2,"ArtifactName":"x","Results":[{"Vulnerabilities":[{"VulnerabilityID":"CVE-1","PkgName":"a","Severity":"LOW","PkgIdentifier":{"PURL":"pkg:deb/debian/a@1?distro=debian-13"}}]}]}`))
	f.Add([]byte(`{"results":[{"packages":[{"package":{"name":"a","version":"1","ecosystem":"Go"},"vulnerabilities":[{"id":"G-1","affected":[{"package":{"ecosystem":"Go","name":"a"}}]}]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := external.Parse("x", data)
		if err != nil {
			return
		}
		for _, found := range r.Findings {
			if found.ID == "" {
				t.Error("a finding without an identifier")
			}
		}
	})
}
