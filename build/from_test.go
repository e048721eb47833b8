package build_test

import (
	"archive/tar"
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/spec"
)

var amd64 = spec.Platform{Arch: "amd64"}

// layer makes a layer of files, the names of which may end in "/".
func layer(t *testing.T, files ...string) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		name, text, _ := strings.Cut(f, "=")
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}
		if strings.HasPrefix(name, "usr/bin/") {
			h.Mode = 0o755
		}
		if target, ok := strings.CutPrefix(text, "->"); ok {
			h.Typeflag, h.Linkname, h.Size, text = tar.TypeSymlink, target, 0, ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

const libc = "var/lib/dpkg/status.d/libc6=Package: libc6\nVersion: 2.41-12\nArchitecture: amd64\n"

// merged are links that an image with /usr merged has.
var merged = []string{"bin=->usr/bin", "sbin=->usr/sbin", "lib=->usr/lib"}

// baseOf makes a verified base for amd64 of layers, and a definition's text.
func baseOf(t *testing.T, lie func(v1.Layer) v1.Layer, layers ...v1.Layer) (*build.Base, string) {
	t.Helper()
	img, err := mutate.AppendLayers(mutate.MediaType(mutate.ConfigMediaType(emptyImage(t), types.OCIConfigJSON), types.OCIManifestSchema1), layers...)
	if err != nil {
		t.Fatal(err)
	}
	if lie != nil {
		img = lyingImage{img, lie}
	}
	index, err := oci.NewIndex(oci.OCI, []oci.PlatformImage{{Platform: amd64, Image: img}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	ref := "registry.example/base@" + digest.String()
	return &build.Base{Reference: ref, Index: index, SignedBy: []string{"key one"}},
		"name: child\nfrom: {image: \"" + ref + "\", key: k.pub}\nplatforms: [linux/amd64]\n"
}

func emptyImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := oci.NewImage(oci.OCI, oci.Config{
		Platform: amd64, User: "1234", Environment: []string{"A=base", "B=base"}, Entrypoint: []string{"/run"}, Cmd: []string{"me"},
		WorkDir: "/work", Labels: map[string]string{"of": "base"},
	}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// lyingImage is what a registry says that sends other layers than it names.
type lyingImage struct {
	v1.Image
	lie func(v1.Layer) v1.Layer
}

func (i lyingImage) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	l, err := i.Image.LayerByDigest(h)
	if err != nil {
		return nil, err
	}
	return i.lie(l), nil
}

type otherBytes struct {
	v1.Layer
	data string
}

func (l otherBytes) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(l.data)), nil
}

// on locks and composes a definition on a base.
func (w world) on(t *testing.T, b *build.Base, text string) (*build.Result, error) {
	t.Helper()
	d := parse(t, text)
	l, err := build.LockWith(t.Context(), w.archive, d, build.LockOptions{Base: b, Cache: w.cache})
	if err != nil {
		return nil, err
	}
	return build.Assemble(t.Context(), d, l, build.Options{Cache: w.cache, Archive: w.archive, Base: b})
}

func fresh(t *testing.T) world {
	t.Helper()
	dir, keyring := mirror(t)
	return open(t, dir, keyring, t.TempDir())
}

// The base's layers are the first ones, unchanged; whiteouts hold; a package that
// it has satisfies dependencies and is not installed again; what the definition
// does not say is the base's.
func TestFrom(t *testing.T) {
	w := fresh(t)
	lower := layer(t, append(slices.Clone(merged), libc, "usr/lib/libssl.so.3=old", "etc/passwd=root:x:0:0\n")...)
	base, text := baseOf(t, nil, lower, layer(t, "usr/lib/.wh.libssl.so.3="))
	text += "packages: [libssl3t64, libc6]\nenvironment: {B: child}\n"
	r, err := w.on(t, base, text)
	if err != nil {
		t.Fatal(err)
	}
	img := r.Images[0]
	var names []string
	for _, p := range img.Packages {
		names = append(names, p.Name)
	}
	if diff := cmp.Diff([]string{"libssl3t64"}, names); diff != "" {
		t.Error(diff)
	}
	m, err := img.Image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	first, err := lower.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Layers) < 3 || m.Layers[0].Digest != first {
		t.Errorf("the layers are %v, the first should be %s", m.Layers, first)
	}
	c, err := img.Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.RootFS.DiffIDs) != len(m.Layers) {
		t.Errorf("%d diff ids for %d layers", len(c.RootFS.DiffIDs), len(m.Layers))
	}
	got := []any{c.Config.User, c.Config.Entrypoint, c.Config.Cmd, c.Config.WorkingDir, c.Config.Labels["of"], c.Config.Env[0], c.Config.Env[1]}
	if diff := cmp.Diff([]any{"1234", []string{"/run"}, []string{"me"}, "/work", "base", "A=base", "B=child"}, got); diff != "" {
		t.Error(diff)
	}
	if have := m.Annotations["org.opencontainers.image.base.name"] + "@" + c.Config.Labels["org.opencontainers.image.base.digest"]; have != base.Reference {
		t.Errorf("annotation and label name the base %s", have)
	}
	digestOfBase := strings.TrimPrefix(base.Reference, "registry.example/base@sha256:")
	for what, doc := range map[string][]byte{"SPDX": img.SPDX, "CycloneDX": img.CycloneDX} {
		for _, want := range []string{"pkg:oci/base@sha256:" + digestOfBase, `"libc6"`, `"libssl3t64"`} {
			if !bytes.Contains(doc, []byte(want)) {
				t.Errorf("%s says nothing of %s", what, want)
			}
		}
	}
	for _, want := range []string{"oci://" + base.Reference, `"signed-by":"key one"`} {
		if !bytes.Contains(r.Provenance, []byte(want)) {
			t.Errorf("the provenance says nothing of %s", want)
		}
	}
	for path, want := range map[string]bool{"usr/lib/libssl.so.3": true, "etc/passwd": true, "etc/group": true, "usr/lib/.wh.libssl.so.3": false} {
		if _, _, has := img.Tree.Lookup(path); has != want {
			t.Errorf("%s in the tree: %t", path, has)
		}
	}

	other := &build.Base{Reference: base.Reference, Index: base.Index, SignedBy: base.SignedBy}
	again, err := fresh(t).on(t, other, text)
	if err != nil {
		t.Fatal(err)
	}
	if digest(t, r) != digest(t, again) {
		t.Error("another machine's image differs")
	}
}

// What does not fit the base, or is not what was signed, is an error that says so.
func TestFromRefused(t *testing.T) {
	status := func(version string) string { return strings.Replace(libc, "2.41-12", version, 1) }
	for name, tc := range map[string]struct {
		files []string
		lie   func(v1.Layer) v1.Layer
		text  string
		err   string
	}{
		"platform":  {text: "packages: [libc6]\nplatforms: [linux/arm64]\n", err: "no image for linux/arm64, only for linux/amd64"},
		"version":   {files: []string{status("2.30")}, text: "packages: [libssl3t64]\n", err: "the base image has libc6 2.30, and libc6 2.41-12 would have to replace it"},
		"path":      {files: []string{"usr/lib/libc.so.6=mine"}, text: "packages: [libc6]\n", err: "conflict at /usr/lib/libc.so.6: the base image and libc6 both have it"},
		"directory": {files: []string{"usr/lib/x=mine"}, text: "packages: [libc6]\n", err: "/usr/lib/x is no directory"},
		"below":     {files: []string{"lib/x=mine"}, text: "packages: [libc6]\n", err: "files below what is no directory"},
		"denied":    {files: []string{libc}, text: "packages: [\"!libc6\"]\n", err: "package libc6 2.41-12 is denied"},
		"shell":     {files: []string{"usr/bin/sh=x"}, err: "/usr/bin/sh is a shell"},
		"swapped": {files: []string{libc}, lie: func(l v1.Layer) v1.Layer { return otherBytes{l, "other bytes"} },
			err: "its source has 11 bytes"},
		"endless": {files: []string{libc}, lie: func(l v1.Layer) v1.Layer { return otherBytes{l, strings.Repeat("x", 1<<20)} },
			err: "its source has"},
	} {
		t.Run(name, func(t *testing.T) {
			base, text := baseOf(t, tc.lie, layer(t, append(slices.Clone(merged), tc.files...)...))
			if strings.Contains(tc.text, "platforms") {
				text = strings.Replace(text, "platforms: [linux/amd64]\n", "", 1)
			}
			_, err := fresh(t).on(t, base, text+tc.text)
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("the error is %v, want %q", err, tc.err)
			}
		})
	}
}

// What was not verified is not started from, and neither is another image.
func TestFromUnverified(t *testing.T) {
	w := fresh(t)
	base, text := baseOf(t, nil, layer(t, libc))
	if _, err := w.on(t, nil, text); err == nil || !strings.Contains(err.Error(), "its signature was not verified") {
		t.Errorf("without a base: %v", err)
	}
	base.Reference = strings.Replace(base.Reference, "base@", "else@", 1)
	if _, err := w.on(t, base, text); err == nil || !strings.Contains(err.Error(), "what was verified is registry.example/else@") {
		t.Errorf("with another base: %v", err)
	}
}
