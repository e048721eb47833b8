package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/sign"
)

// ReplicateOptions says what to copy where.
type ReplicateOptions struct {
	// Source is the image, by tag or digest.
	Source name.Reference
	// Targets get the image, each under a tag of its own.
	Targets []name.Tag
	// Verify decides, at the source, what is copied at all, and afterwards
	// whether a target has it.
	Verify sign.VerifyOptions
	Ledger *Ledger
	Remote Remote
	// Progress, if set, is called from one goroutine at a time.
	Progress func(Event)
}

// ReplicaState is how a target stands.
type ReplicaState string

// The states.
const (
	ReplicaCopied  ReplicaState = "copied"  // copied now, verified and tagged
	ReplicaPresent ReplicaState = "present" // was complete before
	ReplicaMissing ReplicaState = "missing" // the tag is not there
	ReplicaDiffers ReplicaState = "differs" // the tag names another image
	ReplicaRefused ReplicaState = "refused" // it is there and does not verify, or lacks attestations
	ReplicaFailed  ReplicaState = "failed"  // could not be copied or checked
)

// Replica is the outcome for one target.
type Replica struct {
	Tag    name.Tag     `json:"-"`
	Name   string       `json:"tag"`
	Digest v1.Hash      `json:"digest,omitzero"` // what the tag names
	State  ReplicaState `json:"state"`
	Err    error        `json:"-"`
	Reason string       `json:"reason,omitempty"` // of Err
}

func newReplica(tag name.Tag, digest v1.Hash, state ReplicaState, err error) Replica {
	r := Replica{Tag: tag, Name: tag.Name(), Digest: digest, State: state, Err: err}
	if err != nil {
		r.Reason = err.Error()
	}
	return r
}

// ReplicationError holds one error for each target that is not in order.
type ReplicationError struct {
	Failed, Total int
	errs          []error
}

func (e *ReplicationError) Error() string {
	return fmt.Sprintf("replicate: %d of %d targets failed:\n%v", e.Failed, e.Total, errors.Join(e.errs...))
}

// Unwrap gives errors.As every target's error.
func (e *ReplicationError) Unwrap() []error { return e.errs }

// Replicate copies a verified image with its verified signatures and
// attestations, and nothing else that may be attached to it, to every target. A
// target is verified in place, its digest compared, and tagged last. Targets do
// not wait for each other, and one that fails does not keep another from being
// done; the error is then a *[ReplicationError] beside a complete list.
func Replicate(ctx context.Context, o ReplicateOptions) ([]Replica, error) {
	origin, err := readOrigin(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("replicate %s: %w", o.Source, err)
	}
	return forTargets(o.Targets, o.Remote, func(tag name.Tag) Replica { return origin.copyTo(ctx, tag) })
}

// ReplicaStatus looks at every target without writing anything.
func ReplicaStatus(ctx context.Context, o ReplicateOptions) ([]Replica, error) {
	origin, err := readOrigin(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("replicate %s: %w", o.Source, err)
	}
	return forTargets(o.Targets, o.Remote, func(tag name.Tag) Replica {
		repo, err := Open(ctx, tag.Repository, o.Remote)
		if err != nil {
			return newReplica(tag, v1.Hash{}, ReplicaFailed, err)
		}
		return origin.status(ctx, repo, tag)
	})
}

func forTargets(targets []name.Tag, r Remote, do func(name.Tag) Replica) ([]Replica, error) {
	replicas := make([]Replica, len(targets))
	var group errgroup.Group
	group.SetLimit(r.jobs())
	for i, tag := range targets {
		group.Go(func() error {
			replicas[i] = do(tag)
			return nil
		})
	}
	_ = group.Wait() // outcomes are in the list
	var errs []error
	for _, r := range replicas {
		if r.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r.Name, r.Err))
		}
	}
	if len(errs) > 0 {
		return replicas, &ReplicationError{Failed: len(errs), Total: len(targets), errs: errs}
	}
	return replicas, nil
}

// origin is the verified image at the source.
type origin struct {
	ReplicateOptions
	repo     *Repository
	digest   v1.Hash
	manifest sign.Manifest
	report   sign.Report
}

func readOrigin(ctx context.Context, o ReplicateOptions) (*origin, error) {
	repo, err := Open(ctx, o.Source.Context(), o.Remote)
	if err != nil {
		return nil, err
	}
	digest, err := repo.Digest(ctx, o.Source)
	if err != nil {
		return nil, err
	}
	report, err := sign.Examine(ctx, repo, digest, o.Verify)
	if err != nil {
		return nil, err
	}
	if err := report.Judge(o.Verify); err != nil {
		return nil, fmt.Errorf("the source is not copied: %w", err)
	}
	m, err := repo.Manifest(ctx, digest)
	if err != nil {
		return nil, err
	}
	return &origin{ReplicateOptions: o, repo: repo, digest: digest, manifest: m, report: report}, nil
}

// status compares one target with the source.
func (o *origin) status(ctx context.Context, repo *Repository, tag name.Tag) Replica {
	existing, found, err := repo.resolve(ctx, tag.TagStr())
	switch {
	case err != nil:
		return newReplica(tag, v1.Hash{}, ReplicaFailed, err)
	case !found:
		return newReplica(tag, v1.Hash{}, ReplicaMissing, errors.New("the tag is not there"))
	case existing != o.digest:
		return newReplica(tag, existing, ReplicaDiffers, &TagExistsError{Tag: tag, Existing: existing, Wanted: o.digest})
	}
	return o.judge(ctx, repo, tag)
}

// judge verifies the target under the policy, and that no evidence was lost.
func (o *origin) judge(ctx context.Context, repo *Repository, tag name.Tag) Replica {
	report, err := sign.Examine(ctx, repo, o.digest, o.Verify)
	if err != nil {
		return newReplica(tag, v1.Hash{}, ReplicaFailed, err)
	}
	if err := report.Judge(o.Verify); err != nil {
		return newReplica(tag, o.digest, ReplicaRefused, err)
	}
	if lost := lostEvidence(o.report, report); lost != "" {
		return newReplica(tag, o.digest, ReplicaRefused, errors.New(lost))
	}
	return newReplica(tag, o.digest, ReplicaPresent, nil)
}

// lostEvidence says what the source has and the target has not.
func lostEvidence(source, target sign.Report) string {
	for _, s := range slices.Concat([]sign.Report{source}, source.Platforms) {
		t := reportOf(target, s.Digest)
		for _, e := range slices.Concat(s.Signatures, s.Attestations) {
			if !hasEvidence(slices.Concat(t.Signatures, t.Attestations), e) {
				return fmt.Sprintf("%s %s of %s is missing", e.Form, e.PredicateType, s.Digest)
			}
		}
	}
	return ""
}

func hasEvidence(list []sign.Evidence, want sign.Evidence) bool {
	for _, e := range list {
		if e.Form == want.Form && e.PredicateType == want.PredicateType && string(e.Layer.Data) == string(want.Layer.Data) {
			return true
		}
	}
	return false
}

// copyTo brings one target in order.
func (o *origin) copyTo(ctx context.Context, tag name.Tag) Replica {
	repo, err := openForPush(ctx, tag.Repository, o.Remote, o.Source.Context())
	if err != nil {
		return newReplica(tag, v1.Hash{}, ReplicaFailed, err)
	}
	before := o.status(ctx, repo, tag)
	switch before.State {
	case ReplicaPresent, ReplicaDiffers, ReplicaFailed:
		return before
	}
	if err := o.copyContent(ctx, repo); err != nil {
		return newReplica(tag, v1.Hash{}, ReplicaFailed, err)
	}
	if judged := o.judge(ctx, repo, tag); judged.State != ReplicaPresent {
		judged.Digest = before.Digest
		return judged
	}
	err = o.Ledger.during(tag, o.digest, false, func() error {
		return repo.setTag(ctx, tag, o.manifest, o.digest, tagState{})
	})
	if err != nil {
		return newReplica(tag, v1.Hash{}, ReplicaFailed, err)
	}
	return newReplica(tag, o.digest, ReplicaCopied, nil)
}

func (o *origin) copyContent(ctx context.Context, repo *Repository) error {
	at := o.Source.Context().Digest(o.digest.String())
	desc, err := remote.Get(at, remote.WithContext(ctx), remote.WithTransport(o.repo.http.Transport), remote.WithJobs(o.Remote.jobs()))
	if err != nil {
		return fmt.Errorf("read the source: %w", err)
	}
	if err := repo.copyContent(ctx, desc); err != nil {
		return fmt.Errorf("copy content: %w", err)
	}
	for _, r := range slices.Concat(o.report.Platforms, []sign.Report{o.report}) {
		m, err := o.repo.Manifest(ctx, r.Digest)
		if err != nil {
			return err
		}
		a := evidenceOf(r, v1.Descriptor{MediaType: m.MediaType, Digest: r.Digest, Size: int64(len(m.Raw))})
		if err := repo.attach(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// evidenceOf turns what verified into what gets attached, byte for byte.
func evidenceOf(r sign.Report, subject v1.Descriptor) attachment {
	a := attachment{subject: subject}
	for _, e := range slices.Concat(r.Signatures, r.Attestations) {
		switch {
		case e.Form == sign.FormBundle:
			a.bundles = append(a.bundles, bundle{e.PredicateType, e.Layer, sign.Manifest{MediaType: mediaTypeOf(e.Raw), Raw: e.Raw}})
		case e.PredicateType == sign.PredicateSignature:
			a.signatures = append(a.signatures, e.Layer)
		default:
			a.envelopes = append(a.envelopes, e.Layer)
		}
	}
	return a
}

func (r *Repository) copyContent(ctx context.Context, desc *remote.Descriptor) error {
	if desc.MediaType.IsIndex() {
		index, err := desc.ImageIndex()
		if err != nil {
			return err
		}
		list, err := images(index)
		if err != nil {
			return err
		}
		if err := r.pushIndex(ctx, index); err != nil {
			return err
		}
		return r.checkBlobs(ctx, list)
	}
	img, err := desc.Image()
	if err != nil {
		return err
	}
	if err := r.pushImages(ctx, []v1.Image{img}); err != nil {
		return err
	}
	return r.checkBlobs(ctx, []v1.Image{img})
}
