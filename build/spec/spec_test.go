package spec_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/spec"
)

const whole = `
name: base
description: for dynamically linked programs
debian: {suite: bookworm, snapshot: 20261115T000000Z}
packages: [base-files, "libssl3 (>= 3.0)", "!bash", "!apt"]
ignore-depends: [awk]
drop: [usr/share/locale/**]
accounts: {run-as: nobody}
probe: {path: /bin/probe, tls: false, interval: 10s, retries: 2, args: ["-v", "-v"]}
canary: {decoys: default, tokens: [aws], on-trip: degrade, collector: "https://alarms.example"}
platforms: [linux/arm64/v8, arm/v7]
environment: {SSL_CERT_FILE: /etc/ssl/certs/ca-certificates.crt}
entrypoint: [/app]
workdir: /home/nonroot
`

func TestParseWholeDefinition(t *testing.T) {
	got, err := spec.Parse("base.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := &spec.Definition{
		Name: "base", Description: "for dynamically linked programs",
		Debian:   spec.Debian{Suite: "bookworm", Snapshot: time.Date(2026, 11, 15, 0, 0, 0, 0, time.UTC)},
		Packages: []string{"base-files", "libssl3 (>= 3.0)"}, Deny: []string{"apt", "bash"}, IgnoreDepends: []string{"awk"},
		Drop: []string{"usr/share/locale/**"}, Accounts: spec.Accounts{RunAs: "nobody"},
		Probe:       &spec.Probe{Path: "/bin/probe", Interval: spec.Duration(10 * time.Second), Retries: 2, Args: []string{"-v", "-v"}},
		Canary:      &spec.Canary{Decoys: []string{"default"}, Tokens: []string{"aws"}, OnTrip: "degrade", Collector: "https://alarms.example"},
		Platforms:   []spec.Platform{{Arch: "arm64"}, {Arch: "arm", Variant: "v7"}},
		Environment: map[string]string{"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"},
		Entrypoint:  []string{"/app"}, WorkDir: "/home/nonroot",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var again spec.Definition
	if err := json.Unmarshal(got.Canonical(), &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, &again); diff != "" {
		t.Errorf("the canonical form loses something: %s", diff)
	}
}

func TestDefaults(t *testing.T) {
	d, err := spec.Parse("x", []byte("name: x\npackages: [tzdata]\nprobe: true\ncanary: true\n"))
	if err != nil {
		t.Fatal(err)
	}
	if d.Debian.Suite != "trixie" || d.Accounts.RunAs != "nonroot" || len(d.Platforms) != 2 ||
		!d.Probe.TLS || d.Probe.Path != "/bin/probe" || d.Canary.OnTrip != "alert" || d.Canary.Decoys[0] != "default" {
		t.Errorf("defaults: %s", d.Canonical())
	}
}

func TestFresh(t *testing.T) {
	const head = "name: x\npackages: [tzdata]\n"
	for text, want := range map[string]string{"": "<nil>", "fresh: false": "<nil>", "fresh: true": "0s", "fresh: 48h": "48h0m0s"} {
		d, err := spec.Parse("x.yaml", []byte(head+text))
		if err != nil {
			t.Fatal(err)
		}
		got := "<nil>"
		if d.Fresh != nil {
			got = time.Duration(*d.Fresh).String()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestErrorsSayWhere(t *testing.T) {
	const head = "name: x\npackages: [tzdata]\n"
	for name, tc := range map[string]struct{ in, want string }{
		"empty":                {"", "x.yaml:1:1: the file is empty"},
		"syntax":               {"name: [", "x.yaml:1:1: "},
		"tab":                  {"name: x\n\tpackages: []", "x.yaml:2:1: "},
		"not a mapping":        {"- a", "x.yaml:1:1: definition: want a mapping, have a list"},
		"unknown key":          {head + "pakages: []", `x.yaml:3:1: definition: unknown key "pakages" (did you mean "packages"?)`},
		"unknown nested key":   {head + "probe:\n  pth: /p", `x.yaml:4:3: probe: unknown key "pth" (did you mean "path"?)`},
		"nothing like it":      {head + "frobnicate: 1", `unknown key "frobnicate"`},
		"duplicate key":        {head + "name: y", `x.yaml:3:1: definition: key "name" appears twice`},
		"duplicate entry":      {"name: x\npackages:\n- tzdata\n- tzdata", `x.yaml:4:3: packages: "tzdata" stands on line 3 already`},
		"wrong type":           {"name: 5\npackages: [tzdata]", "x.yaml:1:7: name: want text, have the number 5"},
		"wrong list":           {"name: x\npackages: tzdata", `x.yaml:2:11: packages: want a list, have "tzdata"`},
		"wrong flag":           {head + "probe: {tls: maybe}", `x.yaml:3:14: tls: want true or false, have "maybe"`},
		"wrong duration":       {head + "probe: {interval: 5}", `x.yaml:3:19: interval: want a duration such as "30s", have the number 5`},
		"wrong freshness":      {head + "fresh: soon", `x.yaml:3:8: fresh: want a duration such as "30s", have "soon"`},
		"negative freshness":   {head + "fresh: -1h", `x.yaml:3:8: fresh: -1h is negative`},
		"no name":              {"packages: [tzdata]", `"name" is missing`},
		"no packages":          {"name: x", `"packages" is missing`},
		"bad name":             {"name: X/y\npackages: [tzdata]", "x.yaml:1:7: bad image name"},
		"bad package":          {"name: x\npackages: [tzdata, TZ]", `x.yaml:2:20: packages: bad package "TZ"`},
		"wanted and denied":    {"name: x\npackages: [bash, \"!bash\"]", `x.yaml:2:11: package "bash" is both wanted and denied`},
		"wanted and ignored":   {head + "ignore-depends: [tzdata]", `x.yaml:3:17: package "tzdata" is both wanted and ignored`},
		"unknown suite":        {head + "debian: {suite: buzz}", `x.yaml:3:17: unknown suite "buzz": use one of bookworm, trixie`},
		"bad snapshot":         {head + "debian: {snapshot: yesterday}", "x.yaml:3:20: snapshot: want a timestamp"},
		"unknown user":         {head + "accounts: {run-as: me}", `x.yaml:3:20: unknown user "me"`},
		"unknown platform":     {head + "platforms: [linux/mips]", `x.yaml:3:13: platforms: unknown platform "linux/mips"`},
		"platform twice":       {head + "platforms: [amd64, linux/amd64]", `x.yaml:3:20: platforms: linux/amd64 is listed already`},
		"empty entry point":    {head + "entrypoint: [\"\"]", "x.yaml:3:13: the first word is empty"},
		"relative probe":       {head + "probe: {path: bin/probe}", `x.yaml:3:15: "bin/probe" is not a clean absolute path`},
		"decoy over the probe": {head + "probe: {path: /bin/ls}\ncanary: {decoys: [ls]}", `decoy "ls" would stand where the probe is`},
		"unknown policy":       {head + "canary: {on-trip: explode}", `x.yaml:3:19: unknown policy "explode"`},
		"tokens to nowhere":    {head + "canary: {tokens: [aws]}", `x.yaml:3:18: tokens need "collector"`},
		"a CA alone":           {head + "canary: {ca: x}", `x.yaml:3:14: "ca" is of no use`},
		"no certificate":       {head + "canary: {collector: \"https://x\", ca: \"hello\"}", `x.yaml:3:38: want certificates in PEM`},
		"bad zone":             {head + "canary: {zone: \"a..b\"}", `zone "a..b": want a DNS name`},
		"unknown tier":         {head + "canary: {tier: c}", `x.yaml:3:16: unknown tier "c"`},
		"tier without network": {head + "canary: {tier: a, zone: c.example}", "tier a has no network"},
		"decoy's mode":         {head + "canary: {each: {ls: {mode: loud}}}", `x.yaml:3:28: unknown mode "loud"`},
		"decoy's policy":       {head + "canary: {each: {ls: {on-trip: loud}}}", `unknown policy "loud"`},
		"decoy's key":          {head + "canary: {each: {ls: {color: red}}}", `ls: unknown key "color"`},
		"guard's path":         {head + "canary: {guard: {watch: [etc]}}", `"etc" is not a clean absolute path`},
		"guard over the probe": {head + "probe: {path: /usr/bin/tini}\ncanary: {guard: true}", "where the probe is"},
		"guard elsewhere":      {head + "platforms: [linux/riscv64]\ncanary: {guard: true}", "no guard for linux/riscv64"},
		"guard alone":          {head + "canary: {guard: true, tokens: [aws], collector: \"https://x\"}", "the guard needs decoys"},
		"pipes to nowhere":     {head + "canary: {guard: {pipes: [aws]}}", `pipes are tokens, and need "collector"`},
		"plain collector":      {head + "canary: {collector: \"http://x\"}", `x.yaml:3:21: collector "http://x": want an https URL`},
		"bad variable":         {head + "environment: {A=B: x}", `bad variable name "A=B"`},
		"drop everything":      {head + "drop: [\"**\"]", "may not match everything"},
		"drop outside":         {head + "drop: [../x]", "bad pattern"},
		"alias":                {"name: &a x\npackages: *a", "anchors and aliases are not supported"},
		"merge key":            {head + "probe: {<<: {tls: true}}", `unknown key "<<"`},
		"two documents":        {head + "---\nname: y", "more than one document"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := spec.Parse("x.yaml", []byte(tc.in))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error = %v, want it to say %q", err, tc.want)
			}
			var located *spec.Error
			if !errors.As(err, &located) || located.Line < 1 || located.Column < 1 {
				t.Errorf("error %v has no place", err)
			}
		})
	}
}

// TestBombs are definitions that would grow, or be deep, without end.
func TestBombs(t *testing.T) {
	laughs := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'l'; c++ {
		laughs += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", c-1), 9), ", "))
	}
	for name, tc := range map[string]struct{ in, want string }{
		"laughs": {laughs + "name: x\npackages: *k\n", "x.yaml:"},
		"deep":   {"name: " + strings.Repeat("[", 500_000), "x.yaml:"},
		"deeper": {"packages: " + strings.Repeat("{a: ", 200_000), "x.yaml:"},
		"large":  {"name: x\npackages: [tzdata]\n#" + strings.Repeat("x", spec.MaxDefinition), "bytes, at most 1048576"},
	} {
		start := time.Now()
		_, err := spec.Parse("x.yaml", []byte(tc.in))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error = %.200v, want it to say %q", name, err, tc.want)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: it takes %v to refuse", name, took)
		}
	}
}

func TestAllErrorsAreReportedTogether(t *testing.T) {
	_, err := spec.Parse("x.yaml", []byte("nme: x\npackages: 5\nprobe: {tls: 1}\n"))
	if n := strings.Count(err.Error(), "x.yaml:"); n != 3 {
		t.Errorf("%d errors reported, want 3: %v", n, err)
	}
}

func TestMatchPattern(t *testing.T) {
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"usr/share/locale/**", "usr/share/locale/de/LC_MESSAGES/x.mo", true},
		{"usr/share/locale/**", "usr/share/locale", true},
		{"usr/share/locale/**", "usr/share/locales", false},
		{"usr/lib/*/gconv/**", "usr/lib/x86_64-linux-gnu/gconv/UTF-7.so", true},
		{"usr/lib/*/gconv/**", "usr/lib/a/b/gconv/x", false},
		{"**/*.gz", "usr/share/doc/x/changelog.gz", true},
		{"**/*.gz", "top.gz", true},
		{"etc/*", "etc/a/b", false},
	} {
		if err := spec.CheckPattern(tc.pattern); err != nil {
			t.Error(err)
		}
		if got := spec.MatchPattern(tc.pattern, tc.name); got != tc.want {
			t.Errorf("MatchPattern(%q, %q) = %v", tc.pattern, tc.name, got)
		}
	}
}

func testLock() *spec.Lock {
	sum := strings.Repeat("0a", 32)
	pkg := func(arch string) []*spec.Package {
		return []*spec.Package{{Name: "tzdata", Version: "2026a-1", Architecture: arch, Source: "tzdata", SourceVersion: "2026a-1",
			Suite: "trixie", Archive: "debian", Path: "pool/main/t/tzdata/x.deb", SHA256: sum, Size: 5, For: "x"}}
	}
	return &spec.Lock{Version: 1, Name: "x", Definition: "sha256:" + sum,
		Suites:    []spec.LockedSuite{{Suite: "trixie", Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), InRelease: "sha256:" + sum, Keys: []string{"AB"}}},
		Platforms: map[string][]*spec.Package{"linux/amd64": pkg("all"), "linux/arm64": pkg("arm64")}}
}

func TestLockRoundTrip(t *testing.T) {
	want := testLock()
	got, err := spec.ParseLock("x.lock.json", want.Format())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if d := got.Floors()["trixie"]; !d.Equal(want.Suites[0].Date) {
		t.Errorf("floor = %v", d)
	}
}

func TestLockErrors(t *testing.T) {
	edit := func(old, new string) string {
		text := string(testLock().Format())
		if !strings.Contains(text, old) {
			t.Fatalf("the lock has no %q", old)
		}
		return strings.Replace(text, old, new, 1)
	}
	for name, tc := range map[string]struct{ in, want, near string }{
		"empty":            {"", "l.json:1:1: the file ends too early", ``},
		"cut":              {string(testLock().Format())[:200], "the file ends too early", ``},
		"syntax":           {edit(`"name": "x",`, `"name": "x",,`), "l.json:3:15: ", `"name"`},
		"unknown key":      {edit(`"name": "x",`, `"name": "x", "nmae": "y",`), `l.json:3:16: unknown field "nmae"`, `nmae`},
		"duplicate key":    {edit(`"name": "x",`, `"name": "x", "name": "y",`), `l.json:3:16: key "name" appears twice`, `"name"`},
		"wrong type":       {edit(`"version": 1`, `"version": "1"`), "l.json:2:", `"version"`},
		"future version":   {edit(`"version": 1`, `"version": 9`), "l.json:2:14: lock version 9 is not supported", `"version": 9`},
		"bad digest":       {edit(`"sha256": "0a`, `"sha256": "zz`), `package tzdata: bad sha256`, `"sha256": "zz`},
		"bad size":         {edit(`"size": 5`, `"size": 0`), "package tzdata: size, version or path is missing", `{`},
		"wrong arch":       {edit(`"architecture": "arm64"`, `"architecture": "amd64"`), "package tzdata is for amd64, not for linux/arm64", `"architecture": "amd64"`},
		"unknown platform": {edit(`"linux/arm64"`, `"linux/vax"`), `unknown platform`, `linux/vax`},
	} {
		_, err := spec.ParseLock("l.json", []byte(tc.in))
		var located *spec.Error
		if !errors.As(err, &located) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error = %v, want it to have a place and to say %q", name, err, tc.want)
			continue
		}
		if line := strings.Split(tc.in+"\n", "\n")[located.Line-1]; located.Line > 1 && name != "cut" && !strings.Contains(line, tc.near) {
			t.Errorf("%s: error %v points at the line %q, want the one with %s", name, err, line, tc.near)
		}
	}
	twice := testLock()
	twice.Platforms["linux/amd64"] = append(twice.Platforms["linux/amd64"], twice.Platforms["linux/amd64"][0])
	if _, err := spec.ParseLock("l.json", twice.Format()); err == nil || !strings.Contains(err.Error(), "package tzdata is locked twice") {
		t.Errorf("a package locked twice: %v", err)
	}
}

func TestLockInputIgnoresWhatDoesNotMatter(t *testing.T) {
	a, err := spec.Parse("a", []byte("name: a\npackages: [aa, bb]\nentrypoint: [/x]"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := spec.Parse("b", []byte("name: b\npackages: [bb, aa]\nprobe: true"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := spec.Parse("c", []byte("name: a\npackages: [aa, cc]"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a.LockInput(), b.LockInput()); diff != "" {
		t.Error(diff)
	}
	if string(a.LockInput()) == string(c.LockInput()) {
		t.Error("other packages, same lock input")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("name: x\npackages: [tzdata]\nprobe: {args: [a, a]}\nplatforms: [arm/v7]"))
	f.Add([]byte("name: x\nbare: true"))
	f.Add([]byte("name: x\ndebs:\n  - {source: a.deb, sha256: " + strings.Repeat("0a", 32) + "}\nplatforms: [amd64]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := spec.Parse("f", data)
		if err == nil && (d.Name == "" || len(d.Packages)+len(d.Debs) == 0 && !d.Bare && d.From == nil || len(d.Platforms) == 0) {
			t.Fatalf("accepted without the essentials: %s", d.Canonical())
		}
	})
}

func FuzzParseLock(f *testing.F) {
	f.Add(testLock().Format())
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := spec.ParseLock("f", data)
		if err != nil {
			return
		}
		if _, err := spec.ParseLock("f", l.Format()); err != nil {
			t.Fatalf("what was accepted does not read again: %v", err)
		}
	})
}
