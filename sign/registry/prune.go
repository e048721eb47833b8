package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/hardstand/hardstand/sign"
)

const (
	maxTags      = 100_000
	maxTagPages  = 1000
	maxTagsPage  = 8 << 20 // bytes of one page of a tag list
	maxReachable = 100_000 // manifests looked at
)

// PruneOptions says what a repository keeps.
type PruneOptions struct {
	Repository name.Repository
	// KeepTags are the tags to keep.
	KeepTags []string
	// Running are digests in use somewhere, kept whether a tag names them or
	// not.
	Running []v1.Hash
	Remote  Remote
}

// PrunePlan is what pruning would delete, in order, and what it keeps.
type PrunePlan struct {
	Repository name.Repository `json:"-"`
	// Untag are release tags to remove.
	Untag []TaggedDigest `json:"untag"`
	// Delete are manifests that nothing kept needs: images first, then what is
	// attached to them.
	Delete []v1.Hash `json:"delete"`
	// Detach are sha256-* tags of images that are gone or go.
	Detach []TaggedDigest `json:"detach"`
	// Kept are the digests kept, with everything attached to them.
	Kept []v1.Hash `json:"kept"`
}

// TaggedDigest is a tag and what it names.
type TaggedDigest struct {
	Tag    string  `json:"tag"`
	Digest v1.Hash `json:"digest"`
}

// Empty reports whether there is nothing to delete.
func (p PrunePlan) Empty() bool {
	return len(p.Untag)+len(p.Delete)+len(p.Detach) == 0
}

// Tags lists the tags of a repository, signatures' tags included.
func (r *Repository) Tags(ctx context.Context) ([]string, error) {
	next := r.url("tags", "list") + "?n=1000"
	var tags []string
	for range maxTagPages {
		resp, err := r.get(ctx, next, "", http.StatusOK)
		if errors.Is(err, sign.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list tags: %w", err)
		}
		raw, err := readBody(resp, maxTagsPage)
		if err != nil {
			return nil, fmt.Errorf("list tags of %s: %w", r.name, err)
		}
		var page struct {
			Tags []string `json:"tags"`
		}
		if err := json.Unmarshal(raw, &page); err != nil {
			return nil, fmt.Errorf("list tags of %s: %w", r.name, err)
		}
		if tags = append(tags, page.Tags...); len(tags) > maxTags {
			return nil, fmt.Errorf("list tags of %s: more than %d", r.name, maxTags)
		}
		if next, err = nextPage(resp); err != nil || next == "" {
			return tags, err
		}
	}
	return nil, fmt.Errorf("list tags of %s: more than %d pages", r.name, maxTagPages)
}

// PlanPrune looks at a repository and writes nothing. It keeps the tags asked
// for and the digests in use, the platforms of kept indexes, and every referrer,
// signature and attestation of what is kept, whoever made it. A tag to keep that
// does not exist is an error: it is a typing mistake that would delete.
func PlanPrune(ctx context.Context, o PruneOptions) (PrunePlan, error) {
	plan := PrunePlan{Repository: o.Repository}
	if len(o.KeepTags)+len(o.Running) == 0 {
		return plan, fmt.Errorf("prune %s: nothing is to be kept: name tags or digests", o.Repository)
	}
	repo, err := Open(ctx, o.Repository, o.Remote)
	if err != nil {
		return plan, fmt.Errorf("prune %s: %w", o.Repository, err)
	}
	w := &walk{repo: repo, keep: map[v1.Hash]bool{}, drop: map[v1.Hash]bool{}}
	if err := w.plan(ctx, o, &plan); err != nil {
		return plan, fmt.Errorf("prune %s: %w", o.Repository, err)
	}
	return plan, nil
}

// walk follows what manifests need.
type walk struct {
	repo       *Repository
	keep, drop map[v1.Hash]bool
	order      []v1.Hash // of drop, images before what is attached
}

func (w *walk) plan(ctx context.Context, o PruneOptions, plan *PrunePlan) error {
	releases, attached, err := w.tags(ctx)
	if err != nil {
		return err
	}
	for _, tag := range o.KeepTags {
		if !slices.ContainsFunc(releases, func(t TaggedDigest) bool { return t.Tag == tag }) {
			return fmt.Errorf("tag %s is to be kept and does not exist", tag)
		}
	}
	for _, t := range releases {
		if slices.Contains(o.KeepTags, t.Tag) {
			err = w.reach(ctx, t.Digest, w.keep, nil)
		} else {
			plan.Untag = append(plan.Untag, t)
		}
		if err != nil {
			return err
		}
	}
	for _, digest := range o.Running {
		if err := w.reach(ctx, digest, w.keep, nil); err != nil {
			return err
		}
	}
	for _, t := range plan.Untag {
		if err := w.reach(ctx, t.Digest, w.drop, &w.order); err != nil {
			return err
		}
	}
	return w.sort(ctx, plan, attached)
}

func (w *walk) tags(ctx context.Context) (releases, attached []TaggedDigest, err error) {
	all, err := w.repo.Tags(ctx)
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(all)
	for _, tag := range all {
		digest, found, err := w.repo.resolve(ctx, tag)
		switch {
		case err != nil:
			return nil, nil, err
		case !found: // deleted while we look
		case sign.IsAttachedTag(tag):
			attached = append(attached, TaggedDigest{tag, digest})
		default:
			releases = append(releases, TaggedDigest{tag, digest})
		}
	}
	return releases, attached, nil
}

// reach marks a manifest, its platforms, and everything attached to them.
func (w *walk) reach(ctx context.Context, digest v1.Hash, marks map[v1.Hash]bool, order *[]v1.Hash) error {
	if marks[digest] {
		return nil
	}
	if marks[digest] = true; len(marks) > maxReachable {
		return fmt.Errorf("more than %d manifests", maxReachable)
	}
	if order != nil {
		*order = append(*order, digest)
	}
	m, err := w.repo.Manifest(ctx, digest)
	if err != nil && !errors.Is(err, sign.ErrNotFound) {
		return err
	}
	var index v1.IndexManifest
	if err == nil && m.MediaType.IsIndex() {
		if err := json.Unmarshal(m.Raw, &index); err != nil {
			return fmt.Errorf("parse index %s: %w", digest, err)
		}
	}
	referrers, err := w.repo.Referrers(ctx, digest)
	if err != nil {
		return err
	}
	// Registries list referrers in any order; plans are compared.
	slices.SortFunc(referrers, func(a, b v1.Descriptor) int { return strings.Compare(a.Digest.Hex, b.Digest.Hex) })
	for _, d := range slices.Concat(index.Manifests, referrers) {
		if err := w.reach(ctx, d.Digest, marks, order); err != nil {
			return err
		}
	}
	return nil
}

// sort splits what is reachable into what goes and what stays. Whatever is kept
// for any reason stays, and so does every sha256-* tag of it.
func (w *walk) sort(ctx context.Context, plan *PrunePlan, attached []TaggedDigest) error {
	for digest := range w.keep {
		plan.Kept = append(plan.Kept, digest)
	}
	slices.SortFunc(plan.Kept, func(a, b v1.Hash) int { return strings.Compare(a.Hex, b.Hex) })
	for _, digest := range w.order {
		if !w.keep[digest] {
			plan.Delete = append(plan.Delete, digest)
		}
	}
	for _, t := range attached {
		subject := subjectOf(t.Tag)
		if w.keep[subject] || w.keep[t.Digest] {
			continue
		}
		gone, err := w.gone(ctx, subject)
		if err != nil {
			return err
		}
		if gone {
			plan.Detach = append(plan.Detach, t)
		}
	}
	return nil
}

// gone is asked for images that nothing kept names. The signatures of one that
// no tag ever named and that is there stay: somebody may pull it by digest.
func (w *walk) gone(ctx context.Context, digest v1.Hash) (bool, error) {
	if w.drop[digest] {
		return true, nil
	}
	_, err := w.repo.Manifest(ctx, digest)
	if errors.Is(err, sign.ErrNotFound) {
		return true, nil
	}
	return false, err
}

func subjectOf(tag string) v1.Hash {
	hex := strings.TrimPrefix(tag, "sha256-")
	return v1.Hash{Algorithm: "sha256", Hex: hex[:64]}
}

// ErrPlanOutdated says that the repository changed after the plan was made.
var ErrPlanOutdated = errors.New("the repository changed since the plan was made")

// Prune carries a plan out, after making it once more: if the repository has
// changed, nothing is deleted and the error is [ErrPlanOutdated]. Names go before
// images and images before their signatures, so that an interrupted run leaves
// no name of an unsigned image.
func Prune(ctx context.Context, o PruneOptions, plan PrunePlan) error {
	now, err := PlanPrune(ctx, o)
	if err != nil {
		return err
	}
	if !samePlan(now, plan) {
		return fmt.Errorf("prune %s: %w", o.Repository, ErrPlanOutdated)
	}
	repo, err := open(ctx, o.Repository, o.Remote, o.Repository.Scope(transport.DeleteScope))
	if err != nil {
		return fmt.Errorf("prune %s: %w", o.Repository, err)
	}
	if err := repo.carryOut(ctx, plan); err != nil {
		return fmt.Errorf("prune %s: %w", o.Repository, err)
	}
	return nil
}

func (r *Repository) carryOut(ctx context.Context, p PrunePlan) error {
	for _, t := range p.Untag {
		err := r.delete(ctx, t.Tag)
		if cannotUntag(err) && slices.Contains(p.Delete, t.Digest) {
			err = nil // the tag goes with its image
		}
		if err != nil {
			return err
		}
	}
	for _, digest := range p.Delete {
		if err := r.delete(ctx, digest.String()); err != nil {
			return err
		}
	}
	for _, t := range p.Detach {
		err := r.delete(ctx, t.Tag)
		if cannotUntag(err) && !slices.Contains(p.Kept, t.Digest) {
			err = r.delete(ctx, t.Digest.String())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cannotUntag recognises registries that delete by digest only, as distribution
// 2 does.
func cannotUntag(err error) bool {
	var te *transport.Error
	if !errors.As(err, &te) {
		return false
	}
	return te.StatusCode == http.StatusMethodNotAllowed || te.StatusCode == http.StatusBadRequest
}

func samePlan(a, b PrunePlan) bool {
	return slices.Equal(a.Untag, b.Untag) && slices.Equal(a.Delete, b.Delete) &&
		slices.Equal(a.Detach, b.Detach) && slices.Equal(a.Kept, b.Kept)
}
