package registry

import (
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// images lists the images of an index; entries that are no images are left out.
func images(index v1.ImageIndex) ([]v1.Image, error) {
	m, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var list []v1.Image
	for _, d := range m.Manifests {
		if !d.MediaType.IsImage() {
			continue
		}
		img, err := index.Image(d.Digest)
		if err != nil {
			return nil, err
		}
		list = append(list, img)
	}
	return list, nil
}

// contentSize is the size of all blobs of an index, each counted once.
func contentSize(index v1.ImageIndex) (int64, error) {
	list, err := images(index)
	if err != nil {
		return 0, err
	}
	seen := map[v1.Hash]bool{}
	var total int64
	for _, img := range list {
		m, err := img.Manifest()
		if err != nil {
			return 0, err
		}
		for _, d := range append(m.Layers, m.Config) {
			if !seen[d.Digest] {
				seen[d.Digest] = true
				total += d.Size
			}
		}
	}
	return total, nil
}

// mountable offers the registry to take the blobs from another of its
// repositories before they are sent.
func mountable(index v1.ImageIndex, to name.Repository, from []name.Repository) v1.ImageIndex {
	for _, repo := range from {
		if repo.RegistryStr() == to.RegistryStr() && repo != to {
			return mountIndex{index, repo}
		}
	}
	return index
}

type imageIndex = v1.ImageIndex // its own name would hide its own method

type mountIndex struct {
	imageIndex
	from name.Repository
}

func (m mountIndex) Image(h v1.Hash) (v1.Image, error) {
	img, err := m.imageIndex.Image(h)
	if err != nil {
		return nil, err
	}
	return mountImage{img, m.from}, nil
}

type mountImage struct {
	v1.Image
	from name.Repository
}

func (m mountImage) Layers() ([]v1.Layer, error) {
	layers, err := m.Image.Layers()
	if err != nil {
		return nil, err
	}
	out := make([]v1.Layer, len(layers))
	for i, l := range layers {
		h, err := l.Digest()
		if err != nil {
			return nil, err
		}
		out[i] = &remote.MountableLayer{Layer: l, Reference: m.from.Digest(h.String())}
	}
	return out, nil
}
