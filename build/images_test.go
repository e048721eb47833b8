package build_test

import (
	"archive/tar"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/debtest"
	"github.com/hardstand/hardstand/build/payload/payloadtest"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/canary/alert"
)

// archiveOf is an archive of one suite with the given packages.
func archiveOf(t *testing.T, list ...debtest.Package) world {
	t.Helper()
	a := debtest.NewArchive(t, debtest.Suite{Name: "trixie", Packages: list}, debtest.Suite{Name: "trixie-updates"}, debtest.Suite{Name: "trixie-security"})
	dir := t.TempDir()
	a.WriteTo(t, dir)
	return open(t, dir, a.Key.Public(t), t.TempDir())
}

// fails builds a definition and returns why it cannot be.
func (w world) fails(t *testing.T, d *spec.Definition) string {
	t.Helper()
	l, err := build.Lock(t.Context(), w.archive, d, nil)
	if err == nil {
		_, err = build.Assemble(t.Context(), d, l, build.Options{Cache: w.cache, Archive: w.archive})
	}
	if err == nil {
		t.Fatal("it builds")
	}
	return err.Error()
}

const dep5 = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: x\nLicense: "

func TestGates(t *testing.T) {
	w := archiveOf(t,
		debtest.Package{Name: "su", Headers: []tar.Header{{Name: "./usr/bin/su", Typeflag: tar.TypeReg, Mode: 0o4755}}, Files: map[string]string{"usr/share/doc/su/copyright": dep5 + "GPL-2+\n"}},
		debtest.Package{Name: "zsh", Headers: []tar.Header{{Name: "./usr/bin/zsh", Typeflag: tar.TypeReg, Mode: 0o755}}},
		debtest.Package{Name: "drop", Headers: []tar.Header{{Name: "./var/drop/", Typeflag: tar.TypeDir, Mode: 0o777}}},
		debtest.Package{Name: "libx", Files: map[string]string{"usr/share/doc/libx-common/copyright": dep5 + "Expat or GPL-3\n"}},
		debtest.Package{Name: "libx-common", Files: map[string]string{"usr/share/x": "x"}},
	)
	for name, tc := range map[string]struct{ definition, want string }{
		"set-id":         {"packages: [su]", "package su: /usr/bin/su is set-id (mode 4755)"},
		"shell":          {"packages: [zsh]", "package zsh: /usr/bin/zsh is a shell"},
		"world-writable": {"packages: [drop]", "package drop: /var/drop is writable by everyone (mode 0777)"},
		"license deny":   {"packages: [su]\nexempt: {set-id: a test}\nlicenses: {deny: [\"GPL-*\"]}", "package su: licence GPL-2+ is denied"},
		"license allow":  {"packages: [libx-common]\nlicenses: {allow: [Expat]}", "package libx-common: licence unknown is not among those allowed"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			if got := w.fails(t, parse(t, "name: x\nplatforms: [amd64]\n"+tc.definition)); !strings.Contains(got, tc.want) {
				t.Errorf("error %q, want %q", got, tc.want)
			}
		})
	}
	d := parse(t, "name: x\nplatforms: [amd64]\npackages: [su, zsh, drop]\nexempt: {set-id: a test, shell: a test, world-writable: a test}\nlicenses: {allow: [GPL-2+, unknown]}")
	img := w.build(t, d, build.Options{}).Images[0]
	if got := img.Licenses["su"].Expression; got != "GPL-2.0-or-later" {
		t.Errorf("licence of su: %q", got)
	}
	if !strings.Contains(string(img.SPDX), `"licenseDeclared":"GPL-2.0-or-later"`) {
		t.Errorf("the SBOM lacks the licence: %s", img.SPDX)
	}
}

func TestWhatIsSaidInVainIsReported(t *testing.T) {
	w := archiveOf(t, debtest.Package{Name: "aa", Fields: "Depends: bb | cc (>= 2), ee:any (>= 1)", Files: map[string]string{"usr/share/man/x": "m", "usr/bin/aa": "a"}})
	d := parse(t, "name: x\nplatforms: [amd64]\npackages: [aa]\nignore-depends: [cc, dd, ee]\ndrop: [usr/share/man/**, usr/share/info/**]")
	img := w.build(t, d, build.Options{}).Images[0]
	want := []string{"drop usr/share/info/**: no package has such a path", "ignore-depends dd: no package depends on it"}
	if diff := cmp.Diff(want, img.Notes); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(string(img.SPDX), "2 paths of this package are left out of the image by its definition: usr/share/man/**") {
		t.Errorf("the SBOM does not say what was dropped: %s", img.SPDX)
	}
}

func TestCompatDistroless(t *testing.T) {
	payloadtest.Need(t)
	dir, keys := mirror(t)
	w := open(t, dir, keys, t.TempDir())
	img := w.build(t, parse(t, definition+"compat: distroless\n"), build.Options{}).Images[0]
	got := content(t, img)
	if !strings.HasPrefix(got["usr/lib/os-release"], "file 0555 ") || got["etc/os-release"] != "symlink ../usr/lib/os-release" {
		t.Errorf("os-release: %q, %q", got["usr/lib/os-release"], got["etc/os-release"])
	}
	e, _, _ := img.Tree.Lookup("usr/lib/os-release")
	plain := w.build(t, parse(t, definition), build.Options{}).Images[0]
	trapped := content(t, w.build(t, parse(t, definition+"compat: distroless\ncanary: true\n"), build.Options{Canary: alert.NewMaster()}).Images[0])
	if trapped["usr/bin/bash"] == "" || trapped["usr/bin/sh"] != "" {
		t.Errorf("decoys: bash is %q, sh %q", trapped["usr/bin/bash"], trapped["usr/bin/sh"])
	}
	if p, owner, _ := plain.Tree.Lookup("usr/lib/os-release"); p.SHA256 == e.SHA256 || owner != "base-files" {
		t.Error("the profile changes nothing")
	}
}

func TestBareImage(t *testing.T) {
	payloadtest.Need(t)
	w := archiveOf(t)
	d := parse(t, "name: x\nbare: true\ndebian: {snapshot: 20261122T000000Z}\nprobe: true\nlinks: {/bin/health: probe}\nplatforms: [amd64]")
	img := w.build(t, d, build.Options{}).Images[0]
	got := content(t, img)
	want := []string{"usr", "usr/bin", "usr/bin/health", "usr/bin/probe"}
	var paths []string
	for p := range got {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
	if want := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC); !img.Created.Equal(want) {
		t.Errorf("it was created at %v", img.Created)
	}
}

// TestWholeImageEffects has Java's keystore made of the image's bundle, and
// refused without one.
func TestWholeImageEffects(t *testing.T) {
	java := debtest.Package{Name: "ca-certificates-java", Architecture: "all", Files: map[string]string{"usr/share/doc/ca-certificates-java/copyright": "c", "etc/default/cacerts": "x"},
		Scripts: map[string]string{"postinst": "#!/bin/sh"}}
	loader := debtest.Package{Name: "libc-bin", Files: map[string]string{"etc/ld.so.conf": "x", "usr/share/libc-bin/nsswitch.conf": "x"}, Scripts: map[string]string{"postinst": "#!/bin/sh"}}
	w := archiveOf(t, java, loader)
	if got := w.fails(t, parse(t, "name: x\nplatforms: [amd64]\npackages: [ca-certificates-java]")); !strings.Contains(got, "needs the package ca-certificates") {
		t.Errorf("without certificates: %s", got)
	}
	img := w.build(t, parse(t, "name: x\nplatforms: [amd64]\npackages: [libc-bin]"), build.Options{}).Images[0]
	got := content(t, img)
	if got["etc/ld.so.cache"] == "" || got["usr/share/libc-bin/nsswitch.conf"] != "" || got["etc/ld.so.conf"] == "" {
		t.Errorf("tree: %v", got)
	}
	if img.Effects["libc-bin"] == "" || len(img.Unhandled) != 0 || !strings.Contains(string(img.SPDX), "in place of its maintainer scripts: /etc/ld.so.cache is written") {
		t.Errorf("effects %v, unhandled %v", img.Effects, img.Unhandled)
	}
}

// TestEveryPlatform composes for all six platforms, with probe and decoys.
func TestEveryPlatform(t *testing.T) {
	payloadtest.Need(t)
	all := []string{"amd64", "arm64", "armhf", "riscv64", "ppc64el", "s390x"}
	var suites []debtest.Suite
	for _, name := range []string{"trixie", "trixie-updates", "trixie-security"} {
		suites = append(suites, debtest.Suite{Name: name, Architectures: all})
	}
	suites[0].Packages = []debtest.Package{{Name: "data", Architecture: "all", Files: map[string]string{"usr/share/data": "d"}}}
	a, dir := debtest.NewArchive(t, suites...), t.TempDir()
	a.WriteTo(t, dir)
	w := open(t, dir, a.Key.Public(t), t.TempDir())
	d := parse(t, "name: x\npackages: [data]\nprobe: {tls: false}\ncanary: true\nplatforms: [amd64, arm64, arm/v7, riscv64, ppc64le, s390x]")
	r := w.build(t, d, build.Options{Canary: alert.NewMaster()})
	var got []string
	for _, img := range r.Images {
		c, err := img.Image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimSuffix(c.Architecture+"/"+c.Variant, "/"))
		tree := content(t, img)
		if tree["usr/bin/probe"] == "" || tree["usr/bin/curl"] == "" {
			t.Errorf("%s: probe %q, decoy %q", img.Platform, tree["usr/bin/probe"], tree["usr/bin/curl"])
		}
	}
	if diff := cmp.Diff([]string{"amd64", "arm64/v8", "arm/v7", "riscv64", "ppc64le", "s390x"}, got); diff != "" {
		t.Error(diff)
	}
	reporting := parse(t, "name: x\npackages: [data]\ncanary: {collector: \"https://alarms.example\"}\nplatforms: [s390x]")
	l, err := build.Lock(t.Context(), w.archive, reporting, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = build.Assemble(t.Context(), reporting, l, build.Options{Cache: w.cache, Archive: w.archive, Canary: alert.NewMaster()})
	if err == nil || !strings.Contains(err.Error(), "make build PLATFORMS=linux/s390x") {
		t.Errorf("decoys that are not embedded: %v", err)
	}
}
