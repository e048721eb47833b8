package osv_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/osv-scalibr/semantic"

	"github.com/hardstand/hardstand/audit/scan/osv"
)

func part(ecosystem, kind string, versions []string, events ...osv.Event) *osv.Affected {
	a := &osv.Affected{Versions: versions}
	a.Package.Ecosystem, a.Package.Name = ecosystem, "p"
	if len(events) > 0 {
		a.Ranges = []osv.Range{{Type: kind, Events: events}}
	}
	return a
}

func TestAffects(t *testing.T) {
	from := func(v string) osv.Event { return osv.Event{Introduced: v} }
	fix := func(v string) osv.Event { return osv.Event{Fixed: v} }
	last := func(v string) osv.Event { return osv.Event{LastAffected: v} }
	limit := func(v string) osv.Event { return osv.Event{Limit: v} }
	cases := map[string]struct {
		part    *osv.Affected
		version string
		want    string // "", or the verdict and the fix
	}{
		"below-the-fix":           {part("Debian:13", "ECOSYSTEM", nil, from("0"), fix("1.2-3")), "1.2-2", "yes 1.2-3"},
		"the-fix":                 {part("Debian:13", "ECOSYSTEM", nil, from("0"), fix("1.2-3")), "1.2-3", ""},
		"security-upload":         {part("Debian:13", "ECOSYSTEM", nil, from("0"), fix("1.2-3+deb13u1")), "1.2-3", "yes 1.2-3+deb13u1"},
		"tilde-is-before":         {part("Debian:13", "ECOSYSTEM", nil, from("0"), fix("1.2-3")), "1.2-3~rc1", "yes 1.2-3"},
		"epoch-is-after":          {part("Debian:13", "ECOSYSTEM", nil, from("0"), fix("9.0-1")), "1:0.1-1", ""},
		"no-fix":                  {part("Debian:13", "ECOSYSTEM", nil, from("0")), "999", "yes "},
		"before-introduced":       {part("Debian:13", "ECOSYSTEM", nil, from("2.0-1")), "1.0-1", ""},
		"reintroduced":            {part("Go", "SEMVER", nil, from("0"), fix("1.1.0"), from("1.3.0"), fix("1.3.4")), "1.3.1", "yes 1.3.4"},
		"between-ranges":          {part("Go", "SEMVER", nil, from("0"), fix("1.1.0"), from("1.3.0"), fix("1.3.4")), "1.2.0", ""},
		"events-out-of-order":     {part("Go", "SEMVER", nil, fix("1.3.4"), from("1.3.0"), from("0"), fix("1.1.0")), "1.3.1", "yes 1.3.4"},
		"first-range-fix":         {part("Go", "SEMVER", nil, from("0"), fix("1.1.0"), from("1.3.0"), fix("1.3.4")), "1.0.0", "yes 1.1.0"},
		"last-affected":           {part("Go", "SEMVER", nil, from("0"), last("1.1.0")), "1.1.0", "yes "},
		"after-last-affected":     {part("Go", "SEMVER", nil, from("0"), last("1.1.0")), "1.1.1", ""},
		"limit-above":             {part("Go", "SEMVER", nil, from("0"), limit("2.0.0")), "1.9.0", "yes "},
		"limit-below":             {part("Go", "SEMVER", nil, from("0"), limit("2.0.0")), "2.0.0", ""},
		"limit-everything":        {part("Go", "SEMVER", nil, from("0"), limit("*")), "9.0.0", "yes "},
		"pre-release-is-before":   {part("Go", "SEMVER", nil, from("0"), fix("1.26.0-rc.2")), "1.26.0-rc.1", "yes 1.26.0-rc.2"},
		"pseudo-version":          {part("Go", "SEMVER", nil, from("0"), fix("0.0.0-20260101000000-abcdefabcdef")), "0.0.0-20251231235959-abcdefabcdef", "yes 0.0.0-20260101000000-abcdefabcdef"},
		"listed-version":          {part("Debian:13", "", []string{"1.0-1"}), "1.0-1", "yes "},
		"not-listed":              {part("Debian:13", "", []string{"1.0-1"}), "1.0-2", ""},
		"neither-range-nor-list":  {part("Debian:13", "", nil), "1.0-2", "yes "},
		"commits-are-no-versions": {part("Debian:13", "GIT", nil, from("0")), "1.0-2", ""},
		"unknown-ecosystem":       {part("Plan9", "ECOSYSTEM", nil, from("0"), fix("2")), "1", "yes doubt"},
		"broken-epoch":            {part("Debian:13", "ECOSYSTEM", nil, from("0"), fix("2")), "x:1", "yes doubt"},
		"fix-at-introduced-again": {part("Go", "SEMVER", nil, from("0"), fix("1.0.0"), from("1.0.0")), "1.0.0", "yes "},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			v := c.part.Affects(c.version)
			got := ""
			if v.Affected {
				got = "yes " + v.Fixed
			}
			if v.Doubt != "" {
				got = "yes doubt"
			}
			if got != c.want {
				t.Errorf("got %q (%+v), want %q", got, v, c.want)
			}
		})
	}
}

// TestDebianOrderIsDpkgs compares the order of versions with dpkg's own, on
// versions that Debian ships and on pairs made of their parts.
func TestDebianOrderIsDpkgs(t *testing.T) {
	dpkg, err := exec.LookPath("dpkg")
	if err != nil {
		t.Skip("dpkg is missing; CI has it")
	}
	versions := debianVersions(t)
	r := rand.New(rand.NewPCG(1, 2))
	const pairs = 250
	for range pairs {
		a, b := versions[r.IntN(len(versions))], versions[r.IntN(len(versions))]
		if r.IntN(3) == 0 { // versions that differ in one place
			i := r.IntN(len(a))
			b = a[:i] + []string{"~", "+", ".", "1", "a", ""}[r.IntN(6)] + a[i:]
		}
		if exec.Command(dpkg, "--validate-version", b).Run() != nil {
			continue
		}
		va, err := semantic.Parse(a, "Debian:13")
		if err != nil {
			t.Fatalf("parse %s: %v", a, err)
		}
		got, err := va.CompareStr(b)
		if err != nil {
			t.Fatalf("compare %s and %s: %v", a, b, err)
		}
		op := map[int]string{-1: "lt", 0: "eq", 1: "gt"}[got]
		if err := exec.Command(dpkg, "--compare-versions", a, op, b).Run(); err != nil {
			t.Errorf("%s %s %s, but dpkg does not agree", a, op, b)
		}
	}
}

// debianVersions are those of this machine's packages, and famous ones.
func debianVersions(t *testing.T) []string {
	list := []string{
		"2.41-12", "2.41-12+deb13u1", "1:1.3.dfsg+really1.3.1-1+b1", "3.5.4-1~deb13u2", "2026a-0+deb13u1", "12.4+deb12u5", "0~20171227-0.2", "1.0~~", "1.0~rc1-1",
		"1:9.2p1-2+deb12u3", "4.13+dfsg1-1", "5.2.15-2+b2", "7.88.1-10+deb12u5", "2:8.1.2434-1", "0.0~git20220906.02e7343-2", "14.2.0-19", "1.2.13.dfsg-1", "20250419", "1.0-1+b10",
	}
	f, err := os.Open("/var/lib/dpkg/status")
	if err != nil {
		return list
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), "Version: "); ok {
			list = append(list, v)
		}
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return list
}

func ExampleCovers() {
	fmt.Println(osv.Covers("Debian:13", "Debian:13"), osv.Covers("Debian", "Debian:13"), osv.Covers("Debian:12", "Debian:13"), osv.Covers("Ubuntu:24.04:LTS", "Ubuntu:24.04"))
	// Output: true true false true
}
