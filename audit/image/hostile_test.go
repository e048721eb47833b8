package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/hardstand/hardstand/audit/audittest"
)

// stored is a layer as some registry hands it out.
type stored struct {
	data []byte
	diff v1.Hash
}

func (s stored) Digest() (v1.Hash, error)            { return s.diff, nil }
func (s stored) DiffID() (v1.Hash, error)            { return s.diff, nil }
func (s stored) Size() (int64, error)                { return int64(len(s.data)), nil }
func (s stored) MediaType() (types.MediaType, error) { return types.OCILayer, nil }
func (s stored) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(s.data)), nil
}
func (s stored) Uncompressed() (io.ReadCloser, error) { return s.Compressed() }

func read(t testing.TB, data []byte) (*tree, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return readLayers(ctx, []v1.Layer{stored{data: data}}, []v1.Hash{{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}}, false)
}

func TestHostileLayers(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "zeros", Size: 96 << 20, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 96 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	hole := audittest.Sparse(t, "hole", 1<<60)
	plain := tarOf(t, []file{{Path: "a", Content: strings.Repeat("x", 5000), Mode: 0o644}})
	deep := tarOf(t, []file{{Path: strings.Repeat("a/", 300) + "x", Mode: 0o644}})
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"bomb", bomb.Bytes(), "400 times its size"},
		{"hole", hole, "400 times its size"},
		{"truncated", plain[:700], "EOF"},
		{"truncated-gzip", bomb.Bytes()[:5000], "EOF"},
		{"digest", plain, "the configuration says"},
		{"not-a-tar", bytes.Repeat([]byte("nonsense"), 500), "header"},
		{"deep", deep, "256 parts"},
		{"empty", nil, "the configuration says"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := read(t, tt.data); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestSparseSecrets: a file with holes is a file.
func TestSparseSecrets(t *testing.T) {
	var out layer
	r := &reader{budget: &budget{}, out: &out}
	data := audittest.Sparse(t, "app.env", 4096)
	if err := r.entries(tar.NewReader(bytes.NewReader(data))); err != nil {
		t.Fatal(err)
	}
	if len(out.entries) != 1 || out.entries[0].kind != tar.TypeReg || out.entries[0].size != 4096 || out.entries[0].sha256 == "" {
		t.Errorf("%+v", out.entries)
	}
}

func TestLayersEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	data := tarOf(t, []file{{Path: "a", Content: strings.Repeat("x", 4<<20), Mode: 0o644}})
	if _, err := readLayers(ctx, []v1.Layer{stored{data: data}}, []v1.Hash{{}}, false); err == nil {
		t.Error("a cancelled walk went on")
	}
}

func TestResolveBounds(t *testing.T) {
	tr := &tree{files: map[string]*entry{}}
	for _, e := range []*entry{
		{path: "a", kind: tar.TypeSymlink, link: "b"}, {path: "b", kind: tar.TypeSymlink, link: "a"},
		{path: "up", kind: tar.TypeSymlink, link: "../../../etc/x"}, {path: "etc/x", kind: tar.TypeReg},
		{path: "grow", kind: tar.TypeSymlink, link: "grow/" + strings.Repeat("y", 2000)},
		{path: "root", kind: tar.TypeSymlink, link: "/"},
	} {
		tr.files[e.path] = e
	}
	for name, want := range map[string]string{"a": "", "up": "etc/x", "grow": "", "root/etc/x": "etc/x", "none": ""} {
		got, ok := tr.resolve(name)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s leads to %q, %v; want %q", name, got, ok, want)
		}
	}
}

func FuzzLayer(f *testing.F) {
	f.Add(tarOf(f, []file{{Path: "bin/sh", Content: "#!x", Mode: 0o755}, {Path: "x", Link: "y"}, {Path: "d/.wh.x"}}))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Add([]byte("\x28\xb5\x2f\xfd"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := read(t, data)
		if err == nil {
			t.Fatal("a layer with another digest than the configuration's was accepted")
		}
		var out layer
		r := &reader{budget: &budget{}, out: &out}
		_ = r.entries(tar.NewReader(io.LimitReader(bytes.NewReader(data), 1<<20))) // whatever it says, what was read is merged
		tr := &tree{layers: []layer{out, out}, files: map[string]*entry{}}
		tr.merge()
		for _, e := range tr.sorted {
			tr.resolve(e.path)
		}
	})
}

func FuzzRegister(f *testing.F) {
	f.Add([]byte(`{"decoys":{"decoys":[{"name":"wget","path":"/bin/wget","sha256":"00"}]},"tokens":{"tokens":[{"paths":["/x"]}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := ParseRegister("x", data); err == nil && r == nil {
			t.Fatal("neither a register nor an error")
		}
		readExport(Evidence{"x", data})
		_, _ = ParseSignatures(data) // it must not panic
	})
}
