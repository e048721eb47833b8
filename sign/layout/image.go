package layout

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Image opens what a digest names, for reading: an index or a single image,
// the other is nil. Manifests and configs are compared with their digests;
// layers are for the reader to compare. It is of use until the layout is closed.
func (l *Layout) Image(digest v1.Hash) (v1.ImageIndex, v1.Image, error) {
	m, err := l.Manifest(context.Background(), digest)
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", digest, err)
	}
	if !m.MediaType.IsIndex() {
		img, err := l.image(digest)
		return nil, img, err
	}
	x := &index{layout: l, digest: digest, mediaType: m.MediaType, raw: m.Raw}
	if err := json.Unmarshal(m.Raw, &x.parsed); err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", digest, err)
	}
	return x, nil, nil
}

func (l *Layout) image(digest v1.Hash) (v1.Image, error) {
	m, err := l.Manifest(context.Background(), digest)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", digest, err)
	}
	i := &image{layout: l, mediaType: m.MediaType, raw: m.Raw}
	if err := json.Unmarshal(m.Raw, &i.parsed); err != nil {
		return nil, fmt.Errorf("open %s: %w", digest, err)
	}
	return partial.CompressedToImage(i)
}

type index struct {
	layout    *Layout
	digest    v1.Hash
	mediaType types.MediaType
	raw       []byte
	parsed    v1.IndexManifest
}

func (x *index) MediaType() (types.MediaType, error)       { return x.mediaType, nil }
func (x *index) Digest() (v1.Hash, error)                  { return x.digest, nil }
func (x *index) Size() (int64, error)                      { return int64(len(x.raw)), nil }
func (x *index) IndexManifest() (*v1.IndexManifest, error) { return x.parsed.DeepCopy(), nil }
func (x *index) RawManifest() ([]byte, error)              { return x.raw, nil }

func (x *index) Image(h v1.Hash) (v1.Image, error) { return x.layout.image(h) }

func (x *index) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	return nil, fmt.Errorf("open %s: an index within an index", h)
}

// image is what partial.CompressedToImage makes an image of.
type image struct {
	layout    *Layout
	mediaType types.MediaType
	raw       []byte
	parsed    v1.Manifest
}

func (i *image) MediaType() (types.MediaType, error) { return i.mediaType, nil }
func (i *image) RawManifest() ([]byte, error)        { return i.raw, nil }
func (i *image) RawConfigFile() ([]byte, error) {
	return i.layout.blob(i.parsed.Config.Digest, maxConfig)
}

func (i *image) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, d := range i.parsed.Layers {
		if d.Digest == h {
			return &layer{i.layout, d}, nil
		}
	}
	return nil, fmt.Errorf("the manifest has no layer %s", h)
}

type layer struct {
	layout *Layout
	about  v1.Descriptor
}

func (l *layer) Digest() (v1.Hash, error)            { return l.about.Digest, nil }
func (l *layer) Size() (int64, error)                { return l.about.Size, nil }
func (l *layer) MediaType() (types.MediaType, error) { return l.about.MediaType, nil }
func (l *layer) Compressed() (io.ReadCloser, error)  { return l.layout.open(blobPath(l.about.Digest)) }
