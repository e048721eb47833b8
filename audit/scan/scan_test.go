package scan_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/scan"
	"github.com/hardstand/hardstand/audit/scan/inventory"
	"github.com/hardstand/hardstand/audit/scan/osv"
	"github.com/hardstand/hardstand/audit/scan/scantest"
	"github.com/hardstand/hardstand/build/fresh"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/audit":                "the model of findings",
		"github.com/hardstand/hardstand/audit/codescanning":   "how large SARIF may be",
		"github.com/hardstand/hardstand/audit/scan/inventory": "packages",
		"github.com/hardstand/hardstand/audit/scan/osv":       "databases",
		"github.com/hardstand/hardstand/build/fresh":          "what a pending update is",
		"github.com/hardstand/hardstand/build/deb":            "the order of Debian's versions, of fresh",
		"github.com/hardstand/hardstand/build/xz":             "of deb",
		"github.com/hardstand/hardstand/build/inflate":        "of deb",
		"github.com/google/go-containerregistry/...":          "image types, of inventory",
		"github.com/google/osv-scalibr/semantic":              "the order of versions",
		"github.com/klauspost/compress/...":                   "zips and indexes, of osv",
		"github.com/openvex/go-vex/...":                       "OpenVEX",
		"github.com/in-toto/attestation/...":                  "of go-vex",
		"google.golang.org/protobuf/...":                      "of go-vex",
		"gopkg.in/yaml.v3":                                    "of go-vex",
		"github.com/package-url/packageurl-go":                "package URLs",
		"github.com/pandatix/go-cvss/...":                     "CVSS scores",
		"golang.org/x/mod/...":                                "go.mod",
		"golang.org/x/sync/errgroup":                          "of osv",
	})
}

var update = flag.Bool("update", os.Getenv("UPDATE") == "1", "rewrite golden files")

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const distro = "pkg:deb/debian/"

func deb(source, version, binary string) inventory.Package {
	return inventory.Package{Ecosystem: "Debian:13", Name: source, Version: version, Binary: binary, BinaryVersion: version, Arch: "amd64",
		PURL: distro + binary + "@" + version + "?arch=amd64&distro=debian-13", Path: "var/lib/dpkg/status.d/" + binary}
}

func gomod(module, version, path string) inventory.Package {
	return inventory.Package{Ecosystem: "Go", Name: module, Version: version, PURL: "pkg:golang/" + module + "@v" + version, Path: path}
}

// world is an inventory and a database that has one of every habit.
func world() (*inventory.Inventory, map[string][]scantest.Entry) {
	inv := &inventory.Inventory{
		Target: "registry.example/app:1", Kind: "image", Digest: "sha256:" + strings.Repeat("ab", 32), Platform: "linux/amd64", OS: inventory.Release{ID: "debian", Version: "13"},
		Packages: []inventory.Package{deb("glibc", "2.41-12", "libc6"), deb("glibc", "2.41-12", "libc-bin"), deb("openssl", "3.5.1-1", "libssl3t64"), deb("tzdata", "2026a-1", "tzdata"),
			gomod("stdlib", "1.26.1", "app"), gomod("example.org/yaml", "1.0.0", "app"), gomod("example.org/yaml", "1.0.0", "tool")},
	}
	at := func(days int) time.Time { return now.Add(-time.Duration(days) * 24 * time.Hour) }
	dsa := scantest.Debian("DSA-6001-1", "openssl", at(5), "high", map[string]string{"13": "3.5.1-1+deb13u2"})
	dsa["upstream"] = []string{"CVE-2026-20", "CVE-2026-21"}
	gone := scantest.Debian("DEBIAN-CVE-2026-99", "glibc", at(3), "high", map[string]string{"13": ""})
	gone["withdrawn"] = at(2).Format(time.RFC3339)
	vector := scantest.Debian("DEBIAN-CVE-2026-21", "openssl", at(9), "not yet assigned", map[string]string{"13": ""})
	vector["severity"] = []any{map[string]string{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}}
	return inv, map[string][]scantest.Entry{
		"Debian": {
			scantest.Debian("DEBIAN-CVE-2026-10", "glibc", at(1), "medium", map[string]string{"12": "2.36-1", "13": "2.41-12+deb13u1"}),
			scantest.Debian("DEBIAN-CVE-2026-11", "glibc", at(40), "unimportant", map[string]string{"13": ""}),
			scantest.Debian("DEBIAN-CVE-2026-12", "glibc", at(40), "high", map[string]string{"12": ""}), // another release
			scantest.Debian("DEBIAN-CVE-2026-20", "openssl", at(9), "high", map[string]string{"13": "3.5.1-1+deb13u2"}),
			vector, dsa, gone,
			scantest.Debian("DEBIAN-CVE-2026-30", "tzdata", at(9), "high", map[string]string{"13": "2025b-1"}), // fixed long ago
		},
		"Go": {
			scantest.Go("GO-2026-1", "stdlib", at(1), []string{"CVE-2026-40"}, "0", "1.26.3", map[string][]string{"net/http": {"Client.Do"}}),
			scantest.Go("GO-2026-2", "example.org/yaml", at(30), []string{"CVE-2026-41", "GHSA-aaaa-bbbb-cccc"}, "0", "1.4.0", map[string][]string{"example.org/yaml": {"Unmarshal"}}),
			scantest.GHSA("GHSA-aaaa-bbbb-cccc", "example.org/yaml", at(30), []string{"CVE-2026-41"}, "0", "1.4.0", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CRITICAL"),
		},
	}
}

// input matches the world.
func input(t *testing.T, gate scan.Gate) scan.Input {
	t.Helper()
	inv, databases := world()
	dir := t.TempDir()
	if err := scantest.Write(dir, databases); err != nil {
		t.Fatal(err)
	}
	db, err := osv.Open(context.Background(), osv.Options{Location: dir, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	findings, asked, _, err := scan.Match(context.Background(), inv, db, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range asked {
		asked[i].Origin, asked[i].SHA256 = "osv/"+asked[i].Ecosystem+"/all.zip", strings.Repeat("cd", 32)
	}
	return scan.Input{Target: inv.Target, Tool: "hardstand 1.0", Started: now, Now: now.Add(time.Second), Inventory: inv, Findings: findings, Databases: asked, Gate: gate}
}

// lines are one line a finding: mark, names, package, fix, severity, gates.
func lines(r *scan.Report) string {
	var b strings.Builder
	for i := range r.Findings {
		f := &r.Findings[i]
		mark := "ok"
		if f.Excused() {
			mark = "excused"
		} else if len(f.Refused) > 0 {
			mark = "no"
		}
		fmt.Fprintf(&b, "%s %s %s+%d %s %s %.1f %s\n", mark, strings.Join(f.Names(), ","), f.Package.Name, len(f.Others), f.Fixed, f.Rating.Severity, f.Rating.Score, strings.Join(f.Refused, "; "))
	}
	return b.String()
}

func TestGates(t *testing.T) {
	high := scan.Gate{Severity: scan.High}
	cases := map[string]struct {
		gate scan.Gate
		want string
	}{
		"fixable-high": {high, `
no CVE-2026-41,GHSA-aaaa-bbbb-cccc,GO-2026-2 example.org/yaml+1 1.4.0 critical 9.8 critical, fixed in 1.4.0
no CVE-2026-21,DEBIAN-CVE-2026-21,DSA-6001-1 openssl+0 3.5.1-1+deb13u2 critical 9.3 critical, fixed in 3.5.1-1+deb13u2
no CVE-2026-20,DEBIAN-CVE-2026-20,DSA-6001-1 openssl+0 3.5.1-1+deb13u2 high 0.0 high, fixed in 3.5.1-1+deb13u2
no CVE-2026-40,GO-2026-1 stdlib+0 1.26.3 unknown 0.0 high (nobody rated it), fixed in 1.26.3
ok CVE-2026-10,DEBIAN-CVE-2026-10 glibc+1 2.41-12+deb13u1 medium 0.0 
ok CVE-2026-11,DEBIAN-CVE-2026-11 glibc+1  negligible 0.0 
`},
		"critical": {scan.Gate{Severity: scan.Critical}, `
no CVE-2026-41,GHSA-aaaa-bbbb-cccc,GO-2026-2 example.org/yaml+1 1.4.0 critical 9.8 critical, fixed in 1.4.0
no CVE-2026-21,DEBIAN-CVE-2026-21,DSA-6001-1 openssl+0 3.5.1-1+deb13u2 critical 9.3 critical, fixed in 3.5.1-1+deb13u2
`},
		"off":     {scan.Gate{}, ``},
		"unfixed": {scan.Gate{Severity: scan.Negligible, Unfixed: true}, "*6"},
		"grace":   {scan.Gate{Severity: scan.High, Grace: 20 * 24 * time.Hour}, "*1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := scan.Assemble(input(t, c.gate))
			got, refused := lines(r), 0
			for _, f := range r.Findings {
				refused += min(1, len(f.Refused))
			}
			if n, ok := strings.CutPrefix(c.want, "*"); ok {
				if fmt.Sprint(refused) != n {
					t.Errorf("%d refused, want %s:\n%s", refused, n, got)
				}
				return
			}
			if name != "fixable-high" {
				got = strings.Join(strings.SplitAfter(got, "\n")[:refused], "")
			}
			if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), got); diff != "" {
				t.Error(diff)
			}
			if (len(r.Refused) > 0) != (refused > 0) {
				t.Errorf("refused: %v", r.Refused)
			}
		})
	}
}

func TestFeeds(t *testing.T) {
	in := input(t, scan.Gate{KEV: true, EPSS: 0.5})
	if err := in.Feeds.ReadKEV([]byte(`{"dateReleased":"2026-11-20T10:00:00Z","vulnerabilities":[{"cveID":"CVE-2026-11","dateAdded":"2026-11-19","dueDate":"2026-12-10","knownRansomwareCampaignUse":"Known"}]}`)); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	fmt.Fprint(z, "#model_version:v2026.03.14,score_date:2026-11-22T00:00:00+0000\ncve,epss,percentile\nCVE-2026-10,0.50000,0.99\nCVE-2026-40,0.49999,0.98\n")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := in.Feeds.ReadEPSS(packed.Bytes()); err != nil {
		t.Fatal(err)
	}
	if in.Feeds.EPSSDate.IsZero() {
		t.Error("the date of the forecasts was not read")
	}
	got := lines(scan.Assemble(in))
	for _, want := range []string{"no CVE-2026-11,DEBIAN-CVE-2026-11 glibc+1  negligible 0.0 exploited, in the KEV catalogue since 2026-11-19\n", "no CVE-2026-10,DEBIAN-CVE-2026-10 glibc+1 2.41-12+deb13u1 medium 0.0 EPSS 0.500\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if strings.Count(got, "no ") != 2 {
		t.Errorf("more than two refused:\n%s", got)
	}
	for name, read := range map[string]func() error{
		"kev-empty": func() error { return in.Feeds.ReadKEV([]byte(`{"vulnerabilities":[]}`)) },
		"kev-count": func() error {
			return in.Feeds.ReadKEV([]byte(`{"count":2,"vulnerabilities":[{"cveID":"CVE-2026-11"}]}`))
		},
		"kev-no-id":      func() error { return in.Feeds.ReadKEV([]byte(`{"vulnerabilities":[{"cve":"CVE-2026-11"}]}`)) },
		"epss-no-id":     func() error { return in.Feeds.ReadEPSS([]byte("cve,epss,percentile\n,0.1,0.1\n")) },
		"kev-cut":        func() error { return in.Feeds.ReadKEV([]byte(`{"vulnerabilities":[`)) },
		"epss-empty":     func() error { return in.Feeds.ReadEPSS(nil) },
		"epss-heading":   func() error { return in.Feeds.ReadEPSS([]byte("CVE-1,0.1,0.1\n")) },
		"epss-cells":     func() error { return in.Feeds.ReadEPSS([]byte("cve,epss,percentile\nCVE-1,0.1\n")) },
		"epss-nan":       func() error { return in.Feeds.ReadEPSS([]byte("cve,epss,percentile\nCVE-1,NaN,0.1\n")) },
		"epss-truncated": func() error { return in.Feeds.ReadEPSS(packed.Bytes()[:packed.Len()-9]) },
	} {
		if read() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// vexDoc makes a document of one statement.
func vexDoc(t *testing.T, product, statement string) scan.Document {
	t.Helper()
	text := fmt.Sprintf(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"x","author":"us","version":1,"timestamp":"2026-11-01T00:00:00Z",
		"statements":[{"vulnerability":{"name":"CVE-2026-41"},"products":[%s],%s}]}`, product, statement)
	d, err := scan.ReadVEX("doc.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestVEX(t *testing.T) {
	const not = `"status":"not_affected","justification":"vulnerable_code_not_present"`
	yaml := `{"@id":"pkg:golang/example.org/yaml"}`
	cases := map[string]struct {
		product, statement string
		want               string // "holds", "" for none, or why it does not
	}{
		"package":             {yaml, not, "holds"},
		"package-version":     {`{"@id":"pkg:golang/example.org/yaml@v1.0.0"}`, not, "holds"},
		"other-version":       {`{"@id":"pkg:golang/example.org/yaml@v1.1.0"}`, not, ""},
		"other-package":       {`{"@id":"pkg:golang/example.org/json"}`, not, ""},
		"image-by-digest":     {`{"@id":"sha256:` + strings.Repeat("ab", 32) + `"}`, not, "holds"},
		"image-by-purl":       {`{"@id":"pkg:oci/app@sha256%3A` + strings.Repeat("ab", 32) + `"}`, not, "holds"},
		"other-image":         {`{"@id":"pkg:oci/app@sha256%3A` + strings.Repeat("00", 32) + `"}`, not, ""},
		"image-and-package":   {`{"@id":"registry.example/app:1","subcomponents":[` + yaml + `]}`, not, "holds"},
		"image-and-other":     {`{"@id":"registry.example/app:1","subcomponents":[{"@id":"pkg:golang/example.org/json"}]}`, not, ""},
		"no-product":          {``, not, ""},
		"no-justification":    {yaml, `"status":"not_affected","impact_statement":"trust me"`, "no justification"},
		"expired":             {yaml, not + `,"expires":"2026-11-22"`, "expired"},
		"not-yet-expired":     {yaml, not + `,"expires":"2026-11-23"`, "holds"},
		"expired-by-age":      {yaml, not + `,"timestamp":"2026-10-01T00:00:00Z"`, "expired"},
		"expiry-outlasts-age": {yaml, not + `,"timestamp":"2026-10-01T00:00:00Z","expires":"2027-01-01"`, "holds"},
		"from-the-future":     {yaml, not + `,"timestamp":"2026-12-01T00:00:00Z"`, "future"},
		"affected":            {yaml, `"status":"affected","action_statement":"update"`, "does not say"},
		"under-investigation": {yaml, `"status":"under_investigation"`, "does not say"},
		"fixed":               {yaml, `"status":"fixed"`, "holds"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, scan.Gate{Severity: scan.High})
			in.VEX, in.VEXMaxAge = []scan.Document{vexDoc(t, c.product, c.statement)}, 30*24*time.Hour
			r := scan.Assemble(in)
			for _, f := range r.Findings {
				switch {
				case f.ID != "CVE-2026-41":
					if f.VEX != nil {
						t.Errorf("%s is excused, too", f.ID)
					}
				case c.want == "":
					if f.VEX != nil || f.Excused() || len(f.Refused) == 0 || len(r.Notes) != 1 {
						t.Errorf("it counts: %+v, notes %q", f.VEX, r.Notes)
					}
				case c.want == "holds":
					if !f.Excused() || len(f.Refused) > 0 {
						t.Errorf("it does not hold: %+v", f.VEX)
					}
				case f.VEX == nil || f.Excused() || len(f.Refused) == 0 || !strings.Contains(f.VEX.Why, c.want):
					t.Errorf("%+v: want %q", f.VEX, c.want)
				}
			}
		})
	}
	for name, text := range map[string]string{
		"no-json": `{`, "no-vex": `{}`, "status": `{"@context":"https://openvex.dev/ns/v0.2.0","statements":[{"status":"fine"}]}`,
		"justification": `{"@context":"https://openvex.dev/ns/v0.2.0","statements":[{"status":"not_affected","justification":"because"}]}`,
		"expires":       `{"@context":"https://openvex.dev/ns/v0.2.0","statements":[{"status":"fixed","expires":"tomorrow"}]}`,
	} {
		if _, err := scan.ReadVEX("x", []byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestOurVEXExcusesOurselves reads back the document that a report makes.
func TestOurVEXExcusesOurselves(t *testing.T) {
	in := input(t, scan.Gate{Severity: scan.High})
	scan.ApplyReach(in.Findings, map[string]map[string]scan.Reach{
		"app":  {"GO-2026-1": {Justification: "vulnerable_code_not_present", Evidence: "not there"}, "GO-2026-2": {Justification: "vulnerable_code_not_present", Evidence: "not there"}},
		"tool": {"GO-2026-2": {Affected: true, Evidence: "reaches example.org/yaml.Unmarshal"}},
	})
	first := scan.Assemble(in)
	for _, f := range first.Findings {
		if want := f.ID == "CVE-2026-40"; f.Excused() != want {
			t.Errorf("%s: excused %v, want %v: %+v", f.ID, f.Excused(), want, f.Reach)
		}
	}
	doc, err := scan.OpenVEX(first, "us")
	if err != nil {
		t.Fatal(err)
	}
	again, err := scan.OpenVEX(first, "us")
	if err != nil || !bytes.Equal(doc, again) {
		t.Errorf("the same report gives another document, or %v", err)
	}
	read, err := scan.ReadVEX("own", doc)
	if err != nil {
		t.Fatal(err)
	}
	next := input(t, scan.Gate{Severity: scan.High})
	next.VEX = []scan.Document{read}
	next.Now = next.Now.Add(time.Hour)
	for _, f := range scan.Assemble(next).Findings {
		if want := f.ID == "CVE-2026-40"; f.Excused() != want {
			t.Errorf("%s: excused %v, want %v: %+v", f.ID, f.Excused(), want, f.VEX)
		}
	}
}

// TestOutputs compares every format with its golden file.
func TestOutputs(t *testing.T) {
	in := input(t, scan.Gate{Severity: scan.High})
	in.VEX = []scan.Document{vexDoc(t, `{"@id":"pkg:golang/example.org/yaml"}`, `"status":"not_affected","justification":"vulnerable_code_not_present"`)}
	in.Notes = []string{"a note with \x1b[31mcolour"}
	r := scan.Assemble(in)
	var text bytes.Buffer
	if err := scan.WriteText(&text, r); err != nil {
		t.Fatal(err)
	}
	outputs := map[string][]byte{"report.txt": text.Bytes()}
	for name, write := range map[string]func(*scan.Report) ([]byte, error){
		"report.sarif": scan.SARIF, "report.vulns.json": scan.VulnsPredicate, "report.cosign.json": scan.CosignPredicate,
		"report.openvex.json": func(r *scan.Report) ([]byte, error) { return scan.OpenVEX(r, "us") },
	} {
		data, err := write(r)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(data) {
			t.Errorf("%s is no JSON", name)
		}
		outputs[name] = data
	}
	for name, data := range outputs {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(data)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestHalfAScanIsNotAttested(t *testing.T) {
	in := input(t, scan.Gate{})
	in.Problems = []string{"half"}
	r := scan.Assemble(in)
	if _, err := scan.VulnsPredicate(r); err == nil {
		t.Error("attested")
	}
	if _, err := scan.CosignPredicate(r); err == nil {
		t.Error("attested")
	}
	in.Problems, in.Databases = nil, nil
	if _, err := scan.VulnsPredicate(scan.Assemble(in)); err == nil {
		t.Error("attested without a database")
	}
}

func TestEmptyInventoryIsAProblem(t *testing.T) {
	in := scan.Input{Target: "x", Now: now, Inventory: &inventory.Inventory{Target: "x", Kind: "image"}}
	if r := scan.Assemble(in); len(r.Problems) != 1 {
		t.Errorf("problems %q", r.Problems)
	}
	in.AllowEmpty = true
	if r := scan.Assemble(in); len(r.Problems) != 0 {
		t.Errorf("problems %q", r.Problems)
	}
}

// offer puts a package for amd64 on offer.
func offer(t *testing.T, o *fresh.Offers, suite, name, source, version string) {
	t.Helper()
	stanza := fmt.Sprintf("Package: %s\nSource: %s\nVersion: %s\nArchitecture: amd64\n", name, source, version)
	if err := o.Add(suite, "amd64", []byte(stanza)); err != nil {
		t.Fatal(err)
	}
}

func TestUpdates(t *testing.T) {
	inv, _ := world()
	index := fresh.NewOffers(scan.Debian(inv))
	offer(t, index, "trixie", "libc6", "glibc", "2.41-12")
	offer(t, index, "trixie", "libc-bin", "libc-bin", "2.41-11")
	offer(t, index, "trixie", "libssl3t64", "openssl", "3.5.1-1")
	offer(t, index, "trixie-updates", "libssl3t64", "openssl", "3.5.1-1+deb13u2")
	offer(t, index, "trixie-security", "libssl3t64", "openssl", "3.5.1-1+deb13u1")
	offer(t, index, "trixie-security", "libc6", "glibc", "2.41-12+deb13u1")
	updates, problems := scan.Updates(inv, index)
	var got []string
	for _, u := range updates {
		got = append(got, u.Package.Binary+" "+u.Available+" "+u.Suite)
	}
	if diff := cmp.Diff([]string{"libc-bin 2.41-12+deb13u1 of source glibc trixie-security", "libc6 2.41-12+deb13u1 trixie-security", "libssl3t64 3.5.1-1+deb13u2 trixie-updates"}, got); diff != "" {
		t.Error(diff)
	}
	if len(problems) != 1 || !strings.Contains(problems[0], "tzdata") {
		t.Errorf("problems %q: want the package that the archive does not have", problems)
	}
	if _, problems := scan.Updates(&inventory.Inventory{Kind: "image"}, index); len(problems) == 0 {
		t.Error("an inventory without Debian packages is up to date")
	}
}

func TestAuditFindings(t *testing.T) {
	verdicts := func(r *scan.Report) map[string]int {
		count := map[string]int{}
		for _, f := range scan.AuditFindings(r, audit.Artifact{Kind: audit.Image, Name: "x"}) {
			count[f.Rule+" "+string(f.Verdict)]++
			if f.Verdict == audit.Unknown && f.Needs == "" {
				t.Errorf("unknown without saying what is needed: %+v", f)
			}
		}
		return count
	}
	in := input(t, scan.Gate{Severity: scan.High})
	cases := map[string]struct {
		change func(*scan.Input)
		want   map[string]int
	}{
		"refused":     {func(*scan.Input) {}, map[string]int{"CHG-1.2a fail": 4, "CHG-1.2b unknown": 1}},
		"passes":      {func(in *scan.Input) { in.Gate = scan.Gate{} }, map[string]int{"CHG-1.2a pass": 1, "CHG-1.2b unknown": 1}},
		"no-database": {func(in *scan.Input) { in.Findings, in.Databases = nil, nil }, map[string]int{"CHG-1.2a unknown": 1, "CHG-1.2b unknown": 1}},
		"problem":     {func(in *scan.Input) { in.Gate, in.Problems = scan.Gate{}, []string{"half"} }, map[string]int{"CHG-1.2a unknown": 1, "CHG-1.2b unknown": 1}},
		"up-to-date":  {func(in *scan.Input) { in.Gate, in.Compared = scan.Gate{}, []string{"trixie"} }, map[string]int{"CHG-1.2a pass": 1, "CHG-1.2b pass": 1}},
		"pending": {func(in *scan.Input) {
			in.Gate, in.Compared, in.Updates = scan.Gate{}, []string{"trixie"}, make([]scan.Update, 2)
		}, map[string]int{"CHG-1.2a pass": 1, "CHG-1.2b fail": 2}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			one := in
			one.Findings = append([]scan.Finding{}, in.Findings...)
			c.change(&one)
			if diff := cmp.Diff(c.want, verdicts(scan.Assemble(one))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
