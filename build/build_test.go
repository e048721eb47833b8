package build_test

import (
	"archive/tar"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/apt"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/debtest"
	"github.com/hardstand/hardstand/build/elf"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/spec"
)

const certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"

// packages are a small Debian: what static and base are made of, in miniature.
func packages() []debtest.Package {
	both := func(p debtest.Package) []debtest.Package {
		arm := p
		arm.Architecture = "arm64"
		return []debtest.Package{p, arm}
	}
	list := []debtest.Package{
		{Name: "tzdata", Architecture: "all", Fields: "Depends: debconf (>= 0.5)", Files: map[string]string{
			"usr/share/zoneinfo/UTC": "TZif", "usr/share/doc/tzdata/copyright": "c", "usr/share/doc/tzdata/changelog.gz": strings.Repeat("x", 5000)}},
		{Name: "ca-certificates", Architecture: "all", Files: map[string]string{
			"usr/share/ca-certificates/mozilla/B.crt": certificate, "usr/share/ca-certificates/mozilla/A.crt": certificate + "\n\n",
			"usr/sbin/update-ca-certificates": "#!/bin/sh", "usr/share/doc/ca-certificates/copyright": "c"}},
	}
	list = append(list, both(debtest.Package{Name: "base-files", Version: "13.8", Fields: "Pre-Depends: awk\nEssential: yes", Files: map[string]string{"usr/lib/os-release": "ID=debian\n"},
		Headers: []tar.Header{
			{Name: "./bin", Typeflag: tar.TypeSymlink, Linkname: "usr/bin"}, {Name: "./lib", Typeflag: tar.TypeSymlink, Linkname: "usr/lib"},
			{Name: "./sbin", Typeflag: tar.TypeSymlink, Linkname: "usr/sbin"}, {Name: "./tmp/", Typeflag: tar.TypeDir, Mode: 0o1777},
			{Name: "./root/", Typeflag: tar.TypeDir, Mode: 0o700},
		}})...)
	list = append(list, both(debtest.Package{Name: "libc6", Version: "2.41-12", Files: map[string]string{
		"usr/lib/libc.so.6": strings.Repeat("libc", 30_000), "usr/lib/x/gconv/UTF-7.so": strings.Repeat("g", 9000)}, Scripts: map[string]string{"postinst": "#!/bin/sh\n"}})...)
	return append(list, both(debtest.Package{Name: "libssl3t64", Fields: "Depends: libc6 (>= 2.38)", Files: map[string]string{
		"usr/lib/libssl.so.3": strings.Repeat("ssl", 20_000)}, Scripts: map[string]string{"postinst": "#!/bin/sh\n", "triggers": ""}})...)
}

const definition = `
name: base
packages: [base-files, tzdata, ca-certificates, libssl3t64, "!bash"]
ignore-depends: [awk, debconf]
drop: [usr/lib/*/gconv/**, usr/share/doc/*/changelog*]
platforms: [linux/amd64, linux/arm64]
`

// world is a signed archive with a cache and a clock.
type world struct {
	archive *apt.Archive
	cache   *cache.Cache
}

func parse(t testing.TB, text string) *spec.Definition {
	t.Helper()
	d, err := spec.Parse("base.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mirror(t testing.TB) (dir string, keyring []byte) {
	t.Helper()
	a := debtest.NewArchive(t, debtest.Suite{Name: "trixie", Packages: packages()}, debtest.Suite{Name: "trixie-updates"}, debtest.Suite{Name: "trixie-security"})
	dir = t.TempDir()
	a.WriteTo(t, dir)
	return dir, a.Key.Public(t)
}

func open(t testing.TB, dir string, keyring []byte, cacheDir string) world {
	t.Helper()
	c, err := cache.Open(cacheDir, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := apt.ParseKeyring(keyring)
	if err != nil {
		t.Fatal(err)
	}
	m, err := apt.ParseMirror(dir + "/debian")
	if err != nil {
		t.Fatal(err)
	}
	a, err := apt.New(apt.Options{Cache: c, Mirrors: []apt.Mirror{m}, Keyring: &keys, Now: debtest.Epoch.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return world{a, c}
}

func (w world) build(t testing.TB, d *spec.Definition, o build.Options) *build.Result {
	t.Helper()
	l, err := build.Lock(t.Context(), w.archive, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	o.Cache, o.Archive = w.cache, w.archive
	r, err := build.Assemble(t.Context(), d, l, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func digest(t testing.TB, r *build.Result) string {
	t.Helper()
	h, err := r.Index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}

// content reads an image's layers back and describes the tree they make. A
// path that stands in a layer twice is an error.
func content(t testing.TB, img *build.Image) map[string]string {
	t.Helper()
	layers, err := img.Image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		entries, others, err := rootfs.ReadTar(r)
		if err != nil || others != 0 {
			t.Fatal(err, others)
		}
		_ = r.Close()
		seen := map[string]bool{}
		for _, e := range entries {
			if seen[e.Path] {
				t.Errorf("/%s stands twice in one layer", e.Path)
			}
			seen[e.Path] = true
			if old, ok := all[e.Path]; ok && old != e.String() {
				t.Errorf("/%s is %s in one layer and %s in another", e.Path, old, e)
			}
			all[e.Path] = e.String()
		}
	}
	return all
}

func TestAssembledTree(t *testing.T) {
	dir, keys := mirror(t)
	w := open(t, dir, keys, t.TempDir())
	r := w.build(t, parse(t, definition), build.Options{})
	got := content(t, r.Images[0])
	want := map[string]string{
		"bin": "symlink usr/bin", "lib": "symlink usr/lib", "sbin": "symlink usr/sbin",
		"tmp": "dir 1777", "root": "dir 0700", "home/nonroot": "dir 0700 65532:65532",
		"usr/lib/libc.so.6": "", "usr/lib/libssl.so.3": "", "usr/share/zoneinfo/UTC": "", "etc/ssl/certs/ca-certificates.crt": "",
		"etc/passwd": "", "etc/group": "", "etc/nsswitch.conf": "", "usr/lib/os-release": "",
		"var/lib/dpkg/status.d/libc6": "", "var/lib/dpkg/status.d/libc6.md5sums": "", "usr/share/doc/ca-certificates/copyright": "",
	}
	for p, describe := range want {
		if got[p] == "" || describe != "" && got[p] != describe {
			t.Errorf("/%s is %q, want %q", p, got[p], describe)
		}
	}
	for p := range got {
		for _, forbidden := range []string{"gconv", "changelog", "update-ca-certificates", "usr/share/ca-certificates"} {
			if strings.Contains(p, forbidden) {
				t.Errorf("/%s should have been left out", p)
			}
		}
	}
	for _, e := range r.Images[0].Tree.Entries() {
		if got[e.Path] != e.String() {
			t.Errorf("the tree says /%s is %s, the layers say %s", e.Path, e, got[e.Path])
		}
	}
	if len(r.Images[0].Unhandled) != 0 {
		t.Errorf("scripts reported as not stood in for: %v", r.Images[0].Unhandled)
	}
}

func TestUnknownScriptsAreReported(t *testing.T) {
	a := debtest.NewArchive(t, debtest.Suite{Name: "trixie", Packages: []debtest.Package{
		{Name: "odd", Files: map[string]string{"usr/bin/odd": "x"}, Scripts: map[string]string{"postinst": "#!/bin/sh", "prerm": "#!/bin/sh"}}}},
		debtest.Suite{Name: "trixie-updates"}, debtest.Suite{Name: "trixie-security"})
	dir := t.TempDir()
	a.WriteTo(t, dir)
	r := open(t, dir, a.Key.Public(t), t.TempDir()).build(t, parse(t, "name: x\npackages: [odd]\nplatforms: [amd64]"), build.Options{})
	if diff := cmp.Diff(map[string][]string{"odd": {"postinst"}}, r.Images[0].Unhandled); diff != "" {
		t.Error(diff)
	}
}

func TestConfig(t *testing.T) {
	dir, keys := mirror(t)
	w := open(t, dir, keys, t.TempDir())
	d := parse(t, definition+"entrypoint: [/app]\nenvironment: {A: b}\n")
	file, err := w.build(t, d, build.Options{Format: oci.Docker}).Images[1].Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if file.Architecture != "arm64" || file.Variant != "v8" || file.Config.User != "65532" || file.Config.WorkingDir != "/home/nonroot" ||
		!file.Created.Equal(debtest.Epoch) || len(file.RootFS.DiffIDs) != 3 {
		t.Errorf("config: %+v", file)
	}
	want := []string{"A=b", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"}
	if diff := cmp.Diff(want, file.Config.Env); diff != "" {
		t.Error(diff)
	}
}

// The digests that must be equal are equal, whatever the cache holds and
// however many threads work; SOURCE_DATE_EPOCH changes the config only.
func TestReproducible(t *testing.T) {
	dir, keys := mirror(t)
	d := parse(t, definition)
	first := open(t, dir, keys, t.TempDir()).build(t, d, build.Options{})
	warm := t.TempDir()
	for i := range 4 {
		old := runtime.GOMAXPROCS(1 + 3*(i%2))
		w := open(t, dir, keys, warm)
		if i == 3 {
			w = open(t, dir, keys, t.TempDir())
		}
		got := w.build(t, d, build.Options{})
		runtime.GOMAXPROCS(old)
		if digest(t, got) != digest(t, first) {
			t.Errorf("build %d: digest %s, want %s", i, digest(t, got), digest(t, first))
		}
		if !slices.Equal(got.Images[0].SPDX, first.Images[0].SPDX) {
			t.Errorf("build %d: another SBOM", i)
		}
	}
	stamp := time.Unix(1_600_000_000+rand.Int64N(1_000_000), 0)
	a := open(t, dir, keys, warm).build(t, d, build.Options{Created: stamp})
	b := open(t, dir, keys, t.TempDir()).build(t, d, build.Options{Created: stamp})
	if digest(t, a) != digest(t, b) {
		t.Error("the same SOURCE_DATE_EPOCH gives different digests")
	}
	if digest(t, a) == digest(t, first) {
		t.Error("SOURCE_DATE_EPOCH has no effect")
	}
	if !slices.Equal(layerDigests(t, a.Images[0]), layerDigests(t, first.Images[0])) {
		t.Error("SOURCE_DATE_EPOCH changes the layers")
	}
}

func layerDigests(t testing.TB, img *build.Image) []string {
	t.Helper()
	layers, err := img.Image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, l := range layers {
		h, err := l.Digest()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, h.String())
	}
	return list
}

func TestPlatformsShareTheDataLayer(t *testing.T) {
	dir, keys := mirror(t)
	r := open(t, dir, keys, t.TempDir()).build(t, parse(t, definition), build.Options{})
	a, b := layerDigests(t, r.Images[0]), layerDigests(t, r.Images[1])
	if a[0] != b[0] {
		t.Errorf("the layers of architecture-independent packages differ: %s, %s", a[0], b[0])
	}
	if a[1] == b[1] {
		t.Error("the layers of native packages are the same")
	}
}

func TestLocalImageVerifiesAsALayout(t *testing.T) {
	dir, keys := mirror(t)
	r := open(t, dir, keys, t.TempDir()).build(t, parse(t, definition), build.Options{})
	out := filepath.Join(t.TempDir(), "layout")
	for range 2 { // a layout may be replaced by a layout
		if err := oci.WriteLayout(out, r.Index, "latest"); err != nil {
			t.Fatal(err)
		}
	}
	idx, err := oci.ReadLayout(out)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := idx.Digest(); err != nil || got.String() != digest(t, r) {
		t.Errorf("digest %v, %v", got, err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "precious"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := oci.WriteLayout(other, r.Index, ""); err == nil || !strings.Contains(err.Error(), "holds precious") {
		t.Errorf("a directory that is no layout was replaced: %v", err)
	}
}

func TestSetIDFilesFailTheBuild(t *testing.T) {
	a := debtest.NewArchive(t, debtest.Suite{Name: "trixie", Packages: []debtest.Package{{Name: "passwd", Headers: []tar.Header{
		{Name: "./usr/bin/chfn", Typeflag: tar.TypeReg, Mode: 0o4755}, {Name: "./usr/share/open", Typeflag: tar.TypeReg, Mode: 0o666}}}}},
		debtest.Suite{Name: "trixie-updates"}, debtest.Suite{Name: "trixie-security"})
	dir := t.TempDir()
	a.WriteTo(t, dir)
	w, d := open(t, dir, a.Key.Public(t), t.TempDir()), parse(t, "name: x\npackages: [passwd]\nplatforms: [amd64]")
	l, err := build.Lock(t.Context(), w.archive, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = build.Assemble(t.Context(), d, l, build.Options{Cache: w.cache, Archive: w.archive})
	if err == nil || !strings.Contains(err.Error(), "/usr/bin/chfn is set-id") || !strings.Contains(err.Error(), "/usr/share/open is writable by everyone") {
		t.Errorf("error = %v", err)
	}
}

func TestPlatformOrderDoesNotMatter(t *testing.T) {
	dir, keys := mirror(t)
	w, d := open(t, dir, keys, t.TempDir()), parse(t, definition)
	amd, arm := spec.Platform{Arch: "amd64"}, spec.Platform{Arch: "arm64"}
	a := w.build(t, d, build.Options{Platforms: []spec.Platform{amd, arm}})
	b := w.build(t, d, build.Options{Platforms: []spec.Platform{arm, amd, arm}})
	if digest(t, a) != digest(t, b) {
		t.Error("the digest depends on the order of the platforms")
	}
}

// Every checksum in status.d is of a file that is there.
func TestChecksumsNameWhatIsThere(t *testing.T) {
	dir, keys := mirror(t)
	img := open(t, dir, keys, t.TempDir()).build(t, parse(t, definition), build.Options{}).Images[0]
	layers, err := img.Image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		for tr := tar.NewReader(r); ; {
			h, err := tr.Next()
			if err != nil {
				break
			}
			if !strings.HasSuffix(h.Name, ".md5sums") {
				continue
			}
			text, err := io.ReadAll(tr)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
				_, p, _ := strings.Cut(line, "  ")
				if _, _, ok := img.Tree.Lookup(p); !ok {
					t.Errorf("%s lists %s, which is not in the image", h.Name, p)
				}
				checked++
			}
		}
		_ = r.Close()
	}
	if checked < 5 {
		t.Errorf("only %d checksums found", checked)
	}
}

func TestAMissingLibraryFailsTheBuild(t *testing.T) {
	dir, keys := mirror(t)
	w, d := open(t, dir, keys, t.TempDir()), parse(t, definition)
	l, err := build.Lock(t.Context(), w.archive, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(os.Args[0]) // linked against the C library when built with -race
	if err != nil {
		t.Fatal(err)
	}
	info, err := elf.Read(program)
	if err != nil || info == nil {
		t.Fatal(info, err)
	}
	_, err = build.Assemble(t.Context(), d, l, build.Options{Cache: w.cache, Archive: w.archive, Platforms: []spec.Platform{{Arch: "amd64"}},
		Files: []rootfs.Content{{Entry: rootfs.Entry{Path: "usr/local/bin/app", Mode: 0o755}, Data: program}}})
	if len(info.Needed) == 0 {
		if err != nil {
			t.Errorf("a static program is refused: %v", err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), "/usr/local/bin/app needs libc.so.6, which is not in the image: add the package libc6") {
		t.Errorf("error = %v", err)
	}
}
