package registry

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/hardstand/hardstand/sign"
)

// Verify checks an image by name. A tag is resolved once; the report's digest is
// what was checked, and what a caller should go on with. Errors are those of
// [sign.Verify].
func Verify(ctx context.Context, ref name.Reference, r Remote, opts sign.VerifyOptions) (sign.Report, error) {
	repo, err := Open(ctx, ref.Context(), r)
	if err != nil {
		return sign.Report{}, fmt.Errorf("verify %s: %w", ref, err)
	}
	digest, err := repo.Digest(ctx, ref)
	if err != nil {
		return sign.Report{}, fmt.Errorf("verify %s: %w", ref, err)
	}
	return sign.Verify(ctx, repo, digest, opts)
}

// Digest resolves a reference into this repository.
func (r *Repository) Digest(ctx context.Context, ref name.Reference) (v1.Hash, error) {
	if d, ok := ref.(name.Digest); ok {
		return v1.NewHash(d.DigestStr())
	}
	digest, found, err := r.resolve(ctx, ref.Identifier())
	if err == nil && !found {
		err = fmt.Errorf("tag %s: %w", ref.Identifier(), sign.ErrNotFound)
	}
	return digest, err
}

// Image opens what a digest names, for reading: an index or a single image, the
// other is nil. What is read is compared with the digest.
func Image(ctx context.Context, digest name.Digest, r Remote) (v1.ImageIndex, v1.Image, error) {
	repo, err := Open(ctx, digest.Context(), r)
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", digest, err)
	}
	found, err := remote.Get(digest, remote.WithContext(ctx), remote.WithTransport(repo.http.Transport), remote.WithJobs(r.jobs()))
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", digest, err)
	}
	if found.MediaType.IsIndex() {
		index, err := found.ImageIndex()
		return index, nil, err
	}
	img, err := found.Image()
	return nil, img, err
}
