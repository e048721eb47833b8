package auditor_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/hardstand/hardstand/audit/scan/scantest"
	"github.com/hardstand/hardstand/build/debtest"
)

var discard = log.New(io.Discard, "", 0)

// world is what the scripts find: an image with two packages and a Go program,
// databases, and a signed archive.
type world struct {
	archive   *debtest.Archive
	stripped  []byte
	full      []byte
	image     v1.Image
	hardened  v1.ImageIndex
	databases map[string]map[string][]scantest.Entry // directory, ecosystem
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{stripped: compile(t, "-s -w"), full: compile(t, "")}
	w.archive = debtest.NewArchive(t,
		debtest.Suite{Name: "trixie", Packages: []debtest.Package{{Name: "hello", Version: "1.0", Architecture: "all"}, {Name: "world", Version: "2.0", Architecture: "all"}}},
		debtest.Suite{Name: "trixie-updates"},
		debtest.Suite{Name: "trixie-security", Packages: []debtest.Package{{Name: "hello", Version: "1.0+deb13u1", Architecture: "all"}}})
	w.image = image(t, map[string]string{
		"usr/lib/os-release":          "ID=debian\nVERSION_ID=\"13\"\n",
		"var/lib/dpkg/status.d/hello": "Package: hello\nVersion: 1.0\nArchitecture: all\nSource: hello-source\n",
		"var/lib/dpkg/status.d/world": "Package: world\nVersion: 2.0\nArchitecture: all\n",
		"app":                         string(w.stripped),
	})
	w.hardened = hardened(t)
	at := clock.Add(-time.Hour)
	debian := []scantest.Entry{
		scantest.Debian("DEBIAN-CVE-2026-1", "hello-source", at, "high", map[string]string{"13": "1.0+deb13u1"}),
		scantest.Debian("DEBIAN-CVE-2026-2", "world", at, "low", map[string]string{"13": ""}),
		scantest.Debian("DEBIAN-CVE-2026-3", "another", at, "high", map[string]string{"13": ""}),
	}
	golang := []scantest.Entry{
		scantest.Go("GO-2026-0001", "stdlib", at, []string{"CVE-2026-11"}, "0", "1.99.0", map[string][]string{"net/http": {"ListenAndServe", "Server.Serve", "Server.ListenAndServe"}}),
		scantest.Go("GO-2026-0002", "stdlib", at, []string{"CVE-2026-12"}, "0", "1.99.0", map[string][]string{"archive/zip": {"OpenReader"}}),
	}
	old := scantest.Debian("DEBIAN-CVE-2020-1", "hello-source", clock.Add(-1000*time.Hour), "high", map[string]string{"13": ""})
	harmless := scantest.Debian("DEBIAN-CVE-2026-9", "another", at, "high", map[string]string{"13": ""})
	w.databases = map[string]map[string][]scantest.Entry{
		"osv":     {"Debian": debian, "Go": golang},
		"half":    {"Debian": debian},
		"stale":   {"Debian": {old}, "Go": golang},
		"nothing": {"Debian": {harmless}, "Go": {scantest.Go("GO-2026-0009", "example.org/x", at, nil, "0", "", nil)}},
		"other":   {"Debian": {scantest.Debian("DEBIAN-CVE-2026-1", "hello-source", at, "high", map[string]string{"12": ""})}, "Go": golang},
	}
	return w
}

func compile(t *testing.T, ldflags string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-trimpath", "-o", file, "-ldflags", ldflags, "../../../e2e/hello")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func image(t *testing.T, files map[string]string) v1.Image {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for path, data := range files {
		if err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o755, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	img, err = mutate.ConfigFile(img, config)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// lay puts the world into a script's directory and registry.
func (w *world) lay(t *testing.T, dir, host string) error {
	for name, databases := range w.databases {
		if err := scantest.Write(filepath.Join(dir, name), databases); err != nil {
			return err
		}
	}
	w.archive.WriteTo(t, filepath.Join(dir, "mirror"))
	for name, data := range map[string][]byte{"archive.asc": w.archive.Key.Public(t), "stripped": w.stripped, "full": w.full} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o755); err != nil {
			return err
		}
	}
	if err := tree(filepath.Join(dir, "image"), w.image); err != nil {
		return err
	}
	blank := image(t, map[string]string{"etc/hostname": "x"})
	if err := tree(filepath.Join(dir, "blank"), blank); err != nil {
		return err
	}
	tag, err := name.NewTag("app:1")
	if err != nil {
		return err
	}
	if err := tarball.WriteToFile(filepath.Join(dir, "image.tar"), tag, w.image); err != nil {
		return err
	}
	if err := w.pushHardened(filepath.Join(dir, "web"), host); err != nil {
		return err
	}
	return w.push(filepath.Join(dir, "osv"), host)
}

// hardened is an image as the runtime commands want it, for two platforms.
func hardened(t *testing.T) v1.ImageIndex {
	t.Helper()
	idx := v1.ImageIndex(empty.Index)
	for _, arch := range []string{"amd64", "arm64"} {
		img := image(t, map[string]string{"app": "#!" + arch, "bin/probe": "x"})
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config = config.DeepCopy()
		config.Architecture = arch
		config.Config = v1.Config{
			User: "65532", Entrypoint: []string{"/app"}, ExposedPorts: map[string]struct{}{"8080/tcp": {}},
			Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "/bin/probe", ":8080/healthz"}},
		}
		if img, err = mutate.ConfigFile(img, config); err != nil {
			t.Fatal(err)
		}
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	return idx
}

// pushHardened puts the hardened image into a layout and the registry, beside
// a copy of one platform, and writes down its digests.
func (w *world) pushHardened(dir, host string) error {
	if _, err := layout.Write(dir, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: w.hardened})); err != nil {
		return err
	}
	ref, err := name.ParseReference(host + "/web:1")
	if err != nil {
		return err
	}
	if err := remote.WriteIndex(ref, w.hardened); err != nil {
		return err
	}
	m, err := w.hardened.IndexManifest()
	if err != nil {
		return err
	}
	img, err := w.hardened.Image(m.Manifests[0].Digest)
	if err != nil {
		return err
	}
	if err := tarball.WriteToFile(dir+".tar", ref, img); err != nil {
		return err
	}
	if ref, err = name.ParseReference(host + "/single:1"); err != nil {
		return err
	}
	digest, err := w.hardened.Digest()
	if err != nil {
		return err
	}
	for file, text := range map[string]string{"index": digest.String(), "amd64": m.Manifests[0].Digest.String()} {
		if err := os.WriteFile(dir+"."+file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return remote.Write(ref, img)
}

func tree(dir string, img v1.Image) error {
	_, err := layout.Write(dir, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img}))
	return err
}

// push puts the image and the database as an artefact into the registry, and
// lists the database's digests.
func (w *world) push(osv, host string) error {
	ref, err := name.ParseReference(host + "/app:1")
	if err != nil {
		return err
	}
	if err := remote.Write(ref, w.image); err != nil {
		return err
	}
	artefact := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	var sums []byte
	for _, file := range []string{"Debian/all.zip", "Go/all.zip"} {
		data, err := os.ReadFile(filepath.Join(osv, file))
		if err != nil {
			return err
		}
		sums = fmt.Appendf(sums, "%x  %s\n", sha256.Sum256(data), file)
		artefact, err = mutate.Append(artefact, mutate.Addendum{
			Layer: static.NewLayer(data, "application/zip"), Annotations: map[string]string{"org.opencontainers.image.title": file},
		})
		if err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(osv, "SHA256SUMS"), sums, 0o644); err != nil {
		return err
	}
	if ref, err = name.ParseReference(host + "/osv:1"); err != nil {
		return err
	}
	return remote.Write(ref, artefact)
}
