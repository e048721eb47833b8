package layout_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	disk "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/hardstand/hardstand/sign"
	"github.com/hardstand/hardstand/sign/keysign"
	"github.com/hardstand/hardstand/sign/layout"
)

// signed writes a layout of one index, signed with a new key but for what skip
// says, and returns its directory, its digest and the key.
func signed(t *testing.T, skip func(v1.Hash) bool) (dir string, digest v1.Hash, key sign.Key) {
	t.Helper()
	index, err := random.Index(100, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	path, err := disk.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendIndex(index); err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if digest, err = index.Digest(); err != nil {
		t.Fatal(err)
	}
	private, public, err := sign.GenerateKey([]byte("passphrase"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := keysign.Load(private, []byte("passphrase"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := sign.LoadPublicKeys(public)
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, h := range append([]v1.Hash{digest}, m.Manifests[0].Digest, m.Manifests[1].Digest) {
		if skip != nil && skip(h) {
			continue
		}
		bundle, err := signer.Bundle(fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":%q}}],"predicateType":%q,"predicate":{}}`, h.Hex, sign.PredicateSignature))
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(bundle, '\n'))
	}
	if err := os.WriteFile(filepath.Join(dir, layout.SignaturesFile), []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, digest, keys[0]
}

func verify(t *testing.T, dir string, digest v1.Hash, key sign.Key) error {
	t.Helper()
	l, err := layout.Open(dir)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // opened for reading
	_, err = sign.Verify(t.Context(), l, digest, sign.VerifyOptions{Keys: []sign.Key{key}, Platforms: true, Layers: true})
	return err
}

func TestVerify(t *testing.T) {
	dir, digest, key := signed(t, nil)
	if err := verify(t, dir, digest, key); err != nil {
		t.Error(err)
	}
	_, _, other := signed(t, nil)
	var refused *sign.RefusedError
	if err := verify(t, dir, digest, other); !errors.As(err, &refused) {
		t.Errorf("another key: %v", err)
	}
	for without := range 3 { // the index, or one of its platforms
		n := -1
		dir, digest, key := signed(t, func(v1.Hash) bool { n++; return n == without })
		if err := verify(t, dir, digest, key); !errors.As(err, &refused) {
			t.Errorf("without signature %d: %v", without, err)
		}
	}
}

// blobs lists a layout's blobs.
func blobs(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	if err != nil || len(list) < 5 {
		t.Fatal(list, err)
	}
	return list
}

// Whatever changes in a layout, verifying it with its layers finds out.
func TestEveryBlobIsCompared(t *testing.T) {
	dir, digest, key := signed(t, nil)
	for _, file := range blobs(t, dir) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed := append([]byte{}, data...)
		changed[len(changed)/2] ^= 1
		if err := os.WriteFile(file, changed, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := verify(t, dir, digest, key); err == nil {
			t.Errorf("a changed %s is accepted", filepath.Base(file))
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := verify(t, dir, digest, key); err != nil {
		t.Error(err)
	}
}

// What is opened for building has manifests and configs compared as well.
func TestImageIsCompared(t *testing.T) {
	dir, digest, _ := signed(t, nil)
	l, err := layout.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // opened for reading
	index, _, err := l.Image(digest)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := index.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "blobs", "sha256", manifest.Config.Digest.Hex), []byte(`{"config":{"User":"0"}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := img.ConfigFile(); err == nil {
		t.Error("another config is accepted")
	}
	if err := os.WriteFile(filepath.Join(dir, "blobs", "sha256", m.Manifests[0].Digest.Hex), []byte(`{}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := index.Image(m.Manifests[0].Digest); err == nil {
		t.Error("another manifest is accepted")
	}
}

// A layout does not lead out of its directory, and a pipe is no blob.
func TestForeignFiles(t *testing.T) {
	dir, digest, key := signed(t, nil)
	file := filepath.Join(dir, "blobs", "sha256", digest.Hex)
	outside := filepath.Join(t.TempDir(), "manifest")
	if err := os.Rename(file, outside); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, file); err != nil {
		t.Fatal(err)
	}
	if err := verify(t, dir, digest, key); err == nil {
		t.Error("a link out of the layout is followed")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfifo", file).CombinedOutput(); err != nil {
		t.Fatal(string(out), err)
	}
	if err := verify(t, dir, digest, key); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a pipe: %v", err)
	}
}

func TestDigest(t *testing.T) {
	dir, digest, _ := signed(t, nil)
	more, err := random.Index(10, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.Path(dir).AppendIndex(more); err != nil {
		t.Fatal(err)
	}
	l, err := layout.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // opened for reading
	if _, err := l.Digest(""); err == nil || !strings.Contains(err.Error(), "has 2 images") {
		t.Errorf("two images: %v", err)
	}
	if got, err := l.Digest(digest.String()); err != nil || got != digest {
		t.Errorf("%v %v", got, err)
	}
	if _, err := l.Digest("sha256:" + strings.Repeat("0", 64)); err == nil {
		t.Error("an image that is not there is found")
	}
}

// FuzzSignatures reads any signatures file. What it accepts is found again
// under its digests.
func FuzzSignatures(f *testing.F) {
	f.Add([]byte("{}\n"))
	statement := []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + strings.Repeat("0a", 32) + `"}}],"predicateType":"x"}`)
	line, err := json.Marshal(map[string]any{"dsseEnvelope": map[string]any{"payload": statement}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(line, '\n'))
	dir := f.TempDir()
	if _, err := disk.Write(dir, empty.Index); err != nil {
		f.Fatal(err)
	}
	about := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0a", 32)}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, layout.SignaturesFile), data, 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := layout.Open(dir)
		if err != nil {
			return
		}
		defer l.Close() //nolint:errcheck // opened for reading
		list, err := l.Referrers(context.Background(), about)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			m, err := l.Manifest(context.Background(), d.Digest)
			if err != nil {
				t.Fatal(err)
			}
			var manifest v1.Manifest
			if err := json.Unmarshal(m.Raw, &manifest); err != nil || manifest.Subject.Digest != about {
				t.Fatalf("%s: %v", m.Raw, err)
			}
			blob, err := l.Blob(context.Background(), manifest.Layers[0].Digest)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(blob)
			if err != nil || !strings.Contains(string(data), string(text)) {
				t.Fatalf("%q %v", text, err)
			}
		}
	})
}
