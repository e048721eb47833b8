package inventory_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/audit/audittest"
	"github.com/hardstand/hardstand/audit/scan/inventory"
	"github.com/hardstand/hardstand/build/sbom"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/google/go-containerregistry/...": "image types",
		"github.com/package-url/packageurl-go":       "package URLs of SBOMs",
		"golang.org/x/mod/...":                       "go.mod",
	})
}

const osRelease = "ID=debian\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n"

// file is an entry of a layer: "dir/" is a directory, "a -> b" a link.
type file struct{ path, data string }

func layer(t *testing.T, files ...file) v1.Layer {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{Name: f.path, Mode: 0o644, Size: int64(len(f.data)), Typeflag: tar.TypeReg}
		if from, to, ok := strings.Cut(f.path, " -> "); ok {
			h.Name, h.Linkname, h.Typeflag = from, to, tar.TypeSymlink
		} else if strings.HasSuffix(f.path, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func image(t *testing.T, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func list(t *testing.T, img v1.Image) *inventory.Inventory {
	t.Helper()
	inv, err := inventory.FromImage(context.Background(), "image", img, inventory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// names are "binary version" of an inventory's packages.
func names(inv *inventory.Inventory) []string {
	var out []string
	for _, p := range inv.Packages {
		out = append(out, p.Installed()+" "+p.InstalledVersion())
	}
	slices.Sort(out)
	return out
}

func stanza(name, version, more string) string {
	return fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\n%sDescription: words\n more: words\n", name, version, more)
}

// TestDirectoryEntriesDoNotMatter finds the same packages whether a layer has
// entries for the directories or not.
func TestDirectoryEntriesDoNotMatter(t *testing.T) {
	var files []file
	var want []string
	for _, name := range []string{"base-files", "ca-certificates", "libc6", "libssl3t64", "netbase", "tzdata", "zlib1g"} {
		files = append(files, file{"var/lib/dpkg/status.d/" + name, stanza(name, "1.0-1", "")})
		want = append(want, name+" 1.0-1")
	}
	files = append(files, file{"usr/lib/os-release", osRelease}, file{"etc/os-release -> ../usr/lib/os-release", ""})
	dirs := []file{{"var/", ""}, {"var/lib/", ""}, {"var/lib/dpkg/", ""}, {"var/lib/dpkg/status.d/", ""}, {"usr/", ""}, {"usr/lib/", ""}, {"etc/", ""}}
	dotted := make([]file, len(files))
	for i, f := range files {
		dotted[i] = file{"./" + f.path, f.data}
	}
	for name, files := range map[string][]file{"with": append(dirs, files...), "without": files, "dotted": dotted} {
		t.Run(name, func(t *testing.T) {
			inv := list(t, image(t, layer(t, files...)))
			if diff := cmp.Diff(want, names(inv)); diff != "" {
				t.Error(diff)
			}
			if len(inv.Problems) > 0 {
				t.Error(inv.Problems)
			}
		})
	}
}

func TestLayersCoverEachOther(t *testing.T) {
	base := layer(t, file{"etc/os-release", osRelease}, file{"var/lib/dpkg/status", stanza("a", "1", "Status: install ok installed\n") + "\n" + stanza("gone", "1", "Status: install ok installed\n")},
		file{"var/lib/dpkg/status.d/x", stanza("x", "1", "")}, file{"var/lib/dpkg/status.d/y", stanza("y", "1", "")})
	cases := map[string]struct {
		layers []v1.Layer
		want   []string
	}{
		"base":           {nil, []string{"a 1", "gone 1", "x 1", "y 1"}},
		"replaced":       {[]v1.Layer{layer(t, file{"var/lib/dpkg/status", stanza("a", "2", "Status: install ok installed\n")})}, []string{"a 2", "x 1", "y 1"}},
		"removed":        {[]v1.Layer{layer(t, file{"var/lib/dpkg/status.d/.wh.x", ""})}, []string{"a 1", "gone 1", "y 1"}},
		"directory-gone": {[]v1.Layer{layer(t, file{"var/lib/.wh.dpkg", ""}), layer(t, file{"var/lib/dpkg/status.d/z", stanza("z", "1", "")})}, []string{"z 1"}},
		"opaque":         {[]v1.Layer{layer(t, file{"var/lib/dpkg/status.d/.wh..wh..opq", ""}, file{"var/lib/dpkg/status.d/z", stanza("z", "1", "")})}, []string{"a 1", "gone 1", "z 1"}},
		"file-over-dir":  {[]v1.Layer{layer(t, file{"var/lib/dpkg/status.d", "now a file"})}, []string{"a 1", "gone 1"}},
		"dir-over-file":  {[]v1.Layer{layer(t, file{"var/lib/dpkg/status/", ""})}, []string{"x 1", "y 1"}},
		"last-one-wins":  {[]v1.Layer{layer(t, file{"var/lib/dpkg/status.d/x", stanza("x", "2", "")}, file{"var/lib/dpkg/status.d/x", stanza("x", "3", "")})}, []string{"a 1", "gone 1", "x 3", "y 1"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, names(list(t, image(t, append([]v1.Layer{base}, c.layers...)...)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSourcesAndStates(t *testing.T) {
	status := strings.Join([]string{
		stanza("libc6", "2.41-12", "Status: install ok installed\nSource: glibc\n"),
		stanza("libstdc++6", "14.2.0-19", "Status: hold ok installed\nSource: gcc-14 (14.2.0-18)\n"),
		stanza("purged", "1", "Status: deinstall ok config-files\n"),
		stanza("never", "1", "Status: purge ok not-installed\n"),
		stanza("half", "1:2-3", "Status: install reinstreq half-installed\n"),
	}, "\n")
	inv := list(t, image(t, layer(t, file{"etc/os-release", osRelease}, file{"var/lib/dpkg/status", status})))
	want := []string{"glibc 2.41-12 Debian:13", "gcc-14 14.2.0-18 Debian:13", "half 1:2-3 Debian:13"}
	var got []string
	for _, p := range inv.Packages {
		got = append(got, p.Name+" "+p.Version+" "+p.Ecosystem)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestPURLsAreTheSBOMs compares package URLs with those that our SBOMs carry,
// and reads them back.
func TestPURLsAreTheSBOMs(t *testing.T) {
	for _, p := range []*spec.Package{
		{Name: "libstdc++6", Version: "14.2.0-19", Architecture: "amd64", Source: "gcc-14", SourceVersion: "14.2.0-19"},
		{Name: "libc6", Version: "2.41-12+b1", Architecture: "arm64", Source: "glibc", SourceVersion: "2.41-12"},
		{Name: "tzdata", Version: "2026a-0+deb13u1", Architecture: "all", Source: "tzdata", SourceVersion: "2026a-0+deb13u1"},
		{Name: "zlib1g", Version: "1:1.3.dfsg+really1.3.1-1+b1", Architecture: "amd64", Source: "zlib", SourceVersion: "1:1.3.dfsg+really1.3.1-1"},
	} {
		source := ""
		if p.Source != p.Name || p.SourceVersion != p.Version {
			source = fmt.Sprintf("Source: %s (%s)\n", p.Source, p.SourceVersion)
		}
		text := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\n%s", p.Name, p.Version, p.Architecture, source)
		inv := list(t, image(t, layer(t, file{"etc/os-release", osRelease}, file{"var/lib/dpkg/status.d/p", text})))
		got := inv.Packages[0]
		if want := sbom.DebPURL(p, "13"); got.PURL != want {
			t.Errorf("%s, and the SBOM says %s", got.PURL, want)
		}
		back, err := inventory.FromPURL(got.PURL)
		if err != nil {
			t.Fatal(err)
		}
		got.Layer, got.Path = "", ""
		if diff := cmp.Diff(got, back); diff != "" {
			t.Errorf("read back: %s", diff)
		}
	}
}

// TestNotWhole lists inventories that must say that they are not whole.
func TestNotWhole(t *testing.T) {
	cases := map[string]struct {
		files []file
		want  string
	}{
		"no-release":      {[]file{{"var/lib/dpkg/status.d/x", stanza("x", "1", "")}}, "which release"},
		"derivative":      {[]file{{"etc/os-release", "ID=mint\nVERSION_ID=22\n"}, {"var/lib/dpkg/status.d/x", stanza("x", "1", "")}}, "which release"},
		"list-is-gone":    {[]file{{"etc/os-release", osRelease}}, "no list of its packages"},
		"no-version":      {[]file{{"etc/os-release", osRelease}, {"var/lib/dpkg/status.d/x", "Package: x\n"}}, "no version"},
		"no-package":      {[]file{{"etc/os-release", osRelease}, {"var/lib/dpkg/status.d/x", "Version: 1\n"}}, "names no package"},
		"garbage":         {[]file{{"etc/os-release", osRelease}, {"var/lib/dpkg/status.d/x", "\x00\xff\xfe"}}, "names no package"},
		"rpm":             {[]file{{"etc/os-release", "ID=fedora\nVERSION_ID=42\n"}, {"var/lib/rpm/rpmdb.sqlite", "x"}}, "rpm"},
		"status-is-link":  {[]file{{"etc/os-release", osRelease}, {"var/lib/dpkg/status -> /dev/null", ""}}, "is a link"},
		"damaged-program": {[]file{{"app", "\x7fELF" + strings.Repeat("\x00", 20) + "\xff Go buildinf:" + strings.Repeat("\x00", 100)}}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inv := list(t, image(t, layer(t, c.files...)))
			text := strings.Join(append(inv.Problems, inv.Notes...), "\n")
			if c.want != "" && (len(inv.Problems) == 0 || !strings.Contains(text, c.want)) {
				t.Errorf("problems %q: want %q among them", inv.Problems, c.want)
			}
			if len(inv.Problems)+len(inv.Notes) == 0 {
				t.Error("neither a problem nor a note")
			}
		})
	}
}

func TestLayerThatLies(t *testing.T) {
	good := image(t, layer(t, file{"etc/os-release", osRelease}))
	cfg, err := good.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cfg = cfg.DeepCopy()
	cfg.RootFS.DiffIDs[0].Hex = strings.Repeat("0", 64)
	lying, err := mutate.ConfigFile(good, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inventory.FromImage(context.Background(), "x", lying, inventory.Options{}); err == nil || !strings.Contains(err.Error(), "the configuration says") {
		t.Errorf("a layer with another digest: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := inventory.FromImage(ctx, "x", good, inventory.Options{}); err == nil {
		t.Error("an ended context: no error")
	}
}

// TestHoles: a file that is announced with an exabyte and stored with nothing
// is not read, and the inventory says that it is not whole.
func TestHoles(t *testing.T) {
	for _, name := range []string{"var/lib/dpkg/status", "app"} {
		data := audittest.Sparse(t, name, 1<<60)
		l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
		if err != nil {
			t.Fatal(err)
		}
		inv, err := inventory.FromImage(t.Context(), "x", image(t, l), inventory.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(inv.Problems, "\n"), name+": it is stored with holes") {
			t.Errorf("%s: problems %q", name, inv.Problems)
		}
	}
}

func TestAlpine(t *testing.T) {
	inv := list(t, image(t, layer(t, file{"etc/os-release", "ID=alpine\nVERSION_ID=3.20.1\n"},
		file{"lib/apk/db/installed", "C:Q1=\nP:libcrypto3\nV:3.3.1-r0\nA:x86_64\no:openssl\n\nP:musl\nV:1.2.5-r0\nA:x86_64\n\n"})))
	want := []string{"musl 1.2.5-r0 Alpine:v3.20", "openssl 3.3.1-r0 Alpine:v3.20"}
	var got []string
	for _, p := range inv.Packages {
		got = append(got, p.Name+" "+p.Version+" "+p.Ecosystem)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// program compiles a Go program that requires a module from a file proxy.
func program(t *testing.T, ldflags string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.org/app\n\ngo 1.26\n")
	write("main.go", "package main\n\nfunc main() { println(\"hello\") }\n")
	out := filepath.Join(dir, "app")
	cmd := exec.Command("go", "build", "-o", out, "-ldflags", ldflags, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOOS=linux")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, text)
	}
	return out
}

func TestGoProgram(t *testing.T) {
	stripped := program(t, "-s -w")
	data, err := os.ReadFile(stripped)
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]int{}
	inv, err := inventory.FromImage(context.Background(), "scratch", image(t, layer(t, file{"app", string(data)})), inventory.Options{
		Keep: func(path string, data []byte) error { kept[path] = len(data); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.Packages) != 1 || inv.Packages[0].Name != "stdlib" || inv.Packages[0].Path != "app" || len(inv.Problems) > 0 {
		t.Errorf("packages %+v, problems %v", inv.Packages, inv.Problems)
	}
	if len(inv.Programs) != 1 || !inv.Programs[0].Stripped || inv.Programs[0].Main != "example.org/app" {
		t.Errorf("programs %+v", inv.Programs)
	}
	if kept["app"] != len(data) {
		t.Errorf("kept %v, want %d bytes", kept, len(data))
	}
	one, err := inventory.FromProgram(stripped, inventory.Options{})
	if err != nil || len(one.Packages) != 1 || one.Packages[0].Version == "" {
		t.Errorf("%+v, %v", one, err)
	}
	if _, err := inventory.FromProgram("inventory_test.go", inventory.Options{}); err == nil {
		t.Error("a text was taken for a program")
	}
}

func TestGoModule(t *testing.T) {
	dir := t.TempDir()
	text := "module example.org/m\n\ngo 1.26\n\nrequire (\n\texample.org/a v1.2.3\n\texample.org/b v0.1.0 // indirect\n\texample.org/c v1.0.0\n)\n\nreplace example.org/b => example.org/fork v0.2.0\n\nreplace example.org/c => ../c\n"
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, get := range map[string]func() (*inventory.Inventory, error){
		"file": func() (*inventory.Inventory, error) { return inventory.FromModule(filepath.Join(dir, "go.mod")) },
		"directory": func() (*inventory.Inventory, error) {
			return inventory.FromDirectory(context.Background(), dir, inventory.Options{})
		},
	} {
		inv, err := get()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"example.org/a 1.2.3", "example.org/fork 0.2.0"}, names(inv)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if len(inv.Notes) != 2 {
			t.Errorf("%s: notes %q", name, inv.Notes)
		}
	}
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"etc/hostname": "x", "usr/lib/os-release": osRelease, "var/lib/dpkg/status.d/x": stanza("x", "1", "")} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{"etc/os-release": "/usr/lib/os-release", "var/lib/dpkg/status.d/loop": "loop", "var/lib/dpkg/status.d/out": "/etc/passwd", "loop": "."} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	inv, err := inventory.FromDirectory(context.Background(), dir, inventory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"x 1"}, names(inv)); diff != "" {
		t.Error(diff)
	}
	if len(inv.Problems) != 2 {
		t.Errorf("problems %q: want the loop and the link that leads out", inv.Problems)
	}
}

func TestSBOM(t *testing.T) {
	inv, err := inventory.FromSBOM("x", []byte(`{"spdxVersion":"SPDX-2.3","packages":[
		{"name":"libc6","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:deb/debian/libc6@2.41-12%2Bb1?arch=amd64&distro=debian-13&upstream=glibc%402.41-12"}]},
		{"name":"image","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:oci/x@sha256%3Aabc"}]},
		{"name":"app","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:golang/example.org/app"}]},
		{"name":"unnamed"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.Packages) != 1 || inv.Packages[0].Name != "glibc" || inv.Packages[0].Version != "2.41-12" || len(inv.Notes) != 2 || len(inv.Problems) != 0 {
		t.Errorf("%+v", inv)
	}
	inv, err = inventory.FromSBOM("x", []byte(`{"bomFormat":"CycloneDX","components":[{"type":"library","purl":"pkg:npm/%40scope/a@1.0.0","components":[{"purl":"pkg:pypi/My_Package@2"}]},
		{"type":"library","purl":"pkg:rpm/fedora/bash@5.2"},{"type":"library","purl":"pkg:deb/debian/x@1"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"@scope/a 1.0.0", "my-package 2"}, names(inv)); diff != "" || len(inv.Problems) != 2 {
		t.Errorf("%s %q", diff, inv.Problems)
	}
	deep := strings.Repeat(`{"components":[`, 50) + strings.Repeat(`]}`, 50)
	for name, text := range map[string]string{"neither": `{}`, "broken": `{"spdxVersion"`, "deep": `{"bomFormat":"CycloneDX","components":[` + deep + `]}`} {
		if _, err := inventory.FromSBOM("x", []byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
