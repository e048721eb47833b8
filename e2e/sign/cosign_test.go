//go:build e2e

// Package sign_test checks hardstand's signatures with the real cosign program,
// against the embedded registry and Debian's docker-registry.
package sign_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/hardstand/hardstand/sign"
	"github.com/hardstand/hardstand/sign/registry"
)

// tools returns the directory of the pinned programs, building them if needed.
func tools(t *testing.T, names ...string) string {
	t.Helper()
	cmd := exec.Command("../tools.sh", names...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tools.sh: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// registries are started on free ports of this machine.
func registries(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"embedded":        serveEmbedded(t, registry.ServeOptions{}),
		"immutable":       serveEmbedded(t, registry.ServeOptions{Immutable: true}),
		"docker-registry": startDockerRegistry(t),
	}
}

func serveEmbedded(t *testing.T, o registry.ServeOptions) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- registry.Serve(ctx, l, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func startDockerRegistry(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Fatal("docker-registry is not installed: apt-get install docker-registry")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage:\n  filesystem: {rootdirectory: %s}\n  delete: {enabled: true}\nhttp: {addr: %s}\n", dir, addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 100 {
		resp, err := http.Get("http://" + addr + "/v2/")
		if err == nil {
			_ = resp.Body.Close()
			return addr
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("docker-registry does not answer")
	return ""
}

// cosign runs the real program as a consumer without network would.
type cosign struct {
	t   *testing.T
	bin string
	dir string
}

func newCosign(t *testing.T, public []byte) *cosign {
	t.Helper()
	c := &cosign{t: t, bin: filepath.Join(tools(t, "cosign"), "cosign"), dir: t.TempDir()}
	c.write("hardstand.pub", public)
	c.write("trusted-root.json", sign.EmptyTrustedRoot())
	return c
}

func (c *cosign) write(name string, data []byte) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), data, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cosign) run(args ...string) (string, error) {
	args = append(args, "--key=hardstand.pub", "--insecure-ignore-tlog=true", "--trusted-root=trusted-root.json")
	cmd := exec.Command(c.bin, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "HOME="+c.dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *cosign) accepts(args ...string) {
	c.t.Helper()
	if out, err := c.run(args...); err != nil {
		c.t.Errorf("cosign %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (c *cosign) refuses(args ...string) {
	c.t.Helper()
	out, err := c.run(args...)
	c.t.Logf("%s", out)
	if err == nil {
		c.t.Errorf("cosign %s: accepted\n%s", strings.Join(args, " "), out)
	}
}

func newSigner(t *testing.T) *sign.Signer {
	t.Helper()
	private, _, err := sign.GenerateKey([]byte("pass"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := sign.LoadSigner(private, []byte("pass"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newIndex(t *testing.T) v1.ImageIndex {
	t.Helper()
	index := mutate.IndexMediaType(empty.Index, types.DockerManifestList)
	for _, arch := range []string{"amd64", "arm64"} {
		img, err := random.Image(5000, 2)
		if err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{
			MediaType: types.DockerManifestSchema2, Platform: &v1.Platform{OS: "linux", Architecture: arch},
		}})
	}
	return index
}

func parseTag(t *testing.T, reference string) name.Tag {
	t.Helper()
	tag, err := registry.ParseTag(reference)
	if err != nil {
		t.Fatal(err)
	}
	return tag
}

// predicates are small and of the shapes that cosign checks itself.
var predicates = map[string]string{
	sign.PredicateSPDX:       `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"app","dataLicense":"CC0-1.0","documentNamespace":"https://example.com/app","creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: hardstand"]},"packages":[]}`,
	sign.PredicateCycloneDX:  `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[]}`,
	sign.PredicateProvenance: `{"buildDefinition":{"buildType":"https://example.com/build","externalParameters":{}},"runDetails":{"builder":{"id":"https://example.com/builder"}}}`,
}

func publish(t *testing.T, tag name.Tag, signer *sign.Signer, index v1.ImageIndex) registry.Result {
	t.Helper()
	o := registry.PublishOptions{Index: index, Tag: tag, Signer: signer}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	subjects := []v1.Hash{{}}
	for _, d := range m.Manifests {
		subjects = append(subjects, d.Digest)
	}
	for _, s := range subjects {
		for predicateType, predicate := range predicates {
			o.Attestations = append(o.Attestations, registry.Attestation{Subject: s, PredicateType: predicateType, Predicate: []byte(predicate)})
		}
	}
	res, err := registry.Publish(context.Background(), o)
	if err != nil {
		t.Fatalf("Publish: %v", err)
	}
	return res
}

func TestCosignAcceptsWhatIsPublished(t *testing.T) {
	signer := newSigner(t)
	c := newCosign(t, signer.Key().PEM)
	for kind, addr := range registries(t) {
		t.Run(kind, func(t *testing.T) {
			c := &cosign{t: t, bin: c.bin, dir: c.dir}
			tag := parseTag(t, addr+"/team/app:1.0")
			index := newIndex(t)
			publish(t, tag, signer, index)
			refs := []string{tag.Name()}
			m, err := index.IndexManifest()
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range m.Manifests {
				refs = append(refs, tag.Digest(d.Digest.String()).Name())
			}
			for _, ref := range refs {
				for _, form := range []string{"--new-bundle-format=true", "--new-bundle-format=false"} {
					c.accepts("verify", form, ref)
					for _, predicate := range []string{"spdxjson", "cyclonedx", "slsaprovenance1"} {
						c.accepts("verify-attestation", form, "--type="+predicate, ref)
					}
					c.refuses("verify-attestation", form, "--type=openvex", ref)
				}
			}
			again := publish(t, tag, signer, index)
			if !again.Existed || again.Traffic.Manifests+again.Traffic.Blobs != 0 {
				t.Errorf("publishing again wrote %+v", again.Traffic)
			}
		})
	}
}

// TestCosignRefusals compares cosign's answer with ours. The one place where
// ours must be stricter is named.
func TestCosignRefusals(t *testing.T) {
	signer, stranger := newSigner(t), newSigner(t)
	c := newCosign(t, signer.Key().PEM)
	for kind, addr := range registries(t) {
		t.Run(kind, func(t *testing.T) {
			c := &cosign{t: t, bin: c.bin, dir: c.dir}
			w := &world{t: t, addr: addr, signer: signer, stranger: stranger}
			for name, attack := range refusals {
				t.Run(name, func(t *testing.T) {
					w.t, c.t = t, t
					ref := attack.stage(w)
					if attack.cosignFooled {
						c.accepts("verify", "--new-bundle-format=true", ref.Name())
					} else {
						c.refuses("verify", ref.Name())
					}
					_, err := registry.Verify(context.Background(), ref, registry.Remote{}, sign.VerifyOptions{Keys: []sign.Key{signer.Key()}})
					if err == nil {
						t.Error("hardstand accepted it")
					}
				})
			}
		})
	}
}

// world is one registry in which attacks are staged.
type world struct {
	t                *testing.T
	addr             string
	signer, stranger *sign.Signer
	n                int
}

// fresh pushes an unsigned image to a repository of its own.
func (w *world) fresh() (name.Tag, v1.ImageIndex, v1.Hash) {
	w.t.Helper()
	w.n++
	tag := parseTag(w.t, fmt.Sprintf("%s/attack/%s%d:1.0", w.addr, strings.ToLower(strings.ReplaceAll(w.t.Name()[strings.LastIndex(w.t.Name(), "/")+1:], "_", "-")), w.n))
	index := newIndex(w.t)
	w.must(remote.WriteIndex(tag, index))
	digest, err := index.Digest()
	w.must(err)
	return tag, index, digest
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

var refusals = map[string]struct {
	cosignFooled bool
	stage        func(*world) name.Reference
}{
	"unsigned": {false, func(w *world) name.Reference {
		tag, _, _ := w.fresh()
		return tag
	}},
	"wrong-key": {false, func(w *world) name.Reference {
		tag, index, _ := w.fresh()
		publish(w.t, tag, w.stranger, index)
		return tag
	}},
	"transplanted": {false, func(w *world) name.Reference {
		tag, index, good := w.fresh()
		publish(w.t, tag, w.signer, index)
		victim := newIndex(w.t)
		digest, err := victim.Digest()
		w.must(err)
		to := tag.Tag("2.0")
		w.must(remote.WriteIndex(to, victim))
		desc, err := remote.Get(tag.Tag(sign.SignatureTag(good)))
		w.must(err)
		w.must(remote.Put(tag.Tag(sign.SignatureTag(digest)), desc))
		return to
	}},
	"tampered-payload": {false, func(w *world) name.Reference {
		tag, _, digest := w.fresh()
		other := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}
		l, err := w.signer.SignImage(context.Background(), tag.Repository, other)
		w.must(err)
		l.Data = bytes.ReplaceAll(l.Data, []byte(other.Hex), []byte(digest.Hex))
		w.must(w.putLegacy(tag.Tag(sign.SignatureTag(digest)), l))
		return tag
	}},
	"attestation-only": {true, func(w *world) name.Reference {
		tag, index, digest := w.fresh()
		w.must(w.attachBundle(tag, index, digest, sign.PredicateSPDX, predicates[sign.PredicateSPDX]))
		return tag
	}},
}

func (w *world) putLegacy(tag name.Tag, l sign.Layer) error {
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img, err := mutate.Append(img, mutate.Addendum{Layer: blob{l}, MediaType: l.MediaType, Annotations: l.Annotations})
	if err != nil {
		return err
	}
	return remote.Write(tag, img)
}

func (w *world) attachBundle(tag name.Tag, index v1.ImageIndex, digest v1.Hash, predicateType, predicate string) error {
	st, err := sign.NewStatement(digest, predicateType, []byte(predicate))
	if err != nil {
		return err
	}
	signed, err := w.signer.SignStatement(context.Background(), st)
	if err != nil {
		return err
	}
	size, err := index.Size()
	if err != nil {
		return err
	}
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img, err = mutate.Append(img, mutate.Addendum{Layer: blob{sign.Layer{MediaType: sign.MediaTypeBundle, Data: signed.Bundle}}, MediaType: sign.MediaTypeBundle})
	if err != nil {
		return err
	}
	img = mutate.ConfigMediaType(img, sign.MediaTypeBundle)
	img = mutate.Subject(img, v1.Descriptor{MediaType: types.DockerManifestList, Digest: digest, Size: size}).(v1.Image)
	h, err := img.Digest()
	if err != nil {
		return err
	}
	return remote.Write(tag.Digest(h.String()), img)
}

// blob shows a sign.Layer to go-containerregistry.
type blob struct{ l sign.Layer }

func (b blob) Digest() (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(b.l.Data))
	return h, err
}
func (b blob) DiffID() (v1.Hash, error)            { return b.Digest() }
func (b blob) Size() (int64, error)                { return int64(len(b.l.Data)), nil }
func (b blob) MediaType() (types.MediaType, error) { return b.l.MediaType, nil }
func (b blob) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b.l.Data)), nil
}
func (b blob) Uncompressed() (io.ReadCloser, error) { return b.Compressed() }

// A layer changed in storage is not the image that was signed; whoever pulls by
// digest notices, and so does Verify when asked to read the layers.
func TestTamperedLayer(t *testing.T) {
	signer := newSigner(t)
	index := newIndex(t)
	var victim v1.Hash
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := index.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	man, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	victim = man.Layers[0].Digest
	addr := serveEmbedded(t, registry.ServeOptions{})
	tag := parseTag(t, addr+"/team/app:1.0")
	publish(t, tag, signer, index)
	swapped := registry.Remote{Transport: swap{victim.String()}, Attempts: 1}
	o := sign.VerifyOptions{Keys: []sign.Key{signer.Key()}, Platforms: true}
	if _, err := registry.Verify(context.Background(), tag, swapped, o); err != nil {
		t.Errorf("without reading layers: %v", err)
	}
	o.Layers = true
	if _, err := registry.Verify(context.Background(), tag, swapped, o); err == nil {
		t.Error("a swapped layer was accepted")
	}
	if _, err := registry.Verify(context.Background(), tag, registry.Remote{}, o); err != nil {
		t.Errorf("intact layers: %v", err)
	}
}

// swap answers with other bytes of the same length for one blob.
type swap struct{ digest string }

func (s swap) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err == nil && req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, s.digest) {
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		slices.Reverse(data)
		resp.Body = io.NopCloser(bytes.NewReader(data))
	}
	return resp, err
}
