// Package layout reads a signed image from an OCI layout directory: its blobs
// by their digests, and its signatures as sigstore bundles in a file beside
// index.json, or attached as in a registry. It trusts nothing there: what is
// read is compared with its digest, and links do not lead out of the directory.
//
// Formats: OCI image-spec, "Image Layout"; sigstore bundle v0.3, one a line.
package layout

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/hardstand/hardstand/sign"
)

// SignaturesFile stands beside index.json: sigstore bundles over statements
// about the layout's images, one a line.
const SignaturesFile = "signatures.sigstore.jsonl"

// Limits on what is read, in bytes but for maxBundles.
const (
	maxManifest   = 4 << 20
	maxConfig     = 16 << 20
	maxBundle     = 64 << 20
	maxSignatures = 1 << 30
	maxBundles    = 4096
)

// Layout is a layout directory. It is a [sign.Source].
type Layout struct {
	dir     string
	root    *os.Root
	top     v1.IndexManifest
	bundles []bundle
}

// bundle is one line of the signatures file, and the manifest by which a
// registry would attach it.
type bundle struct {
	about    v1.Hash // claimed; whoever verifies the bundle finds out
	data     []byte
	digest   v1.Hash
	manifest []byte
	name     v1.Hash // of the manifest
}

// Open reads what a layout holds. The caller closes it.
func Open(dir string) (*Layout, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open layout: %w", err)
	}
	l := &Layout{dir: dir, root: root}
	if err := l.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("open layout %s: %w", dir, err), root.Close())
	}
	return l, nil
}

// Close lets go of the directory.
func (l *Layout) Close() error { return l.root.Close() }

func (l *Layout) read() error {
	data, err := l.file("index.json", maxManifest)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &l.top); err != nil {
		return fmt.Errorf("read index.json: %w", err)
	}
	data, err = l.file(SignaturesFile, maxSignatures)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	l.bundles, err = readBundles(data)
	return err
}

// readBundles reads a signatures file. Nothing in it is verified yet.
func readBundles(data []byte) ([]bundle, error) {
	var list []bundle
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxBundle)
	for lines.Scan() {
		b, err := readBundle(bytes.Clone(lines.Bytes()))
		if err != nil {
			return nil, fmt.Errorf("read %s: line %d: %w", SignaturesFile, len(list)+1, err)
		}
		if list = append(list, b); len(list) > maxBundles {
			return nil, fmt.Errorf("read %s: more than %d signatures", SignaturesFile, maxBundles)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", SignaturesFile, err)
	}
	return list, nil
}

func readBundle(line []byte) (bundle, error) {
	var outer struct {
		Envelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(line, &outer); err != nil {
		return bundle{}, err
	}
	var st sign.Statement
	if err := json.Unmarshal(outer.Envelope.Payload, &st); err != nil {
		return bundle{}, fmt.Errorf("read statement: %w", err)
	}
	if len(st.Subject) != 1 {
		return bundle{}, fmt.Errorf("the statement has %d subjects, want one", len(st.Subject))
	}
	about, err := v1.NewHash("sha256:" + st.Subject[0].Digest["sha256"])
	if err != nil {
		return bundle{}, fmt.Errorf("read subject: %w", err)
	}
	b := bundle{about: about, data: line, digest: sum(line)}
	b.manifest, err = json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config:      v1.Descriptor{MediaType: "application/vnd.oci.empty.v1+json", Digest: sum([]byte("{}")), Size: 2},
		Layers:      []v1.Descriptor{{MediaType: sign.MediaTypeBundle, Digest: b.digest, Size: int64(len(line))}},
		Subject:     &v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: about},
		Annotations: map[string]string{"dev.sigstore.bundle.predicateType": st.PredicateType},
	})
	b.name = sum(b.manifest)
	return b, err
}

// Digest finds the one image of the layout that is no signature. want, if not
// empty, is its digest: then there may be others.
func (l *Layout) Digest(want string) (v1.Hash, error) {
	var has []string
	for _, d := range l.top.Manifests {
		if d.Digest.String() == want {
			return d.Digest, nil
		}
		attached := sign.IsAttachedTag(d.Annotations["org.opencontainers.image.ref.name"]) || d.ArtifactType != ""
		if !attached && (d.MediaType.IsIndex() || d.MediaType.IsImage()) {
			has = append(has, d.Digest.String())
		}
	}
	if want == "" && len(has) == 1 {
		return v1.NewHash(has[0])
	}
	if want == "" {
		want = "just one image"
	}
	return v1.Hash{}, fmt.Errorf("layout %s has %d images and not %s: name one of them as DIR@DIGEST: %s", l.dir, len(has), want, strings.Join(has, ", "))
}

// Manifest implements [sign.Source].
func (l *Layout) Manifest(_ context.Context, digest v1.Hash) (sign.Manifest, error) {
	for _, b := range l.bundles {
		if b.name == digest {
			return sign.Manifest{MediaType: types.OCIManifestSchema1, Raw: b.manifest}, nil
		}
	}
	raw, err := l.blob(digest, maxManifest)
	if err != nil {
		return sign.Manifest{}, err
	}
	var m struct {
		MediaType types.MediaType   `json:"mediaType"`
		Manifests []json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return sign.Manifest{}, fmt.Errorf("read manifest %s: %w", digest, err)
	}
	if m.MediaType == "" { // which the OCI format allows
		m.MediaType = types.OCIManifestSchema1
		if m.Manifests != nil {
			m.MediaType = types.OCIImageIndex
		}
	}
	return sign.Manifest{MediaType: m.MediaType, Raw: raw}, nil
}

// Tagged implements [sign.Source].
func (l *Layout) Tagged(ctx context.Context, tag string) (sign.Manifest, error) {
	for _, d := range l.top.Manifests {
		if d.Annotations["org.opencontainers.image.ref.name"] == tag {
			return l.Manifest(ctx, d.Digest)
		}
	}
	return sign.Manifest{}, fmt.Errorf("tag %s: %w", tag, sign.ErrNotFound)
}

// Blob implements [sign.Source].
func (l *Layout) Blob(_ context.Context, digest v1.Hash) (io.ReadCloser, error) {
	for _, b := range l.bundles {
		if b.digest == digest {
			return io.NopCloser(bytes.NewReader(b.data)), nil
		}
	}
	return l.open(blobPath(digest))
}

// Referrers implements [sign.Source]: the lines of the signatures file, and
// what stands in index.json with a subject.
func (l *Layout) Referrers(_ context.Context, digest v1.Hash) ([]v1.Descriptor, error) {
	var list []v1.Descriptor
	for _, b := range l.bundles {
		if b.about == digest {
			list = append(list, v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: b.name, Size: int64(len(b.manifest))})
		}
	}
	for _, d := range l.top.Manifests {
		if !d.MediaType.IsImage() || d.Digest == digest {
			continue
		}
		raw, err := l.blob(d.Digest, maxManifest)
		if err != nil {
			return nil, err
		}
		var m v1.Manifest
		if err := json.Unmarshal(raw, &m); err != nil {
			return nil, fmt.Errorf("read manifest %s: %w", d.Digest, err)
		}
		if m.Subject != nil && m.Subject.Digest == digest {
			list = append(list, d)
		}
	}
	return list, nil
}

func blobPath(h v1.Hash) string { return path.Join("blobs", h.Algorithm, h.Hex) }

// blob reads a small blob and compares it with its digest.
func (l *Layout) blob(h v1.Hash, limit int64) ([]byte, error) {
	data, err := l.file(blobPath(h), limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("blob %s: %w", h, sign.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	if got := sum(data); got != h {
		return nil, fmt.Errorf("read blob %s of layout %s: got other content, %s", h, l.dir, got)
	}
	return data, nil
}

func (l *Layout) file(name string, limit int64) ([]byte, error) {
	f, err := l.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: more than %d bytes", name, limit)
	}
	return data, nil
}

// open opens what is a file: a pipe would wait for ever.
func (l *Layout) open(name string) (*os.File, error) {
	info, err := l.root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a file", name)
	}
	return l.root.Open(name)
}

func sum(data []byte) v1.Hash {
	h, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		panic(err) // memory can be read
	}
	return h
}
