package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/sign"
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

// contentSize is the size of all blobs, each counted once.
func contentSize(list []v1.Image) (int64, error) {
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

// pushIndex writes an index and everything below it by digest, blobs before the
// manifests that name them. Blobs that are present are not sent again, whatever
// manifests exist already: an earlier run may have been interrupted.
func (r *Repository) pushIndex(ctx context.Context, index v1.ImageIndex) error {
	list, err := images(index)
	if err != nil {
		return err
	}
	if err := r.pushImages(ctx, list); err != nil {
		return err
	}
	return r.putContent(ctx, index)
}

func (r *Repository) pushImages(ctx context.Context, list []v1.Image) error {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(r.remote.jobs())
	started := map[v1.Hash]bool{} // platforms share layers
	for _, img := range list {
		layers, err := blobs(img)
		if err != nil {
			return err
		}
		for _, l := range layers {
			s, err := contentOf(l)
			if err != nil {
				return err
			}
			if !started[s.digest] {
				started[s.digest] = true
				group.Go(func() error { return r.uploadMissing(gctx, s) })
			}
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	group, gctx = errgroup.WithContext(ctx)
	group.SetLimit(r.remote.jobs())
	for _, img := range list {
		group.Go(func() error { return r.putContent(gctx, img) })
	}
	return group.Wait()
}

// blobs lists what an image consists of. Layers that only their own registry may
// distribute stay there.
func blobs(img v1.Image) ([]v1.Layer, error) {
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	config, err := partial.ConfigLayer(img)
	if err != nil {
		return nil, err
	}
	list := []v1.Layer{config}
	for _, l := range layers {
		mt, err := l.MediaType()
		if err != nil {
			return nil, err
		}
		if mt.IsDistributable() {
			list = append(list, l)
		}
	}
	return list, nil
}

func (r *Repository) putContent(ctx context.Context, c remote.Taggable) error {
	raw, err := c.RawManifest()
	if err != nil {
		return err
	}
	return r.putDigest(ctx, sign.Manifest{MediaType: mediaTypeOfContent(c, raw), Raw: raw})
}

// checkBlobs asks for each blob of the images whether it is there in full. A
// registry that said so during the push may have been wrong.
func (r *Repository) checkBlobs(ctx context.Context, list []v1.Image) error {
	sizes := map[v1.Hash]int64{}
	for _, img := range list {
		m, err := img.Manifest()
		if err != nil {
			return err
		}
		for _, d := range append(m.Layers, m.Config) {
			if d.MediaType.IsDistributable() {
				sizes[d.Digest] = d.Size
			}
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.remote.jobs())
	for digest, size := range sizes {
		group.Go(func() error {
			there, err := r.hasBlob(ctx, digest, size)
			if err == nil && !there {
				err = fmt.Errorf("blob %s: %w", digest, errAbsent)
			}
			return err
		})
	}
	return group.Wait()
}

var errAbsent = errors.New("the registry accepted it and does not have it")

func (r *Repository) hasBlob(ctx context.Context, digest v1.Hash, size int64) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, r.url("blobs", digest.String()), nil)
	if err != nil {
		return false, fmt.Errorf("look for blob %s: %w", digest, err)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return false, fmt.Errorf("look for blob %s: %w", digest, err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err := transport.CheckError(resp, http.StatusOK, http.StatusNotFound); err != nil {
		return false, fmt.Errorf("look for blob %s: %w", digest, err)
	}
	return resp.StatusCode == http.StatusOK && (resp.ContentLength == size || resp.ContentLength < 0), nil
}
