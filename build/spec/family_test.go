package spec_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/spec"
)

// files makes a Loader of texts.
func files(texts map[string]string) spec.Loader {
	return func(_, name string) (string, []byte, error) {
		text, ok := texts[name]
		if !ok {
			return "", nil, errors.New("there is no such file")
		}
		return name, []byte(text), nil
	}
}

var parts = map[string]string{
	"common": "packages: [base-files, \"!bash\"]\nignore-depends: [awk]\ndrop: [usr/share/man/**]\nprobe: {tls: false}\ncanary: true\n" +
		"platforms: [amd64, arm64]\nenvironment: {A: common, B: common}\n" +
		"variants:\n  root: {description: as root, accounts: {run-as: root}, exempt: {root: chosen}}\n" +
		"  debug: {description: with a shell, packages: [busybox-static], canary: false, exempt: {shell: chosen}, entrypoint: [/busybox/sh]}\n  both: [debug, root]\n",
	"trixie": "include: common\ndebian: {suite: trixie}\npackages: [tzdata, base-files]\nenvironment: {B: trixie}\n",
	"loop":   "include: [other]\npackages: [x1]\n",
	"other":  "include: loop\n",
	"broken": "packages: 7\n",
}

func family(t *testing.T, text string) *spec.Family {
	t.Helper()
	f, err := spec.ParseFamily("mine.yaml", []byte(text), files(parts))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const mine = "name: mine\ndescription: Mine\ninclude: trixie\npackages: [libc6]\ndrop: [usr/share/info/**]\nplatforms: [amd64]\nprobe: {interval: 5s}\nenvironment: {C: mine}\n"

func TestIncludesAndVariants(t *testing.T) {
	f := family(t, mine)
	d := f.Definition
	if diff := cmp.Diff([]string{"base-files", "tzdata", "libc6"}, d.Packages); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"A": "common", "B": "trixie", "C": "mine"}, d.Environment); diff != "" {
		t.Error(diff)
	}
	if len(d.Platforms) != 1 || d.Probe == nil || d.Probe.TLS || d.Probe.Interval == 0 || d.Canary == nil || d.Accounts.RunAs != "nonroot" || d.Deny[0] != "bash" {
		t.Errorf("definition: %s", d.Canonical())
	}
	if d.Own("usr/share/man/**") || !d.Own("usr/share/info/**") || d.Own("awk") {
		t.Error("what is included counts as the image's own, or the other way round")
	}
	var names []string
	for _, v := range f.Variants {
		names = append(names, fmt.Sprintf("%s %s %q %s canary=%v lock=%q", v.Name, v.Definition.Name, v.Description, v.Accounts.RunAs, v.Canary != nil, f.LockName(v.Name)))
	}
	want := []string{
		`root mine-root "Mine; as root" root canary=true lock=""`,
		`debug mine-debug "Mine; with a shell" nonroot canary=false lock="debug"`,
		`both mine-both "Mine; with a shell; as root" root canary=false lock="debug"`,
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	if v, ok := f.Variant("debug"); !ok || v.Packages[3] != "busybox-static" || v.Entrypoint[0] != "/busybox/sh" || f.Entrypoint != nil {
		t.Errorf("variant: %v", v)
	}
	if _, ok := f.Variant("none"); ok {
		t.Error("a variant that nobody wrote exists")
	}
}

// A definition may change a variant that it includes.
func TestVariantsAreExtended(t *testing.T) {
	f := family(t, mine+"variants: {debug: {packages: [strace]}, extra: {cmd: [x]}}\n")
	v, _ := f.Variant("debug")
	if diff := cmp.Diff([]string{"base-files", "tzdata", "libc6", "busybox-static", "strace"}, v.Packages); diff != "" {
		t.Error(diff)
	}
	if v, ok := f.Variant("extra"); !ok || v.Cmd[0] != "x" {
		t.Error("a variant of its own is missing")
	}
}

func TestFamilyErrors(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"no loop":          {"name: x\ninclude: loop\n", "it includes itself, by way of mine.yaml, loop, other"},
		"missing":          {"name: x\ninclude: [nothing]\n", `mine.yaml:2:10: include "nothing": there is no such file`},
		"broken":           {"name: x\ninclude: broken\n", "broken:1:11: packages: want a list"},
		"twice":            {"name: x\ninclude: [trixie, trixie]\n", "stands on line 2 already"},
		"contradiction":    {"name: x\ninclude: trixie\npackages: [bash]\n", `package "bash" is both wanted and denied`},
		"unknown in list":  {mine + "variants: {v: [root, none]}\n", `variant "v": there is no other variant "none"`},
		"list of itself":   {mine + "variants: {v: [w], w: [v]}\n", `there is no other variant "v"`},
		"name in variant":  {mine + "variants: {v: {name: y}}\n", `variant "v": a variant has no "name"`},
		"bad name":         {mine + "variants: {-v: {cmd: [x]}}\n", `bad name "-v"`},
		"unknown key":      {mine + "variants: {v: {packges: [x]}}\n", `unknown key "packges" (did you mean "packages"?)`},
		"root, no reason":  {"name: x\npackages: [base-files]\naccounts: {run-as: root}\n", `mine.yaml:3:20: running as root needs a reason`},
		"unknown gate":     {mine + "exempt: {everything: because}\n", `unknown gate "everything"`},
		"empty reason":     {mine + "exempt: {shell: \" \"}\n", "an exemption needs a reason"},
		"unknown profile":  {mine + "compat: other\n", `unknown profile "other"`},
		"bare but packed":  {mine + "bare: true\n", "a bare image has no packages"},
		"relative link":    {mine + "links: {usr/bin/x: y}\n", `"usr/bin/x" is not a clean absolute path`},
		"licence pattern":  {mine + "licenses: {deny: [\"[\"]}\n", `bad pattern "["`},
		"variants a list":  {mine + "variants: [root]\n", "variants: want a mapping"},
		"bad include type": {"name: x\ninclude: {a: b}\n", "include: want a list, have a mapping"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			_, err := spec.ParseFamily("mine.yaml", []byte(tc.text), files(parts))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
	if _, err := spec.Parse("mine.yaml", []byte(mine)); err == nil || !strings.Contains(err.Error(), "nothing can be included here") {
		t.Errorf("without a loader: %v", err)
	}
}

func TestIncludesAreBounded(t *testing.T) {
	deep := func(_, name string) (string, []byte, error) { return name, []byte("include: " + name + "x\n"), nil }
	if _, err := spec.ParseFamily("mine.yaml", []byte(mine), deep); err == nil || !strings.Contains(err.Error(), "one in the other") {
		t.Errorf("a chain without end: %v", err)
	}
}

func FuzzFamily(f *testing.F) {
	f.Add(mine)
	f.Add(mine + "variants: {v: [root, debug], w: {include: common, drop: [a/b]}}\n")
	for _, text := range parts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fam, err := spec.ParseFamily("mine.yaml", []byte(text), files(parts))
		if err != nil {
			return
		}
		for _, v := range fam.Variants {
			if !spec.ValidImageName(v.Definition.Name) && len(v.Definition.Name) <= 100 {
				t.Errorf("variant %q is called %q", v.Name, v.Definition.Name)
			}
			if d, ok := fam.Variant(fam.LockName(v.Name)); !ok || string(d.LockInput()) != string(v.LockInput()) {
				t.Errorf("variant %q uses the lock of another", v.Name)
			}
		}
	})
}
