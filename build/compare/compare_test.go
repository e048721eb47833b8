package compare

import (
	"archive/tar"
	"bytes"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/build/deb":     "package databases",
		"github.com/hardstand/hardstand/build/rootfs":  "trees",
		"github.com/google/go-containerregistry/...":   "images",
		"github.com/klauspost/compress/...":            "of build/deb",
		"github.com/hardstand/hardstand/build/xz":      "of build/deb",
		"github.com/hardstand/hardstand/build/inflate": "of build/deb",
	})
}

// layer makes a layer of files; a name that ends in a slash is a directory.
func layer(t *testing.T, files ...[2]string) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func index(t *testing.T, layers ...v1.Layer) v1.ImageIndex {
	t.Helper()
	base, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := base.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Config.Env = "linux", "amd64", []string{"LAYERS=" + string(rune('0'+len(layers)))}
	img, err := mutate.ConfigFile(base, c)
	if err != nil {
		t.Fatal(err)
	}
	return mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img})
}

// TestWhiteoutsAndDatabases compares with an ordinary image whose upper layer
// removes files and replaces the package database.
func TestWhiteoutsAndDatabases(t *testing.T) {
	lower := layer(t, [2]string{"etc/a", "1"}, [2]string{"opt/x/one", "1"}, [2]string{"opt/x/two", "2"},
		[2]string{"var/lib/dpkg/status", "Package: libc6\nVersion: 1\n\nPackage: gone\nVersion: 1\n"})
	upper := layer(t, [2]string{"etc/.wh.a", ""}, [2]string{"opt/x/.wh..wh..opq", ""}, [2]string{"opt/x/new", "3"},
		[2]string{"var/lib/dpkg/status", "Package: libc6\nVersion: 2\n"})
	list, err := Indexes(index(t, lower), index(t, lower, upper))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].Platform != "linux/amd64" {
		t.Fatalf("%+v", list)
	}
	names := func(list []Change) (out []string) {
		for _, c := range list {
			sign := "~"
			if c.Old == "" {
				sign = "+"
			} else if c.New == "" {
				sign = "-"
			}
			out = append(out, sign+c.Name)
		}
		return out
	}
	for what, pair := range map[string][2][]string{
		"files":    {names(list[0].Files), {"-etc/a", "+opt/x/new", "-opt/x/one", "-opt/x/two", "~var/lib/dpkg/status"}},
		"packages": {names(list[0].Packages), {"-gone", "~libc6"}},
		"config":   {names(list[0].Config), {"~Env LAYERS"}},
	} {
		if diff := cmp.Diff(pair[1], pair[0]); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	same, err := Indexes(index(t, lower), index(t, lower))
	if err != nil || !same[0].Same() {
		t.Errorf("%+v, %v", same, err)
	}
}
