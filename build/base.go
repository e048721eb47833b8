package build

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/gate"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/spec"
)

// Limits on the image that a definition starts from.
const (
	maxBaseLayers = 127
	maxBaseLayer  = 4 << 30  // one layer as it is stored, bytes
	maxBaseTree   = 16 << 30 // all layers unpacked, bytes
)

// Base is the image that a definition starts from. Whoever makes one has
// verified the signature of the digest in Reference; what is read from Index is
// compared with the digests below it again.
type Base struct {
	Reference string        // as in the definition, with the digest
	Index     v1.ImageIndex // an entry a platform
	SignedBy  []string      // keys and identities that signed it

	mu     sync.Mutex
	images map[spec.Platform]*baseImage
}

// baseImage is one platform's image, its layers in the cache.
type baseImage struct {
	config *v1.ConfigFile
	layers []oci.Layer
	gate   *gate.Image // its tree, packages and programs
}

// read fetches the image of a platform once.
func (b *Base) read(ctx context.Context, c *cache.Cache, p spec.Platform) (*baseImage, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if img, ok := b.images[p]; ok {
		return img, nil
	}
	img, err := readBase(ctx, c, b.Index, p)
	if err != nil {
		return nil, fmt.Errorf("start from %s: %w", b.Reference, err)
	}
	if b.images == nil {
		b.images = map[spec.Platform]*baseImage{}
	}
	b.images[p] = img
	return img, nil
}

func readBase(ctx context.Context, c *cache.Cache, x v1.ImageIndex, p spec.Platform) (*baseImage, error) {
	img, err := platformImage(x, p)
	if err != nil {
		return nil, err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return nil, fmt.Errorf("read manifest for %s: %w", p, err)
	}
	b := &baseImage{}
	if b.config, err = img.ConfigFile(); err != nil {
		return nil, fmt.Errorf("read config for %s: %w", p, err)
	}
	switch n := len(manifest.Layers); {
	case n != len(b.config.RootFS.DiffIDs):
		return nil, fmt.Errorf("its manifest for %s has %d layers, its config %d", p, n, len(b.config.RootFS.DiffIDs))
	case n > maxBaseLayers:
		return nil, fmt.Errorf("it has %d layers for %s, at most %d", n, p, maxBaseLayers)
	case b.config.Architecture != p.Arch || b.config.OS != "linux":
		return nil, fmt.Errorf("its image for %s is for %s/%s", p, b.config.OS, b.config.Architecture)
	}
	for i, d := range manifest.Layers {
		l, err := storeLayer(ctx, c, img, d)
		if err != nil {
			return nil, fmt.Errorf("fetch layer %s: %w", d.Digest, err)
		}
		l.DiffID = b.config.RootFS.DiffIDs[i]
		b.layers = append(b.layers, l)
	}
	b.gate, err = readTree(ctx, b.layers, p, b.config.Config.User)
	return b, err
}

// storeLayer puts a layer into the cache as it is, under its digest.
func storeLayer(ctx context.Context, c *cache.Cache, img v1.Image, d v1.Descriptor) (oci.Layer, error) {
	l := oci.Layer{Digest: d.Digest, Size: d.Size}
	switch d.MediaType {
	case types.OCILayer, types.DockerLayer:
	case types.OCILayerZStd:
		l.Compression = "zstd"
	default:
		return l, fmt.Errorf("its media type is %s: want a layer compressed with gzip or zstd", d.MediaType)
	}
	digest, err := cache.ParseDigest(d.Digest.Hex)
	if err != nil || d.Digest.Algorithm != "sha256" {
		return l, fmt.Errorf("%s is no SHA-256", d.Digest)
	}
	if d.Size < 0 || d.Size > maxBaseLayer {
		return l, fmt.Errorf("%d bytes, at most %d", d.Size, int64(maxBaseLayer))
	}
	if l.Path, err = c.File(digest); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	remote, err := img.LayerByDigest(d.Digest)
	if err != nil {
		return l, err
	}
	body, err := remote.Compressed()
	if err != nil {
		return l, err
	}
	w, err := c.Create()
	if err != nil {
		return l, errors.Join(err, body.Close())
	}
	defer w.Abort()
	_, err = io.Copy(w, io.LimitReader(contextReader{ctx, body}, d.Size+1))
	if err := errors.Join(err, body.Close()); err != nil {
		return l, err
	}
	if w.Size() != d.Size || w.Sum() != digest {
		return l, fmt.Errorf("its source has %d bytes with the SHA-256 %s, want %d with %s", w.Size(), w.Sum(), d.Size, digest)
	}
	if err := w.Commit(digest); err != nil {
		return l, err
	}
	l.Path, err = c.File(digest)
	return l, err
}

// contextReader ends reading when nobody waits for it any more.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// readTree unpacks the layers once, whiteouts applied, and compares each with
// the digest that the config has of it.
func readTree(ctx context.Context, layers []oci.Layer, p spec.Platform, user string) (*gate.Image, error) {
	left := int64(maxBaseTree)
	sums := make([]hash.Hash, len(layers))
	readers := make([]io.Reader, len(layers))
	for i, l := range layers {
		r, err := l.Open()
		if err != nil {
			return nil, err
		}
		defer r.Close() //nolint:errcheck // opened for reading
		sums[i] = sha256.New()
		readers[i] = io.TeeReader(&bounded{contextReader{ctx, r}, &left}, sums[i])
	}
	img, err := gate.Read(readers, multiArch[p], user)
	if err != nil {
		return nil, err
	}
	for i, l := range layers {
		if _, err := io.Copy(io.Discard, readers[i]); err != nil { // what follows the end of the archive
			return nil, fmt.Errorf("read layer %s: %w", l.Digest, err)
		}
		if have := string(cache.HashOf(sums[i])); have != l.DiffID.Hex {
			return nil, fmt.Errorf("layer %s unpacks to sha256:%s, its config says %s", l.Digest, have, l.DiffID)
		}
	}
	return img, nil
}

// bounded fails when all readers of one budget have read more than it.
type bounded struct {
	io.Reader
	left *int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if *b.left -= int64(n); *b.left < 0 {
		return n, fmt.Errorf("its layers unpack to more than %d bytes", int64(maxBaseTree))
	}
	return n, err
}
