package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/sign"
)

// Attestation is a claim to sign and attach.
type Attestation struct {
	// Subject is the index or one of its manifests; zero is the index.
	Subject v1.Hash
	// PredicateType is a URI, such as [sign.PredicateSPDX].
	PredicateType string
	// Predicate is JSON.
	Predicate []byte
}

// PublishOptions says what to publish, where, and who vouches for it.
type PublishOptions struct {
	Index        v1.ImageIndex
	Tag          name.Tag
	Signer       *sign.Signer
	Attestations []Attestation
	// Verify judges what was written before the tag is set; without keys and
	// identities it is the signer's own key. A keyless signer needs it.
	Verify sign.VerifyOptions
	// Identity is the repository name that signatures state; zero is the
	// tag's. Set it when consumers pull from a replica under another name.
	Identity name.Repository
	// MountFrom names repositories of the same registry that may hold the
	// blobs already.
	MountFrom []name.Repository
	// Move allows the tag to be taken from the image that it names when Publish
	// begins. Tags that [IsUniqueTag] recognises never move.
	Move bool
	// Ledger, if set, remembers what was published from here.
	Ledger *Ledger
	Remote Remote
	// Progress, if set, is called from one goroutine at a time.
	Progress func(Event)
}

// Step is a phase of publishing.
type Step string

// The steps, in order.
const (
	StepCheck  Step = "check"  // does the tag exist
	StepPush   Step = "push"   // content by digest
	StepSign   Step = "sign"   // signatures and attestations
	StepVerify Step = "verify" // read back and judge
	StepTag    Step = "tag"    // the name, last
)

// Event reports progress. Done and Total are bytes in StepPush and images in
// StepSign; both are 0 where there is nothing to count.
type Event struct {
	Repository  string
	Step        Step
	Done, Total int64
}

// Result is what Publish did.
type Result struct {
	Reference name.Digest `json:"-"`
	Digest    v1.Hash     `json:"digest"`
	// Existed is set when the tag named this very image, signed and complete:
	// nothing was written.
	Existed bool `json:"existed"`
	// MovedFrom is what the tag named before, if it was moved.
	MovedFrom v1.Hash `json:"movedFrom,omitzero"`
	// Signed counts the images that got a signature or an attestation now.
	Signed  int                    `json:"signed"`
	Report  sign.Report            `json:"report"`
	Traffic Traffic                `json:"traffic"`
	Took    map[Step]time.Duration `json:"took"`
}

// Publish pushes an index, signs it and each of its manifests, attaches the
// attestations, verifies all of it as read back, and only then sets the tag. If
// the tag names another image, nothing is pushed and the error is a
// *[TagExistsError]. Publish may be repeated after any failure: it adds what is
// missing and nothing twice.
func Publish(ctx context.Context, o PublishOptions) (Result, error) {
	p, err := newPublication(ctx, o)
	if err != nil {
		return Result{}, fmt.Errorf("publish %s: %w", o.Tag, err)
	}
	err = p.run(ctx)
	p.result.Traffic = p.repo.Traffic()
	return p.result, p.explain(err)
}

// publication is one run of Publish.
type publication struct {
	PublishOptions
	repo     *Repository
	index    v1.Descriptor
	manifest sign.Manifest
	subjects []subject // platforms first, the index last
	images   []v1.Image
	before   tagState
	result   Result
	mu       sync.Mutex
	absent   map[v1.Hash]bool // subjects that were not there before the push
	// attestOnly leaves the signature to those who have made it.
	attestOnly bool
}

// subject is an image to sign with the statements to make about it.
type subject struct {
	desc       v1.Descriptor
	statements []sign.Statement // without the signature
}

func newPublication(ctx context.Context, o PublishOptions) (*publication, error) {
	if o.Index == nil || o.Signer == nil {
		return nil, errors.New("an index and a signer are needed")
	}
	p := &publication{PublishOptions: o, result: Result{Took: map[Step]time.Duration{}}}
	if err := p.complement(); err != nil {
		return nil, err
	}
	if err := p.readIndex(); err != nil {
		return nil, err
	}
	if err := p.readAttestations(); err != nil {
		return nil, err
	}
	var err error
	p.repo, err = openForPush(ctx, o.Tag.Repository, o.Remote, o.MountFrom...)
	return p, err
}

// complement fills in who is believed and under which name.
func (p *publication) complement() error {
	if p.Identity == (name.Repository{}) {
		p.Identity = p.Tag.Repository
	}
	if len(p.Verify.Keys)+len(p.Verify.Identities) > 0 {
		return nil
	}
	if p.Signer.Keyless() {
		return errors.New("a keyless signer needs an identity to verify with")
	}
	p.Verify.Keys = []sign.Key{p.Signer.Key()}
	return nil
}

func (p *publication) readIndex() error {
	raw, err := p.Index.RawManifest()
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	mt, err := p.Index.MediaType()
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	p.manifest = sign.Manifest{MediaType: mt, Raw: raw}
	children, err := sign.Platforms(p.manifest)
	if err != nil {
		return err
	}
	if len(children) == 0 {
		return errors.New("the index names no image")
	}
	for _, c := range children {
		p.subjects = append(p.subjects, subject{desc: c})
	}
	digest, size, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	if p.images, err = images(p.Index); err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	p.index = v1.Descriptor{MediaType: mt, Digest: digest, Size: size}
	p.subjects = append(p.subjects, subject{desc: p.index})
	p.result.Digest = digest
	p.result.Reference = p.Tag.Digest(digest.String())
	return nil
}

func (p *publication) readAttestations() error {
	for _, a := range p.Attestations {
		about := a.Subject
		if about == (v1.Hash{}) {
			about = p.index.Digest
		}
		i := slices.IndexFunc(p.subjects, func(s subject) bool { return s.desc.Digest == about })
		if i < 0 {
			return fmt.Errorf("attestation %s is about %s, which is not in the index", a.PredicateType, about)
		}
		if a.PredicateType == sign.PredicateSignature {
			return errors.New("the signature is not given as an attestation")
		}
		st, err := sign.NewStatement(about, a.PredicateType, a.Predicate)
		if err != nil {
			return err
		}
		p.subjects[i].statements = append(p.subjects[i].statements, st)
	}
	return nil
}

func (p *publication) run(ctx context.Context) error {
	complete, err := p.check(ctx)
	if err != nil || complete {
		return err
	}
	if err := p.timed(ctx, StepPush, p.push); err != nil {
		return err
	}
	if err := p.vouch(ctx); err != nil {
		return err
	}
	return p.timed(ctx, StepTag, p.tag)
}

func (p *publication) timed(ctx context.Context, step Step, do func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.event(step, 0, 0)
	start := time.Now()
	err := do(ctx)
	p.result.Took[step] += time.Since(start)
	return err
}

func (p *publication) event(step Step, done, total int64) {
	if p.Progress != nil {
		p.Progress(Event{Repository: p.Tag.Repository.Name(), Step: step, Done: done, Total: total})
	}
}

// check looks at the tag before anything is pushed. complete means that there
// is nothing to do.
func (p *publication) check(ctx context.Context) (complete bool, err error) {
	err = p.timed(ctx, StepCheck, func(ctx context.Context) error {
		existing, found, err := p.repo.resolve(ctx, p.Tag.TagStr())
		if err != nil {
			return err
		}
		if err := p.checkLedger(existing, found); err != nil {
			return err
		}
		p.before = tagState{existing, found}
		if found && existing != p.index.Digest {
			return p.mayMove()
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if !p.before.found || p.before.digest != p.index.Digest {
		return false, p.timed(ctx, StepCheck, p.findAbsent)
	}
	return p.complete(ctx)
}

// findAbsent notes which manifests are not there yet.
func (p *publication) findAbsent(ctx context.Context) error {
	p.absent = map[v1.Hash]bool{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.Remote.jobs())
	for _, s := range p.subjects {
		group.Go(func() error {
			_, err := p.repo.Manifest(ctx, s.desc.Digest)
			if !errors.Is(err, sign.ErrNotFound) {
				return err
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			p.absent[s.desc.Digest] = true
			return nil
		})
	}
	return group.Wait()
}

// checkLedger raises the alarm when the tag was published from here and has
// changed since, and keeps a tag from being reused after it was deleted.
func (p *publication) checkLedger(existing v1.Hash, found bool) error {
	if p.Move {
		return nil
	}
	wrote, ok, err := p.Ledger.published(p.Tag)
	if err != nil || !ok {
		return err
	}
	if found && existing != wrote {
		return &TagLostError{Tag: p.Tag, Wrote: wrote, Found: existing}
	}
	if !found && wrote != p.index.Digest {
		return &TagExistsError{Tag: p.Tag, Existing: wrote, Wanted: p.index.Digest, Ledger: true}
	}
	return nil
}

// mayMove decides whether a tag that names another image may be taken.
func (p *publication) mayMove() error {
	if !p.Move || IsUniqueTag(p.Tag.TagStr()) {
		return &TagExistsError{Tag: p.Tag, Existing: p.before.digest, Wanted: p.index.Digest}
	}
	p.result.MovedFrom = p.before.digest
	return nil
}

// complete reports whether the image is already there with all that this
// publication would attach.
func (p *publication) complete(ctx context.Context) (bool, error) {
	report, err := sign.Verify(ctx, p.repo, p.index.Digest, p.demands())
	if refused := (*sign.RefusedError)(nil); errors.As(err, &refused) || errors.Is(err, sign.ErrNotFound) {
		return false, nil // interrupted earlier: carry on
	}
	if err != nil {
		return false, err
	}
	for _, s := range p.subjects {
		if len(p.missing(s, reportOf(report, s.desc.Digest))) > 0 {
			return false, nil
		}
	}
	switch err := p.repo.checkBlobs(ctx, p.images); {
	case errors.Is(err, errAbsent):
		return false, nil
	case err != nil:
		return false, err
	}
	p.result.Existed, p.result.Report = true, report
	return true, p.Ledger.during(p.Tag, p.index.Digest, p.Move, func() error { return nil })
}

// demands is the caller's policy, and never less than: every manifest signed in
// every form that the signer writes.
func (p *publication) demands() sign.VerifyOptions {
	v := p.Verify
	v.Platforms = true
	v.Forms = p.forms()
	return v
}

func reportOf(r sign.Report, digest v1.Hash) sign.Report {
	for _, p := range r.Platforms {
		if p.Digest == digest {
			return p
		}
	}
	if r.Digest == digest {
		return r
	}
	return sign.Report{Digest: digest}
}

// push writes blobs and manifests by digest; nothing names them yet.
func (p *publication) push(ctx context.Context) error {
	total, err := contentSize(p.images)
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	p.repo.count.watch(func(sent int64) { p.event(StepPush, min(sent, total), total) })
	defer p.repo.count.watch(nil)
	if err := p.repo.pushIndex(ctx, p.Index); err != nil {
		return fmt.Errorf("push content: %w", err)
	}
	return nil
}

// verify reads everything back and judges it before the tag may exist.
func (p *publication) verify(ctx context.Context) error {
	if p.attestOnly {
		return p.verifyAttested(ctx)
	}
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.repo.checkBlobs(gctx, p.images) })
	group.Go(func() (err error) {
		p.result.Report, err = sign.Verify(gctx, p.repo, p.index.Digest, p.demands())
		return err
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("verify what was written: %w", err)
	}
	for _, s := range p.subjects {
		for _, st := range p.missing(s, reportOf(p.result.Report, s.desc.Digest)) {
			return fmt.Errorf("verify what was written: attestation %s of %s is not there: %w", st.PredicateType, s.desc.Digest, errLost)
		}
	}
	return nil
}

func (p *publication) tag(ctx context.Context) error {
	return p.Ledger.during(p.Tag, p.index.Digest, p.Move, func() error {
		return p.repo.setTag(ctx, p.Tag, p.manifest, p.index.Digest, p.before)
	})
}

// explain names the tag once, unless the error does so itself.
func (p *publication) explain(err error) error {
	if err == nil {
		return nil
	}
	var exists *TagExistsError
	var lost *TagLostError
	if errors.As(err, &exists) || errors.As(err, &lost) {
		return err
	}
	return fmt.Errorf("publish %s: %w", p.Tag, err)
}
