package registry

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

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
