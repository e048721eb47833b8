package build_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/apt"
	"github.com/hardstand/hardstand/build/debtest"
	"github.com/hardstand/hardstand/build/sbom"
	"github.com/hardstand/hardstand/build/spec"
)

// beside writes packages into a directory, and gives their places by digest and
// what a definition says of them.
func beside(t *testing.T, packages ...debtest.Package) (files map[string]string, text string) {
	t.Helper()
	var list [][]byte
	for _, p := range packages {
		list = append(list, p.Build(t))
	}
	return besideData(t, list...)
}

// besideData is beside for files that may be no packages.
func besideData(t *testing.T, list ...[]byte) (files map[string]string, text string) {
	t.Helper()
	dir := t.TempDir()
	files = map[string]string{}
	text = "debs:\n"
	for i, data := range list {
		sum := sha256.Sum256(data)
		name := fmt.Sprintf("own-%d.deb", i)
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
		digest := hex.EncodeToString(sum[:])
		files[digest] = filepath.Join(dir, name)
		text += fmt.Sprintf("  - {source: %s, sha256: %s}\n", name, digest)
	}
	return files, text
}

func agent(arch, fields string) debtest.Package {
	return debtest.Package{Name: "agent", Version: "2.0", Architecture: arch, Fields: fields, Files: map[string]string{"opt/agent/" + arch: "agent"}}
}

func (w world) withDebs(t *testing.T, text string, files map[string]string) (*spec.Definition, *spec.Lock, error) {
	t.Helper()
	d := parse(t, text)
	l, err := build.LockWith(t.Context(), w.archive, d, build.LockOptions{Cache: w.cache, Debs: files})
	return d, l, err
}

// Each platform gets the package of its architecture, what that depends on comes
// from the archive, and everything that is said of the image says so.
func TestLocalDebs(t *testing.T) {
	w := fresh(t)
	files, text := beside(t, agent("amd64", "Depends: libssl3t64"), agent("arm64", "Depends: libssl3t64"),
		debtest.Package{Name: "agent-data", Architecture: "all", Files: map[string]string{"opt/agent/data": "d"}})
	d, l, err := w.withDebs(t, "name: own\n"+text, files)
	if err != nil {
		t.Fatal(err)
	}
	again, err := spec.ParseLock("own.lock.json", l.Format())
	if err != nil {
		t.Fatal(err)
	}
	offline, err := apt.New(apt.Options{Cache: w.cache, Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := build.Assemble(t.Context(), d, again, build.Options{Cache: w.cache, Archive: w.archive, Debs: files}); err != nil {
		t.Fatal(err)
	}
	r, err := build.Assemble(t.Context(), d, again, build.Options{Cache: w.cache, Archive: offline, Debs: files})
	if err != nil {
		t.Fatal(err)
	}
	for i, arch := range []string{"amd64", "arm64"} {
		img := r.Images[i]
		tree := content(t, img)
		for _, p := range []string{"opt/agent/" + arch, "opt/agent/data", "usr/lib/libssl.so.3", "var/lib/dpkg/status.d/agent"} {
			if tree[p] == "" {
				t.Errorf("%s: /%s is missing", arch, p)
			}
		}
		var sum string
		for digest, file := range files {
			if strings.HasSuffix(file, fmt.Sprintf("own-%d.deb", i)) {
				sum = digest
			}
		}
		purl := "pkg:deb/local/agent@2.0?arch=" + arch + "&distro=debian-13"
		for kind, doc := range map[string][]byte{"SPDX": img.SPDX, "CycloneDX": img.CycloneDX, "provenance": img.Provenance} {
			doc = bytes.ReplaceAll(doc, []byte(`\u0026`), []byte("&"))
			for _, want := range []string{purl, sum} {
				if !bytes.Contains(doc, []byte(want)) {
					t.Errorf("%s: the %s lacks %s", arch, kind, want)
				}
			}
		}
		if !bytes.Contains(img.SPDX, []byte(`"Organization: local"`)) || !bytes.Contains(img.CycloneDX, []byte(`"supplier":{"name":"local"}`)) {
			t.Errorf("%s: the SBOMs do not name the supplier", arch)
		}
	}
	if sbom.DebPURL(again.Platforms["linux/amd64"][0], "13") == "" || again.Platforms["linux/amd64"][0].Archive != spec.Local {
		t.Errorf("the lock has %+v first", again.Platforms["linux/amd64"][0])
	}
}

// A package of one's own stands in place of the archive's, however old.
func TestLocalDebReplacesTheArchives(t *testing.T) {
	w := fresh(t)
	files, text := beside(t, debtest.Package{Name: "libc6", Version: "2.40-1", Files: map[string]string{"usr/lib/libc.so.6": "own"}})
	_, l, err := w.withDebs(t, "name: own\npackages: [libc6]\nplatforms: [linux/amd64]\n"+text, files)
	if err != nil {
		t.Fatal(err)
	}
	if p := l.Platforms["linux/amd64"]; len(p) != 1 || p[0].Version != "2.40-1" || p[0].Suite != spec.Local {
		t.Errorf("locked are %+v", p)
	}
	_, _, err = w.withDebs(t, "name: own\npackages: [libc6 (>= 2.41)]\nplatforms: [linux/amd64]\n"+text, files)
	if err == nil || !strings.Contains(err.Error(), "2.40-1") {
		t.Errorf("a version that it is not: %v", err)
	}
}

func TestLocalDebsRefused(t *testing.T) {
	for _, c := range []struct {
		name, more, want string
		packages         []debtest.Package
	}{
		{"platform", "", "agent: there is none for linux/arm64", []debtest.Package{agent("amd64", "")}},
		{"architecture", "platforms: [linux/amd64]\n", "is for s390x, which is no platform of the image", []debtest.Package{agent("amd64", ""), agent("s390x", "")}},
		{"two", "platforms: [linux/amd64]\n", "there are own-0.deb and own-1.deb: keep one", []debtest.Package{agent("amd64", ""), agent("amd64", "Section: x")}},
		{"denied", "packages: [\"!agent\"]\nplatforms: [linux/amd64]\n", "denied", []debtest.Package{agent("amd64", "")}},
		{"depends", "platforms: [linux/amd64]\n", "agent needs nowhere", []debtest.Package{agent("amd64", "Depends: nowhere")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			files, text := beside(t, c.packages...)
			_, _, err := fresh(t).withDebs(t, "name: own\n"+c.more+text, files)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// What is not what the definition says is refused before it is read, whether the
// file, the lock or the definition changed.
func TestLocalDebChanged(t *testing.T) {
	files, text := beside(t, agent("amd64", ""))
	text = "name: own\nplatforms: [linux/amd64]\n" + text
	w := fresh(t)
	d, l, err := w.withDebs(t, text, files)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if err := os.WriteFile(file, agent("amd64", "Section: x").Build(t), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	other := fresh(t)
	if _, _, err := other.withDebs(t, text, files); err == nil || !strings.Contains(err.Error(), "the definition says") {
		t.Errorf("lock a changed file: %v", err)
	}
	_, err = build.Assemble(t.Context(), d, l, build.Options{Cache: other.cache, Archive: other.archive, Debs: files})
	if err == nil || !strings.Contains(err.Error(), "the definition says") {
		t.Errorf("build from a changed file: %v", err)
	}
	if _, err = build.Assemble(t.Context(), d, l, build.Options{Cache: w.cache, Archive: w.archive}); err != nil {
		t.Errorf("build from the cache alone: %v", err)
	}
	l.Platforms["linux/amd64"][0].SHA256 = strings.Repeat("0", 64)
	_, err = build.Assemble(t.Context(), d, l, build.Options{Cache: w.cache, Archive: w.archive, Debs: files})
	if err == nil || !strings.Contains(err.Error(), "no source of the definition") || !strings.Contains(err.Error(), "lacks the package with the SHA-256") {
		t.Errorf("build from a changed lock: %v", err)
	}
}
