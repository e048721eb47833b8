package build_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/debtest"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/payload/payloadtest"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/canary/alert"
)

// TestLayerBudgets builds one image under every budget: the tree is always the
// same, no path stands twice in a layer (content checks that), and there are at
// most as many layers as asked for.
func TestLayerBudgets(t *testing.T) {
	payloadtest.Need(t)
	dir, keys := mirror(t)
	w := open(t, dir, keys, t.TempDir())
	o := build.Options{Canary: alert.NewMaster(), Platforms: []spec.Platform{{Arch: "amd64"}}}
	var want map[string]string
	for _, budget := range []int{1, 2, 3, 4, 6} {
		d := parse(t, definition+fmt.Sprintf("canary: true\nlayers: %d\n", budget))
		img := w.build(t, d, o).Images[0]
		got := content(t, img)
		for p := range got {
			if p == "etc/image-id" || strings.HasPrefix(got[p], "file 0111 ") {
				got[p] = "decoy" // decoys carry keys that depend on the definition
			}
		}
		if want == nil {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("budget %d: %s", budget, diff)
		}
		n := len(layerDigests(t, img))
		if n > budget || budget <= 4 && n != budget {
			t.Errorf("budget %d: %d layers", budget, n)
		}
	}
}

// TestVariantsShareLayers has what a variant adds, and what came with it, in a
// layer of its own while the budget has one, and among the others otherwise.
func TestVariantsShareLayers(t *testing.T) {
	w := archiveOf(t,
		debtest.Package{Name: "aa", Files: map[string]string{"usr/bin/aa": "a"}},
		debtest.Package{Name: "tool", Fields: "Depends: libtool", Files: map[string]string{"usr/bin/tool": "t"}},
		debtest.Package{Name: "libtool", Files: map[string]string{"usr/share/libtool": "l"}},
	)
	f, err := spec.ParseFamily("x.yaml", []byte("name: x\nplatforms: [amd64]\npackages: [aa]\nvariants: {debug: {packages: [tool (>= 0)]}}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	variant, _ := f.Variant("debug")
	plain := layerDigests(t, w.build(t, f.Definition, build.Options{}).Images[0])
	var want map[string]string
	for budget, shared := range map[int]bool{4: true, 3: false, 1: false} {
		d := *variant
		d.Layers = budget
		img := w.build(t, &d, build.Options{}).Images[0]
		got := layerDigests(t, img)
		if len(got) > budget || shared != (len(got) == len(plain)+1 && got[0] == plain[0]) {
			t.Errorf("budget %d: layers %v, those of the plain image are %v", budget, got, plain)
		}
		if want == nil {
			want = content(t, img)
		}
		if diff := cmp.Diff(want, content(t, img)); diff != "" {
			t.Errorf("budget %d: %s", budget, diff)
		}
	}
}

func TestZstdLayers(t *testing.T) {
	dir, keys := mirror(t)
	w := open(t, dir, keys, t.TempDir())
	plain := w.build(t, parse(t, definition), build.Options{}).Images[0]
	r := w.build(t, parse(t, definition+"compression: zstd\n"), build.Options{})
	if diff := cmp.Diff(content(t, plain), content(t, r.Images[0])); diff != "" {
		t.Error(diff)
	}
	m, err := r.Images[0].Image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range m.Layers {
		if l.MediaType != "application/vnd.oci.image.layer.v1.tar+zstd" {
			t.Errorf("media type %s", l.MediaType)
		}
	}
	one, err := plain.Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	two, err := r.Images[0].Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(one.RootFS.DiffIDs, two.RootFS.DiffIDs); diff != "" {
		t.Error("the uncompressed layers differ:", diff)
	}
	if _, err := exec.LookPath("zstd"); err != nil {
		t.Skip("zstd is missing, so nothing but our own reader has read the layers")
	}
	out := t.TempDir()
	if err := oci.WriteLayout(out, r.Index, ""); err != nil {
		t.Fatal(err)
	}
	for _, l := range m.Layers {
		if msg, err := exec.Command("zstd", "-qt", filepath.Join(out, "blobs", "sha256", l.Digest.Hex)).CombinedOutput(); err != nil {
			t.Errorf("zstd -t: %v: %s", err, msg)
		}
	}
}

// TestBlocksDoNotDependOnCores compresses a file of several blocks.
func TestBlocksDoNotDependOnCores(t *testing.T) {
	dir, keys := mirror(t)
	big := bytes.Repeat([]byte("several blocks of text that compress in different ways\n"), 70_000)
	o := build.Options{Files: []rootfs.Content{{Entry: rootfs.Entry{Path: "srv/big", Mode: 0o644}, Data: big}}}
	var want []string
	for _, cores := range []int{1, 7, 2} {
		before := runtime.GOMAXPROCS(cores)
		w := open(t, dir, keys, t.TempDir())
		got := said(t, w.build(t, parse(t, definition), o))
		runtime.GOMAXPROCS(before)
		if want == nil {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("with %d cores: %s", cores, diff)
		}
	}
}

// TestAnApplicationIsKeptOnce counts what the cache holds of a large file.
func TestAnApplicationIsKeptOnce(t *testing.T) {
	dir, keys := mirror(t)
	cacheDir := t.TempDir()
	w := open(t, dir, keys, cacheDir)
	app := make([]byte, 3<<20)
	if _, err := rand.Read(app); err != nil {
		t.Fatal(err)
	}
	r := w.build(t, parse(t, definition), build.Options{Files: []rootfs.Content{{Entry: rootfs.Entry{Path: "srv/app", Mode: 0o555}, Data: app}}})
	layers := layerDigests(t, r.Images[0])
	top := strings.TrimPrefix(layers[len(layers)-1], "sha256:")
	blobs, err := filepath.Glob(filepath.Join(cacheDir, "blobs", "*"))
	if err != nil || len(blobs) == 0 {
		t.Fatal(len(blobs), err)
	}
	large := 0
	for _, b := range blobs {
		if fi := size(t, b); fi >= size(t, filepath.Join(cacheDir, "blobs", top))/2 {
			large++
		}
	}
	if large != 1 {
		t.Errorf("the cache holds %d blobs of the application's size, want its layer only", large)
	}
}

func size(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
