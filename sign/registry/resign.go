package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/sign"
)

// ResignOptions says which images get a further signature.
type ResignOptions struct {
	// Images are the images to keep, all of one repository.
	Images []name.Reference
	// Verify is who vouched for them so far: an image that is refused is not
	// signed again, whatever it is.
	Verify sign.VerifyOptions
	// Signer is the new key.
	Signer *sign.Signer
	// Trust, with keys or identities, judges the new signatures; empty is the
	// new key.
	Trust sign.VerifyOptions
	// Identity is as in [PublishOptions].
	Identity name.Repository
	Remote   Remote
}

// Resigned is the outcome for one image.
type Resigned struct {
	Name   string  `json:"image"`
	Digest v1.Hash `json:"digest,omitzero"`
	// Signed counts the manifests that got something new; 0 is an image that
	// the new key had signed already.
	Signed int    `json:"signed"`
	Err    error  `json:"-"`
	Reason string `json:"reason,omitempty"` // of Err
}

// Resign adds the new key's signature to images that the old one vouches for:
// the index, each platform, and every attestation that verified, with the same
// content. Old signatures stay. Nothing is tagged or moved. The error joins
// those of the images that failed; the list is complete in any case.
func Resign(ctx context.Context, o ResignOptions) ([]Resigned, error) {
	if o.Signer == nil || len(o.Images) == 0 {
		return nil, errors.New("resign: a signer and an image are needed")
	}
	repo, err := openForPush(ctx, o.Images[0].Context(), o.Remote)
	if err != nil {
		return nil, fmt.Errorf("resign: %w", err)
	}
	var list []Resigned
	var errs []error
	for _, ref := range o.Images {
		done := Resigned{Name: ref.Name()}
		if ref.Context() != repo.Name() {
			done.Err = fmt.Errorf("it is not in %s", repo.Name())
		} else {
			done.Err = o.resign(ctx, repo, ref, &done)
		}
		if done.Err != nil {
			done.Reason = done.Err.Error()
			errs = append(errs, fmt.Errorf("resign %s: %w", ref, done.Err))
		}
		list = append(list, done)
	}
	return list, errors.Join(errs...)
}

func (o ResignOptions) resign(ctx context.Context, repo *Repository, ref name.Reference, done *Resigned) error {
	digest, err := repo.Digest(ctx, ref)
	if err != nil {
		return err
	}
	done.Digest = digest
	report, err := sign.Examine(ctx, repo, digest, o.Verify)
	if err != nil {
		return err
	}
	if err := report.Judge(o.Verify); err != nil {
		return err
	}
	p := &publication{repo: repo, PublishOptions: PublishOptions{
		Tag: ref.Context().Tag("resign"), Signer: o.Signer, Verify: o.Trust, Identity: o.Identity, Remote: o.Remote,
	}, result: Result{Took: map[Step]time.Duration{}}}
	if err := p.complement(); err != nil {
		return err
	}
	for _, r := range append(report.Platforms[:len(report.Platforms):len(report.Platforms)], report) {
		s, err := resignSubject(ctx, repo, r)
		if err != nil {
			return err
		}
		p.subjects = append(p.subjects, s)
		p.index = s.desc
	}
	err = p.vouch(ctx)
	done.Signed = p.result.Signed
	return err
}

// resignSubject repeats the statements that verified, each once.
func resignSubject(ctx context.Context, repo *Repository, r sign.Report) (subject, error) {
	m, err := repo.Manifest(ctx, r.Digest)
	if err != nil {
		return subject{}, err
	}
	s := subject{desc: v1.Descriptor{MediaType: m.MediaType, Digest: r.Digest, Size: int64(len(m.Raw))}}
	var made []sign.Evidence
	for _, e := range r.Attestations {
		st, err := sign.NewStatement(r.Digest, e.PredicateType, e.Statement.Predicate)
		if err != nil {
			return s, err
		}
		e.Form = sign.FormBundle
		if !hasStatement(made, st, sign.FormBundle) {
			s.statements = append(s.statements, st)
			made = append(made, e)
		}
	}
	return s, nil
}
